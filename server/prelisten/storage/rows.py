"""Records to rows and back. JSON columns hold plain data, so that a row outlives the class that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prelisten.records import (
    Action,
    Context,
    Decision,
    Finding,
    FindingState,
    HintCheck,
    Outcome,
    Recomputed,
    ReviewCase,
    Submission,
    SubmissionState,
    TokenState,
)
from prelisten.storage.interface import Evidence
from wasm_detector.hint import Reason

Row = Mapping[str, Any]


def hint_check_to_json(check: HintCheck) -> dict[str, Any]:
    """Return the hint check as plain data; enum members become their words."""
    return {**asdict(check), "codes": list(check.codes)}


def hint_check_from_json(data: Row) -> HintCheck:
    """Return the hint check that `hint_check_to_json` wrote."""
    return HintCheck(
        **{
            **data,
            "token": TokenState(data["token"]),
            "recomputed": Recomputed(data["recomputed"]),
            "floor": Action(data["floor"]),
            "codes": tuple(data["codes"]),
        }
    )


def reason_from_json(data: Row) -> Reason:
    """Return the reason that `Reason.to_dict` wrote."""
    return Reason(
        code=data["code"],
        weight=data["weight"],
        ranges=tuple((start, end) for start, end in data["ranges"]),
        params=data["params"],
    )


def submission_to_row(submission: Submission) -> dict[str, Any]:
    """Return the columns of a submission."""
    fields = {name: getattr(submission, name) for name in submission.__slots__}
    return {**fields, "hint_check": hint_check_to_json(submission.hint_check)}


def submission_from_row(row: Row) -> Submission:
    """Return the submission of a row."""
    return Submission(
        **{
            **row,
            "state": SubmissionState(row["state"]),
            "context": Context(row["context"]),
            "hint_check": hint_check_from_json(row["hint_check"]),
        }
    )


def finding_to_row(submission_id: str, position: int, finding: Finding) -> dict[str, Any]:
    """Return the columns of a finding; `position` keeps the order of the checks."""
    return {
        "submission_id": submission_id,
        "position": position,
        "check": finding.check,
        "version": finding.version,
        "state": finding.state,
        "spoof_score": finding.spoof_score,
        "reasons": [reason.to_dict() for reason in finding.reasons],
        "details": dict(finding.details),
    }


def finding_from_row(row: Row) -> Finding:
    """Return the finding of a row."""
    return Finding(
        check=row["check"],
        version=row["version"],
        state=FindingState(row["state"]),
        spoof_score=row["spoof_score"],
        reasons=tuple(map(reason_from_json, row["reasons"])),
        details=row["details"],
    )


def evidence_from_row(row: Row) -> Evidence:
    """Return the evidence of a row."""
    fields = {name: row[name] for name in Evidence.__slots__}
    return Evidence(**{**fields, "pieces": tuple((start, end) for start, end in row["pieces"])})


def decision_to_row(submission_id: str, decision: Decision) -> dict[str, Any]:
    """Return the columns of a decision."""
    return {
        "submission_id": submission_id,
        "action": decision.action,
        "reasons": [reason.to_dict() for reason in decision.reasons],
        "policy_version": decision.policy_version,
        "evidence_sha256": decision.evidence_sha256,
        "decided_at": decision.decided_at,
        "spoof_score": decision.spoof_score,
        "context": decision.context,
        "is_over_budget": decision.is_over_budget,
    }


def decision_from_row(row: Row) -> Decision:
    """Return the decision of a row."""
    return Decision(
        action=Action(row["action"]),
        reasons=tuple(map(reason_from_json, row["reasons"])),
        policy_version=row["policy_version"],
        evidence_sha256=row["evidence_sha256"],
        decided_at=row["decided_at"],
        spoof_score=row["spoof_score"],
        context=Context(row["context"]),
        is_over_budget=row["is_over_budget"],
    )


def case_from_row(row: Row) -> ReviewCase:
    """Return the case of a row."""
    return ReviewCase(**{**row, "outcome": Outcome(row["outcome"]) if row["outcome"] else None})
