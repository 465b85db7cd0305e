"""What the rest of the server may ask of the storage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection

from prelisten.errors import PrelistenError
from prelisten.records import (
    Decision,
    Finding,
    HintCheck,
    Outcome,
    ReviewCase,
    ShadowScore,
    Submission,
    SubmissionState,
)


class TokenSpent(PrelistenError):  # noqa: N818 - a word of the protocol, not a fault
    """The token was spent before, with another file, key or session."""

    code = "duplicate"
    http_status = 409

    def __init__(self, cid: str, *, spent_for: str | None = None) -> None:
        """Keep the challenge's id, and what it was spent for when the file is the same."""
        super().__init__(
            f"The hint with challenge {cid} was used before. Check the recording again for a new one."
        )
        self.cid = cid
        self.spent_for = spent_for


def is_same_sending(first: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
    """Return whether a token that comes again comes with the same file from the same sender.

    The key speaks when there is one; else the session does, and none on both sides is the same.
    """
    by_key = ("sha256", "idempotency_key")
    return all(
        first[name] == again[name] for name in (by_key if again["idempotency_key"] else (*by_key, "sid"))
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What exactly was scored. `pcm_sha256` names the blob (float32 WAV), `None` when nothing was decoded.

    `hint` is the server's own `Hint.to_dict()`; `analysed_s` and `total_s` are seconds, `None` = not known;
    `container` holds what the file says about itself (format, codec, encoder, ...), which is hearsay. `pieces`
    are the stretches of the recording, in its own seconds, that stand one after the other in the PCM: of a long
    recording only windows are heard, and a mark at 95 s may lie at 15 s of the PCM.
    """

    pcm_sha256: str | None = None
    hint: Mapping[str, Any] | None = None
    analysed_s: float | None = None
    total_s: float | None = None
    container: Mapping[str, Any] = field(default_factory=dict)
    pieces: tuple[tuple[float, float], ...] = ()


class Transaction(Protocol):
    """One unit of work: everything in it is stored, or nothing is."""

    @property
    def connection(self) -> Connection:
        """The database connection, for tables that live beside these (the engine's)."""

    def add_submission(self, submission: Submission) -> None:
        """Store a new upload."""

    def submission(self, submission_id: str) -> Submission | None:
        """Return the submission, or `None`."""

    def submission_by_key(self, idempotency_key: str, sha256: str, action: str) -> Submission | None:
        """Return what the same file was stored as under the same key and action, or `None`."""

    def is_stored(self, sha256: str) -> bool:
        """Return whether any submission needs these bytes, as its recording or as what was scored of it."""

    def stored_blobs(self, prefix: str) -> set[str]:
        """Return the names of all needed bytes that begin so (two hexadecimal digits)."""

    def lock_blob(self, sha256: str) -> None:
        """Keep every other transaction from storing or removing these bytes until this one has ended."""

    def set_state(self, submission_id: str, state: SubmissionState) -> None:
        """Move the submission along the main path."""

    def set_hint_check(self, submission_id: str, hint_check: HintCheck) -> None:
        """Replace what is known about the hint, once the recomputation has had its word."""

    def spend_token(
        self,
        cid: str,
        *,
        sha256: str,
        idempotency_key: str | None,
        sid: str | None,
        submission_id: str,
        expires_at: int,
    ) -> str | None:
        """Spend the token of challenge `cid`, atomically.

        Return `None` when this call spent it, else the id of the submission that it was spent for when this is
        the same sending again (same file, and the same key, or no key on either side and the same session).
        Raises `TokenSpent` for anything else.
        """

    def add_verification(self, verification_id: str, answer: Mapping[str, Any], *, expires_at: int) -> bool:
        """Store what `POST verify` answered, until the token expires (seconds since 1970).

        Return `False` when there is an answer of that id already; that one stays.
        """

    def verification(self, verification_id: str) -> dict[str, Any] | None:
        """Return the stored answer, or `None`."""

    def add_findings(self, submission_id: str, findings: tuple[Finding, ...]) -> None:
        """Store the checks' words, in order."""

    def findings(self, submission_id: str) -> tuple[Finding, ...]:
        """Return the checks' words, in order."""

    def set_decision(self, submission_id: str, decision: Decision) -> None:
        """Store the last decision; there is one for each submission."""

    def decision(self, submission_id: str) -> Decision | None:
        """Return the last decision, or `None` while there is none."""

    def keep_policy(self, version: str, text: str, *, at: datetime) -> None:
        """Store what a policy's version says, when it is used for the first time."""

    def policy_text(self, version: str) -> str | None:
        """Return what a policy's version says, or `None` when it was never stored."""

    def add_shadow_decision(self, submission_id: str, decision: Decision) -> None:
        """Store what a policy that is being tried would have decided."""

    def shadow_decisions(self, submission_id: str) -> tuple[Decision, ...]:
        """Return what policies that are being tried would have decided, in the order of their versions."""

    def add_shadow_score(self, submission_id: str, score: ShadowScore) -> None:
        """Store what a model that is being tried says."""

    def shadow_scores(self, submission_id: str) -> tuple[ShadowScore, ...]:
        """Return what models that are being tried say, in the order of their names."""

    def decided(self) -> Iterator[tuple[Submission, Decision]]:
        """Yield every submission that has a decision, in the order in which they were decided, a few at a time."""

    def set_evidence(self, submission_id: str, evidence: Evidence) -> None:
        """Store what was scored."""

    def evidence(self, submission_id: str) -> Evidence | None:
        """Return what was scored, or `None` while nothing has been."""

    def open_case(self, case: ReviewCase) -> None:
        """Put a case into the reviewers' queue."""

    def case(self, case_id: str) -> ReviewCase | None:
        """Return the case, or `None`."""

    def case_for(self, submission_id: str) -> ReviewCase | None:
        """Return the submission's case, or `None`."""

    def cases(self, *, is_open: bool, limit: int = 50, offset: int = 0) -> list[ReviewCase]:
        """Return cases: open ones within the reviewers' budget first, oldest first; resolved ones latest first."""

    def count_cases(self, *, is_open: bool) -> int:
        """Return how many cases are open, or resolved."""

    def count_cases_since(self, at: datetime) -> int:
        """Return how many cases within the reviewers' budget were opened at that time or later."""

    def resolve_case(self, case_id: str, *, outcome: Outcome, note: str, reviewer: str, at: datetime) -> bool:
        """Store a reviewer's word. Return `False` when the case is unknown or was resolved before."""

    def submissions_of(self, sid: str) -> list[str]:
        """Return the ids of what was sent under a session's digest, oldest first."""

    def everything_about(self, submission_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return every row that is about the submission, by the name of its table."""

    def bury_submission(self, submission_id: str, at: datetime) -> frozenset[str]:
        """Turn the submission into a tombstone; return the names of the blobs that it was about."""

    def old_submissions(self, before: datetime, *, limit: int, with_recording: bool = False) -> list[str]:
        """Return closed submissions (decided, no case open, not erased) from before that time, oldest first."""

    def let_recordings_go(self, submission_ids: Collection[str], at: datetime) -> frozenset[str]:
        """Note that the submissions' recordings are no longer kept; return the names of their blobs."""

    def forget_tokens(self, expired_before: int) -> int:
        """Remove the records of tokens that expired before that time (seconds since 1970); return how many.

        What was answered about them goes with them.
        """

    def take_chore(self, name: str, now: datetime, *, every: timedelta) -> bool:
        """Return whether the chore is due, and make it due again after `every`: one taker gets it."""


class Storage(Protocol):
    """A database that is at the head of its migrations."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a writing transaction: committed at the end, rolled back on any exception."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a reading transaction: one consistent picture, nothing locked."""

    def scrub(self) -> None:
        """Take what was erased out of the database's journal too, as far as that can be done now."""

    def close(self) -> None:
        """Close every connection."""
