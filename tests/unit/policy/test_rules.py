"""Rules: three values, and only such as rise with the evidence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prelisten.errors import ConfigError
from prelisten.policy import decide, parse_policy
from prelisten.policy.rules import Condition, Facts
from prelisten.records import Finding, FindingState
from wasm_detector.hint import Reason

DONE = FindingState.DONE
FOUND = (
    Finding("forensic", "1", DONE, 0.4, (Reason("PITCH"),), {"coverage": {"speech_s": 3}, "band": "clear"}),
    Finding("container", "1", FindingState.NOT_APPLICABLE),
    Finding("fingerprint", "1", FindingState.LIMIT, 0.7, (Reason("TAG"),)),
    Finding("watermark", "1", DONE, None, (), {"has_mark": False, "name": "x"}),
)
T, F, U = (
    {"fact": "forensic.state", "is": "done"},
    {"fact": "forensic.state", "is": "error"},
    {"fact": "gone.x", "is": 1},
)


def truth(condition: dict) -> bool | None:
    return Facts.of(FOUND, 0.7).truth(Condition.model_validate(condition))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"fact": "forensic.spoof_score", "at_least": 0.4}, True),
        ({"fact": "forensic.spoof_score", "at_least": 0.5}, False),
        ({"fact": "fingerprint.spoof_score", "at_least": 0.7}, True),
        ({"fact": "fingerprint.spoof_score", "at_least": 0.8}, None),
        ({"fact": "watermark.spoof_score", "at_least": 0.0}, None),
        ({"fact": "score", "at_least": 0.7}, True),
        ({"fact": "score", "at_least": 0.8}, None),
        ({"fact": "forensic.reasons", "has": "PITCH"}, True),
        ({"fact": "forensic.reasons", "has": "TAG"}, False),
        ({"fact": "container.reasons", "has": "TAG"}, False),
        ({"fact": "fingerprint.reasons", "has": "TAG"}, True),
        ({"fact": "fingerprint.reasons", "has": "PITCH"}, None),
        ({"fact": "gone.reasons", "has": "PITCH"}, None),
        ({"fact": "container.state", "is": "not_applicable"}, True),
        ({"fact": "container.state", "in": ["done", "limit"]}, False),
        ({"fact": "gone.state", "is": "done"}, None),
        ({"fact": "forensic.coverage.speech_s", "at_most": 3.0}, True),
        ({"fact": "forensic.coverage.speech_s", "at_least": 3.5}, False),
        ({"fact": "forensic.coverage.speech_s", "is": 3.0}, True),
        ({"fact": "forensic.coverage.gone", "is": 3}, None),
        ({"fact": "forensic.coverage", "is": 3}, None),
        ({"fact": "watermark.has_mark", "is": False}, True),
        ({"fact": "watermark.has_mark", "is": 0}, None),
        ({"fact": "watermark.name", "at_least": 1.0}, None),
        ({"fact": "watermark.name", "is": 1}, None),
        ({"fact": "container.anything", "is": True}, None),
    ],
)
def test_facts(condition: dict, expected: bool | None) -> None:
    """A fact holds, does not, or is not known; a check that was cut short might have found more."""
    assert truth(condition) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"all": [T, T]}, True),
        ({"all": [T, U]}, None),
        ({"all": [F, U]}, False),
        ({"any": [F, F]}, False),
        ({"any": [F, U]}, None),
        ({"any": [T, U]}, True),
        ({"not": T}, False),
        ({"not": F}, True),
        ({"not": U}, None),
        ({"all": [T, {"not": {"any": [F, {"all": [U, F]}]}}]}, True),
    ],
)
def test_three_valued_logic(condition: dict, expected: bool | None) -> None:
    """Kleene's tables: the unknown decides only where the known does not."""
    assert truth(condition) is expected


def policy_with(rule: str):
    return parse_policy(f"name: a\ndefault: {{thresholds: {{label: 0.9}}, rules: [{rule}]}}")


@pytest.mark.parametrize(
    ("fact", "action", "rules"),
    [
        ("{fact: forensic.reasons, has: PITCH}", "review", 1),
        ("{fact: forensic.reasons, has: TAG}", "accept", 0),
        ("{fact: fingerprint.state, is: done}", "label", 1),
    ],
)
def test_rule_asks_for_its_action_and_says_so(fact: str, action: str, rules: int) -> None:
    """True asks for `then`, unknown for `unknown`, false for nothing; the reason names the rule."""
    policy = policy_with(f"{{name: r1, when: {fact}, then: review}}")
    decision = decide(FOUND[:1], policy=policy, action="a", at=datetime(2026, 11, 21, tzinfo=UTC))
    named = [reason.params["rule"] for reason in decision.reasons if reason.code == "POLICY_RULE"]
    assert (decision.action, named) == (action, ["r1"] * rules)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("when: {not: {fact: forensic.spoof_score, at_least: 0.5}}, then: review", "turn this rule off"),
        ("when: {all: [{not: {fact: score, at_least: 0.5}}]}, then: review", "turn this rule off"),
        ("when: {not: {any: [{fact: forensic.reasons, has: X}]}}, then: review", "turn this rule off"),
        ("when: {fact: forensic.spoof_score, at_most: 0.5}, then: review", "only `at_least`"),
        ("when: {fact: forensic.spoof_score, is: 0.5}, then: review", "only `at_least`"),
        ("when: {fact: forensic.reasons, is: X}, then: review", "only `has`"),
        ("when: {fact: forensic.band, is: elevated}, then: review", "band"),
        ("when: {fact: score, at_least: 0.5}, then: label, unknown: review", "stricter than `then`"),
        ("when: {fact: claim.state, is: done}, then: review", "never weighs"),
        ("when: {fact: forensic.state, is: dnoe}, then: review", "a state is"),
        ("when: {fact: forensic.x, has: PITCH}, then: review", "`has` asks"),
        ("when: {fact: score, at_least: 0.5, at_most: 0.9}, then: review", "exactly one"),
        ("when: {fact: score}, then: review", "exactly one"),
        ("when: {at_least: 0.5}, then: review", "give a fact"),
        ("when: {}, then: review", "give a fact"),
        ("when: {all: []}, then: review", "at least 1"),
        ("when: {all: [], any: []}, then: review", "at least 1"),
        ("when: {fact: score, at_least: 0.5}, then: accept", "then"),
        ("when: {fact: score, at_least: 0.5}, then: review, unknown: accept", "unknown"),
        ("when: {fact: 'no fact', at_least: 0.5}, then: review", "pattern"),
    ],
)
def test_rule_that_could_fall_or_means_nothing_is_refused(rule: str, complaint: str) -> None:
    """Refused when the policy is read, so that no server ever decides by it."""
    with pytest.raises(ConfigError, match=complaint):
        policy_with(f"{{name: r1, {rule}}}")


def test_two_negations_are_none() -> None:
    """Evidence under `not` of `not` rises again."""
    policy_with("{name: r, when: {not: {not: {fact: score, at_least: 0.5}}}, then: review}")


def test_two_rules_of_one_name_are_refused() -> None:
    """A reason that names a rule must name one."""
    rule = "{name: r, when: {fact: score, at_least: 0.95}, then: review}"
    with pytest.raises(ConfigError, match="one name"):
        policy_with(f"{rule}, {rule}")
