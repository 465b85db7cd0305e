"""What a claim says was listened to, and what of it has to be heard again to tell whether the claim is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prelisten.checks.compare import COVERAGE_TOLERANCE_MS, segment_bytes
from prelisten.media.plan import Stretch, draw
from wasm_detector.hint import claimed_segments
from wasm_detector.streaming import REMAINDER_S, SEGMENT_S, cut, plan_windows

# The browser rounds each window to frames, and the sum to milliseconds.
ROUNDING_MS = 2
TOLERANCE_S = COVERAGE_TOLERANCE_MS / 1000
# A stretch of six seconds would be cut into two segments.
LONGEST_PIECE_S = SEGMENT_S + REMAINDER_S - 0.001


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim, and how it is recomputed.

    `segments` are those that have to be heard again, in seconds, each as the browser cut it; none when the server's own
    hearing of the whole recording is the same thing. `picked` are the places in the claim's `near.seg` that they stand
    for; `None`: they are all of them. `n_segments` is how many the claim is about. `is_possible` is whether the widget
    can listen like that at all.
    """

    claim: Mapping[str, Any]
    segments: tuple[Stretch, ...] = ()
    picked: tuple[int, ...] | None = None
    n_segments: int = 0
    is_possible: bool = True


def read_claimed(claim: Mapping[str, Any], *, max_seconds: float, seed: str) -> Claimed:
    """Return how a claim that fits the schema is recomputed. Pure: the recording is not looked at.

    A claim about more than `max_seconds` is heard again in as many of its segments, drawn from the secret `seed`.
    """
    segments = _segments(claim)
    if segments is None:
        return Claimed(claim, is_possible=False)
    total_s = claim["cov"]["total_ms"] / 1000
    is_plain = segments == cut(0.0, total_s) and not _is_cut_at_random(total_s)
    if is_plain and total_s <= max_seconds - TOLERANCE_S:
        return Claimed(claim, n_segments=len(segments))
    start, end = segments[-1]
    if end > total_s - TOLERANCE_S:  # A decoder may find a little more at the end, which belongs to it.
        segments = (*segments[:-1], (start, min(end + TOLERANCE_S, start + LONGEST_PIECE_S)))
    if len(segments) * SEGMENT_S <= max_seconds + SEGMENT_S:
        return Claimed(claim, segments, n_segments=len(segments))
    places = claimed_segments(len(segments))
    picked = draw(len(places), int(max_seconds // SEGMENT_S), seed=seed, purpose="claim")
    return Claimed(claim, tuple(segments[places[index]] for index in picked), picked, len(segments))


def _segments(claim: Mapping[str, Any]) -> tuple[Stretch, ...] | None:
    """Return the segments that the widget listens to when it covers what the claim says, `None` when it never does."""
    analysed_ms, total_ms = claim["cov"]["analysed_ms"], claim["cov"]["total_ms"]
    found = segment_bytes(claim["near"]["seg"])
    if found is None or total_ms is None or analysed_ms > total_ms or (total_ms > 0) != (analysed_ms > 0):
        return None
    total_s = total_ms / 1000
    if total_ms - analysed_ms <= ROUNDING_MS:
        segments = _whole(total_s, len(found))
    else:
        max_seconds = SEGMENT_S * max(1, int((analysed_ms + ROUNDING_MS) / 1000 // SEGMENT_S))
        windows = plan_windows(total_s, max_seconds)
        if abs(1000 * sum(end - start for start, end in windows) - analysed_ms) > ROUNDING_MS:
            return None
        segments = tuple(piece for window in windows for piece in cut(*window))
    return segments if len(claimed_segments(len(segments))) == len(found) else None


def _whole(total_s: float, n_bytes: int) -> tuple[Stretch, ...]:
    """Return the segments of a recording that was heard whole.

    Where a few samples decide whether the last piece stands alone, the number of bytes tells what the browser did.
    """
    segments = cut(0.0, total_s)
    if not _is_cut_at_random(total_s) or len(claimed_segments(len(segments))) == n_bytes:
        return segments
    start, end = segments[-1]
    if end - start > SEGMENT_S:
        return (*segments[:-1], (start, start + SEGMENT_S), (start + SEGMENT_S, end))
    longest = LONGEST_PIECE_S - TOLERANCE_S
    return (*segments[:-2], (segments[-2][0], min(end, segments[-2][0] + longest)))


def _is_cut_at_random(total_s: float) -> bool:
    """Return whether decoders that differ by a few samples at the end may differ by a segment."""
    beyond_s = (total_s - REMAINDER_S) % SEGMENT_S
    is_long = total_s > SEGMENT_S + REMAINDER_S - TOLERANCE_S
    return is_long and min(beyond_s, SEGMENT_S - beyond_s) <= TOLERANCE_S
