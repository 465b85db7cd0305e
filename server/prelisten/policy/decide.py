"""The decision: a pure function of the server's own findings and a policy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from prelisten.policy.document import DEFAULT_WEIGHT, Policy, Section
from prelisten.policy.evidence import combined_score, evidence_sha256, is_probability
from prelisten.policy.rules import CUT_SHORT, Facts
from prelisten.records import Action, Context, Decision, Finding, FindingState, HintCheck
from wasm_detector.hint import Reason

INCOMPLETE = "SCREENING_INCOMPLETE"
OVER_BUDGET = "REVIEW_OVER_BUDGET"
RULE = "POLICY_RULE"
# Findings about the claim and not about the recording. They are shown, and never weigh.
ABOUT_THE_CLAIM = frozenset({"claim"})
# What the decoder says of a file of which it could read nothing: there is nothing that a person could listen to.
UNREADABLE = frozenset({"DAMAGED", "DECODER_FAILED"})


def decide(
    findings: Sequence[Finding],
    *,
    policy: Policy,
    action: str,
    at: datetime,
    context: Context = Context.FEED,
    hint_check: HintCheck | None = None,
    is_outstanding: bool = False,
    is_over_budget: bool = False,
    required: Collection[str] | None = None,
) -> Decision:
    """Decide about a recording that was sent for `action` and is played in `context`, at the time `at`.

    1. What the claim says is set aside, and so are the checks that the policy ignores: the last decision rests on
       what the server heard itself.
    2. The scores make one score, and that takes the steps of the thresholds. Each finding that leaves a doubt asks
       for its line of the policy, and so does a required check without a finding. Each rule that holds asks for
       its action, each that cannot be known for its `unknown`. The strictest of all these is done.
    3. A person is asked for, but the reviewers have had their fill (`is_over_budget`): the policy's `over_budget`.
    4. While work is outstanding the answer is the policy's `outstanding`, raised to the hint's floor: only
       there has the hint a word, and it only makes the answer stricter.

    Nothing asks for less than `accept`, and what is not known never asks for that. `required` stands in for the
    policy's own line. Raises `ValueError` without any required check: that would accept everything.
    """
    section = policy.section(action, context)
    awaited = frozenset(section.required if required is None else required)
    if not awaited:
        raise ValueError("no check is required, so every recording would be accepted; require at least one")
    set_aside = ABOUT_THE_CLAIM.union(section.ignored) - set(section.required)
    heard = [finding for finding in findings if finding.check not in set_aside]  # 1
    score = _score(heard, section)
    rules = list(_rules_asking(heard, score, section))
    missing = awaited - {finding.check for finding in heard}
    asked = [  # 2
        _by_score(score, section),
        *(
            doubt
            for finding in heard
            for doubt in _doubts(finding, section, is_required=finding.check in awaited)
        ),
        *(Action(section.on_unavailable) for _ in missing),
        *(rule_action for _, rule_action in rules),
    ]
    reached = _strictest(asked)
    is_over_budget = is_over_budget and reached is Action.REVIEW and not is_outstanding
    if is_over_budget:  # 3
        reached = Action(section.over_budget)
    if is_outstanding:  # 4
        floor = hint_check.floor if hint_check else Action.ACCEPT
        reached = _strictest([Action(section.outstanding), min(floor, Action.HOLD, key=_strictness)])
    own = [
        *([Reason(OVER_BUDGET)] if is_over_budget else []),
        *([Reason(INCOMPLETE)] if missing or any(map(_is_unfinished, heard)) else []),
        *(Reason(RULE, params={"rule": name}) for name, _ in rules),
    ]
    return Decision(
        action=reached,
        reasons=(*own, *(reason for finding in heard for reason in finding.reasons)),
        policy_version=policy.version,
        evidence_sha256=evidence_sha256(
            heard, action=action, context=str(context), policy=policy.version, is_over_budget=is_over_budget
        ),
        decided_at=at,
        spoof_score=score,
        context=context,
        is_over_budget=is_over_budget,
    )


def is_incomplete(finding: Finding) -> bool:
    """Return whether the check was cut short, or gave a number that is no probability."""
    return finding.state in CUT_SHORT or not is_probability(finding.spoof_score)


def is_unreadable(finding: Finding) -> bool:
    """Return whether nothing at all could be read of the file, and that is the file's doing."""
    codes = {reason.code for reason in finding.reasons}
    is_unheard = finding.spoof_score is None and not finding.details.get("coverage")
    return finding.state is FindingState.ERROR and is_unheard and bool(codes & UNREADABLE)


def _is_unfinished(finding: Finding) -> bool:
    return is_incomplete(finding) and not is_unreadable(finding)


def _strictness(action: Action) -> int:
    return action.strictness


def _strictest(actions: Sequence[Action]) -> Action:
    return max(actions, key=_strictness)


def _score(heard: Sequence[Finding], section: Section) -> float | None:
    """Return the score of all checks that gave one. A missing score is missing: it is no 0 and no 0.5."""
    given = {
        finding.check: finding.spoof_score
        for finding in heard
        if finding.spoof_score is not None and is_probability(finding.spoof_score)
    }
    return combined_score(given, section.weights, default=DEFAULT_WEIGHT)


def _by_score(score: float | None, section: Section) -> Action:
    """Return the strictest step whose threshold the score reaches."""
    steps = section.thresholds
    reached = Action.ACCEPT
    for action, least in (
        (Action.LABEL, steps.label),
        (Action.REVIEW, steps.review),
        (Action.REJECT, steps.reject),
    ):
        if score is not None and least is not None and score >= least:
            reached = action
    return reached


def _doubts(finding: Finding, section: Section, *, is_required: bool) -> Iterator[Action]:
    """Yield what a finding asks for when it is not a whole answer.

    Only a required check has to have heard something: another one that does not apply, or that gives no score,
    asks for nothing.
    """
    if is_unreadable(finding):
        yield Action(section.unreadable)
    elif is_incomplete(finding):
        yield Action(section.on_incomplete)
    elif is_required and finding.state is FindingState.NOT_APPLICABLE:
        yield Action(section.no_recording)
    elif is_required and finding.spoof_score is None:
        yield Action(section.inconclusive)
    if finding.details.get("is_partial"):
        yield Action(section.partial)


def _rules_asking(
    heard: Sequence[Finding], score: float | None, section: Section
) -> Iterator[tuple[str, Action]]:
    """Yield the name of each rule that holds, or may hold, and the action that it asks for."""
    facts = Facts.of(heard, score)
    for rule in section.rules:
        truth = facts.truth(rule.when)
        if truth is not False:
            yield rule.name, Action(rule.then if truth else rule.unknown)
