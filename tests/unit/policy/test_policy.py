"""The policy: what each finding leads to, what a file may say, and the rules that no policy can break."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelisten.errors import ConfigError
from prelisten.policy import decide, load_policy
from prelisten.policy.document import Policy, Section, Thresholds, parse_policy
from prelisten.records import Action, Finding, FindingState, HintCheck, Recomputed, TokenState
from wasm_detector.hint import Reason
from wasm_detector.model import load_model

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DEFAULT = load_policy()
NOT_DONE = [state for state in FindingState if state is not FindingState.DONE]


def heard(spoof_score: float | None = 0.1, **fields) -> Finding:
    return Finding("recompute", "wd-1", **({"state": FindingState.DONE, "spoof_score": spoof_score} | fields))


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
sections = st.builds(
    Section,
    thresholds=thresholds,
    inconclusive=doubts,
    partial=doubts,
    no_recording=doubts,
    on_incomplete=doubts,
    outstanding=st.sampled_from(["label", "hold"]),
)
policies = st.builds(Policy, name=st.just("generated"), default=sections)
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
    check=st.sampled_from(["recompute", "forensic", "claim"]),
    version=st.just("1"),
    state=st.sampled_from(FindingState),
    spoof_score=st.none() | scores,
    details=st.fixed_dictionaries({"is_partial": st.booleans()}),
)
finding_lists = st.lists(findings, max_size=3, unique_by=lambda finding: finding.check)


@given(policies, finding_lists, hint_checks, st.booleans())
def test_no_hint_makes_a_decision_laxer(policy, found, hint_check, is_outstanding) -> None:
    """The monotone rule: with any hint at least as strict as without; the last decision is the same."""
    options = {"policy": policy, "is_outstanding": is_outstanding}
    without, with_hint = act(*found, **options), act(*found, hint_check=hint_check, **options)
    assert with_hint.strictness >= without.strictness
    assert is_outstanding or with_hint is without


@given(policies, finding_lists, hint_checks)
def test_what_the_claim_check_says_never_weighs(policy, found, hint_check) -> None:
    """A forged hint of any kind opens no case: the decision is the one without the check `claim`."""
    mismatch = Finding("claim", "1", FindingState.DONE, 1.0, (Reason("HINT_MISMATCH"),))
    others = [finding for finding in found if finding.check != "claim"]
    assert act(*others, mismatch, policy=policy, hint_check=hint_check) is act(*others, policy=policy)


@given(policies, scores, st.sampled_from(NOT_DONE))
def test_check_that_was_not_done_is_never_accepted(policy, spoof_score, state) -> None:
    """Missing, limit, time-out, error, not applicable: never `accept`, whatever score came with it."""
    assert act(heard(spoof_score, state=state), policy=policy) is not Action.ACCEPT
    assert act(policy=policy) is not Action.ACCEPT


@given(policies, finding_lists, st.integers(0, 2), scores)
def test_more_evidence_of_synthesis_is_never_laxer(policy, found, which, rise) -> None:
    """Raising any score leaves the decision or makes it stricter."""
    raised = [
        replace(one, spoof_score=max(one.spoof_score, rise))
        if k == which and one.spoof_score is not None
        else one
        for k, one in enumerate(found)
    ]
    assert act(*raised, policy=policy).strictness >= act(*found, policy=policy).strictness


@given(policies, finding_lists, findings)
def test_another_finding_is_never_laxer(policy, found, extra) -> None:
    """A further check can only make the decision stricter, unless it is the required one that was missing."""
    others = [finding for finding in found if finding.check != extra.check]
    if extra.check != "recompute":
        assert act(*others, extra, policy=policy).strictness >= act(*others, policy=policy).strictness


def test_built_in_thresholds_are_the_detectors_bands():
    """What a page calls "no signs" is accepted, "strong signs" is looked at: after a retraining both must move."""
    model, thresholds = load_model(), DEFAULT.section("any").thresholds
    assert (thresholds.label, thresholds.review) == (model.elevated, model.high)
