"""What the API's views share: a JSON body read strictly, an answer that nobody keeps, and what a text may hold."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from flask import Response, jsonify, request

from prelisten.errors import BadRequestError
from prelisten.hints.envelope import StrictJson

MAX_JSON_BYTES = 8_192
MAX_SESSION_CHARACTERS = 500
MAX_KEY_CHARACTERS = 200
_ACTION = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def json_body(allowed: Collection[str]) -> dict[str, Any]:
    """Return the request's body, one JSON object with no other keys than `allowed`. Raises `BadRequestError`."""
    request.max_content_length = MAX_JSON_BYTES
    if request.content_length is None:  # Of an unstated length: it could come for as long as it likes.
        raise BadRequestError("The body must be one JSON object, with its length stated.")
    try:
        body = StrictJson.loads(request.get_data())
    except (ValueError, RecursionError, OSError) as error:
        raise BadRequestError("The body must be one JSON object, without repeated keys.") from error
    if not isinstance(body, dict) or not set(body) <= set(allowed):
        raise BadRequestError(f"The body must be one JSON object with no other keys than {sorted(allowed)}.")
    return body


def fresh(**body: Any) -> Response:
    """Return JSON that no cache keeps."""
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def session_of(session: object) -> str | None:
    """Return a host page's session as it was sent. Raises `BadRequestError` for what is no fit text."""
    if session is not None and not (isinstance(session, str) and is_session(session)):
        raise BadRequestError(f"`session` is a text of at most {MAX_SESSION_CHARACTERS} characters.")
    return session


def is_session(text: str) -> bool:
    """Tell whether a session's text is short enough, and no half of a character (as JSON may smuggle in)."""
    return len(text) <= MAX_SESSION_CHARACTERS and _is_whole(text)


def action_of(action: object) -> str:
    """Return an action as it was sent. Raises `BadRequestError`."""
    if not (isinstance(action, str) and _ACTION.fullmatch(action)):
        raise BadRequestError("`action` is 1 to 32 of the letters A-Z, a-z, 0-9, `_` and `-`.")
    return action


def sha256_of(text: object) -> str:
    """Return a recording's SHA-256 as it was sent. Raises `BadRequestError`."""
    if not (isinstance(text, str) and _SHA256.fullmatch(text)):
        raise BadRequestError(
            "`sha256` is the recording's SHA-256 in 64 small hexadecimal digits; or send the recording as `file`."
        )
    return text


def idempotency_key_of(key: object) -> str | None:
    """Return an idempotency key as it was sent, `None` for an empty one. Raises `BadRequestError`."""
    if key is None or key == "":
        return None
    if not (isinstance(key, str) and len(key) <= MAX_KEY_CHARACTERS and _is_whole(key)):
        raise BadRequestError(f"`idempotency_key` is a text of at most {MAX_KEY_CHARACTERS} characters.")
    return key


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
