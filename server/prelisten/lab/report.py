"""The figures of a model card: by split, by family, with intervals; and what each signal is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prelisten.lab.corpus import Corpus
from prelisten.lab.metrics import auc, caught_at, eer, paired_wins
from prelisten.lab.resynthesis import METHODS
from wasm_detector.signals import REBUILT_FAMILY

if TYPE_CHECKING:
    from prelisten.lab.fit import Calibration

N_RESAMPLES = 200
MIN_GROUP = 20
"""A language, or a sex, with fewer clips of a class than this has no line of its own."""

INTERVAL = (5.0, 95.0)


@dataclass(frozen=True, slots=True)
class Line:
    """Figures of one set of clips; `low` and `high` are 90 % intervals of (auc, eer, caught at 5 %) over sources."""

    name: str
    n_bona_fide: int
    n_spoof: int
    auc: float
    eer: float
    caught: float
    pairs: float
    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Family:
    """One family of systems against all genuine clips; `low` and `high` as in `Line`, of (auc, caught at 5 %)."""

    name: str
    n_clips: int
    auc: float
    caught: float
    low: tuple[float, float]
    high: tuple[float, float]


def _three(scores: NDArray[np.float64], is_spoof: NDArray[np.bool_]) -> tuple[float, float, float]:
    bona_fide, spoof = scores[~is_spoof], scores[is_spoof]
    return auc(bona_fide, spoof), eer(bona_fide, spoof), caught_at(bona_fide, spoof, 0.05)


def _draws(sources: NDArray[np.str_], seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield the numbers of the clips of as many sources as there are, drawn with replacement."""
    rng = np.random.default_rng(seed)
    names = np.unique(sources)
    inside = {name: np.flatnonzero(sources == name) for name in names}
    for _ in range(N_RESAMPLES):
        yield np.concatenate([inside[name] for name in rng.choice(names, names.size)])


def interval(
    scores: NDArray[np.float64], is_spoof: NDArray[np.bool_], sources: NDArray[np.str_], *, seed: int = 7
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the 90 % interval of the three figures, drawing whole sources with replacement."""
    drawn = [
        _three(scores[chosen], is_spoof[chosen])
        for chosen in _draws(sources, seed)
        if 0 < is_spoof[chosen].sum() < chosen.size
    ]
    if not drawn:
        return (math.nan,) * 3, (math.nan,) * 3
    low, high = np.percentile(np.array(drawn), INTERVAL, axis=0)
    return (float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2]))


def line(name: str, corpus: Corpus, scores: NDArray[np.float64], inside: NDArray[np.bool_]) -> Line:
    """Return the figures of the speech clips `inside`, shape=(n_clips,)."""
    labels = corpus.column("label")
    inside = inside & (labels != "nonspeech")
    is_spoof, own = labels[inside] == "spoof", scores[inside]
    figures = _three(own, is_spoof)
    low, high = interval(own, is_spoof, corpus.column("source")[inside])
    wins = paired_wins(own, is_spoof, corpus.column("pair")[inside])
    return Line(name, int((~is_spoof).sum()), int(is_spoof.sum()), *figures, wins, low, high)


def by_split(corpus: Corpus, scores: NDArray[np.float64]) -> list[Line]:
    """Return one line for all and one for each manifest."""
    splits = corpus.column("split")
    everything = line("all", corpus, scores, np.ones(splits.size, dtype=bool))
    return [everything, *(line(str(name), corpus, scores, splits == name) for name in np.unique(splits))]


def by_family(corpus: Corpus, scores: NDArray[np.float64], *, seed: int = 7) -> list[Family]:
    """Return how well each family is told from all bona fide clips, worst first."""
    labels, families = corpus.column("label"), corpus.column("family")
    names = np.unique(families[labels == "spoof"])

    def told(chosen: NDArray[np.intp]) -> dict[str, tuple[float, float]]:
        drawn, kinds, own = labels[chosen], families[chosen], scores[chosen]
        bona_fide = own[drawn == "bona_fide"]
        groups = {str(name): own[(drawn == "spoof") & (kinds == name)] for name in names}
        return {
            name: (auc(bona_fide, spoof), caught_at(bona_fide, spoof, 0.05))
            for name, spoof in groups.items()
            if spoof.size and bona_fide.size
        }

    draws = [told(chosen) for chosen in _draws(corpus.column("source"), seed)]
    table = []
    for name, figures in told(np.arange(labels.size)).items():
        spread = np.percentile([draw[name] for draw in draws if name in draw] or [figures], INTERVAL, axis=0)
        low, high = ((float(one[0]), float(one[1])) for one in spread)
        n_clips = int(((labels == "spoof") & (families == name)).sum())
        table.append(Family(name or "unknown", n_clips, *figures, low, high))
    return sorted(table, key=lambda row: row.auc)


def by_group(corpus: Corpus, scores: NDArray[np.float64], field: str) -> list[Line]:
    """Return one line for each value of `field` with `MIN_GROUP` clips of each class, and one for all other values.

    Clips without a value count nowhere.
    """
    values, labels = corpus.column(field), corpus.column("label")
    counts = {
        value: min(int(((values == value) & (labels == label)).sum()) for label in ("bona_fide", "spoof"))
        for value in np.unique(values[values != ""])
    }
    large = [value for value in counts if counts[value] >= MIN_GROUP]
    large.sort(key=lambda value: (-int((values == value).sum()), value))
    lines = [line(str(value), corpus, scores, values == value) for value in large]
    rest = (values != "") & ~np.isin(values, large)
    if {"bona_fide", "spoof"} <= set(labels[rest]):
        lines.append(line("others", corpus, scores, rest))
    return lines


def without_each(corpus: Corpus, contributions: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return how AUC and caught at 5 % change when one signal's contribution is taken out, in order of the signals.

    `contributions`: shape=(n_clips, n_signals + 1), bias last; the other weights stay as they were fitted.
    """
    labels = corpus.column("label")
    is_speech = labels != "nonspeech"
    is_spoof, own = labels[is_speech] == "spoof", contributions[is_speech]
    total = own.sum(axis=1)
    whole = _three(total, is_spoof)
    less = [_three(total - own[:, k], is_spoof) for k in range(own.shape[1] - 1)]
    return [(one[0] - whole[0], one[2] - whole[2]) for one in less]


def rebuilt(
    everything: Corpus, contributions: NDArray[np.float64], parts: Sequence[str]
) -> list[tuple[str, int, float, float]]:
    """Return (method, copies, AUC of the whole, AUC of the family of signals alone) for rebuilt genuine recordings.

    Each method's copies against the recordings that they were made of; `contributions`: shape=(n_clips, n_parts + 1).
    """
    made, ids = everything.column("made"), everything.column("id")
    family = contributions[:, [parts.index(name) for name in REBUILT_FAMILY]].sum(axis=1)
    total, table = contributions.sum(axis=1), []
    for name in METHODS:
        own = made == name
        genuine = (made == "") & np.isin(ids, ids[own])
        if own.any():
            table.append(
                (name, int(own.sum()), auc(total[genuine], total[own]), auc(family[genuine], family[own]))
            )
    return table


def by_condition(
    everything: Corpus, scores: NDArray[np.float64], high: float, conditions: Iterable[str]
) -> list[tuple[str, float, float, float, float]]:
    """Return (condition, AUC, EER, caught at 5 %, false alarms at `high`) of the clips under each condition.

    The untouched ones come first.
    """
    made, ids = everything.column("made"), everything.column("id")
    labels = everything.column("label")
    names = [name for name in conditions if (made == name).any()]
    if not names:
        return []
    taken = (made == "") & np.isin(ids, ids[made == names[0]])
    sets = [("as they are", taken), *((name, made == name) for name in names)]
    sets = [(name, inside) for name, inside in sets if {"bona_fide", "spoof"} <= set(labels[inside])]
    return [
        (
            name,
            *_three(scores[inside], labels[inside] == "spoof"),
            float((scores[inside & (labels == "bona_fide")] >= high).mean()),
        )
        for name, inside in sets
    ]


def reliability(
    scores: NDArray[np.float64], is_spoof: NDArray[np.bool_]
) -> list[tuple[float, float, int, float, float]]:
    """Return (from, to, clips, mean score, share of spoof) for ten steps of the score, both classes counting alike."""
    weight = np.where(is_spoof, 0.5 / is_spoof.sum(), 0.5 / (~is_spoof).sum())
    table = []
    for low in np.arange(10) / 10:
        inside = (scores >= low) & ((scores < low + 0.1) | (low > 0.85))
        if inside.any():
            share = weight[inside] / weight[inside].sum()
            table.append(
                (
                    float(low),
                    float(low + 0.1),
                    int(inside.sum()),
                    float(share @ scores[inside]),
                    float(share @ is_spoof[inside]),
                )
            )
    return table


def at_edges(
    corpus: Corpus, scores: NDArray[np.float64], calibration: Calibration
) -> list[tuple[str, str, float, float]]:
    """Return (band, clips, false alarms, caught) at the edges of the bands, for each manifest."""
    labels, splits = corpus.column("label"), corpus.column("split")
    table = []
    for band, edge in (("elevated", calibration.elevated), ("high", calibration.high)):
        for split in np.unique(splits):
            above, inside = scores >= edge, splits == split
            rates = [float(above[inside & (labels == label)].mean()) for label in ("bona_fide", "spoof")]
            table.append((band, str(split), rates[0], rates[1]))
    return table
