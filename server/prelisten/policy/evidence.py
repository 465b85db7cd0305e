"""Scores of several checks as one, and what a decision rests on as one canonical text."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from prelisten.records import Decision, Finding

# Finer than any detector is, and coarse enough that no two machines' logarithms differ in it.
DECIMALS = 9


def is_probability(spoof_score: float | None) -> bool:
    """Return whether the score may be compared with thresholds; NaN may not, and nothing has to be compared."""
    return spoof_score is None or 0.0 <= spoof_score <= 1.0


def combined_score(
    scores: Mapping[str, float], share_of: Mapping[str, float], *, default: float
) -> float | None:
    """Return the score of several checks together, in [0, 1]; `None` without any.

    The strongest word counts in full, and every other one that points to synthesis too (above 0.5) adds its
    log-odds times its share in [0, 1]:

        log-odds = max over checks k of ( l(k) + sum over the others c of share(c) * max(0, l(c)) )

    So one check alone keeps its own score to the last digit, further evidence only ever raises the score, and no
    check can talk another one down: who fools one detector has still to fool the next.
    """
    if not scores:
        return None
    added = {
        check: share_of.get(check, default) * max(0.0, log_odds(s)) for check, s in scores.items() if s < 1.0
    }
    total = max(
        log_odds(score) + sum(part for other, part in added.items() if other != check)
        for check, score in scores.items()
    )
    strongest = max(scores.values())
    if total <= log_odds(strongest):
        return strongest
    return max(strongest, round(probability(total), DECIMALS))


def log_odds(score: float) -> float:
    """Return the natural log-odds of a probability; 0 and 1 give minus and plus infinity."""
    if score in (0.0, 1.0):
        return math.inf if score else -math.inf
    return math.log(score) - math.log1p(-score)


def probability(odds: float) -> float:
    """Return the probability of some log-odds."""
    return 1.0 / (1.0 + math.exp(-odds)) if odds >= 0 else 1.0 - 1.0 / (1.0 + math.exp(min(odds, 700.0)))


def evidence_sha256(heard: Sequence[Finding], **circumstances: Any) -> str:
    """Hash everything that the decision rests on."""
    findings = [
        {
            "check": finding.check,
            "version": finding.version,
            "state": str(finding.state),
            "spoof_score": finding.spoof_score,
            "reasons": [reason.to_dict() for reason in finding.reasons],
            "details": dict(finding.details),
        }
        for finding in heard
    ]
    return hashlib.sha256(canonical({**circumstances, "findings": findings}).encode()).hexdigest()


def decision_json(decision: Decision) -> str:
    """Return a decision as canonical JSON: the text that a replay must give back byte for byte."""
    return canonical(
        {
            "action": str(decision.action),
            "context": str(decision.context),
            "decided_at": decision.decided_at.isoformat(),
            "evidence_sha256": decision.evidence_sha256,
            "is_over_budget": decision.is_over_budget,
            "policy_version": decision.policy_version,
            "reasons": [reason.to_dict() for reason in decision.reasons],
            "spoof_score": decision.spoof_score,
        }
    )


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: keys in order, no spaces, ASCII; what is no number becomes a word."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
