"""`policy lint`: what is wrong, and in which line."""

from __future__ import annotations

import pytest

from prelisten.checks import CHECKS
from prelisten.policy.document import read_text
from prelisten.policy.lint import KNOWN_CHECKS, Problem, lint

HEAD = "name: a\ndefault:\n  thresholds: {label: 0.5, review: 0.8}\n"


@pytest.fixture(autouse=True)
def later_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules over several checks, of which two run today."""
    monkeypatch.setattr("prelisten.policy.lint.KNOWN_CHECKS", KNOWN_CHECKS | {"container", "fingerprint"})


def rules(*lines: str) -> str:
    return HEAD + "  rules:\n" + "".join(f"    - {line}\n" for line in lines)


def rule(name: str, when: str, then: str = "review", more: str = "") -> str:
    return f"{{name: {name}, when: {when}, then: {then}{more}}}"


def test_built_in_policy_is_clean() -> None:
    """Nothing to say about our own."""
    assert lint(read_text()) == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: a\ndefault: {\n", 3, "no readable YAML"),
        ("name: a\nname: b\n", 2, "'name' stands twice"),
        ("- a\n", 1, "the file"),
        (HEAD + "  treshold: 1\n", 4, "default.treshold: there is no such key; did you mean `thresholds`?"),
        (HEAD + "extra: 1\n", 4, "extra: there is no such key"),
        (
            "name: a\ndefault:\n  thresholds:\n    label: 0.9\n    review: 0.5\n",
            3,
            "label <= review <= reject",
        ),
        (
            "name: a\ndefault:\n  thresholds:\n    label: 0.9\n    review: 0.9\n",
            4,
            "`label` is never the answer",
        ),
        (HEAD + "  inconclusive: accept\n", 4, "default.inconclusive"),
        ("name: a\ndefault:\n  partial: label\n", 2, "default.thresholds: Field required"),
        (HEAD + "  contexts:\n    live:\n      required: []\n", 6, "default.contexts.live.required"),
        (rules(rule("r", "{fact: score, at_most: 0.5}")), 5, "only `at_least`"),
        (
            rules(
                "name: r\n      when:\n        not:\n          fact: score\n          at_least: 0.5\n      then: review"
            ),
            5,
            "turn this rule off",
        ),
        (rules(rule("r", "{fact: forensic.state, is: done}", "accept")), 5, "then"),
    ],
)
def test_what_is_refused_has_its_line(text: str, line: int, message: str) -> None:
    """One sentence at the line that has to be changed."""
    problems = lint(text)
    assert any(
        problem.line == line and message in problem.message and problem.is_error for problem in problems
    ), problems


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            [rule("r", "{all: [{fact: container.x, at_least: 3}, {fact: container.x, at_most: 2}]}")],
            "no value of container.x",
        ),
        (
            [rule("r", "{all: [{fact: container.x, is: a}, {fact: container.x, in: [b, c]}]}")],
            "no value of container.x",
        ),
        (
            [rule("r", "{all: [{fact: container.x, is: 1}, {fact: container.x, at_least: 2}]}")],
            "no value of container.x",
        ),
        ([rule("r", "{fact: score, at_least: 1.5}")], "no value of score"),
        ([rule("r", "{any: [{fact: score, at_least: 2}, {fact: score, at_least: 3}]}")], "no value of score"),
        ([rule("r", "{fact: score, at_least: 0.8}")], "the thresholds ask for `review` from 0.8"),
        (
            [rule("r", "{all: [{fact: forensic.spoof_score, at_least: 0.9}, {fact: container.x, is: 1}]}")],
            "thresholds",
        ),
        ([rule("r", "{fact: score, at_least: 0.6}", "label")], "the thresholds ask for `label` from 0.5"),
        (
            [
                rule("wide", "{fact: container.x, at_least: 1}"),
                rule("narrow", "{all: [{fact: container.x, at_least: 2}, {fact: container.y, is: 1}]}"),
            ],
            "the rule narrow makes no difference: whenever it holds, wide does too",
        ),
        (
            [rule("one", "{fact: container.x, is: 1}"), rule("two", "{fact: container.x, is: 1}", "label")],
            "two makes no",
        ),
        (
            [rule("one", "{fact: container.x, is: 1}"), rule("two", "{all: [{fact: container.x, is: 1}]}")],
            "rule two makes",
        ),
    ],
)
def test_rule_that_changes_nothing_is_named(given: list[str], why: str) -> None:
    """A rule that can never hold, or that only repeats what is done anyway."""
    problems = lint(rules(*given))
    assert [why in problem.message for problem in problems] == [True], problems


@pytest.mark.parametrize(
    "given",
    [
        [rule("r", "{fact: score, at_least: 0.7}")],
        [rule("r", "{fact: score, at_least: 0.9}", "reject")],
        [rule("r", "{fact: fingerprint.spoof_score, at_least: 0.9}")],
        [rule("r", "{all: [{fact: container.x, at_least: 2}, {fact: container.x, at_most: 3}]}")],
        [rule("r", "{all: [{fact: container.x, is: 2}, {fact: container.x, at_least: 2}]}")],
        [
            rule("a", "{fact: container.x, at_least: 1}", "label"),
            rule("b", "{fact: container.x, at_least: 2}"),
        ],
        [
            rule("a", "{fact: container.x, is: 1}"),
            rule("b", "{fact: container.x, is: 1}", more=", unknown: review"),
        ],
        [rule("a", "{fact: container.x, is: true}"), rule("b", "{fact: container.x, is: 1}")],
        [rule("a", "{fact: forensic.reasons, has: A}"), rule("b", "{fact: forensic.reasons, has: B}")],
        [rule("r", "{not: {fact: container.state, is: done}}")],
    ],
)
def test_rule_that_matters_is_left_alone(given: list[str]) -> None:
    """No false alarm of our own: of each pair, the second makes a difference too, or the first does."""
    problems = [problem for problem in lint(rules(*given)) if "rule a " not in problem.message]
    assert problems == []


def test_doubtful_things_are_warnings() -> None:
    """A check that this version does not know, and a draft."""
    text = rules(rule("r", "{fact: palmistry.x, is: 1}")) + "  weights: {seance: 0.1}\nstatus: draft\n"
    problems = lint(text)
    assert [(problem.line, problem.is_error) for problem in problems] == [(5, False), (6, False), (7, False)]


def test_rule_about_an_ignored_check_is_an_error() -> None:
    """It would ask for its `unknown` for ever."""
    text = rules(rule("r", "{fact: container.x, is: 1}")) + "  ignored: [container]\n"
    assert lint(text) == [
        Problem(5, "the rule r asks about `container`, which is ignored here: it is never known")
    ]


@pytest.mark.parametrize(
    "text", ["", "a", "[", "[" * 3000, "? [a]\n: b", "a: &a [*a]", "\t", "a: !!python/name:os.x"]
)
def test_nonsense_is_a_problem_and_no_crash(text: str) -> None:
    """Whatever is in the file, there is a sentence about it."""
    assert lint(text)


def test_known_checks_are_those_that_run() -> None:
    """Lint must not call a check known that will never speak."""
    assert {check.__module__.rpartition(".")[2] for check in CHECKS} - {"claim"} == KNOWN_CHECKS
