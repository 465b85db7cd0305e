#!/bin/sh
# Verify a Prelisten hint with curl: verify.sh FILE TOKEN [ACTION [SESSION]]
#
# Sends the recording, so that the browser's claim is compared with it too. Prints the answer; the exit status is
# 0 when the token is good, 1 when it is not (screen the recording fully), 2 when there was no answer.
#
# VERIFY_URL is where the API is, for example https://voice.example/prelisten/v1, and VERIFY_KEY an API key with
# the scope `verify`.
set -eu

if [ $# -lt 2 ] || [ -z "${VERIFY_URL:-}" ] || [ -z "${VERIFY_KEY:-}" ]; then
  echo "usage: VERIFY_URL=... VERIFY_KEY=... verify.sh FILE TOKEN [ACTION [SESSION]]" >&2
  exit 2
fi
file=$1 token=$2 action=${3:-voice-upload}
[ -r "$file" ] || { echo "verify.sh: $file cannot be read" >&2; exit 2; }
quoted=$(printf '%s' "$file" | sed 's/[\\"]/\\&/g')
session=${4:-}
# One key for this sending and its retries: whoever sends the same token and file again is told `HINT_DUPLICATE`.
sending=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

# The key comes to curl through its standard input: arguments can be read by every account of the machine. The token
# came from a sender: as a plain `-F`, one that begins with `@` or `<` would have curl send a file of ours.
answer=$(
  printf 'header = "Authorization: Bearer %s"\n' "$VERIFY_KEY" |
    curl --config - --silent --show-error --fail-with-body --max-time 60 --retry 3 --retry-max-time 60 \
      --form "file=@\"$quoted\";filename=recording" \
      --form-string "response=$token" \
      --form-string "action=$action" \
      --form-string "session=$session" \
      --form-string "idempotency_key=$sending" \
      "${VERIFY_URL}/verify"
) || { printf '%s\n' "$answer" >&2; exit 2; }

printf '%s\n' "$answer"
# Inside the answer's own texts every quotation mark has a backslash before it.
case $(printf '%s' "$answer" | tr -d ' \n') in
  *'"success":true'*) exit 0 ;;
  *) exit 1 ;;
esac
