"""Turn what the server knows about a submission into what a person or a program is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from prelisten.catalogue import ENGLISH, sentence
from prelisten.engine.interface import JobStatus
from prelisten.errors import GoneError, NotFoundError
from prelisten.records import Action, Decision, Finding, Submission, SubmissionState
from wasm_detector.hint import Reason

# The uploader hears at most this many reasons: a page is no lesson in how to pass.
MAX_SHOWN_REASONS = 4


def clock_text(seconds: float) -> str:
    """Return a place in a recording as people write it: `1:05`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


@dataclass(frozen=True, slots=True)
class ReasonText:
    """One reason as people read it. `places` are (start, end) in seconds."""

    code: str
    title: str
    text: str
    weight: float
    places: tuple[tuple[float, float], ...]

    @property
    def place_texts(self) -> tuple[str, ...]:
        """Return the places as text: `0:04–0:08`."""
        return tuple(f"{clock_text(start)}–{clock_text(end)}" for start, end in self.places)


def reason_text(reason: Reason, *, language: str = ENGLISH) -> ReasonText:
    """Return a reason with its title and its sentence from the catalogue."""
    return ReasonText(
        code=reason.code,
        title=sentence(f"reason.{reason.code}.title", reason.params, language=language),
        text=sentence(f"reason.{reason.code}", reason.params, language=language),
        weight=reason.weight,
        places=reason.ranges,
    )


def shown_reasons(reasons: Iterable[Reason], *, language: str = ENGLISH) -> list[ReasonText]:
    """Return the heaviest reasons, heaviest first; those without weight (limits) keep their order behind."""
    heaviest = sorted(reasons, key=lambda reason: -abs(reason.weight))[:MAX_SHOWN_REASONS]
    return [reason_text(reason, language=language) for reason in heaviest]


def require_there(submission: Submission | None) -> Submission:
    """Return the submission. Raises `NotFoundError` for none, `GoneError` for one that was erased."""
    if submission is None:
        raise NotFoundError("There is no submission of this id.")
    if submission.state is SubmissionState.ERASED:
        raise GoneError("Everything about this submission was erased.")
    return submission


def progress_of(job: JobStatus | None, *, language: str = ENGLISH) -> dict[str, Any] | None:
    """Return how far a screening is: `phase`, `ahead` (queued before it), `fraction` (0 to 1), and a sentence.

    `None` for what is not known; `None` as a whole once the job has ended.
    """
    if job is None:
        return None
    phase = "waiting" if job.ahead is not None else job.phase or "listening"
    few = {0: ".next", 1: ".one"}
    key = f"progress.{phase}" + ("" if job.ahead is None else few.get(job.ahead, ".many"))
    return {
        "phase": phase,
        "ahead": job.ahead,
        "fraction": None if job.fraction is None else round(job.fraction, 2),
        "text": sentence(key, {"ahead": job.ahead}, language=language),
    }


def answer(
    submission_id: str,
    decision: Decision | None,
    status_url: str,
    progress: dict[str, Any] | None = None,
    *,
    language: str = ENGLISH,
) -> dict[str, Any]:
    """Return the status of a submission as JSON-ready data. Undecided is `hold`, and never final."""
    action = Action.HOLD if decision is None else decision.action
    return {
        "id": submission_id,
        "state": "screening" if decision is None else "decided",
        "decision": action.value,
        "title": sentence(f"decision.{action.value}.title", language=language),
        "next": sentence(f"decision.{action.value}.next", language=language),
        "progress": progress,
        "reasons": [
            {
                "code": shown.code,
                "title": shown.title,
                "text": shown.text,
                "ranges": [list(p) for p in shown.places],
            }
            for shown in shown_reasons(() if decision is None else decision.reasons, language=language)
        ],
        "status_url": status_url,
    }


def record(submission: Submission, decision: Decision | None, findings: Iterable[Finding]) -> dict[str, Any]:
    """Return what a back end may know beyond the uploader's answer, as JSON-ready data."""
    check = submission.hint_check
    return {
        "action": submission.action,
        "sha256": submission.sha256,
        "received_at": submission.received_at.isoformat(),
        "declared": submission.declared,
        "hint": {
            "token": check.token.value,
            "recomputed": check.recomputed.value,
            "floor": check.floor.value,
            "codes": list(check.codes),
        },
        "findings": [
            {
                "check": finding.check,
                "version": finding.version,
                "state": finding.state.value,
                "spoof_score": finding.spoof_score,
            }
            for finding in findings
        ],
        "policy": None if decision is None else decision.policy_version,
        "evidence_sha256": None if decision is None else decision.evidence_sha256,
        "decided_at": None if decision is None else decision.decided_at.isoformat(),
    }
