"""Leave-sources-out folds and calibration from scores that no fitted clip has had a part in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from prelisten.lab.corpus import Corpus
from prelisten.lab.fit import Calibration, Fitted, Matrix, fit

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


def pick(corpus: Corpus, keep: NDArray[np.bool_]) -> Corpus:
    """Return the clips where `keep` is true."""
    clips = tuple(clip for clip, kept in zip(corpus.clips, keep, strict=True) if kept)
    return Corpus(clips, corpus.vectors[keep], corpus.values[keep])


def out_of_fold(corpus: Corpus, *, seed: int = 0) -> Matrix:
    """Return each clip's contributions by a fit that saw none of its source, bias last.

    Shape=(n_clips, n_signals + 1, 2).
    """
    folds = fold_numbers(corpus.column("source"), seed=seed)
    scored: Matrix | None = None
    for number in range(N_FOLDS):
        held = folds == number
        part = _with_bias(fit(pick(corpus, ~held)), corpus.vectors[held])
        if scored is None:
            scored = np.empty((len(corpus.clips), *part.shape[1:]))
        scored[held] = part
    if scored is None:
        raise ValueError("There are no folds.")
    return scored


def _with_bias(fitted: Fitted, vectors: Matrix) -> Matrix:
    bias = np.broadcast_to(np.array(fitted.bias), (len(vectors), 1, 2))
    return np.concatenate([fitted.contributions(vectors), bias], axis=1)


def domain(corpus: Corpus) -> NDArray[np.str_]:
    """Return `wild` for recordings as people make them, `clean` for the others."""
    return np.where(corpus.column("split") == "wild", "wild", "clean")


def threshold_for(bona_fide: Matrix, domains: NDArray[np.str_], false_alarms: float) -> float:
    """Return the score that `false_alarms` of the bona fide exceed, each domain counting the same."""
    names, counts = np.unique(domains, return_counts=True)
    weight = np.array([1.0 / counts[names == name][0] for name in domains])
    order = np.argsort(-bona_fide)
    above = np.cumsum(weight[order]) / weight.sum()
    return float(bona_fide[order][np.searchsorted(above, false_alarms)])


def calibrate(corpus: Corpus, logits: Matrix) -> Calibration:
    """Fit Platt's slope and shift (at a prior of one half) and the thresholds on out-of-fold log-odds."""
    labels = corpus.column("label")
    is_speech = labels != "nonspeech"
    raw, target = logits[is_speech, 0], labels[is_speech] == "spoof"
    machine = LogisticRegression(C=1e6, class_weight="balanced").fit(raw[:, None], target)
    slope, shift = float(machine.coef_[0, 0]), float(machine.intercept_[0])
    scores = 1.0 / (1.0 + np.exp(-(slope * raw + shift)))
    bona_fide, domains = scores[~target], domain(corpus)[is_speech][~target]
    floor = np.quantile(logits[is_speech, 1], LOST_SPEECH)
    return Calibration(
        slope=slope,
        shift=shift,
        elevated=round(threshold_for(bona_fide, domains, ELEVATED_FALSE_ALARMS), 4),
        high=round(threshold_for(bona_fide, domains, HIGH_FALSE_ALARMS), 4),
        speech_floor=round(float(1.0 / (1.0 + np.exp(-floor))), 4),
    )
