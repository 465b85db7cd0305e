"""The policy: what each finding leads to, what a file may say, and the rules that no policy can break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prelisten.checks import load_forensic_model
from prelisten.errors import ConfigError
from prelisten.policy import decide, decision_json, load_policy
from prelisten.policy.document import ActionLines, Policy, Section, Thresholds, parse_policy
from prelisten.policy.evidence import combined_score
from prelisten.policy.rules import Facts, Rule, facts_in
from prelisten.policy.schema import published_schema, schema_text
from prelisten.records import Action, Context, Finding, FindingState, HintCheck, Recomputed, TokenState
from prelisten.storage import rows
from wasm_detector.hint import Reason

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DEFAULT = load_policy()
# Generated policies are large; figures are claimed for the full size.
SIZE = settings(
    max_examples=5_000 if os.environ.get("TEST_SIZE") == "full" else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# The two rules that stand above everything.
RULES_SIZE = settings(SIZE, max_examples=2 * SIZE.max_examples)
NOT_DONE = [state for state in FindingState if state is not FindingState.DONE]


def heard(spoof_score: float | None = 0.1, **fields) -> Finding:
    return Finding("forensic", "fd-1", **({"state": FindingState.DONE, "spoof_score": spoof_score} | fields))


def act(*findings: Finding, policy: Policy = DEFAULT, **options) -> Action:
    return decide(findings, policy=policy, action="voice", at=NOW, **options).action


@pytest.mark.parametrize(
    ("spoof_score", "action"),
    [(0.0, "accept"), (0.499, "accept"), (0.5, "label"), (0.799, "label"), (0.8, "review"), (1.0, "review")],
)
def test_score_is_compared_with_the_thresholds(spoof_score: float, action: str) -> None:
    """A step is taken from its threshold on."""
    policy = Policy(name="x", default=Section(thresholds=Thresholds(label=0.5, review=0.8)))
    assert act(heard(spoof_score), policy=policy) == action


@pytest.mark.parametrize(
    ("finding", "action"),
    [
        (heard(None), "label"),
        (heard(0.1, details={"is_partial": True}), "label"),
        (heard(None, state=FindingState.NOT_APPLICABLE), "reject"),
        (heard(None, state=FindingState.ERROR), "review"),
        (heard(None, state=FindingState.ERROR, reasons=(Reason("DAMAGED"),)), "reject"),
        (heard(None, state=FindingState.LIMIT, reasons=(Reason("DAMAGED"),)), "review"),
        (heard(None, state=FindingState.TIMEOUT), "review"),
        (heard(0.1, state=FindingState.LIMIT), "review"),
        (heard(float("nan")), "review"),
        (heard(1.5), "review"),
    ],
)
def test_what_is_not_known_is_not_accepted(finding: Finding, action: str) -> None:
    """Unsure, in part, nothing there, broken: each has its own line in the policy."""
    assert act(finding) == action


def test_missing_required_check_is_incomplete() -> None:
    """No finding at all gives `on_incomplete` and says so."""
    decision = decide((), policy=DEFAULT, action="voice", at=NOW)
    assert (decision.action, [reason.code for reason in decision.reasons]) == (
        "review",
        ["SCREENING_INCOMPLETE"],
    )


def test_other_checks_need_not_apply() -> None:
    """A check that is not required asks for nothing when it does not apply or gives no score."""
    others = (Finding("container", "1", FindingState.NOT_APPLICABLE), Finding("tags", "1", FindingState.DONE))
    assert act(heard(0.1), *others) == "accept"


def test_nothing_required_is_an_error() -> None:
    """A policy that requires no check at all would accept everything."""
    with pytest.raises(ValueError, match="require at least one"):
        decide((), policy=DEFAULT, action="voice", at=NOW, required=())


def test_action_has_its_own_section() -> None:
    """One form may be stricter than the others."""
    strict = Policy(
        name="two", default=DEFAULT.default, actions={"live": Section(thresholds=Thresholds(reject=0.2))}
    )
    decisions = [
        decide((heard(0.3),), policy=strict, action=name, at=NOW).action for name in ("voice", "live")
    ]
    assert decisions == ["accept", "reject"]


def test_outstanding_work_is_held_and_the_hint_may_only_raise_it() -> None:
    """Only while work is outstanding has the hint a word."""
    open_handed = DEFAULT.model_copy(
        update={"default": DEFAULT.default.model_copy(update={"outstanding": "label"})}
    )
    suspicious = HintCheck(TokenState.OK, floor=Action.HOLD)
    assert act(policy=open_handed, is_outstanding=True) == "label"
    assert act(policy=open_handed, is_outstanding=True, hint_check=suspicious) == "hold"


def test_decision_is_reproducible_and_bound_to_its_evidence() -> None:
    """The same input gives the same hash; another score, policy or action another one."""
    first = decide((heard(0.1),), policy=DEFAULT, action="voice", at=NOW)
    again = decide((heard(0.1),), policy=DEFAULT, action="voice", at=NOW)
    others = [
        decide((heard(0.2),), policy=DEFAULT, action="voice", at=NOW),
        decide((heard(0.1),), policy=DEFAULT, action="live", at=NOW),
        decide((heard(0.1),), policy=DEFAULT.model_copy(update={"name": "b"}), action="voice", at=NOW),
    ]
    assert first == again
    assert len({decision.evidence_sha256 for decision in (first, *others)}) == 4


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: a\ndefault: {thresholds: {}}", "at least one"),
        ("name: a\ndefault: {thresholds: {label: 0.9, review: 0.5}}", "label <= review"),
        ("name: a\ndefault: {thresholds: {label: 0.5}, on_incomplete: accept}", "on_incomplete"),
        ("name: a\ndefault: {thresholds: {label: 0.5}, inconclusive: accept}", "inconclusive"),
        ("name: a\ndefault: {thresholds: {label: 1.5}}", "less than or equal"),
        ("name: a\ndefault: {thresholds: {label: .nan}}", "finite"),
        ("name: a\ndefault: {thresholds: {lable: 0.5}}", "lable"),
        ("name: a\nname: b\ndefault: {thresholds: {label: 0.5}}", "stands twice"),
        ("name: a\ndefault: {thresholds: {label: 0.5}}\nactions: {'no good!': {}}", "actions"),
        ("name: a\ndefault: {thresholds: {label: 0.5}, required: []}", "required"),
        ("name: a\ndefault: {thresholds: {label: 0.5}, required: [claim]}", "never weighs"),
        ("name: a\ndefault: {thresholds: {label: 0.5}, ignored: [forensic]}", "required and ignored"),
        (
            "name: a\ndefault: {thresholds: {label: 0.5}}\nactions: {x: {ignored: [forensic]}}",
            "required and ignored",
        ),
        ("name: a\ndefault: {thresholds: {label: 0.5}, over_budget: accept}", "over_budget"),
        ("name: a\ndefault: {thresholds: {label: 0.5}, contexts: {radio: {}}}", "radio"),
        ("name: a\ndefault: {thresholds: {label: 0.5}, weights: {forensic: 2.0}}", "less than or equal"),
        ("name: a\nstatus: live\ndefault: {thresholds: {label: 0.5}}", "status"),
        ("? [a, b]\n: 1", "YAML"),
        ("a: &a [*a]", "cannot be used|YAML"),
        ("[" * 5000, "YAML"),
        ("[]", "the file"),
        ("{", "YAML"),
        ("!!python/object/apply:os.system ['true']", "YAML"),
    ],
)
def test_unfit_policy_is_refused_with_the_reason(text: str, complaint: str) -> None:
    """A policy file with a mistake stops the start; it never means something else."""
    with pytest.raises(ConfigError, match=complaint):
        parse_policy(text)


def test_version_follows_the_content_and_not_the_spelling(tmp_path: Path) -> None:
    """Comments and order change nothing, a number does."""
    text = "name: a\ndefault: {thresholds: {label: 0.5, review: 0.9}}"
    path = tmp_path / "policy.yaml"
    path.write_text("# mine\ndefault: {thresholds: {review: 0.9, label: 0.5}}\nname: a")
    assert load_policy(path).version == parse_policy(text).version
    assert parse_policy(text.replace("0.9", "0.8")).version != parse_policy(text).version


def test_version_is_pinned() -> None:
    """What a stored version means must never change: not by a new line of the schema, not by another default."""
    rule = "{name: r, when: {fact: score, at_least: 1}, then: label}"
    text = f"name: a\ndefault: {{thresholds: {{label: 0.5}}, rules: [{rule}]}}"
    assert parse_policy(text).version == "a-54e987dccfef"
    assert (
        decide((heard(0.5),), policy=parse_policy(text), action="voice", at=NOW).evidence_sha256
        == "c9c39079bfd8643dacc1d2b02f1773d67eb63cbca58e1ad404ce868c3c59ffce"
    )


def test_status_is_no_part_of_the_version() -> None:
    """A policy that becomes active keeps the version that it was tried under."""
    text = "name: a\ndefault: {thresholds: {label: 0.5}}\nstatus: "
    assert parse_policy(text + "shadow").version == parse_policy(text + "active").version


@pytest.mark.parametrize("status", ["draft", "shadow"])
def test_only_an_active_policy_decides(tmp_path: Path, status: str) -> None:
    """A draft that is named by mistake stops the start."""
    path = tmp_path / "policy.yaml"
    path.write_text(f"name: a\nstatus: {status}\ndefault: {{thresholds: {{label: 0.5}}}}")
    with pytest.raises(ConfigError, match="status: active"):
        load_policy(path)


def test_narrower_place_says_only_what_differs() -> None:
    """Action and context, action, context, default: the first that gives a line has it."""
    policy = parse_policy(
        """
        name: a
        default:
          thresholds: {label: 0.5}
          partial: reject
          contexts: {live: {inconclusive: review, on_incomplete: reject}}
        actions:
          voice: {inconclusive: reject, contexts: {chat: {thresholds: {review: 0.1}}}}
        """
    )
    lines = [
        (section.inconclusive, section.on_incomplete, section.thresholds.label, section.partial)
        for section in (
            policy.section("other"),
            policy.section("other", "live"),
            policy.section("voice", "live"),
        )
    ]
    assert lines == [
        ("label", "review", 0.5, "reject"),
        ("review", "reject", 0.5, "reject"),
        ("reject", "reject", 0.5, "reject"),
    ]
    assert policy.section("voice", "chat").thresholds == Thresholds(review=0.1)


def test_context_decides() -> None:
    """The same recording may need more care where it is played live."""
    policy = parse_policy(
        "name: a\ndefault: {thresholds: {label: 0.5}, contexts: {live: {thresholds: {reject: 0.3}}}}"
    )
    actions = [act(heard(0.4), policy=policy, context=context) for context in Context]
    assert actions == ["accept", "accept", "reject"]


def test_file_that_nobody_can_hear_costs_no_reviewer() -> None:
    """Junk that opens like a FLAC is refused with its reason, and says nothing about somebody listening."""
    decision = decide(
        (heard(None, state=FindingState.ERROR, reasons=(Reason("DAMAGED"),)),),
        policy=DEFAULT,
        action="a",
        at=NOW,
    )
    assert ([reason.code for reason in decision.reasons], decision.opens_case) == (["DAMAGED"], False)


def test_damaged_recording_of_which_a_part_was_heard_is_no_junk() -> None:
    """What was heard of it can be listened to."""
    part = {"coverage": {"analysed_s": 3.0}, "is_partial": True}
    assert act(heard(None, state=FindingState.ERROR, reasons=(Reason("DAMAGED"),), details=part)) == "review"


def test_check_that_is_not_there_is_unavailable() -> None:
    """A required check without a word is the site's lack, with a line of its own."""
    policy = parse_policy(
        "name: a\ndefault: {thresholds: {label: 0.5}, required: [forensic, watermark], on_unavailable: reject}"
    )
    assert act(heard(0.1), policy=policy) == "reject"
    assert act(heard(0.1), Finding("watermark", "1", FindingState.DONE, 0.1), policy=policy) == "accept"


def test_ignored_check_is_shown_and_does_not_weigh() -> None:
    """A new check can run for weeks before it counts."""
    policy = parse_policy("name: a\ndefault: {thresholds: {label: 0.5}, ignored: [watermark]}")
    broken = Finding("watermark", "1", FindingState.ERROR)
    with_it, without = (
        decide(found, policy=policy, action="a", at=NOW) for found in ((heard(0.1), broken), (heard(0.1),))
    )
    assert with_it == without


def test_the_browsers_detector_weighs_only_where_it_is_required() -> None:
    """The stronger one stands for both; a policy of a site without it says `required: [recompute]`."""
    plain = parse_policy("name: a\ndefault: {thresholds: {label: 0.5}}")
    alone = parse_policy("name: a\ndefault: {thresholds: {label: 0.5}, required: [recompute]}")
    weaker = Finding("recompute", "wd-1", FindingState.DONE, 0.9)
    assert act(heard(0.1), weaker, policy=plain) == "accept"
    assert act(weaker, policy=alone) == "label"
    assert act(weaker, policy=plain) == "review"


@pytest.mark.parametrize(("over_budget", "action"), [("review", "review"), ("label", "label")])
def test_full_review_budget_never_loses_a_case(over_budget: str, action: str) -> None:
    """Past the budget there is still a case, the reason says so, and what is refused stays refused."""
    policy = parse_policy(
        f"name: a\ndefault: {{thresholds: {{review: 0.5, reject: 0.9}}, over_budget: {over_budget}}}"
    )
    options = {"policy": policy, "action": "a", "at": NOW, "is_over_budget": True}
    decision = decide((heard(0.7),), **options)
    assert (decision.action, decision.opens_case, decision.reasons[0].code) == (
        action,
        True,
        "REVIEW_OVER_BUDGET",
    )
    for score, other in ((0.1, "accept"), (0.95, "reject")):
        decision = decide((heard(score),), **options)
        assert (decision.action, decision.opens_case, decision.is_over_budget) == (other, False, False)


def test_published_schema_is_that_of_the_code() -> None:
    """The file that editors read says what the server accepts."""
    assert published_schema() == schema_text()


def test_unreadable_policy_file_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere is an error of the configuration."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_policy(tmp_path / "nowhere.yaml")


def test_policy_loads_neither_web_nor_numbers_nor_database() -> None:
    """The policy is pure: importing it brings in none of them."""
    code = "import sys, prelisten.policy; print({'flask', 'numpy', 'sqlalchemy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


# Generated policies and findings: what no policy can be made to do.

doubts = st.sampled_from(["label", "review", "reject"])
scores = st.floats(0, 1)
thresholds = (
    st.lists(scores, min_size=3, max_size=3)
    .map(sorted)
    .flatmap(
        lambda steps: (
            st.tuples(*(st.sampled_from([step, None]) for step in steps))
            .filter(any)
            .map(lambda given: Thresholds(label=given[0], review=given[1], reject=given[2]))
        )
    )
)
CHECKS = ("forensic", "watermark", "container")
checks = st.sampled_from(CHECKS)
circumstances = st.one_of(
    st.builds(
        lambda check, states: {"fact": f"{check}.state", "in": states},
        checks,
        st.lists(st.sampled_from(list(map(str, FindingState))), min_size=1),
    ),
    st.builds(lambda check, value: {"fact": f"{check}.is_partial", "is": value}, checks, st.booleans()),
    st.builds(
        lambda check, value: {"fact": f"{check}.coverage.speech_s", "at_most": value}, checks, st.floats(0, 9)
    ),
)
evidences = st.one_of(
    st.builds(lambda value: {"fact": "score", "at_least": value}, scores),
    st.builds(lambda check, value: {"fact": f"{check}.spoof_score", "at_least": value}, checks, scores),
    st.builds(
        lambda check, code: {"fact": f"{check}.reasons", "has": code},
        checks,
        st.sampled_from(["PITCH", "TAG"]),
    ),
)


def some_of(conditions: st.SearchStrategy) -> st.SearchStrategy:
    lists = st.lists(conditions, min_size=1, max_size=3)
    return st.one_of(lists.map(lambda many: {"all": many}), lists.map(lambda many: {"any": many}))


not_evidences = st.recursive(
    circumstances, lambda inner: some_of(inner) | inner.map(lambda one: {"not": one}), max_leaves=4
)
conditions = st.recursive(evidences | not_evidences, some_of, max_leaves=6)
rules = st.builds(
    lambda number, when, answers: {
        "name": f"r{number}",
        "when": when,
        "then": answers[1],
        "unknown": answers[0],
    },
    st.integers(0, 10**6),
    conditions,
    st.lists(doubts, min_size=2, max_size=2).map(
        lambda words: sorted(words, key=lambda word: Action(word).strictness)
    ),
)
options = {
    "thresholds": thresholds,
    "weights": st.dictionaries(checks, scores, max_size=3),
    "rules": st.lists(rules.map(Rule.model_validate), max_size=2, unique_by=lambda rule: rule.name),
    "inconclusive": doubts,
    "partial": doubts,
    "no_recording": doubts,
    "unreadable": doubts,
    "on_incomplete": doubts,
    "on_unavailable": doubts,
    "over_budget": st.sampled_from(["review", "label"]),
    "outstanding": st.sampled_from(["label", "hold"]),
}
sections = st.builds(Section, **options)
others = st.dictionaries(st.just("voice"), st.builds(ActionLines, **options), max_size=1)
policies = st.builds(Policy, name=st.just("generated"), default=sections, actions=others)
claims = st.fixed_dictionaries({"band": st.sampled_from(["clear", "high"]), "q": st.integers(0, 1000)})
hint_checks = st.builds(
    HintCheck,
    token=st.sampled_from(TokenState),
    able=st.booleans(),
    claim=st.none() | claims,
    recomputed=st.sampled_from(Recomputed),
    floor=st.sampled_from([Action.ACCEPT, Action.LABEL, Action.HOLD]),
)
findings = st.builds(
    Finding,
    check=st.sampled_from([*CHECKS, "claim"]),
    version=st.just("1"),
    state=st.sampled_from(FindingState),
    spoof_score=st.none() | scores,
    reasons=st.lists(st.sampled_from(["PITCH", "TAG", "DAMAGED"]), max_size=2).map(
        lambda codes: tuple(map(Reason, codes))
    ),
    details=st.fixed_dictionaries(
        {"is_partial": st.booleans()}, optional={"coverage": st.builds(dict, speech_s=st.floats(0, 9))}
    ),
)
finding_lists = st.lists(findings, max_size=4, unique_by=lambda finding: finding.check)


@RULES_SIZE
@given(policies, finding_lists, hint_checks, st.booleans())
def test_no_hint_makes_a_decision_laxer(policy, found, hint_check, is_outstanding) -> None:
    """The monotone rule: with any hint at least as strict as without; the last decision is the same."""
    options = {"policy": policy, "is_outstanding": is_outstanding}
    without, with_hint = act(*found, **options), act(*found, hint_check=hint_check, **options)
    assert with_hint.strictness >= without.strictness
    assert is_outstanding or with_hint is without


@SIZE
@given(policies, finding_lists, hint_checks)
def test_what_the_claim_check_says_never_weighs(policy, found, hint_check) -> None:
    """A forged hint of any kind opens no case: the decision is the one without the check `claim`."""
    mismatch = Finding("claim", "1", FindingState.DONE, 1.0, (Reason("HINT_MISMATCH"),))
    others = [finding for finding in found if finding.check != "claim"]
    assert act(*others, mismatch, policy=policy, hint_check=hint_check) is act(*others, policy=policy)


@SIZE
@given(policies, scores, st.sampled_from(NOT_DONE))
def test_check_that_was_not_done_is_never_accepted(policy, spoof_score, state) -> None:
    """Missing, limit, time-out, error, not applicable: never `accept`, whatever score came with it."""
    assert act(heard(spoof_score, state=state), policy=policy) is not Action.ACCEPT
    assert act(policy=policy) is not Action.ACCEPT


@RULES_SIZE
@given(policies, finding_lists, st.integers(0, 3), scores, st.booleans())
def test_more_evidence_of_synthesis_is_never_laxer(policy, found, which, rise, is_over_budget) -> None:
    """Raising any score leaves the decision or makes it stricter, rules and a full review budget included."""
    raised = [
        replace(one, spoof_score=max(one.spoof_score, rise))
        if k == which and one.spoof_score is not None
        else one
        for k, one in enumerate(found)
    ]
    options = {"policy": policy, "is_over_budget": is_over_budget}
    assert act(*raised, **options).strictness >= act(*found, **options).strictness


@SIZE
@given(policies, finding_lists, st.integers(0, 3))
def test_another_reason_is_never_laxer(policy, found, which) -> None:
    """A reason more, of a check that weighs, leaves the decision or makes it stricter."""
    more = [
        replace(one, reasons=(*one.reasons, Reason("TAG"))) if k == which else one
        for k, one in enumerate(found)
    ]
    assert act(*more, policy=policy).strictness >= act(*found, policy=policy).strictness


@SIZE
@given(policies, finding_lists, st.booleans())
def test_unknown_never_leads_to_accept(policy, found, is_over_budget) -> None:
    """Where a rule cannot be answered, or a required check has no whole answer, nothing is accepted."""
    section = policy.section("voice")
    weighing = [one for one in found if one.check != "claim"]
    scored = {one.check: one.spoof_score for one in weighing if one.spoof_score is not None}
    facts = Facts.of(weighing, combined_score(scored, section.weights, default=0.5))
    is_unsure = any(facts.truth(rule.when) is None for rule in section.rules)
    whole = [
        one
        for one in weighing
        if one.check == "forensic" and one.state == "done" and one.spoof_score is not None
    ]
    if is_unsure or not whole:
        assert act(*found, policy=policy, is_over_budget=is_over_budget) is not Action.ACCEPT


@SIZE
@given(policies)
def test_policy_text_reads_back_to_the_same_version(policy) -> None:
    """What is stored of a policy is that policy."""
    again = parse_policy(policy.text)
    assert (again.version, again.section("voice", "live")) == (
        policy.version,
        policy.section("voice", "live"),
    )


@SIZE
@given(policies, finding_lists)
def test_decision_survives_storage(policy, found) -> None:
    """Findings that went through JSON give the same decision, byte for byte."""
    stored = [
        rows.finding_from_row(json.loads(json.dumps(rows.finding_to_row("s", 0, one)))) for one in found
    ]
    first, again = (decide(list_, policy=policy, action="voice", at=NOW) for list_ in (found, stored))
    assert decision_json(first) == decision_json(again)


@SIZE
@given(policies, finding_lists, findings)
def test_another_finding_is_never_laxer(policy, found, extra) -> None:
    """A further check can only make the decision stricter, unless it was awaited: required, or asked for by a rule."""
    others = [finding for finding in found if finding.check != extra.check]
    asked = {fact.partition(".")[0] for rule in policy.section("voice").rules for fact in facts_in(rule.when)}
    has_score = any(one.spoof_score is not None for one in others if one.check != "claim")
    if extra.check not in {"forensic", *asked} and (has_score or "score" not in asked):
        assert act(*others, extra, policy=policy).strictness >= act(*others, policy=policy).strictness


def test_built_in_thresholds_are_the_detectors_bands():
    """What a page calls "no signs" is accepted, "strong signs" is looked at: after a retraining both must move."""
    model, thresholds = load_forensic_model(), DEFAULT.section("any").thresholds
    assert (thresholds.label, thresholds.review) == (model.elevated, model.high)
