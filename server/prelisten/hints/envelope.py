"""Signed texts: `<key id>.<payload>.<signature>`. The signature is checked before anything is parsed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from itsdangerous import BadData, BadSignature, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from prelisten.errors import PrelistenError
from prelisten.keys import Key, Keys

CHALLENGE_SALT = "prelisten.challenge.v1"
HINT_SALT = "prelisten.hint.v1"
MAX_ENVELOPE_CHARACTERS = 6_000  # Well above the longest token (2 kB).


class EnvelopeError(PrelistenError):
    """A signed text cannot be used. `code` is `malformed`, `unknown_key` or `bad_signature`."""

    http_status = 400

    def __init__(self, code: str, message: str) -> None:
        """Keep which of the three it is."""
        super().__init__(message)
        self.code = code


class StrictJson:
    """JSON for the serializer: compact, no NaN, and a key that stands twice is refused.

    Two readers of a repeated key may see two different values; so there must be none.
    """

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Return compact JSON."""
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        """Parse JSON; raises `ValueError` on a repeated key or on NaN and Infinity."""
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _serializer(key: Key, salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(
        key.secret,
        salt=salt,
        serializer=StrictJson,
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )


def _is_canonical(signature: str) -> bool:
    """Tell whether a signature has the one spelling that we give it.

    Base64 readers skip strange characters and ignore the last letter's unused bits, so that several texts stand
    for the same bytes; only one of them is the token that was issued.
    """
    try:
        return base64_encode(base64_decode(signature)) == signature.encode()
    except BadData:
        return False


def pack(payload: dict[str, Any], *, salt: str, keys: Keys) -> str:
    """Sign `payload` with the newest key. Different salts keep a challenge from passing as a token."""
    key = keys.signing
    return f"{key.id}.{_serializer(key, salt).dumps(payload)}"


def unpack(text: object, *, salt: str, keys: Keys) -> Any:
    """Return what was signed. Raises `EnvelopeError` on anything else, whatever `text` is."""
    if not isinstance(text, str) or len(text) > MAX_ENVELOPE_CHARACTERS or not text.isascii():
        raise EnvelopeError("malformed", "This is no signed text: it is too long or holds other characters.")
    key_id, separator, signed = text.partition(".")
    if not separator or signed.count(".") not in (1, 2):
        raise EnvelopeError("malformed", "A signed text has three parts: key id, payload, signature.")
    signature = signed.rpartition(".")[2]
    if not _is_canonical(signature):
        raise EnvelopeError("bad_signature", "The signature is not written as this server writes it.")
    key = keys.find(key_id)
    if key is None:
        raise EnvelopeError("unknown_key", "The key that signed this is not known here (any more).")
    try:
        return _serializer(key, salt).loads(signed)
    except BadSignature as error:
        raise EnvelopeError("bad_signature", "The signature does not fit the text.") from error
    except (BadData, ValueError, RecursionError) as error:
        raise EnvelopeError("malformed", "The signed text holds no readable payload.") from error
