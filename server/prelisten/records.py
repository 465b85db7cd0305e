"""The nouns that cross the server's layers. Plain data: nothing here imports Flask, numpy or a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from wasm_detector.hint import Band, Reason


class Action(StrEnum):
    """What is to happen with a recording, in the order of strictness."""

    ACCEPT = "accept"
    LABEL = "label"
    HOLD = "hold"
    REVIEW = "review"
    REJECT = "reject"

    @property
    def strictness(self) -> int:
        """Return the place in the order `accept < label < hold < review < reject`, from 0."""
        return list(Action).index(self)


class Context(StrEnum):
    """Where a recording is played afterwards. The host application says so, never the sender."""

    FEED = "feed"
    CHAT = "chat"
    LIVE = "live"


class FindingState(StrEnum):
    """How a check ended. These are five different results; only `done` says something about the audio."""

    DONE = "done"
    NOT_APPLICABLE = "not_applicable"
    LIMIT = "limit"
    TIMEOUT = "timeout"
    ERROR = "error"


class TokenState(StrEnum):
    """What became of a hint token."""

    OK = "ok"
    ABSENT = "absent"
    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_KEY = "unknown_key"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    WRONG_ACTION = "wrong_action"
    WRONG_ORIGIN = "wrong_origin"
    WRONG_SESSION = "wrong_session"
    WRONG_FILE = "wrong_file"
    UNKNOWN_DETECTOR = "unknown_detector"


class Recomputed(StrEnum):
    """How the claim compares with what the server heard itself."""

    MATCH = "match"
    WITHIN_TOLERANCE = "within_tolerance"
    MISMATCH = "mismatch"
    NOT_RUN = "not_run"


class SubmissionState(StrEnum):
    """Where a submission is on the main path."""

    QUEUED = "queued"
    SCREENING = "screening"
    DECIDED = "decided"
    ERASED = "erased"


class Outcome(StrEnum):
    """A reviewer's word about a recording."""

    SYNTHETIC = "synthetic"
    MANIPULATED = "manipulated"
    CHEAPFAKE = "cheapfake"
    NOT_SYNTHETIC = "not_synthetic"
    INCONCLUSIVE = "inconclusive"
    OUT_OF_SCOPE = "out_of_scope"


@dataclass(frozen=True, slots=True)
class HintCheck:
    """What the server could establish about a token. `floor` binds only while machine work is outstanding."""

    token: TokenState
    able: bool = True
    claim: Mapping[str, Any] | None = None
    cid: str | None = None
    expires_at: int | None = None
    recomputed: Recomputed = Recomputed.NOT_RUN
    floor: Action = Action.ACCEPT
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's word. `spoof_score` in [0, 1] or `None` (could not tell, or not done)."""

    check: str
    version: str
    state: FindingState
    spoof_score: float | None = None
    reasons: tuple[Reason, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShadowScore:
    """The word of a model that is being tried (`detector`); no policy sees it. `spoof_score` as in a finding."""

    detector: str
    spoof_score: float | None
    band: Band


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy made of the findings. `evidence_sha256` is over the canonical JSON of its input.

    `spoof_score` is that of all checks together, `None` when none gave one. `is_over_budget`: a person was asked
    for, and the reviewers had their fill; there is a case all the same, whatever the action is by then.
    """

    action: Action
    reasons: tuple[Reason, ...]
    policy_version: str
    evidence_sha256: str
    decided_at: datetime
    spoof_score: float | None = None
    context: Context = Context.FEED
    is_over_budget: bool = False

    @property
    def opens_case(self) -> bool:
        """Return whether a person is to listen."""
        return self.action is Action.REVIEW or self.is_over_budget


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was received into quarantine, with what came along. Nothing here is trusted yet.

    `path` is the quarantined file; `file_name` and `media_type` are the sender's words. `session` is the
    host page's own session text, `origin` the request's Origin (or host), both `None` when absent.
    """

    path: str
    sha256: str
    size_bytes: int
    file_name: str
    media_type: str
    action: str
    token: str | None = None
    session: str | None = None
    origin: str | None = None
    idempotency_key: str | None = None
    declared: bool = False
    context: Context = Context.FEED


@dataclass(frozen=True, slots=True)
class Submission:
    """One stored upload and where it is on the main path.

    `sid` is the keyed digest of the host page's session. `recording_removed_at` tells that the bytes are gone by
    age, `erased_at` that everything is: what is left then is a tombstone, an id with times.
    """

    id: str
    sha256: str
    size_bytes: int
    file_name: str
    media_type: str
    action: str
    idempotency_key: str | None
    declared: bool
    state: SubmissionState
    received_at: datetime
    hint_check: HintCheck
    sid: str | None = None
    recording_removed_at: datetime | None = None
    erased_at: datetime | None = None
    context: Context = Context.FEED


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A person's task, and the person's word when it is resolved."""

    id: str
    submission_id: str
    opened_at: datetime
    outcome: Outcome | None = None
    note: str = ""
    reviewer: str | None = None
    resolved_at: datetime | None = None
