"""A model that is tried beside the server's own: where do they differ, and whom do reviewers agree with?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prelisten.checks.forensic import NAME as FORENSIC
from prelisten.lab.metrics import auc
from prelisten.records import Finding, Outcome, ShadowScore
from prelisten.replay import SYNTHETIC, is_erased
from prelisten.storage.interface import Transaction
from wasm_detector.hint import Band

N_FURTHEST = 10


@dataclass(slots=True)
class Trial:
    """What the model `tried` and the model `deciding` said of the same recordings.

    `bands` counts (deciding's, tried's). `genuine` and `synthetic` are (deciding's, tried's) scores of recordings whose
    reviewers said so; reviewers see what the deciding model raised, so that these favour it. `furthest` are
    (submission, deciding's score, tried's), the most different first.
    """

    tried: str
    deciding: str
    bands: Counter[tuple[str, str]] = field(default_factory=Counter)
    genuine: list[tuple[float, float]] = field(default_factory=list)
    synthetic: list[tuple[float, float]] = field(default_factory=list)
    scored: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def furthest(self) -> list[tuple[str, float, float]]:
        """Return where the two differ most."""
        return sorted(self.scored, key=lambda one: -abs(one[1] - one[2]))[:N_FURTHEST]

    def areas(self) -> tuple[float, float] | None:
        """Return the area under the ROC curve of both over what reviewers called; `None` without both kinds."""
        if not (self.genuine and self.synthetic):
            return None
        first, second = (
            auc(
                np.array([pair[place] for pair in self.genuine]),
                np.array([pair[place] for pair in self.synthetic]),
            )
            for place in (0, 1)
        )
        return first, second

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        areas = self.areas()
        return {
            "tried": self.tried,
            "deciding": self.deciding,
            "recordings": self.bands.total(),
            "bands": [
                {"deciding": deciding, "tried": tried, "count": count}
                for (deciding, tried), count in sorted(self.bands.items())
            ],
            "reviewed_genuine": len(self.genuine),
            "reviewed_synthetic": len(self.synthetic),
            "auc": None if areas is None else {"deciding": areas[0], "tried": areas[1]},
            "furthest": [
                {"submission": name, "deciding": deciding, "tried": tried}
                for name, deciding, tried in self.furthest
            ],
        }


def compare_models(tx: Transaction) -> list[Trial]:
    """Return one `Trial` for each pair of a deciding and a tried model; erased recordings are left out."""
    trials: dict[tuple[str, str], Trial] = {}
    for submission, _ in tx.decided():
        deciding = _of_forensic(tx.findings(submission.id))
        if deciding is None or is_erased(submission):
            continue
        case = tx.case_for(submission.id)
        for score in tx.shadow_scores(submission.id):
            pair = score.detector, deciding.version
            _add(
                trials.setdefault(pair, Trial(*pair)),
                submission.id,
                deciding,
                score,
                case.outcome if case else None,
            )
    return [trials[pair] for pair in sorted(trials)]


def _of_forensic(findings: tuple[Finding, ...]) -> Finding | None:
    """Return the deciding model's word, when it had one."""
    return next((one for one in findings if one.check == FORENSIC and "band" in one.details), None)


def _add(trial: Trial, name: str, deciding: Finding, score: ShadowScore, outcome: Outcome | None) -> None:
    trial.bands[Band(deciding.details["band"]).value, score.band.value] += 1
    if deciding.spoof_score is None or score.spoof_score is None:
        return
    both = deciding.spoof_score, score.spoof_score
    trial.scored.append((name, *both))
    if outcome is Outcome.NOT_SYNTHETIC:
        trial.genuine.append(both)
    elif outcome in SYNTHETIC:
        trial.synthetic.append(both)
