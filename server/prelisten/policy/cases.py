"""Cases beside a policy: findings, and what is expected of them. And labelled scores, against its budgets."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from prelisten.errors import ConfigError
from prelisten.policy.decide import decide
from prelisten.policy.document import ActionName, ContextName, Policy, Share, UniqueLoader
from prelisten.policy.rules import CheckName, ReasonCode, Strict
from prelisten.records import Action, Context, Decision, Finding, FindingState
from wasm_detector.hint import Reason

# A case has no time of its own; a decision carries one.
ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
StateName = Literal["done", "not_applicable", "limit", "timeout", "error"]


class CaseFinding(Strict):
    """A check's word, as short as it can be written: what is left out was done and says nothing."""

    check: CheckName = "forensic"
    state: StateName = "done"
    spoof_score: Share | None = None
    reasons: list[ReasonCode] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)

    def to_finding(self) -> Finding:
        """Return it as the server would have it."""
        reasons = tuple(map(Reason, self.reasons))
        return Finding(self.check, "case", FindingState(self.state), self.spoof_score, reasons, self.details)


class Case(Strict):
    """Findings, and the action that is expected of them; `reasons` must be among the decision's."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    action: ActionName = "any"
    context: ContextName = "feed"
    is_over_budget: bool = False
    findings: list[CaseFinding]
    expect: Literal["accept", "label", "review", "reject"]
    reasons: list[ReasonCode] = Field(default_factory=list)


class _Cases(Strict):
    cases: list[Case] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a case came to; `why` is empty when it is as expected."""

    name: str
    why: str


@dataclass(slots=True)
class ScoreReport:
    """What a policy does with recordings whose truth is known: how many of each label get which action."""

    actions: dict[str, Counter[str]] = field(default_factory=dict)

    def share(self, label: str, least: Action) -> float | None:
        """Return the share of a label's recordings that get at least an action; `None` without any recording."""
        counted = self.actions.get(label, Counter())
        if not counted:
            return None
        strict = sum(n for action, n in counted.items() if Action(action).strictness >= least.strictness)
        return strict / counted.total()


def read_cases(path: Path | None = None) -> list[Case]:
    """Read the cases beside a policy, or those of the built-in one. Raises `ConfigError`."""
    source = str(path) if path else "the built-in cases"
    try:
        builtin = resources.files(__package__).joinpath("default.cases.yaml")
        text = path.read_text(encoding="utf-8") if path else builtin.read_text(encoding="utf-8")
        return _Cases.model_validate(yaml.load(text, Loader=UniqueLoader)).cases  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} cannot be read: {error}. It holds a list `cases`.") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise ConfigError(f"{source} cannot be used: {problems}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{source} is no readable YAML: {error}") from error


def try_case(case: Case, policy: Policy) -> CaseResult:
    """Decide about a case and compare."""
    decision = _decide(case, policy)
    missing = sorted(set(case.reasons) - {reason.code for reason in decision.reasons})
    if decision.action != case.expect:
        said = ", ".join(reason.code for reason in decision.reasons) or "no reason"
        return CaseResult(case.name, f"expected {case.expect}, got {decision.action.value} ({said})")
    return CaseResult(case.name, f"the reasons lack {', '.join(missing)}" if missing else "")


def try_scores(rows: Iterable[Mapping[str, str]], policy: Policy) -> ScoreReport:
    """Decide about labelled scores as `prelisten evaluate --out` writes them. Raises `ConfigError`.

    An empty score is "could not tell".
    """
    report = ScoreReport()
    for number, row in enumerate(rows, start=2):
        try:
            label, text = row["label"], row["spoof_score"]
            found = CaseFinding(spoof_score=float(text) if text else None)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"line {number}: expected the columns label and spoof_score ({error})"
            ) from error
        decision = _decide(Case(name="row", findings=[found], expect="accept"), policy)
        report.actions.setdefault(label, Counter())[decision.action.value] += 1
    return report


def read_scores(path: Path) -> list[dict[str, str]]:
    """Read a file of scores. Raises `ConfigError`."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}. `prelisten evaluate --out` writes it.") from error
    if not rows:
        raise ConfigError(f"{path} holds no row. `prelisten evaluate --out` writes it.")
    return rows


def _decide(case: Case, policy: Policy) -> Decision:
    return decide(
        [finding.to_finding() for finding in case.findings],
        policy=policy,
        action=case.action,
        context=Context(case.context),
        is_over_budget=case.is_over_budget,
        at=ANY_TIME,
    )
