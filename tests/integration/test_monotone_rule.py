"""The monotone rule where decisions are really made: with the reviewers' budget, whatever a hint says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from prelisten.decisions import make_decision
from prelisten.policy import Policy, decision_json
from prelisten.policy.document import Budgets
from prelisten.records import Action, Finding, HintCheck, Submission, SubmissionState, TokenState
from tests.unit.policy.test_policy import RULES_SIZE, finding_lists, hint_checks, policies

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SUBMISSION = Submission(
    id="s1",
    sha256="a" * 64,
    size_bytes=7,
    file_name="a.wav",
    media_type="audio/wav",
    action="voice",
    idempotency_key=None,
    declared=False,
    state=SubmissionState.SCREENING,
    received_at=NOW,
    hint_check=HintCheck(TokenState.ABSENT),
)


@dataclass
class Queue:
    """What a decision asks of the database: how many cases were opened lately."""

    opened: int

    def count_cases_since(self, at: datetime) -> int:
        return self.opened


@RULES_SIZE
@given(policies, finding_lists, hint_checks, st.integers(1, 9), st.integers(0, 9))
def test_no_hint_changes_a_last_decision_or_opens_a_case(
    policy: Policy, found: list[Finding], hint_check: HintCheck, per_hour: int, opened: int
) -> None:
    """Byte for byte the decision that is made without it: neither laxer nor stricter, and no case of its own."""
    policy = policy.model_copy(update={"budgets": Budgets(reviews_per_hour=per_hour)})
    submission = replace(SUBMISSION, hint_check=hint_check)
    without = make_decision(Queue(opened), SUBMISSION, found, policy=policy, at=NOW)
    told = make_decision(Queue(opened), submission, found, policy=policy, hint_check=hint_check, at=NOW)
    assert decision_json(told) == decision_json(without)
    assert told.opens_case == without.opens_case
    assert told.action is not Action.HOLD
