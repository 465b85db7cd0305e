"""What `POST verify` does behind HTTP: say what a token is worth to a back end that keeps the recording itself.

An answer is stored as long as the token's record, so that a retry gets the same one, and so that of any number of
back ends that ask at once, one alone is told something new.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prelisten.checks.claim import MISMATCH
from prelisten.hints import verify
from prelisten.hints.seal import SealedHint, session_digest
from prelisten.hints.store import SingleUse, SqlSingleUse
from prelisten.hints.store.interface import VERIFICATION
from prelisten.hints.verify import hint_check, read_token
from prelisten.pipeline import Services, recompute_claim, verified_claim
from prelisten.records import Action, HintCheck, Recomputed, TokenState
from prelisten.storage.interface import TokenSpent

ID_DIGITS = 24
REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Question:
    """What a back end asks: is this token good for this file, in this action and session?

    `sha256` is the recording's; `path` is the recording itself, when it came along. `asker` is the API key's id, so
    that the idempotency keys of two back ends never meet. `token` is whatever was sent in its place.
    """

    token: object
    sha256: str
    action: str
    session: str | None
    idempotency_key: str | None
    asker: str
    path: Path | None = None


def answer(
    question: Question,
    services: Services,
    *,
    listening: Callable[[], AbstractContextManager[None]],
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Return the answer as JSON-ready data; `repeated` tells that it was given before.

    1. See what the token is worth. Of one that is not `ok` nothing is stored: the answer is always the same.
    2. The same question again gets its stored answer, also shortly after the token has expired.
    3. With the recording: listen to it, in a place that `listening` gives, and compare.
    4. In one transaction: spend the token, and store the answer.

    Raises `StorageError` or what `listening` raises; then nothing was spent.
    """
    now = int(clock())
    check = _verified(question, services, now)
    sealed = read_token(question.token, services.keys)
    if sealed is None or not _was_good(check, question, services):  # 1
        return _counted(_told(check, None), services)
    own_key = _own_key(question, services)
    verification_id = _id(sealed, question, own_key, services)
    with services.storage.read() as tx:
        stored = tx.verification(verification_id)
    if stored is not None:  # 2
        return _counted({**stored, REPEATED: True}, services)
    if check.token is not TokenState.OK:
        return _counted(_told(check, None), services)
    if question.path is not None:
        check = _recomputed(check, question.path, services, listening)  # 3
    return _counted(_spent(check, sealed, question, own_key, verification_id, services), services)  # 4


def _verified(question: Question, services: Services, now: int) -> HintCheck:
    return verify(
        question.token,
        sha256=question.sha256,
        action=question.action,
        session=question.session,
        origin=None,
        keys=services.keys,
        detectors=services.detectors,
        now=now,
        with_tests=services.config.env != "production",
    )


def _was_good(check: HintCheck, question: Question, services: Services) -> bool:
    """Tell whether the token is good, or was until it expired."""
    if check.token is TokenState.EXPIRED and check.expires_at is not None:
        check = _verified(question, services, check.expires_at - 1)
    return check.token is TokenState.OK


def _own_key(question: Question, services: Services) -> str | None:
    if not question.idempotency_key:
        return None
    return services.keys.digest("idempotency", f"verify:{question.asker}:{question.idempotency_key}")


def _id(sealed: SealedHint, question: Question, own_key: str | None, services: Services) -> str:
    """Return the id that the same question of one asker always has. The challenge stands for action and session."""
    text = f"{sealed.challenge.cid}:{question.sha256}:{question.asker}:{own_key or ''}"
    return VERIFICATION + services.keys.digest("verification", text)[:ID_DIGITS]


def _recomputed(
    check: HintCheck,
    path: Path,
    services: Services,
    listening: Callable[[], AbstractContextManager[None]],
) -> HintCheck:
    claim = verified_claim(check, services)
    if claim is None:
        return check
    with listening(), services.meter.timed("stage_seconds", stage="verify"):
        recomputed, _ = recompute_claim(path, claim, services)
    if recomputed is not Recomputed.MISMATCH:
        return replace(check, recomputed=recomputed)
    return replace(check, recomputed=recomputed, floor=Action.HOLD, codes=(*check.codes, MISMATCH))


def _spent(
    check: HintCheck,
    sealed: SealedHint,
    question: Question,
    own_key: str | None,
    verification_id: str,
    services: Services,
) -> dict[str, Any]:
    """Spend the token and store the answer; the first to store it is told something new."""
    made, asked = _told(check, sealed), (None, verification_id)

    def spend(store: SingleUse) -> str | None:
        try:
            return store.consume(
                sealed.challenge.cid,
                sha256=question.sha256,
                idempotency_key=own_key,
                sid=session_digest(question.session, services.keys),
                submission_id=verification_id,
                expires_at=sealed.exp,
            )
        except TokenSpent as error:
            return error.spent_for or ""

    # Redis is asked before the transaction: while it hangs, nobody else shall have to wait for the database.
    if services.single_use is not None and spend(services.single_use) not in asked:
        return _told(hint_check(TokenState.DUPLICATE), None)
    with services.storage.transaction() as tx:
        if services.single_use is None and spend(SqlSingleUse(tx)) not in asked:
            return _told(hint_check(TokenState.DUPLICATE), None)
        if tx.add_verification(verification_id, made, expires_at=sealed.exp):
            return made
        return {**(tx.verification(verification_id) or made), REPEATED: True}


def _told(check: HintCheck, sealed: SealedHint | None) -> dict[str, Any]:
    """Return a check as the answer tells it; `sealed` for a token that is `ok`, since no other one says anything."""
    is_ok = check.token is TokenState.OK and sealed is not None
    challenge = sealed.challenge if is_ok and sealed is not None else None
    return {
        "success": is_ok,
        "error-codes": [] if is_ok else list(check.codes),
        "codes": list(check.codes),
        "challenge_ts": None if challenge is None else _time_text(challenge.iat),
        "hostname": None if challenge is None else urlsplit(challenge.org).hostname,
        "action": None if challenge is None else challenge.act,
        "claim": dict(check.claim) if is_ok and check.claim is not None else None,
        "recomputed": check.recomputed.value,
        "floor": check.floor.value,
        REPEATED: False,
    }


def _time_text(seconds: int) -> str:
    """Return a time as ISO 8601 writes it, in UTC: `2026-11-21T09:30:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _counted(told: dict[str, Any], services: Services) -> dict[str, Any]:
    if told[REPEATED]:
        services.meter.count("verifications_repeated")
    else:
        services.meter.count("verifications", success=str(told["success"]).lower())
    return told
