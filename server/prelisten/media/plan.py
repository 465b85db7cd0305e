"""Which stretches of a recording are listened to. The decoding child and its parent make the same plan.

A short recording is heard whole. Of a long one there are two plans: the detector's own, which everybody can foretell,
and one that is drawn from a secret, so that nobody knows beforehand where to hide a passage.
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wasm_detector.streaming import REMAINDER_S, SEGMENT_S, plan_windows

FIRST_SHARE = 10
"""Of so many drawn windows one is given to the beginning."""

Stretch = tuple[float, float]
Frames = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to listen to, in seconds of the recording.

    `seed` (hex digits of a secret digest) draws the windows of a recording that is longer than `max_seconds`; without
    one the detector's own plan stands. `besides` are stretches that are wanted in any case, in order; with
    `is_besides_only` nothing else is.
    """

    max_seconds: float = 120.0
    seed: str | None = None
    besides: tuple[Stretch, ...] = ()
    is_besides_only: bool = False

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Plan:
        """Return the plan of `to_dict`, also when it went through JSON."""
        return cls(**{**stored, "besides": tuple((start, end) for start, end in stored["besides"])})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the child's command line."""
        return asdict(self)

    def is_whole(self, total_s: float | None) -> bool:
        """Return whether a recording of that length is listened to from its first sample on, without gaps."""
        return total_s is None or total_s <= self.max_seconds

    def own(self, total_s: float | None) -> tuple[Stretch, ...]:
        """Return what a decision rests on. Nothing that a sender says can change it."""
        if (
            self.is_whole(total_s) or total_s is None
        ):  # A header's length may lie: up to the budget, all is read.
            return ((0.0, self.max_seconds),)
        if self.seed is None:
            return plan_windows(total_s, self.max_seconds)
        return drawn_windows(total_s, self.max_seconds, self.seed)

    def wanted(self, total_s: float | None) -> tuple[Stretch, ...]:
        """Return everything that has to be decoded: in order, nothing twice, nothing behind the end."""
        own = () if self.is_besides_only else self.own(total_s)
        known = [stretch for stretch in self.besides if total_s is None or stretch[0] < total_s]
        return joined((*own, *known))


def drawn_windows(total_s: float, max_seconds: float, seed: str) -> tuple[Stretch, ...]:
    """Return windows of one segment each: the beginning, then one drawn from each of as many equal parts of the rest.

    A tenth of the budget is for the beginning, there however wrong the stated length is. Behind it, every place
    is as likely to be heard as any other, and what is longer than two of the parts is heard for certain.
    """
    n_cells = max(1, int((total_s - REMAINDER_S) // SEGMENT_S) + 1)  # The last one ends with the recording.
    n = min(n_cells, max(1, int(max_seconds // SEGMENT_S)))
    n_first = max(1, n // FIRST_SHARE) if n > 1 else 0
    drawn = draw(n_cells - n_first, n - n_first, seed=seed, purpose="listen")
    places = (*range(n_first), *(n_first + place for place in drawn))
    return tuple(
        (SEGMENT_S * place, SEGMENT_S * (place + 1) if place < n_cells - 1 else total_s) for place in places
    )


def draw(n_of: int, n: int, *, seed: str, purpose: str) -> tuple[int, ...]:
    """Return up to `n` numbers below `n_of`, in order: one from each of as many equal parts, by HMAC-SHA256."""
    n = max(1, min(n, n_of))
    edges = [n_of * part // n for part in range(n + 1)]
    return tuple(
        first + _random(seed, f"{purpose}:{part}") % (end - first)
        for part, (first, end) in enumerate(itertools.pairwise(edges))
    )


def _random(seed: str, text: str) -> int:
    return int.from_bytes(hmac.digest(bytes.fromhex(seed), text.encode(), "sha256"), "big")


def joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return the same stretches in order, those that meet or overlap as one."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def in_frames(stretches: Iterable[Stretch], sample_rate: float) -> tuple[Frames, ...]:
    """Return stretches in frames at a rate in Hz."""
    return tuple((round(start * sample_rate), round(end * sample_rate)) for start, end in stretches)


def inside(start: int, end: int, windows: Iterable[Frames]) -> Iterator[Frames]:
    """Yield the parts of the frames from `start` to `end` that lie in the windows, which are in order."""
    for first, last in windows:
        if first >= end:
            return
        if last > start:
            yield max(start, first), min(end, last)
