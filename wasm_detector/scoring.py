"""From the signals of the segments to one hint. The score is a plain sum, so every reason's weight is exact.

log-odds = bias + sum over signals of the speech-weighted mean over segments of that signal's contribution

In noise, or in a telephone's narrow band, most signals have less to say: their contributions shrink by a share that is
estimated from the same numbers, and what an expert for such segments says counts by that share instead. It belongs to
`together`. Signals that such a cover can hide, but not make, count as ever. From a segment that seems to have come over
a messenger something is taken off; that belongs to `together` as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wasm_detector.errors import ModelError
from wasm_detector.features import FRAME_RATE, Features, measure
from wasm_detector.frames import N_FFT, Array, analyse
from wasm_detector.hint import Band, Coverage, Hint, Reason, Segment, Signal
from wasm_detector.model import Model, check_equipped
from wasm_detector.signals import KINDS, TOGETHER, Description, SignalKind, describe_all

if TYPE_CHECKING:
    from wasm_detector.extensions import Extension

MIN_SPEECH_S = 0.7
"""Less sound than this in all says too little; of the clips we trained on, 1 in 200 has less."""

MIN_SEGMENT_S = 0.5
"""A shorter segment has too few frames for a spread to mean anything."""

SILENCE = 1e-5
"""Peaks below -100 dBFS are silence: a 16-bit recording has its last bit at -90 dBFS."""

FLAT_TOP = 0.08
"""Share of samples stuck at the peak from which on a segment is too clipped to judge."""

MIN_REASON = 0.1
"""A signal that adds less than this to the log-odds is not worth a sentence."""

MAX_REASONS = 4

LIMITS = ("CLIPPED", "NOT_SPEECH", "EXTENSION_MISSED", "SILENCE")
"""Why a segment that is long enough was not judged."""

OWN = "EXTENSION_COUNTED"
"""The code of the strongest of an operator's own signals."""


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """What one segment says: `contributions` and `values`, shape=(n_signals,), speech in seconds and log-odds.

    `limit` is a reason code when the segment cannot be judged; it then counts for nothing.
    """

    start_s: float
    end_s: float
    speech_s: float
    speech_logit: float
    contributions: NDArray[np.float64]
    values: NDArray[np.float64]
    limit: str | None


def sigmoid(logit: float) -> float:
    """Return the probability for log-odds, without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))


def logit(probability: float) -> float:
    """Return the log-odds of a probability, kept finite."""
    kept = min(max(probability, 1e-9), 1.0 - 1e-9)
    return math.log(kept / (1.0 - kept))


def check_model(model: Model) -> None:
    """Raise `ModelError` unless this code has every signal that the model was trained on, each once."""
    check_equipped(model)
    trained = [part.name for part in model.parts]
    repeated = {name for name in trained if trained.count(name) > 1}
    odd = sorted(set(trained) - set(KINDS) - set(model.own)) or sorted(repeated)
    *own, last = (part.centre.size for part in model.parts) if model.parts else (0,)
    is_torn = TOGETHER in trained[:-1] or (trained[-1:] == [TOGETHER] and sum(own) != last)
    for expert in model.experts:
        sizes = {expert.part.centre.size, expert.estimate.size}
        is_torn |= trained[-1:] != [TOGETHER] or sizes != {last} or not 0.0 <= expert.most <= 1.0
        is_torn |= not set(expert.unchanged) <= set(trained[:-1])
        is_torn |= not math.isfinite(expert.offset)
    if model.messenger:
        is_torn |= (
            trained[-1:] != [TOGETHER]
            or model.messenger.estimate.size != last
            or not 0.0 <= model.messenger.most < math.inf
            or not math.isfinite(model.messenger.offset)
        )
    if odd or is_torn or not trained:
        named = ", ".join(odd) or "some are missing"
        raise ModelError(
            f"The model was trained on other signals than this code has ({named}). Train it again."
        )


def clipped_share(samples: Array) -> float:
    """Return the share of samples in flat tops: equal to a neighbour and within 1 % of the segment's peak."""
    level = np.abs(samples)
    at_top = level >= 0.99 * level.max(initial=0.0)
    flat = at_top[1:] & at_top[:-1] & (np.abs(samples[1:] - samples[:-1]) < 1e-6 + 1e-4 * level[1:])
    return float(np.count_nonzero(flat)) / max(1, samples.size)


def _nothing(start_s: float, end_s: float, limit: str, model: Model) -> SegmentScore:
    zeros = np.zeros(len(model.parts))
    return SegmentScore(start_s, end_s, 0.0, 0.0, zeros, zeros, limit)


def score_segment(samples: Array, *, start_s: float, end_s: float, model: Model) -> SegmentScore:
    """Score one segment at 16 kHz, shape=(n,), on its own. Silence or a stub gives a limit, never an error."""
    return score_by_each((model,), samples, start_s=start_s, end_s=end_s)[0]


def score_by_each(
    models: Sequence[Model], samples: Array, *, start_s: float, end_s: float
) -> tuple[SegmentScore, ...]:
    """Score one segment by each model, as `score_segment` does; what they share is computed once."""
    limit = _unmeasured(samples)
    if limit is not None:
        return tuple(_nothing(start_s, end_s, limit, model) for model in models)
    features, known = measure(analyse(samples)), _own_signals(models, samples)
    is_clipped = clipped_share(samples) > FLAT_TOP
    return tuple(_weigh(features, model, known, (start_s, end_s), is_clipped=is_clipped) for model in models)


def _own_signals(models: Sequence[Model], samples: Array) -> dict[str, Description]:
    """Return what the models' own signals say of a segment; the value of one that could not be measured is NaN."""
    if not any(model.requires for model in models):
        return {}
    from wasm_detector.extensions import describe_own

    own = {one.name: model.own.get(one.name) for model in models for one in model.requires}
    return {name: describe_own(extension, samples) for name, extension in own.items()}


def _unmeasured(samples: Array) -> str | None:
    """Return the reason code for a segment that is not worth measuring, else `None`."""
    deviation = np.abs(samples - samples.mean(dtype=np.float64)) if samples.size else samples
    if deviation.max(initial=0.0) < SILENCE:
        return "SILENCE"
    return "TOO_LITTLE_SPEECH" if samples.size < max(MIN_SEGMENT_S * 16_000, 4 * N_FFT) else None


def _weigh(
    features: Features,
    model: Model,
    known: dict[str, Description],
    place: tuple[float, float],
    *,
    is_clipped: bool,
) -> SegmentScore:
    """Return what a model makes of a segment's features. `known` holds what other models had described before."""
    if any(math.isnan(known[one.name].value) for one in model.requires):
        return _nothing(*place, "EXTENSION_MISSED", model)
    described = describe_all(features, [part.name for part in model.parts], known)
    weighed = [part.contribute(one.vector) for part, one in zip(model.parts, described, strict=True)]
    spoof, speech, nearest = (np.array(column) for column in zip(*weighed, strict=True))
    for expert in model.experts:
        share, instead = expert.hear(described[-1].vector)
        spoof *= [1.0 if part.name in expert.unchanged else 1.0 - share for part in model.parts]
        spoof[-1] += share * instead
    if model.messenger:
        spoof[-1] -= model.messenger.taken_off(model.parts[-1].standardise(described[-1].vector))
    values = np.array([one.value for one in described])
    if model.parts[-1].name == TOGETHER:
        values[-1] = nearest[-1]
    speech_logit = model.speech_bias + float(speech.sum())
    limit = None
    if is_clipped:
        limit = "CLIPPED"
    elif speech_logit < logit(model.speech_floor):
        limit = "NOT_SPEECH"
    return SegmentScore(
        start_s=place[0],
        end_s=place[1],
        speech_s=float(features.weight.sum()) / FRAME_RATE,
        speech_logit=speech_logit,
        contributions=spoof,
        values=values,
        limit=limit,
    )


def _merge(ranges: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    merged: list[tuple[float, float]] = []
    for start, end in ranges:
        if merged and start - merged[-1][1] < 0.01:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def _places(scores: Sequence[SegmentScore], index: int) -> tuple[tuple[float, float], ...]:
    """Return where signal `index` is at least as strong as on the whole, neighbours joined, at most five."""
    usual = sum(s.contributions[index] * s.speech_s for s in scores) / sum(s.speech_s for s in scores)
    strong = [(s.start_s, s.end_s) for s in scores if s.contributions[index] >= usual - 1e-9]
    return _merge(strong)[:5]


def _limits(scores: Sequence[SegmentScore], n_not_finite: int) -> list[Reason]:
    """Return the reasons that only state what could not be judged, each with its places."""
    codes = [code for code in LIMITS if any(s.limit == code for s in scores)]
    found = [Reason(c, ranges=_merge([(s.start_s, s.end_s) for s in scores if s.limit == c])) for c in codes]
    if n_not_finite:
        found.append(Reason("NOT_FINITE", params={"samples": n_not_finite}))
    return found


def band_of(spoof_score: float, model: Model) -> Band:
    """Return the band that a probability falls into."""
    if spoof_score >= model.high:
        return Band.HIGH
    return Band.ELEVATED if spoof_score >= model.elevated else Band.CLEAR


def band_margin(spoof_score: float, model: Model) -> float:
    """Return the distance in log-odds from the score to the nearest edge of a band."""
    return min(abs(logit(spoof_score) - logit(edge)) for edge in (model.elevated, model.high))


def _segment(score: SegmentScore, model: Model) -> Segment:
    if score.limit or score.speech_s < 0.25:
        return Segment(score.start_s, score.end_s, None)
    return Segment(score.start_s, score.end_s, sigmoid(model.bias + float(score.contributions.sum())))


def _signals(usable: Sequence[SegmentScore], model: Model) -> tuple[Signal, ...]:
    """Return the speech-weighted means of every signal's value and contribution."""
    share = np.array([s.speech_s for s in usable])
    share = share / share.sum()
    weights = share @ np.stack([s.contributions for s in usable])
    values = share @ np.stack([s.values for s in usable])
    return tuple(
        Signal(part.name, float(value), _kind(part.name, model).unit, float(weight))
        for part, value, weight in zip(model.parts, values, weights, strict=True)
    )


def code_of(name: str) -> str:
    """Return the code of the reason for a signal."""
    return KINDS[name].code if name in KINDS else OWN


def _kind(name: str, model: Model) -> SignalKind | Extension:
    return model.own[name] if name in model.own else KINDS[name]


def _reasons(usable: Sequence[SegmentScore], signals: Sequence[Signal], model: Model) -> list[Reason]:
    """Return the signals that raise the score most, strongest first; of an operator's own the strongest alone."""
    order = sorted(range(len(signals)), key=lambda k: -signals[k].weight)
    first_own = next((k for k in order if signals[k].name in model.own), None)
    kept = [k for k in order if k == first_own or signals[k].name not in model.own]
    return [
        Reason(code_of(signals[k].name), signals[k].weight, _places(usable, k), _words(signals[k], model))
        for k in kept[:MAX_REASONS]
        if signals[k].weight >= MIN_REASON
    ]


def _words(signal: Signal, model: Model) -> dict[str, float | str]:
    """Return what the sentence about a signal needs: nothing, but for an operator's own."""
    if signal.name not in model.own:
        return {}
    from wasm_detector.extensions import words

    return words(signal.name, model.own[signal.name], signal.value)


def summarise(
    scores: Sequence[SegmentScore],
    *,
    model: Model,
    coverage: tuple[float, float | None],
    n_not_finite: int = 0,
) -> Hint:
    """Put the segments together. `coverage` is (analysed, total) in seconds.

    The band is `inconclusive` and the score `None` when there is less than `MIN_SPEECH_S` of speech that can
    be judged; the reasons then say what stood in the way.
    """
    usable = [s for s in scores if s.limit is None]
    speech_s = float(sum(s.speech_s for s in usable))
    limits = _limits(scores, n_not_finite)
    segments = tuple(_segment(s, model) for s in scores)
    covered = Coverage(coverage[0], coverage[1], speech_s)
    if speech_s < MIN_SPEECH_S:
        is_explained = any(reason.code in LIMITS[:3] for reason in limits)
        if not is_explained and not (scores and all(s.limit == "SILENCE" for s in scores)):
            limits.append(Reason("TOO_LITTLE_SPEECH", params={"speech_s": round(speech_s, 1)}))
        return Hint(None, Band.INCONCLUSIVE, tuple(limits), segments, covered, (), model.bias, model.detector)
    signals = _signals(usable, model)
    score = sigmoid(model.bias + sum(signal.weight for signal in signals))
    band = band_of(score, model)
    found = _reasons(usable, signals, model) if band in (Band.ELEVATED, Band.HIGH) else []
    margin = band_margin(score, model)
    return Hint(
        score,
        band,
        (*found, *limits),
        segments,
        covered,
        signals,
        model.bias,
        model.detector,
        band_margin=margin,
    )
