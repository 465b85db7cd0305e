"""Figures of merit for detection scores. Pure numpy; higher scores mean more like spoof everywhere.

`bona_fide` and `spoof` are the scores of the two classes, each shape=(n,), all finite.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def _check(bona_fide: Scores, spoof: Scores) -> None:
    if not (bona_fide.size and spoof.size):
        raise ValueError(f"Got {bona_fide.size} bona fide and {spoof.size} spoof scores; both are needed.")


def auc(bona_fide: Scores, spoof: Scores) -> float:
    """Return the area under the ROC curve: how often a spoof outranks a bona fide, ties half (Mann-Whitney)."""
    _check(bona_fide, spoof)
    ordered = np.sort(bona_fide)
    below = np.searchsorted(ordered, spoof, side="left")
    upto = np.searchsorted(ordered, spoof, side="right")
    return float((below + upto).mean() / (2.0 * bona_fide.size))


def error_rates(bona_fide: Scores, spoof: Scores) -> tuple[Scores, Scores]:
    """Return false-alarm and miss rates at every threshold, from "all are spoof" to "none is".

    At threshold t a recording counts as spoof when its score is >= t; thresholds are the distinct scores and
    infinity.
    """
    _check(bona_fide, spoof)
    thresholds = np.append(np.unique(np.concatenate([bona_fide, spoof])), np.inf)
    alarms = 1.0 - np.searchsorted(np.sort(bona_fide), thresholds, side="left") / bona_fide.size
    misses = np.searchsorted(np.sort(spoof), thresholds, side="left") / spoof.size
    return alarms, misses


def eer(bona_fide: Scores, spoof: Scores) -> float:
    """Return the equal error rate: where false alarms and misses cross, on the line between the two nearest points."""
    alarms, misses = error_rates(bona_fide, spoof)
    after = int(np.argmax(misses >= alarms))
    if after == 0:
        return float(max(alarms[0], misses[0]))
    gap_before, gap_after = alarms[after - 1] - misses[after - 1], misses[after] - alarms[after]
    share = gap_before / (gap_before + gap_after)
    return float(alarms[after - 1] + share * (alarms[after] - alarms[after - 1]))


def caught_at(bona_fide: Scores, spoof: Scores, false_alarms: float) -> float:
    """Return the share of spoof above the lowest threshold that gives at most `false_alarms` (a share)."""
    alarms, misses = error_rates(bona_fide, spoof)
    return float(1.0 - misses[alarms <= false_alarms + 1e-12].min())


def cllr(bona_fide: Scores, spoof: Scores, *, prior: float = 0.5) -> float:
    """Return the cost of the log-likelihood ratio in bits (Brümmer & du Preez 2006): 0 perfect, 1 says nothing.

    The scores are probabilities of spoof at `prior`; they are turned into likelihood ratios first.
    """
    _check(bona_fide, spoof)
    offset = np.log(prior / (1.0 - prior))

    def ratio(probability: Scores) -> Scores:
        kept = np.clip(probability, 1e-9, 1.0 - 1e-9)
        return np.asarray(np.log(kept / (1.0 - kept)) - offset)

    miss_bits = np.logaddexp(0.0, -ratio(spoof)).mean()
    alarm_bits = np.logaddexp(0.0, ratio(bona_fide)).mean()
    return float((miss_bits + alarm_bits) / (2.0 * np.log(2.0)))


def paired_wins(scores: Scores, is_spoof: NDArray[np.bool_], pairs: NDArray[np.str_]) -> float:
    """Return how often the synthetic member of a pair outranks the genuine one, each pair counting once.

    `pairs` names each recording's pair, empty = none. NaN when there is no pair.
    """
    shares = []
    for name in np.unique(pairs[pairs != ""]):
        inside = pairs == name
        spoof, bona_fide = scores[inside & is_spoof], scores[inside & ~is_spoof]
        if spoof.size and bona_fide.size:
            shares.append(auc(bona_fide, spoof))
    return float(np.mean(shares)) if shares else float("nan")
