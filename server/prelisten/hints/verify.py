"""Establish what can be established about a token, and say it. Never raises on bad input."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pydantic import ValidationError

from prelisten.hints.envelope import HINT_SALT, EnvelopeError, unpack
from prelisten.hints.seal import SealedHint, is_test, session_digest
from prelisten.keys import Keys
from prelisten.records import Action, HintCheck, TokenState

UNABLE = "HINT_UNABLE"
TEST = "HINT_TEST"
# What the fixed outcomes of the test mode mean: a claim's band with its `q`, or a state of the token.
_FIXED_Q = {"clear": 50, "elevated": 600, "high": 950, "inconclusive": None}
_FIXED_STATES = {"expired": TokenState.EXPIRED}  # After every other one the form comes without a token.
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


def unable_check() -> HintCheck:
    """Return the `HintCheck` for a good token that could not be spent, because the store is down.

    Nobody knows whether it was used before, so it counts as none at all, and machine work is ordered.
    """
    return HintCheck(token=TokenState.ABSENT, able=False, floor=Action.HOLD, codes=(UNABLE,))


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
    with_tests: bool = False,
) -> HintCheck:
    """Check a token against the file and the request that it came with; spends nothing.

    What must be shown, in this order:

    1. It is there, and is one of our signed texts (key known, signature right, schema right).
    2. It has not expired.
    3. It was asked for by a page of this origin, for this action, in this session.
    4. It is about this file: its SHA-256 is the one that the server computed.
    5. It comes from a detector that the server still accepts.

    `origin=None` means that the caller has no origin to compare (a back end that speaks for itself). Without
    `with_tests` what a test mode made is of an unknown key; with it, a fixed outcome is what it stands for.
    """
    if token is None or (isinstance(token, str) and not token):
        return hint_check(TokenState.ABSENT)
    sealed = _read(token, keys)  # 1
    if isinstance(sealed, TokenState):
        return hint_check(sealed)
    if is_test(token, sealed.challenge) and not with_tests:
        return hint_check(TokenState.UNKNOWN_KEY)
    state = _state(sealed, sha256, action, session, origin, keys, detectors, now)
    check = hint_check(state, sealed=sealed)
    return check if sealed.challenge.tst is None or state is not TokenState.OK else _fixed(check, sealed)


def read_token(token: object, keys: Keys) -> SealedHint | None:
    """Return what a token holds, `None` for one that is none of ours. Whether it is of use, `verify` says."""
    sealed = _read(token, keys)
    return None if isinstance(sealed, TokenState) else sealed


def _read(token: object, keys: Keys) -> SealedHint | TokenState:
    try:
        return SealedHint.model_validate(unpack(token, salt=HINT_SALT, keys=keys))
    except EnvelopeError as error:
        return TokenState(error.code)
    except ValidationError:
        return TokenState.MALFORMED


def _fixed(check: HintCheck, sealed: SealedHint) -> HintCheck:
    """Return the check that a fixed outcome of the test mode stands for; nobody has listened to anything."""
    outcome = str(sealed.challenge.tst)
    if outcome not in _FIXED_Q:
        return hint_check(_FIXED_STATES.get(outcome, TokenState.ABSENT), sealed=sealed)
    claim = {**(check.claim or {}), "band": outcome, "q": _FIXED_Q[outcome]}
    return replace(check, claim=claim, codes=(*check.codes, TEST))


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
