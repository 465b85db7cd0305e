"""What is wrong with a policy file, with line numbers: unreadable, refused, or of no effect."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import yaml
from pydantic import ValidationError

from prelisten.policy.document import ActionLines, Lines, Policy, Section, Thresholds, UniqueLoader
from prelisten.policy.rules import SCORE, Condition, Rule, Scalar, facts_in
from prelisten.records import Action

# The checks that this version of the server knows. A rule about another one is never answered.
KNOWN_CHECKS = frozenset({"recompute", "forensic"})
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to change. An error makes the file unfit; a warning is something that is seldom meant."""

    line: int
    message: str
    is_error: bool = True


def lint(text: str) -> list[Problem]:
    """Return what is wrong with a policy's text, in the order of its lines.

    1. It is YAML in which no key stands twice.
    2. It is what the schema allows: known keys, rising thresholds, rules that rise with the evidence.
    3. Every step and every rule can make a difference.
    """
    try:  # 1
        root = yaml.compose(text, Loader=UniqueLoader)
        data = yaml.load(text, Loader=UniqueLoader)  # noqa: S506 - a SafeLoader by descent
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        return [Problem(mark.line + 1 if mark else 1, f"this is no readable YAML: {what}")]
    lines = _Lines(root)
    try:  # 2
        policy = Policy.model_validate(data)
    except RecursionError:
        return [Problem(1, "it is nested too deeply")]
    except ValidationError as error:
        return sorted(
            Problem(lines.of(problem["loc"]), _sentence(problem["type"], problem["loc"], problem["msg"]))
            for problem in error.errors()
        )
    return sorted(set(_without_effect(policy, lines)))  # 3


def _sentence(kind: str, place: Place, message: str) -> str:
    where = ".".join(map(str, place)) or "the file"
    if kind != "extra_forbidden":
        return f"{where}: {message.removeprefix('Value error, ')}"
    known = sorted(
        {name for model in (Policy, Section, Rule, Condition, Thresholds) for name in _keys(model)}
    )
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"{where}: there is no such key" + (f"; did you mean `{near[0]}`?" if near else "")


def _keys(model: type[Policy | Section | Rule | Condition | Thresholds]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield info.alias or name


class _Lines:
    """Finds the line of a place in the file."""

    def __init__(self, root: yaml.Node | None) -> None:
        self._root = root

    def of(self, place: Sequence[str | int]) -> int:
        """Return the line (from 1) of the place, or of the nearest one around it that is written down."""
        node, line = self._root, 1
        for step in place:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
                if found is None:
                    return line
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                return line
        return line


def _without_effect(policy: Policy, lines: _Lines) -> Iterator[Problem]:
    """Yield what can never make a difference, place by place as the file gives them."""
    for place, given in _places(policy):
        section = _section_of(policy, place)
        if given.thresholds is not None:
            yield from _steps(given.thresholds, (*place, "thresholds"), lines)
        rules = given.rules if "rules" in given.model_fields_set else []
        for number, rule in enumerate(rules):
            where = (*place, "rules", number)
            why = _never(rule.when) or _said_by_thresholds(rule, section) or _said_by_rule(rule, rules)
            if why:
                yield Problem(lines.of(where), f"the rule {rule.name} makes no difference: {why}")
            yield from _about_checks(rule, section, lines.of(where))
        for key in ("required", "ignored", "weights"):
            names = getattr(given, key) if key in given.model_fields_set else ()
            for name in sorted(set(names) - KNOWN_CHECKS):
                where = (*place, key, name) if key == "weights" else (*place, key)
                yield Problem(lines.of(where), f"{key}: no check of this version is called `{name}`", False)
    if policy.status == "draft":
        yield Problem(lines.of(("status",)), "a draft decides nothing: the server refuses it", False)


def _places(policy: Policy) -> Iterator[tuple[Place, Lines]]:
    sections: list[tuple[Place, ActionLines]] = [(("default",), policy.default)]
    sections += [(("actions", name), lines) for name, lines in policy.actions.items()]
    for place, given in sections:
        yield place, given
        for context, narrower in given.contexts.items():
            yield (*place, "contexts", context), narrower


def _section_of(policy: Policy, place: Place) -> Section:
    action = str(place[1]) if place[0] == "actions" else ""
    context = str(place[-1]) if "contexts" in place else "feed"
    return policy.section(action, context)


def _steps(steps: Thresholds, place: Place, lines: _Lines) -> Iterator[Problem]:
    given = [(name, getattr(steps, name)) for name in ("label", "review", "reject")]
    given = [(name, least) for name, least in given if least is not None]
    for (name, least), (stricter, other) in pairwise(given):
        if least == other:
            yield Problem(
                lines.of((*place, name)),
                f"thresholds: `{name}` is never the answer, `{stricter}` begins at {other:g} too",
            )


def _about_checks(rule: Rule, section: Section, line: int) -> Iterator[Problem]:
    for check in sorted({fact.partition(".")[0] for fact in facts_in(rule.when)} - {SCORE}):
        if check in section.ignored:
            yield Problem(
                line, f"the rule {rule.name} asks about `{check}`, which is ignored here: it is never known"
            )
        elif check not in KNOWN_CHECKS:
            yield Problem(
                line,
                f"the rule {rule.name} asks about `{check}`, and no check of this version is called that: it asks for "
                f"`{rule.unknown}` wherever nothing else in it is false",
                False,
            )


@dataclass(slots=True)
class _Range:
    """What a conjunction demands of one fact."""

    least: float = -math.inf
    most: float = math.inf
    words: set[tuple[bool, Scalar]] | None = None
    codes: set[str] = field(default_factory=set)

    def narrow(self, condition: Condition) -> None:
        """Add a comparison."""
        self.least = max(self.least, -math.inf if condition.at_least is None else condition.at_least)
        self.most = min(self.most, math.inf if condition.at_most is None else condition.at_most)
        wanted = [condition.is_] if condition.is_ is not None else condition.in_
        if wanted is not None:
            words = {(isinstance(word, bool), word) for word in wanted}
            self.words = words if self.words is None else self.words & words
        if condition.has is not None:
            self.codes.add(condition.has)

    def is_empty(self) -> bool:
        """Return whether no value fits."""
        if self.least > self.most or self.words == set():
            return True
        numbers = [
            word for is_bool, word in self.words or () if not is_bool and isinstance(word, int | float)
        ]
        is_bounded = (self.least, self.most) != (-math.inf, math.inf)
        return (
            self.words is not None and is_bounded and not any(self.least <= n <= self.most for n in numbers)
        )

    def holds_within(self, other: _Range) -> bool:
        """Return whether whatever fits here fits there too."""
        return (
            self.least >= other.least
            and self.most <= other.most
            and (other.words is None or (self.words is not None and self.words <= other.words))
            and other.codes <= self.codes
        )


def _conjunction(condition: Condition) -> dict[str, _Range] | None:
    """Return what a conjunction of comparisons demands of each fact; `None` for anything with `any` or `not`."""
    if condition.any_ is not None or condition.not_ is not None:
        return None
    demanded: dict[str, _Range] = {}
    for comparison in _comparisons(condition):
        if comparison is None:
            return None
        demanded.setdefault(comparison.fact or "", _Range()).narrow(comparison)
    return demanded


def _comparisons(condition: Condition) -> Iterator[Condition | None]:
    if condition.fact is not None:
        yield condition
    elif condition.all_ is not None:
        for operand in condition.all_:
            yield from _comparisons(operand)
    else:
        yield None


def _never(condition: Condition) -> str | None:
    """Return why the condition can never hold, or `None`."""
    if condition.any_ is not None:
        whys = [_never(operand) for operand in condition.any_]
        return whys[0] if all(whys) else None
    demanded: dict[str, _Range] = {}
    for operand in _flat(condition):
        if operand.fact is not None:
            demanded.setdefault(operand.fact, _Range()).narrow(operand)
        elif operand.any_ is not None and (why := _never(operand)):
            return why
    for fact, wanted in demanded.items():
        is_score = fact == SCORE or fact.endswith(".spoof_score")
        if wanted.is_empty() or (is_score and wanted.least > 1):
            return f"no value of {fact} fits all that is asked of it"
    return None


def _flat(condition: Condition) -> Iterator[Condition]:
    if condition.all_ is None:
        yield condition
        return
    for operand in condition.all_:
        yield from _flat(operand)


def _said_by_thresholds(rule: Rule, section: Section) -> str | None:
    """Return where the thresholds ask for as much already. The score of all checks is at least that of each.

    Of a check that is not required the rule asks for something else too: that it gives a score at all.
    """
    if rule.unknown != "label":
        return None
    steps = section.thresholds
    least_of = {"label": steps.label, "review": steps.review, "reject": steps.reject}
    enough = [name for name in least_of if Action(name).strictness >= Action(rule.then).strictness]
    begins = min((least for name in enough if (least := least_of[name]) is not None), default=None)
    for fact, wanted in (_conjunction(rule.when) or {}).items():
        check, _, detail = fact.partition(".")
        is_score = fact == SCORE or (detail == "spoof_score" and check in section.required)
        if is_score and begins is not None and wanted.least >= begins:
            return f"the thresholds ask for `{rule.then}` from {begins:g} on anyway"
    return None


def _said_by_rule(rule: Rule, rules: Sequence[Rule]) -> str | None:
    """Return which other rule asks for as much whenever this one asks. Of two that say the same, the later is named."""
    for other in rules:
        is_later = rules.index(rule) > rules.index(other)
        if other is not rule and _covers(other, rule) and (is_later or not _covers(rule, other)):
            return f"whenever it holds, {other.name} does too and asks for as much"
    return None


def _covers(other: Rule, rule: Rule) -> bool:
    """Return whether `other` holds, and is unknown, at least where `rule` is, and asks for as much there."""
    own, wider = _conjunction(rule.when), _conjunction(other.when)
    is_wider = own is not None and wider is not None and _is_within(own, wider)
    asks_enough = (
        Action(other.then).strictness >= Action(rule.then).strictness
        and Action(other.unknown).strictness >= Action(rule.unknown).strictness
    )
    return asks_enough and (is_wider or rule.when.model_dump_json() == other.when.model_dump_json())


def _is_within(own: Mapping[str, _Range], wider: Mapping[str, _Range]) -> bool:
    return all(fact in own and own[fact].holds_within(wanted) for fact, wanted in wider.items())
