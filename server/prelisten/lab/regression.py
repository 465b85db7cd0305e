"""How much each clip counts, and the regressions that weigh so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import LogisticRegression

from prelisten.lab.corpus import DEGRADED, WILD, Corpus, pick
from prelisten.lab.layout import Matrix
from prelisten.lab.resynthesis import METHODS

COPY_WEIGHT = {DEGRADED: 0.25}
"""How much a copy that kept its label counts beside its original. One that is not named counts nothing."""

REBUILT_WEIGHT = 0.03
"""How much a rebuilt copy counts. More helps on clean recordings, and costs on phones."""

SOURCE_SHIFT = 0.05
"""Variance that a clean source's own level may have, where a clip's own is about 2.

Sources differ in microphone, room and codec. While fitting, each clean source has a level of its own (a random
intercept, Laird & Ware 1982), which takes up what all its clips have in common, so that the weights learn what tells
spoof from bona fide within a source. The levels are forgotten afterwards. Recordings as people make them have none:
most of their sources are of one class, and what those have in common is what has to be learnt.
"""

STRENGTH = 6.0
"""How little the weights for speech are held down (scikit-learn's C)."""

RESIDUAL = 1.0
"""Variance of what the weights need not explain, where a clip's own is about 2. Neither matters much."""

ALONE_STRENGTH = 25.0
"""How little its weights are held down (scikit-learn's C). Its inputs are about 1 / number of signals in variance."""


def source_weight(corpus: Corpus) -> Matrix:
    """Return weights, shape=(n_clips,), mean 1: a source counts by the square root of its clips, a domain all alike.

    A source with many clips teaches its channel; recordings as people make them are fewer than clean ones.
    """
    _, inverse, counts = np.unique(corpus.column("source"), return_inverse=True, return_counts=True)
    weight = 1.0 / np.sqrt(counts[inverse])
    is_wild = domain(corpus) == "wild"
    for part in (is_wild, ~is_wild):
        weight[part] /= max(weight[part].sum(), 1e-9)
    return np.asarray(weight / weight.mean())


def domain(corpus: Corpus) -> NDArray[np.str_]:
    """Return `wild` for recordings as people make them, `clean` for the others, shape=(n_clips,)."""
    return np.where(corpus.column("split") == WILD, "wild", "clean")


def training_weight(corpus: Corpus) -> Matrix:
    """Return how much each clip counts, shape=(n_clips,): its source's weight, less for a copy, 0 for a condition."""
    made = corpus.column("made")
    is_original = made == ""
    by_source = np.zeros(made.size)
    by_source[is_original] = source_weight(pick(corpus, is_original))
    of_id = dict(zip(corpus.column("id")[is_original], by_source[is_original], strict=True))
    share = {"": 1.0} | COPY_WEIGHT | dict.fromkeys(METHODS, REBUILT_WEIGHT)
    return np.array([of_id.get(clip.id, 1.0) * share.get(clip.made, 0.0) for clip in corpus.clips])


def balanced(weight: Matrix, is_spoof: NDArray[np.bool_]) -> Matrix:
    """Return weights, shape=(n,), of which both classes have the same sum."""
    by_class = np.array([weight[is_spoof == one].sum() for one in (False, True)])
    return np.asarray(weight / by_class[is_spoof.astype(int)])


def levels(corpus: Corpus) -> NDArray[np.intp]:
    """Return the number of each clip's source, shape=(n_clips,), -1 where it has no level of its own."""
    numbers = np.unique(corpus.column("source"), return_inverse=True)[1]
    return np.where(domain(corpus) == WILD, -1, numbers)


def separate(
    gram: NDArray[np.floating], target: NDArray[np.bool_], weight: Matrix, sources: NDArray[np.intp]
) -> tuple[Matrix, float]:
    """Fit kernel ridge regression with an intercept; return each clip's coefficient, shape=(n,), and the intercept.

    `gram`: shape=(n, n), overwritten. `weight`: shape=(n,), a clip of weight 2 counts as two. `sources`: shape=(n,),
    the number of each clip's source, -1 for one without a level of its own.
    """
    has_level = sources >= 0
    gram += SOURCE_SHIFT * ((sources[:, None] == sources[None, :]) & has_level[None, :])
    gram[np.diag_indices_from(gram)] += RESIDUAL / (weight / weight.mean())
    right = np.stack([np.where(target, 1.0, -1.0), np.ones(target.size)], axis=1)
    solved = cho_solve(cho_factor(gram, lower=True, overwrite_a=True, check_finite=False), right)
    bias = float(solved[:, 0].sum() / solved[:, 1].sum())
    return solved[:, 0] - bias * solved[:, 1], bias


def regress(inputs: Matrix, target: NDArray[np.bool_]) -> tuple[Matrix, float]:
    """Fit a logistic regression: coefficients, shape=(n_inputs,), and intercept."""
    machine = LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced").fit(inputs, target)
    return machine.coef_[0].astype(np.float64), float(machine.intercept_[0])


def regress_weighed(inputs: Matrix, is_spoof: NDArray[np.bool_], weight: Matrix) -> tuple[Matrix, float]:
    """Fit a logistic regression to one signal's inputs: coefficients, shape=(n_inputs,), and intercept."""
    machine = LogisticRegression(C=ALONE_STRENGTH, max_iter=1000)
    evenly = balanced(weight, is_spoof)
    machine.fit(inputs, is_spoof, sample_weight=evenly / evenly.mean())
    return machine.coef_[0].astype(np.float64), float(machine.intercept_[0])
