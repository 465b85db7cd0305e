"""Issue challenges and seal claims. A challenge is fresh and about one action, origin and session."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prelisten.errors import BadRequestError
from prelisten.hints.claim import Claim, DetectorRef
from prelisten.hints.envelope import CHALLENGE_SALT, HINT_SALT, EnvelopeError, pack, unpack
from prelisten.keys import TEST_PREFIX, Keys

MAX_TOKEN_CHARACTERS = 2_048
# What a challenge of the test mode may ask for; signed into it, so that nobody adds it later.
FixedOutcome = Literal[
    "clear", "elevated", "high", "inconclusive", "unsupported", "error", "timeout", "expired"
]
FIXED_OUTCOMES: tuple[str, ...] = get_args(FixedOutcome)


class Challenge(BaseModel):
    """What the server signs before there is a claim. Times are Unix seconds; `sid` is keyed, never the text.

    `tst` is a fixed outcome of the test mode, absent from every real challenge.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    v: Literal[1] = 1
    cid: str = Field(pattern=r"^[0-9a-f]{32}$")
    iat: int
    exp: int
    act: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    org: str = Field(max_length=300)
    sid: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    det: list[DetectorRef] = Field(max_length=16)
    tst: FixedOutcome | None = None


class SealedHint(BaseModel):
    """What a token holds: challenge and claim, sealed together at `sealed_at`, good until `exp`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    challenge: Challenge
    claim: Claim
    sealed_at: int
    exp: int


def is_test(text: object, challenge: Challenge) -> bool:
    """Tell whether a signed text comes from a test mode: by its challenge's outcome, or by its key."""
    return challenge.tst is not None or str(text).startswith(TEST_PREFIX)


def session_digest(session: str | None, keys: Keys) -> str | None:
    """Return the keyed digest that stands for a host page's session; `None` for none, as an empty text is."""
    return keys.digest("session", session) if session else None


def issue_challenge(
    *,
    action: str,
    origin: str,
    session: str | None,
    detectors: Collection[tuple[str, str]],
    keys: Keys,
    now: int,
    ttl_s: int,
    test: FixedOutcome | None = None,
) -> tuple[str, Challenge]:
    """Return a signed challenge and what it holds; `test` is the fixed outcome that it is to have.

    Raises `BadRequestError` on an unfit action. Whether test mode is allowed is the caller's to know.
    """
    try:
        challenge = Challenge(
            cid=secrets.token_hex(16),
            iat=now,
            exp=now + ttl_s,
            act=action,
            org=origin,
            sid=session_digest(session, keys),
            det=[DetectorRef(id=name, sha256=sha256) for name, sha256 in sorted(detectors)],
            tst=test,
        )
    except ValidationError as error:
        raise BadRequestError(
            "An action is 1 to 32 letters, digits, `_` or `-`; a fixed outcome is one of the protocol's eight."
        ) from error
    told = challenge.model_dump(exclude=None if test else {"tst"})
    return pack(told, salt=CHALLENGE_SALT, keys=keys), challenge


def seal(
    challenge_text: object,
    claim_data: Any,
    *,
    origin: str,
    keys: Keys,
    now: int,
    ttl_s: int,
    with_tests: bool = False,
) -> tuple[str, SealedHint]:
    """Bind a claim to its challenge and sign both. Of the challenge's detectors the token names the claim's alone.

    Raises `EnvelopeError` when the challenge is not ours, `BadRequestError` (with its code) when it has
    expired, belongs to another origin, or the claim does not fit the schema or the challenge.
    """
    challenge = _read_challenge(challenge_text, keys)
    if is_test(challenge_text, challenge) and not with_tests:
        raise EnvelopeError(
            "unknown_key", "The challenge comes from a test mode, which this server does not run."
        )
    if now >= challenge.exp:
        raise _refusal("challenge_expired", "The challenge has expired: ask for a new one and seal again.")
    if challenge.org != origin:
        raise _refusal("wrong_origin", "The challenge was issued to a page of another origin.")
    claim = _read_claim(claim_data)
    if claim.cid != challenge.cid:
        raise _refusal(
            "wrong_challenge", "The claim names another challenge: put the challenge's cid into it."
        )
    if claim.det not in challenge.det:
        raise _refusal(
            "unknown_detector", "The claim comes from a detector that the challenge does not list."
        )
    of_claim = challenge.model_copy(update={"det": [claim.det]})  # The others would only make it longer.
    sealed = SealedHint(challenge=of_claim, claim=claim, sealed_at=now, exp=now + ttl_s)
    token = pack(sealed.model_dump(exclude_defaults=True), salt=HINT_SALT, keys=keys)
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise _refusal("claim_too_large", f"The sealed token would exceed {MAX_TOKEN_CHARACTERS} characters.")
    return token, sealed


def _read_challenge(text: object, keys: Keys) -> Challenge:
    try:
        return Challenge.model_validate(unpack(text, salt=CHALLENGE_SALT, keys=keys))
    except ValidationError as error:
        raise EnvelopeError("malformed", "The challenge is of another version: ask for a new one.") from error


def _read_claim(data: Any) -> Claim:
    try:
        return Claim.model_validate(data)
    except ValidationError as error:
        fields = ", ".join(
            sorted({".".join(map(str, problem["loc"])) or "claim" for problem in error.errors()})
        )
        raise _refusal("bad_claim", f"The claim does not fit the schema. Look at: {fields[:300]}.") from error


def _refusal(code: str, message: str) -> BadRequestError:
    error = BadRequestError(message)
    error.code = code
    return error
