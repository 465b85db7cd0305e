"""The decision: a pure function of the server's own findings and a policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from prelisten.policy.document import Policy, Section
from prelisten.records import Action, Decision, Finding, FindingState, HintCheck
from wasm_detector.hint import Reason

INCOMPLETE = "SCREENING_INCOMPLETE"
# Findings about the claim and not about the recording. They are shown, and never weigh.
ABOUT_THE_CLAIM = frozenset({"claim"})
REQUIRED = frozenset({"recompute"})


def decide(
    findings: Sequence[Finding],
    *,
    policy: Policy,
    action: str,
    at: datetime,
    hint_check: HintCheck | None = None,
    is_outstanding: bool = False,
    required: Collection[str] = REQUIRED,
) -> Decision:
    """Decide about a recording that was sent for `action`, at the time `at`.

    1. What the claim says is set aside: the last decision rests on what the server heard itself.
    2. Each finding asks for the least strict action that it allows; the strictest of these holds.
    3. A required check without a finding counts as incomplete, and an incomplete screening never accepts.
    4. While work is outstanding the answer is the policy's `outstanding`, raised to the hint's floor: only
       there has the hint a word, and it only makes the answer stricter.

    Raises `ValueError` without any required check: a policy of nothing would accept everything.
    """
    if not required:
        raise ValueError("no check is required, so every recording would be accepted; require at least one")
    section = policy.section(action)
    heard = [finding for finding in findings if finding.check not in ABOUT_THE_CLAIM]  # 1
    asked = [Action.ACCEPT]
    asked += [
        _least_action(finding, section, is_required=finding.check in required) for finding in heard
    ]  # 2
    is_missing = not set(required) <= {finding.check for finding in heard}  # 3
    if is_missing:
        asked.append(Action(section.on_incomplete))
    if is_outstanding:  # 4
        floor = hint_check.floor if hint_check else Action.ACCEPT
        asked = [Action(section.outstanding), min(floor, Action.HOLD, key=_strictness)]
    return Decision(
        action=max(asked, key=_strictness),
        reasons=_reasons(heard, is_incomplete=is_missing or any(map(is_incomplete, heard))),
        policy_version=policy.version,
        evidence_sha256=_evidence_sha256(heard, policy=policy, action=action),
        decided_at=at,
    )


def is_incomplete(finding: Finding) -> bool:
    """Return whether the check was cut short, or gave a number that is no probability."""
    is_cut_short = finding.state in (FindingState.LIMIT, FindingState.TIMEOUT, FindingState.ERROR)
    return is_cut_short or not is_probability(finding.spoof_score)


def is_probability(spoof_score: float | None) -> bool:
    """Return whether the score may be compared with thresholds; NaN may not."""
    return spoof_score is None or 0.0 <= spoof_score <= 1.0


def _strictness(action: Action) -> int:
    return action.strictness


def _least_action(finding: Finding, section: Section, *, is_required: bool) -> Action:
    """Return the least strict action that this finding alone allows.

    Only a required check has to have heard something: another one that does not apply, or that gives no score,
    asks for nothing.
    """
    asked = [_by_score(finding.spoof_score, section)]
    if is_incomplete(finding):
        asked.append(Action(section.on_incomplete))
    elif is_required and finding.state is FindingState.NOT_APPLICABLE:
        asked.append(Action(section.no_recording))
    elif is_required and finding.spoof_score is None:
        asked.append(Action(section.inconclusive))
    if finding.details.get("is_partial"):
        asked.append(Action(section.partial))
    return max(asked, key=_strictness)


def _by_score(spoof_score: float | None, section: Section) -> Action:
    """Return the strictest step whose threshold the score reaches."""
    steps = section.thresholds
    reached = Action.ACCEPT
    for action, least in (
        (Action.LABEL, steps.label),
        (Action.REVIEW, steps.review),
        (Action.REJECT, steps.reject),
    ):
        if spoof_score is not None and least is not None and spoof_score >= least:
            reached = action
    return reached


def _reasons(heard: Sequence[Finding], *, is_incomplete: bool) -> tuple[Reason, ...]:
    """Return the findings' reasons, the one about the screening itself first."""
    own = (Reason(INCOMPLETE),) if is_incomplete else ()
    return own + tuple(reason for finding in heard for reason in finding.reasons)


def _evidence_sha256(heard: Sequence[Finding], *, policy: Policy, action: str) -> str:
    """Hash the canonical JSON of everything that the decision rests on."""
    evidence: dict[str, Any] = {
        "action": action,
        "policy": policy.version,
        "findings": [
            {
                "check": finding.check,
                "version": finding.version,
                "state": finding.state,
                # NaN and Infinity are no JSON; as words they are at least hashed as what they were.
                "spoof_score": finding.spoof_score
                if is_probability(finding.spoof_score)
                else str(finding.spoof_score),
                "reasons": [reason.to_dict() for reason in finding.reasons],
                "is_partial": bool(finding.details.get("is_partial")),
            }
            for finding in heard
        ],
    }
    text = json.dumps(evidence, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
