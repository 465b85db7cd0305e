"""The reviewer's login: a link that works once, then a signed session.

The link's secret is never stored. Its digest names an empty file in the data folder, and removing that file is
the whole of spending it: the file system lets exactly one caller do so, whatever the number of processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import time
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from prelisten.keys import Keys

LINK_TTL_S = 24 * 3600
SESSION_TTL_S = 12 * 3600


def _folder(data: Path) -> Path:
    return data / "reviewer-links"


def _name(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def new_link_code(data: Path) -> str:
    """Return a fresh code (256 bit) that signs a reviewer in once within 24 hours; older ones end now."""
    folder = _folder(data)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.iterdir():
        old.unlink(missing_ok=True)
    code = secrets.token_urlsafe(32)
    (folder / _name(code)).touch(mode=0o600)
    return code


def is_link_code(data: Path, code: str) -> bool:
    """Tell whether a code would sign in now, without spending it (a link preview must not)."""
    try:
        made_at = (_folder(data) / _name(code)).stat().st_mtime
    except FileNotFoundError:
        return False
    return time.time() - made_at < LINK_TTL_S


def spend_link_code(data: Path, code: str) -> bool:
    """Spend a code; `True` for exactly one caller."""
    if not is_link_code(data, code):
        return False
    try:
        (_folder(data) / _name(code)).unlink()
    except FileNotFoundError:
        return False
    return True


def _serializer(keys: Keys) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        keys.derive("reviewer-session"),
        salt="prelisten.reviewer.v1",
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )


def _sessions(data: Path) -> Path:
    return data / "reviewer-sessions"


def new_session(data: Path, reviewer: str, keys: Keys) -> str:
    """Return the cookie's text for a signed-in reviewer; a file named by its digest says that it is open."""
    folder = _sessions(data)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_old(folder, SESSION_TTL_S)
    cookie = str(_serializer(keys).dumps({"reviewer": reviewer, "nonce": secrets.token_hex(8)}))
    (folder / _name(cookie)).touch(mode=0o600)
    return cookie


def session_reviewer(data: Path, cookie: str, keys: Keys) -> str | None:
    """Return the reviewer's name, or `None` when the cookie is not ours, too old, or its session was ended."""
    try:
        session = _serializer(keys).loads(cookie, max_age=SESSION_TTL_S)
    except BadSignature:
        return None
    return str(session["reviewer"]) if (_sessions(data) / _name(cookie)).exists() else None


def end_session(data: Path, cookie: str) -> None:
    """End a session, in every browser that has its cookie."""
    (_sessions(data) / _name(cookie)).unlink(missing_ok=True)


def _remove_old(folder: Path, ttl_s: float) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - ttl_s:
                path.unlink()


def form_token(cookie: str, keys: Keys) -> str:
    """Return the text that a form of this session must send along, so that no other site can send it."""
    return keys.digest("reviewer-form", cookie)


def is_form_token(text: str, cookie: str, keys: Keys) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(text.encode(), form_token(cookie, keys).encode())
