"""Rules over named facts, in three-valued logic: a fact that is not known makes nothing true and nothing false.

A rule can only ask for more strictness, and it may only rise with the evidence: what says "synthetic" (a score, a
reason) may turn a rule on and never off. A rule that breaks this is refused when the policy is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prelisten.records import Action, Finding, FindingState

# None of these words is `accept`: what the server does not know, it cannot let pass.
Doubt = Literal["label", "review", "reject"]
Scalar = bool | int | float | str
CheckName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
FactName = Annotated[str, Field(pattern=r"^(score|[a-z][a-z0-9_]{0,31}(\.[A-Za-z0-9_]+)+)$")]
ReasonCode = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]

SCORE = "score"
OPERATORS = ("is", "in", "at_least", "at_most", "has")
# What grows with the evidence, and what may be asked about it so that the answer does too.
RISING = {"spoof_score": "at_least", "reasons": "has"}
CUT_SHORT = frozenset({FindingState.LIMIT, FindingState.TIMEOUT, FindingState.ERROR})


class Strict(BaseModel):
    """What a policy file is made of: known keys only, no guessing of types, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_name=True)


class Condition(Strict):
    """Either a comparison (`fact` and one operator), or one of `all`, `any`, `not` over conditions."""

    fact: FactName | None = Field(
        None,
        description="`score`, `<check>.spoof_score`, `<check>.reasons`, `<check>.state`, `<check>.<detail>`",
    )
    is_: Scalar | None = Field(default=None, alias="is", description="The fact is exactly this.")
    in_: list[Scalar] | None = Field(
        default=None, alias="in", min_length=1, description="The fact is one of these."
    )
    at_least: float | None = Field(default=None, allow_inf_nan=False, description="The fact is this or more.")
    at_most: float | None = Field(default=None, allow_inf_nan=False, description="The fact is this or less.")
    has: ReasonCode | None = Field(default=None, description="The reasons hold this code.")
    all_: list[Condition] | None = Field(
        default=None, alias="all", min_length=1, description="Every one of these."
    )
    any_: list[Condition] | None = Field(
        None, alias="any", min_length=1, description="At least one of these."
    )
    not_: Condition | None = Field(default=None, alias="not", description="Not this.")

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        given = [
            field.alias or name for name, field in type(self).model_fields.items() if _is_given(self, name)
        ]
        operators = [name for name in given if name in OPERATORS]
        if self.fact is None and (operators or len(given) != 1):
            raise ValueError(
                "give a fact with one of is, in, at_least, at_most, has; or one of all, any, not"
            )
        if self.fact is not None and (len(given) != 2 or len(operators) != 1):
            raise ValueError(f"a fact takes exactly one of {', '.join(OPERATORS)}")
        if self.fact is not None:
            _check_comparison(self.fact, operators[0], self)
        return self

    @property
    def operands(self) -> tuple[Condition, ...]:
        """Return the conditions inside this one."""
        return (*(self.all_ or ()), *(self.any_ or ()), *((self.not_,) if self.not_ else ()))


class Rule(Strict):
    """`when` something holds, at least `then` is done; when it cannot be known, at least `unknown`."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")
    when: Condition
    then: Doubt
    unknown: Doubt = "label"

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if Action(self.unknown).strictness > Action(self.then).strictness:
            raise ValueError(
                "`unknown` is stricter than `then`: finding out more against a recording would make it laxer"
            )
        for fact in falling_facts(self.when):
            raise ValueError(
                f"more evidence ({fact}) would turn this rule off: under `not`, evidence may not be asked for"
            )
        return self


def _is_given(condition: Condition, name: str) -> bool:
    return getattr(condition, name) is not None


def _check_comparison(fact: str, operator: str, condition: Condition) -> None:
    """Raise `ValueError` for a question that has no sense, or whose answer could fall as the evidence rises."""
    check, _, detail = fact.partition(".")
    rising = RISING["spoof_score"] if fact == SCORE else RISING.get(detail)
    if check == "claim":
        raise ValueError("what the browser claims never weighs: no rule may ask about the check `claim`")
    if detail.split(".")[0] == "band":
        raise ValueError(
            "a band falls as well as rises with the evidence; ask for `spoof_score` with at_least"
        )
    if rising and operator != rising:
        raise ValueError(
            f"of {fact} only `{rising}` may be asked: other answers could fall as the evidence rises"
        )
    if operator == "has" and rising != "has":
        raise ValueError("`has` asks for a reason's code, of `<check>.reasons` only")
    if detail == "state":
        wanted = [condition.is_] if operator == "is" else condition.in_ or []
        unknown = [str(word) for word in wanted if word not in list(FindingState)]
        if operator not in ("is", "in") or unknown:
            raise ValueError(f"a state is (`is`, `in`) one of {', '.join(FindingState)}")


def falling_facts(condition: Condition, *, is_negated: bool = False) -> Iterator[str]:
    """Yield the evidence that is asked for under an odd number of `not`."""
    if condition.fact is not None and is_negated and is_evidence(condition.fact):
        yield condition.fact
    for operand in condition.operands:
        yield from falling_facts(operand, is_negated=is_negated != (condition.not_ is not None))


def is_evidence(fact: str) -> bool:
    """Return whether the fact grows with the evidence of synthesis; other facts are circumstances."""
    return fact == SCORE or fact.partition(".")[2] in RISING


def facts_in(condition: Condition) -> Iterator[str]:
    """Yield the name of every fact that is asked for."""
    if condition.fact is not None:
        yield condition.fact
    for operand in condition.operands:
        yield from facts_in(operand)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one recording: the findings that weigh, and the score that they make together."""

    findings: Mapping[str, Finding]
    score: float | None

    @classmethod
    def of(cls, findings: Sequence[Finding], score: float | None) -> Self:
        """Return the facts of some findings."""
        return cls({finding.check: finding for finding in findings}, score)

    def truth(self, condition: Condition) -> bool | None:
        """Return whether the condition holds; `None` = unknown (Kleene's three-valued logic)."""
        if condition.all_ is not None:
            return _all(map(self.truth, condition.all_))
        if condition.any_ is not None:
            return _not(_all(_not(self.truth(operand)) for operand in condition.any_))
        if condition.not_ is not None:
            return _not(self.truth(condition.not_))
        return self._compare(condition)

    def _compare(self, condition: Condition) -> bool | None:
        fact = condition.fact or ""
        check, _, detail = fact.partition(".")
        if fact == SCORE:
            is_final = not any(finding.state in CUT_SHORT for finding in self.findings.values())
            return _reaches(self.score, condition.at_least, is_final=is_final)
        finding = self.findings.get(check)
        if finding is None:
            return None
        is_final = finding.state not in CUT_SHORT
        if detail == "spoof_score":
            return _reaches(finding.spoof_score, condition.at_least, is_final=is_final)
        if detail == "reasons":
            is_there = any(reason.code == condition.has for reason in finding.reasons)
            return True if is_there else (False if is_final else None)
        value = str(finding.state) if detail == "state" else _detail(finding.details, detail)
        return None if value is None else _holds(value, condition)


def _all(truths: Iterable[bool | None]) -> bool | None:
    known = list(truths)
    if False in known:
        return False
    return None if None in known else True


def _not(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _reaches(score: float | None, least: float | None, *, is_final: bool) -> bool | None:
    """Return whether a score reaches a value. A check that was cut short might have found more: then unknown."""
    if score is None or least is None or not 0.0 <= score <= 1.0:
        return None
    return True if score >= least else (False if is_final else None)


def _detail(details: Mapping[str, Any], path: str) -> Scalar | None:
    """Return a scalar inside a finding's details by its dotted path; `None` when there is none."""
    value: Any = details
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, bool | int | float | str) else None


def _holds(value: Scalar, condition: Condition) -> bool | None:
    """Compare; values of different kinds cannot be compared, which is unknown and not false."""
    if condition.at_least is not None or condition.at_most is not None:
        if isinstance(value, bool | str) or value != value:
            return None
        least, most = condition.at_least, condition.at_most
        return (least is None or value >= least) and (most is None or value <= most)
    wanted = [condition.is_] if condition.in_ is None else condition.in_
    same_kind = [other for other in wanted if _kind(other) is _kind(value)]
    return value in same_kind if same_kind else None


def _kind(value: object) -> Callable[..., object]:
    """Return the kind of a scalar: whole and broken numbers are one kind, `true` and 1 are two."""
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else str
