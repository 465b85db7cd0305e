"""Make stored decisions again: does each follow from its findings and its policy, and what would another one do?"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prelisten import audit
from prelisten.decisions import decision_entry
from prelisten.errors import ConfigError
from prelisten.keys import Keys
from prelisten.policy import Policy, decide, decision_json, parse_policy
from prelisten.policy.document import Budgets
from prelisten.records import Action, Decision, Outcome, Submission, SubmissionState
from prelisten.storage.interface import Transaction

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SYNTHETIC = frozenset({Outcome.SYNTHETIC, Outcome.MANIPULATED, Outcome.CHEAPFAKE})


@dataclass(slots=True)
class Replay:
    """What became of every decision of the log and the database.

    `same`: given back byte for byte, shadow decisions among them (`shadow`). `erased`: its recording was erased, so
    there is nothing to decide on. `unknown_policy`: made before policies were stored. The lists hold the ids of what
    should not be: `different` decisions (or the stored text of their policy is), ones of which the log says
    something else (`altered`), and ones that the log knows and that are gone without a tombstone (`vanished`).
    """

    same: int = 0
    shadow: int = 0
    erased: int = 0
    unknown_policy: int = 0
    different: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Return whether every decision that could be made again was given back."""
        return not (self.different or self.altered or self.vanished)


@dataclass(slots=True)
class Load:
    """Cases within a sliding window of time, as they would have come."""

    window: timedelta
    allowed: int | None
    most: int = 0
    _times: deque[datetime] = field(default_factory=deque)

    def is_used_up(self, at: datetime) -> bool:
        """Return whether no further case fits at this time."""
        while self._times and self._times[0] < at - self.window:
            self._times.popleft()
        return self.allowed is not None and len(self._times) >= self.allowed

    def add(self, at: datetime) -> None:
        """Count a case."""
        self._times.append(at)
        self.most = max(self.most, len(self._times))


@dataclass(slots=True)
class Comparison:
    """What another policy would have decided of the same findings.

    `changes` counts pairs of actions that differ. `genuine` and `synthetic` count the actions that the policy takes on
    recordings whose reviewers said so: the only labels that a running site has, and none of them about what was
    accepted unheard. `over_budget` counts cases past the policy's budget of reviews.
    """

    total: int = 0
    erased: int = 0
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    genuine: Counter[str] = field(default_factory=Counter)
    synthetic: Counter[str] = field(default_factory=Counter)
    cases: int = 0
    over_budget: int = 0
    most_per_hour: int = 0
    most_per_day: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "total": self.total,
            "changed": self.changes.total(),
            "changes": [
                {"from": before, "to": after, "count": count}
                for (before, after), count in sorted(self.changes.items())
            ],
            "erased": self.erased,
            "cases": self.cases,
            "over_budget": self.over_budget,
            "most_cases_per_hour": self.most_per_hour,
            "most_cases_per_day": self.most_per_day,
            "reviewed_genuine": dict(sorted(self.genuine.items())),
            "reviewed_synthetic": dict(sorted(self.synthetic.items())),
        }


def replay(tx: Transaction, keys: Keys) -> Replay:
    """Make every stored decision again from stored findings and the stored text of its policy, and compare.

    1. A decision is compared with the log's digest of it: who changed findings and decision to fit each other is
       found here.
    2. It is made again, and must be the same to the last byte; so must those of shadow policies.
    3. What the log knows and the database does not, must have a tombstone.
    """
    found, policies = Replay(), _Policies(tx)
    for submission, decision in tx.decided():
        if is_erased(submission):
            found.erased += 1
            continue
        logged = _logged(tx, submission.id)
        if logged is not None and logged != decision_entry(decision, keys):  # 1
            found.altered.append(submission.id)
        for stored in (decision, *tx.shadow_decisions(submission.id)):  # 2
            policy = policies.of(stored.policy_version)
            if policy is None and stored.policy_version not in policies.changed:
                found.unknown_policy += 1
            elif policy is None or decision_json(_again(tx, submission, stored, policy)) != decision_json(
                stored
            ):
                found.different.append(submission.id)
            else:
                found.same += 1
                found.shadow += stored is not decision
    for subject in list(audit.subjects_of_lost_decisions(tx)):  # 3
        gone = tx.submission(subject)
        is_told = audit.last_about(tx, subject, audit.Kind.ERASURE) is not None
        if is_told or (gone is not None and is_erased(gone)):
            found.erased += 1
        else:
            found.vanished.append(subject)
    return found


def compare(tx: Transaction, policy: Policy) -> Comparison:
    """Decide by another policy about everything that was decided, in order, with its own budget of reviews."""
    found = Comparison()
    loads, asked_for = _loads(policy.budgets), _loads(Budgets())
    for submission, before in tx.decided():
        if is_erased(submission):
            found.erased += 1
            continue
        after = _again(tx, submission, before, policy, is_over_budget=False)
        if after.action is Action.REVIEW:
            found.cases += 1
            for load in asked_for:
                load.is_used_up(before.decided_at)
                load.add(before.decided_at)
            if any(load.is_used_up(before.decided_at) for load in loads):
                found.over_budget += 1
                after = _again(tx, submission, before, policy, is_over_budget=True)
            else:
                for load in loads:
                    load.add(before.decided_at)
        found.total += 1
        if after.action is not before.action:
            found.changes[before.action.value, after.action.value] += 1
        case = tx.case_for(submission.id)
        if case is not None and case.outcome is Outcome.NOT_SYNTHETIC:
            found.genuine[after.action.value] += 1
        elif case is not None and case.outcome in SYNTHETIC:
            found.synthetic[after.action.value] += 1
    found.most_per_hour, found.most_per_day = (load.most for load in asked_for)
    return found


def is_erased(submission: Submission) -> bool:
    """Return whether nothing is left of the submission but a tombstone."""
    return submission.state is SubmissionState.ERASED or submission.erased_at is not None


def _loads(budgets: Budgets) -> tuple[Load, Load]:
    return Load(HOUR, budgets.reviews_per_hour), Load(DAY, budgets.reviews_per_day)


def _again(
    tx: Transaction,
    submission: Submission,
    stored: Decision,
    policy: Policy,
    *,
    is_over_budget: bool | None = None,
) -> Decision:
    return decide(
        tx.findings(submission.id),
        policy=policy,
        action=submission.action,
        context=submission.context,
        is_over_budget=stored.is_over_budget if is_over_budget is None else is_over_budget,
        at=stored.decided_at,
    )


def _logged(tx: Transaction, submission_id: str) -> dict[str, Any] | None:
    """Return what the log says about the decision; `None` for one made before there was a log."""
    entry = audit.last_about(tx, submission_id, audit.Kind.DECISION)
    if entry is None:
        return None
    body: dict[str, Any] = json.loads(entry.body)
    return body


class _Policies:
    """The stored policies, each read once. `changed` holds the versions whose text no longer makes them."""

    def __init__(self, tx: Transaction) -> None:
        self.changed: set[str] = set()
        self._tx = tx
        self._known: dict[str, Policy | None] = {}

    def of(self, version: str) -> Policy | None:
        """Return the policy of a version; `None` when it was never stored, or was changed."""
        if version not in self._known:
            text = self._tx.policy_text(version)
            self._known[version] = None if text is None else self._read(text, version)
        return self._known[version]

    def _read(self, text: str, version: str) -> Policy | None:
        try:
            policy = parse_policy(text)
        except ConfigError:
            policy = None
        if policy is None or policy.version != version:
            self.changed.add(version)
            return None
        return policy
