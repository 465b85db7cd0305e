"""Establish what can be established about a token, and say it. Never raises on bad input."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import ValidationError

from prelisten.hints.envelope import HINT_SALT, EnvelopeError, unpack
from prelisten.hints.seal import SealedHint, session_digest
from prelisten.keys import Keys
from prelisten.records import Action, HintCheck, TokenState

# What looks like tampering orders machine work at once; what happens to honest people does not.
_RAISES_FLOOR = {TokenState.BAD_SIGNATURE, TokenState.WRONG_FILE, TokenState.DUPLICATE}


def hint_check(state: TokenState, *, sealed: SealedHint | None = None) -> HintCheck:
    """Return the `HintCheck` for a state; the claim is kept only when the signature was ours."""
    return HintCheck(
        token=state,
        claim=None if sealed is None else sealed.claim.model_dump(),
        cid=None if sealed is None else sealed.challenge.cid,
        expires_at=None if sealed is None else sealed.exp,
        floor=Action.HOLD if state in _RAISES_FLOOR else Action.ACCEPT,
        codes=() if state is TokenState.OK else (f"HINT_{state.name}",),
    )


def verify(
    token: object,
    *,
    sha256: str,
    action: str,
    session: str | None,
    origin: str | None,
    keys: Keys,
    detectors: Collection[tuple[str, str]],
    now: int,
) -> HintCheck:
    """Check a token against the file and the request that it came with; spends nothing.

    What must be shown, in this order:

    1. It is there, and is one of our signed texts (key known, signature right, schema right).
    2. It has not expired.
    3. It was asked for by a page of this origin, for this action, in this session.
    4. It is about this file: its SHA-256 is the one that the server computed.
    5. It comes from a detector that the server still accepts.

    `origin=None` means that the caller has no origin to compare (a back end that speaks for itself).
    """
    if token is None or token == "":
        return hint_check(TokenState.ABSENT)
    try:  # 1
        sealed = SealedHint.model_validate(unpack(token, salt=HINT_SALT, keys=keys))
    except EnvelopeError as error:
        return hint_check(TokenState(error.code))
    except ValidationError:
        return hint_check(TokenState.MALFORMED)
    return hint_check(_state(sealed, sha256, action, session, origin, keys, detectors, now), sealed=sealed)


def _state(
    sealed: SealedHint,
    sha256: str,
    action: str,
    session: str | None,
    origin: str | None,
    keys: Keys,
    detectors: Collection[tuple[str, str]],
    now: int,
) -> TokenState:
    challenge, claim = sealed.challenge, sealed.claim
    checks = (
        (now < sealed.exp, TokenState.EXPIRED),  # 2
        (origin is None or challenge.org == origin, TokenState.WRONG_ORIGIN),  # 3
        (challenge.act == action, TokenState.WRONG_ACTION),
        (challenge.sid == session_digest(session, keys), TokenState.WRONG_SESSION),
        (claim.file.sha256 == sha256, TokenState.WRONG_FILE),  # 4
        ((claim.det.id, claim.det.sha256) in detectors, TokenState.UNKNOWN_DETECTOR),  # 5
    )
    return next((state for holds, state in checks if not holds), TokenState.OK)
