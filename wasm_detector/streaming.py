"""The one analysis loop. A recording is cut into segments that know nothing of each other.

Every segment is cut at absolute positions of the recording at its own rate, then resampled, measured and scored
alone. So the size of the chunks can never change the result, and memory holds six seconds at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wasm_detector.errors import InvalidWaveformError
from wasm_detector.hint import Hint
from wasm_detector.model import Model, load_model
from wasm_detector.scoring import SegmentScore, check_model, score_by_each, summarise
from wasm_detector.waveform import admit, check_rate, check_samples, resample

SEGMENT_S = 4.0
"""Length of a segment; what we train on is as long or a little shorter."""

REMAINDER_S = 2.0
"""A last piece shorter than this joins the segment before it."""

MAX_WINDOWS = 10
"""A long recording is heard in this many windows at most: enough to meet a short insertion, long enough to judge."""

PROVISIONAL_S = 1.5
"""The rolling hint scores an unfinished segment from this length on."""


def plan_windows(total_s: float | None, max_seconds: float) -> tuple[tuple[float, float], ...]:
    """Return the (start, end) stretches in seconds to listen to, in order, not overlapping.

    The whole when it is short enough; the first `max_seconds` when the length is unknown; else windows of
    whole segments spread evenly, the first at 0 and the last at the end. Starts are whole seconds and follow from
    the length in whole milliseconds, so that whoever is told that length knows where the windows lay.
    """
    if total_s is None or total_s <= max_seconds:
        return ((0.0, max_seconds if total_s is None else total_s),)
    n_segments = max(1, int(max_seconds // SEGMENT_S))
    n_windows = min(MAX_WINDOWS, n_segments)
    length = n_segments // n_windows * SEGMENT_S
    if n_windows == 1:
        return ((0.0, length),)
    room_ms = round(1000 * total_s) - round(1000 * length)
    starts = [float(room_ms * k // (1000 * (n_windows - 1))) for k in range(n_windows)]
    return (*((start, start + length) for start in starts[:-1]), (starts[-1], total_s))


def cut(start_s: float, end_s: float) -> tuple[tuple[float, float], ...]:
    """Return the (start, end) of the segments that a window is cut into; `Stream` cuts as it goes, by the same rule."""
    pieces = []
    while end_s - start_s >= SEGMENT_S + REMAINDER_S:
        pieces.append((start_s, start_s + SEGMENT_S))
        start_s += SEGMENT_S
    return (*pieces, (start_s, end_s))


class Stream:
    """Listen to a recording chunk by chunk.

    `windows` are the stretches to be fed, (start, end) in frames at the recording's own rate, in order and not
    overlapping: those of `plan_windows`, or what the caller asks for. `companions` are further models that score the
    same segments; what they share with `model` is computed once (`finish_each`). `observe` is handed every segment that
    could be judged, at 16 kHz and once. Raises `InvalidWaveformError` for an
    impossible rate, and for frames that are missing inside a window; `ModelError` for a model of other signals.
    """

    def __init__(
        self,
        sample_rate: float,
        *,
        total_s: float | None = None,
        max_seconds: float = 120.0,
        model: Model | None = None,
        windows: Sequence[tuple[int, int]] | None = None,
        companions: Sequence[Model] = (),
        observe: Callable[[NDArray[np.float32]], None] | None = None,
    ) -> None:
        self.sample_rate = check_rate(sample_rate)
        self.total_s = total_s
        self.model = model or load_model()
        self._models = (self.model, *companions)
        for each in self._models:
            check_model(each)
        planned = self._frame_windows(total_s, max_seconds) if windows is None else windows
        self.windows = tuple((first, last) for first, last in planned)
        self._observe = observe
        self._window = 0
        self._position = 0
        self._pending: list[NDArray[np.float32]] = []
        self._n_pending = 0
        self._scores: list[tuple[SegmentScore, ...]] = []  # One of each model.
        self._n_analysed = 0
        self._n_seen = 0
        self._n_not_finite = 0

    def _frame_windows(self, total_s: float | None, max_seconds: float) -> tuple[tuple[int, int], ...]:
        """Return the plan in frames. A header's length may lie: heard whole, a recording ends where it ends."""
        if total_s is None or total_s <= max_seconds:
            return ((0, round(max_seconds * self.sample_rate)),)
        plan = plan_windows(total_s, max_seconds)
        return tuple((round(start * self.sample_rate), round(end * self.sample_rate)) for start, end in plan)

    def push(self, samples: NDArray[np.floating], *, start: int) -> float:
        """Take mono `samples`, shape=(n,), whose first is frame `start`; return the seconds analysed so far.

        What lies outside the windows, or was heard before, is skipped.
        """
        check_samples(samples)
        end = start + samples.size
        self._n_seen = max(self._n_seen, end)
        while self._window < len(self.windows):
            first, last = self.windows[self._window]
            begin, stop = max(start, self._position, first), min(end, last)
            if begin < stop:
                self._check_gap(begin, first)
                self._take(samples[begin - start : stop - start], begin)
            if end < last:  # More of this window may come.
                break
            self._close_window()
        return self._n_analysed / self.sample_rate

    def _check_gap(self, begin: int, first: int) -> None:
        if begin > max(self._position, first):
            raise InvalidWaveformError(
                f"Got frame {begin} after frame {self._position}; frames inside a window must follow each other. "
                "Push the missing frames first."
            )

    def _take(self, samples: NDArray[np.floating], begin: int) -> None:
        """Append contiguous frames and score every segment that is complete for certain."""
        wave = admit(samples, self.sample_rate)
        piece = wave.samples.copy()  # The caller may use its buffer again.
        self._n_not_finite += wave.n_not_finite
        self._pending.append(piece)
        self._n_pending += piece.size
        self._n_analysed += piece.size
        self._position = begin + piece.size
        n_segment = round(SEGMENT_S * self.sample_rate)
        n_certain = n_segment + round(REMAINDER_S * self.sample_rate)
        if self._n_pending < n_certain:
            return
        waiting = np.concatenate(self._pending)
        while waiting.size >= n_certain:
            self._keep(waiting[:n_segment], self._position - waiting.size)
            waiting = waiting[n_segment:]
        self._pending, self._n_pending = [waiting.copy()], waiting.size

    def _keep(self, samples: NDArray[np.float32], first: int) -> None:
        """Score a segment that is complete, for good."""
        at_target = self._at_target(samples)
        scores = self._score_resampled(at_target, first, samples.size)
        self._scores.append(scores)
        if self._observe is not None and scores[0].limit is None:
            self._observe(at_target)

    def _at_target(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        mean = samples.mean(dtype=np.float64).astype(np.float32)
        return resample(samples - mean, self.sample_rate)  # A constant has no edges to ring at.

    def _score(self, samples: NDArray[np.float32], first: int) -> tuple[SegmentScore, ...]:
        return self._score_resampled(self._at_target(samples), first, samples.size)

    def _score_resampled(
        self, at_target: NDArray[np.float32], first: int, n_frames: int
    ) -> tuple[SegmentScore, ...]:
        return score_by_each(
            self._models,
            at_target,
            start_s=first / self.sample_rate,
            end_s=(first + n_frames) / self.sample_rate,
        )

    @property
    def segments(self) -> tuple[SegmentScore, ...]:
        """What `model` makes of the segments that are complete, in order."""
        return tuple(scores[0] for scores in self._scores)

    def _close_window(self) -> None:
        """Score what is left of the current window and turn to the next one."""
        if self._n_pending:
            self._keep(np.concatenate(self._pending), self._position - self._n_pending)
        self._pending, self._n_pending = [], 0
        self._window += 1

    def hint(self) -> Hint:
        """Return the hint for what has been heard so far, an unfinished segment included."""
        scores = list(self._scores)
        if self._n_pending >= PROVISIONAL_S * self.sample_rate:
            scores.append(self._score(np.concatenate(self._pending), self._position - self._n_pending))
        return self._summarise(scores)[0]

    def finish(self) -> Hint:
        """Score what is left and return the hint. Raises `InvalidWaveformError` when nothing was heard."""
        return self.finish_each()[0]

    def finish_each(self) -> tuple[Hint, ...]:
        """Return what `finish` does for the model and for each of its companions."""
        if not self._n_seen:
            raise InvalidWaveformError("The recording has no samples. Choose another file.")
        if self._n_pending:
            self._close_window()
        return self._summarise(self._scores)

    def _summarise(self, scores: Sequence[tuple[SegmentScore, ...]]) -> tuple[Hint, ...]:
        analysed_s = self._n_analysed / self.sample_rate
        total_s = self.total_s
        if total_s is not None:
            total_s = max(total_s, analysed_s)
        return tuple(
            summarise(
                [of_segment[place] for of_segment in scores],
                model=model,
                coverage=(analysed_s, total_s),
                n_not_finite=self._n_not_finite,
            )
            for place, model in enumerate(self._models)
        )
