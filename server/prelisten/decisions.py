"""Decide about a submission and remember why: within the caller's transaction, so that all of it is stored or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from prelisten import audit
from prelisten.keys import Keys
from prelisten.policy import Policy, decide, decision_json
from prelisten.policy.document import Budgets
from prelisten.policy.evidence import is_probability
from prelisten.records import Action, Decision, Finding, FindingState, HintCheck, ShadowScore, Submission
from prelisten.storage.interface import Storage, Transaction
from wasm_detector.hint import Hint

# Purposes of keyed digests: the log shows that something is unchanged without saying what it is.
RECORDING_DIGEST, DECISION_DIGEST, ACTION_DIGEST = "audit.recording", "audit.decision", "audit.action"


def make_decision(
    tx: Transaction,
    submission: Submission,
    findings: Sequence[Finding],
    *,
    policy: Policy,
    hint_check: HintCheck | None = None,
    at: datetime | None = None,
) -> Decision:
    """Decide by the policy, and see whether the reviewers can take the case when there is to be one."""
    at = at or datetime.now(UTC)
    decide_now = partial(
        decide,
        findings,
        policy=policy,
        action=submission.action,
        context=submission.context,
        hint_check=hint_check,
        at=at,
    )
    decision = decide_now()
    if decision.action is Action.REVIEW and is_used_up(tx, policy.budgets, at):
        return decide_now(is_over_budget=True)
    return decision


def is_used_up(tx: Transaction, budgets: Budgets, at: datetime) -> bool:
    """Return whether the cases of the last hour, or of the last 24, have used up what reviewers can bear.

    Only cases within the budget count: else a crowd of further ones would keep it used up for ever.
    """
    per_hour, per_day = budgets.reviews_per_hour, budgets.reviews_per_day
    return (per_hour is not None and tx.count_cases_since(at - timedelta(hours=1)) >= per_hour) or (
        per_day is not None and tx.count_cases_since(at - timedelta(days=1)) >= per_day
    )


def keep_decision(
    tx: Transaction, submission: Submission, decision: Decision, *, policy: Policy, keys: Keys
) -> None:
    """Store the decision, what its policy says, and an entry of the audit log that pins both down."""
    tx.keep_policy(policy.version, policy.text, at=decision.decided_at)
    tx.set_decision(submission.id, decision)
    audit.append(tx, audit.Kind.DECISION, submission.id, decision_entry(decision, keys))


def keep_shadow_decision(
    tx: Transaction, submission: Submission, findings: Sequence[Finding], *, policy: Policy, at: datetime
) -> None:
    """Store what a policy that is being tried would have decided; it has no reviewers, so no budget of theirs."""
    tx.keep_policy(policy.version, policy.text, at=at)
    shadow = decide(findings, policy=policy, action=submission.action, context=submission.context, at=at)
    tx.add_shadow_decision(submission.id, shadow)


def keep_shadow_score(tx: Transaction, submission: Submission, tried: Hint | None) -> None:
    """Store what a model that is being tried says: the band alone where it gives no probability."""
    if tried is not None:
        score = tried.spoof_score if is_probability(tried.spoof_score) else None
        tx.add_shadow_score(submission.id, ShadowScore(tried.detector, score, tried.band))


def decision_entry(decision: Decision, keys: Keys) -> dict[str, str]:
    """Return what the audit log says about a decision."""
    return {
        "action": str(decision.action),
        "context": str(decision.context),
        "policy": decision.policy_version,
        "decision": keys.digest(DECISION_DIGEST, decision_json(decision)),
    }


def received_entry(submission: Submission, keys: Keys) -> dict[str, str]:
    """Return what the audit log says about an upload."""
    return {
        # An application may call its forms as it likes.
        "action": submission.action
        if audit.is_word(submission.action)
        else keys.digest(ACTION_DIGEST, submission.action),
        "context": str(submission.context),
        "recording": keys.digest(RECORDING_DIGEST, submission.sha256),
        "token": str(submission.hint_check.token),
    }


def activate_policy(storage: Storage, policy: Policy) -> None:
    """Store the policy that is to decide from now on; when it is another one than before, the log says so."""
    with storage.read() as tx:
        if _is_active(tx, policy):
            return
    with storage.transaction() as tx:
        tx.keep_policy(policy.version, policy.text, at=datetime.now(UTC))
        if not _is_active(tx, policy):
            audit.append(tx, audit.Kind.POLICY_ACTIVATED, policy.version, {})


def _is_active(tx: Transaction, policy: Policy) -> bool:
    last = audit.last_of_kind(tx, audit.Kind.POLICY_ACTIVATED)
    return last is not None and last.subject == policy.version


def storable(finding: Finding) -> Finding:
    """Return the finding as a database can keep it.

    A score that is no probability is none, and the check that gave it has failed; decided on as NaN and read back
    as nothing, it could never be decided on again the same way.
    """
    if is_probability(finding.spoof_score):
        return finding
    return replace(finding, state=FindingState.ERROR, spoof_score=None)
