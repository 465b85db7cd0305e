"""Leave-sources-out folds and calibration from scores that no fitted clip has had a part in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from prelisten.lab.corpus import Corpus, pick
from prelisten.lab.fit import Calibration, fit
from prelisten.lab.layout import Matrix, Recipe
from prelisten.lab.regression import domain

N_FOLDS = 6

HIGH_FALSE_ALARMS = 0.05
"""`high` starts where 1 genuine recording in 20 is above: strong words need a rare mistake."""

ELEVATED_FALSE_ALARMS = 0.15
"""`elevated` starts where 3 in 20 are above: a note in passing that costs an honest person little."""

LOST_SPEECH = 0.01
"""The speech measure may turn away 1 in 100 clips of speech."""


def fold_numbers(sources: NDArray[np.str_], *, seed: int = 0) -> NDArray[np.int64]:
    """Put each source into one of `N_FOLDS` folds of about equal size, shape=(n_clips,); seeded."""
    names, counts = np.unique(sources, return_counts=True)
    rng = np.random.default_rng(seed)
    load, fold = np.zeros(N_FOLDS), {}
    for index in np.lexsort((names, -counts)):
        fold[names[index]] = int(np.argmin(load + 30.0 * rng.random(N_FOLDS)))
        load[fold[names[index]]] += counts[index]
    return np.array([fold[name] for name in sources])


def out_of_fold(corpus: Corpus, groups: NDArray[Any], recipe: Recipe) -> Matrix:
    """Return each clip's contributions by a fit that saw nothing of its group; the last column is the bias.

    Shape=(n_clips, n_parts + 1, 2); the sum over axis 1 are the log-odds of spoof and of speech. `groups`:
    shape=(n_clips,), fold numbers or the names of manifests.
    """
    scored = np.full((len(corpus.clips), len(recipe.parts) + 1, 2), np.nan)
    made = corpus.column("made")
    for group in np.unique(groups):
        held = groups == group
        fitted = fit(pick(corpus, ~held), recipe)
        scored[held, -1] = fitted.bias
        # Kind by kind: how a product of matrices rounds hangs on its size, and the card's copies must change no model.
        for kind in np.unique(made[held]):
            rows = held & (made == kind)
            scored[rows, :-1] = fitted.contributions(corpus.vectors[rows])
    return scored


def threshold_for(bona_fide: Matrix, domains: NDArray[np.str_], false_alarms: float) -> float:
    """Return the score that `false_alarms` of the bona fide exceed, each domain counting the same."""
    names, counts = np.unique(domains, return_counts=True)
    weight = np.array([1.0 / counts[names == name][0] for name in domains])
    order = np.argsort(-bona_fide)
    above = np.cumsum(weight[order]) / weight.sum()
    return float(bona_fide[order][np.searchsorted(above, false_alarms)])


def platt(logits: Matrix, is_spoof: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and shift that make log-odds, shape=(n,), calibrated at a prior of one half (Platt 1999)."""
    machine = LogisticRegression(C=1e6, class_weight="balanced").fit(logits[:, None], is_spoof)
    return float(machine.coef_[0, 0]), float(machine.intercept_[0])


def calibrate(corpus: Corpus, logits: Matrix, *others: Matrix) -> Calibration:
    """Fit Platt's slope and shift (at a prior of one half) and the thresholds on out-of-fold log-odds.

    `others` are log-odds by other ways of leaving recordings out. The bands start at the mean, over all the ways, of
    the log-odds that the stated share of bona fide exceeds: one way alone hangs on which few sources fall together.
    """
    labels = corpus.column("label")
    is_speech = labels != "nonspeech"
    target = labels[is_speech] == "spoof"
    slope, shift = platt(logits[is_speech, 0], target)
    domains = domain(corpus)[is_speech][~target]

    def edge(false_alarms: float) -> float:
        found = [
            threshold_for(one[is_speech, 0][~target], domains, false_alarms) for one in (logits, *others)
        ]
        return round(_probability(slope * float(np.mean(found)) + shift), 4)

    return Calibration(
        slope=slope,
        shift=shift,
        elevated=edge(ELEVATED_FALSE_ALARMS),
        high=edge(HIGH_FALSE_ALARMS),
        speech_floor=round(_probability(float(np.quantile(logits[is_speech, 1], LOST_SPEECH))), 4),
    )


def _probability(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))
