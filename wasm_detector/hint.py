"""What the detector says: a `Hint` with its reasons, places and coverage. Plain data, no arithmetic on audio."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Band(StrEnum):
    """The word that people see for a `spoof_score`."""

    CLEAR = "clear"
    ELEVATED = "elevated"
    HIGH = "high"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a score, or for there being none.

    `weight` is what this reason adds to the log-odds of the score (natural logarithm, positive = towards
    spoof); it is 0.0 for a reason that only states a limit ("too little speech").
    `ranges` are the places it is about, as (start, end) in seconds of the recording; empty = the whole.
    `params` fill the placeholders of the sentence in the catalogue.
    """

    code: str
    weight: float = 0.0
    ranges: tuple[tuple[float, float], ...] = ()
    params: Mapping[str, float | str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data with rounded numbers."""
        return {
            "code": self.code,
            "weight": round(self.weight, 4),
            "ranges": [[round(start, 3), round(end, 3)] for start, end in self.ranges],
            "params": dict(self.params),
        }


@dataclass(frozen=True, slots=True)
class Signal:
    """One number about the recording: `value` in `unit`, and the log-odds (`weight`) that it adds."""

    name: str
    value: float
    unit: str
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data; a value that is not finite becomes `None`."""
        value = round(self.value, 6) if math.isfinite(self.value) else None
        return {"name": self.name, "value": value, "unit": self.unit, "weight": round(self.weight, 4)}


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the recording, `start_s` to `end_s`, with its own score (`None`: could not tell)."""

    start_s: float
    end_s: float
    spoof_score: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        score = None if self.spoof_score is None else round(self.spoof_score, 4)
        return {"start_s": round(self.start_s, 3), "end_s": round(self.end_s, 3), "spoof_score": score}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was listened to, in seconds. `total_s` is `None` when the length is not known."""

    analysed_s: float
    total_s: float | None
    speech_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "analysed_s": round(self.analysed_s, 3),
            "total_s": None if self.total_s is None else round(self.total_s, 3),
            "speech_s": round(self.speech_s, 3),
        }


@dataclass(frozen=True, slots=True)
class Hint:
    """What the detector says about a recording.

    `spoof_score` is a calibrated probability in [0, 1], higher = more like spoof, `None` = could not tell
    (then `band` is `inconclusive`). `bias` + the sum of the signals' weights is the log-odds of the score.
    `band_margin` is the distance in log-odds to the nearest edge of a band: within it, rounding explains nothing.
    """

    spoof_score: float | None
    band: Band
    reasons: tuple[Reason, ...]
    segments: tuple[Segment, ...]
    coverage: Coverage
    signals: tuple[Signal, ...]
    bias: float
    detector: str
    band_margin: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, the shape that the worker posts to the page and the server stores."""
        return {
            "spoof_score": None if self.spoof_score is None else round(self.spoof_score, 6),
            "band": self.band.value,
            "reasons": [reason.to_dict() for reason in self.reasons],
            "segments": [segment.to_dict() for segment in self.segments],
            "coverage": self.coverage.to_dict(),
            "signals": [signal.to_dict() for signal in self.signals],
            "bias": round(self.bias, 4),
            "detector": self.detector,
            "band_margin": round(self.band_margin, 4),
        }


MAX_CLAIMED_SEGMENTS = 128
"""The most segments a claim carries, one byte each; of longer ones every n-th, so that the places stay spread."""

NO_SCORE = 255
"""The byte of a segment that could not be judged."""


def claimed_segments(n_segments: int) -> range:
    """Return which of so many segments have a byte in a claim, in order."""
    return range(0, n_segments, -(-n_segments // MAX_CLAIMED_SEGMENTS) or 1)


def _segment_bytes(segments: Sequence[Segment]) -> str:
    """Return one byte a segment (score times 250) as URL-safe base64 without padding."""
    scores = (segments[place].spoof_score for place in claimed_segments(len(segments)))
    raw = bytes(NO_SCORE if score is None else round(250 * score) for score in scores)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def claim_of(hint: Hint, exact: Mapping[str, int]) -> dict[str, Any]:
    """Return the detector's part of a claim (PROTOCOL.md, section 3): what the server will compare.

    `q` is the score in thousandths; `near.seg` the segments, `near.stat` the signals' weights in hundredths;
    `exact` what the container says and, where the bytes were read directly, the integer sums of the samples.
    """
    covered = hint.coverage
    return {
        "band": hint.band.value,
        "q": None if hint.spoof_score is None else round(1000 * hint.spoof_score),
        "reasons": [reason.code for reason in hint.reasons],
        "cov": {
            "analysed_ms": round(1000 * covered.analysed_s),
            "total_ms": None if covered.total_s is None else round(1000 * covered.total_s),
        },
        "exact": dict(exact),
        "near": {
            "seg": _segment_bytes(hint.segments),
            "stat": [round(100 * signal.weight) for signal in hint.signals[:16]],
        },
    }
