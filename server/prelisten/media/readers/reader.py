"""What every reader is and counts, and how channels become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Mono = NDArray[np.float32]
Block = tuple[int, Mono]
Windows = Sequence[tuple[int, int]]
Check = Callable[[float, int], None]

# Below this mean square (-60 dB of full scale) nothing is said that a mix could hide.
QUIET_POWER = 1e-6
# Channels without a relation keep 1/n of their power in the mean, a voice in one of them too. A tenth of that
# is left only where channels work against each other.
CANCELLED_SHARE = 0.1


class UnreadableError(Exception):
    """The file cannot be read; `code` is one of `failures.FAILURES`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Reader(Protocol):
    """An opened recording.

    `n_frames` is its length as far as it is known beforehand, `claimed_s` what the header says, `other_tracks`
    how many more sound tracks players could choose. After `blocks`: `end_frame` is where the recording ended
    when that was inside a window (else `None`), `is_longer` whether it goes on well beyond its stated length,
    `damaged` how many packets could not be decoded, `cancelled` how many frames the mean of the channels
    silenced, `exact` the integer sums of what was read of the PCM, where this code read the PCM itself.
    """

    sample_rate: float
    channels: int
    codec: str
    n_frames: int | None
    claimed_s: float | None
    other_tracks: int
    damaged: int
    cancelled: int
    end_frame: int | None
    is_longer: bool
    exact: dict[str, int]

    def blocks(self, windows: Windows) -> Iterator[Block]:
        """Yield (first frame, samples) inside the windows, in order."""

    def sums(self, windows: Windows) -> dict[str, int]:
        """Return `exact` for other windows than those that were read; empty where it is."""


class Reading:
    """What every reader counts."""

    def __init__(self) -> None:
        self.damaged = 0
        self.cancelled = 0
        self.other_tracks = 0
        self.end_frame: int | None = None
        self.is_longer = False
        self.exact: dict[str, int] = {}

    def sums(self, windows: Windows) -> dict[str, int]:
        """Return nothing: only plain PCM has sums."""
        return {}

    def mixed(self, by_channel: NDArray[Any]) -> Mono:
        """Return the mean of the channels, shape=(channels, n) -> (n,), and count what it silenced."""
        mono = mix(by_channel)
        self.count_cancelled(by_channel, mono)
        return mono

    def count_cancelled(self, by_channel: NDArray[Any], mono: Mono) -> None:
        """Count the frames of a block in which the channels cancel each other.

        Listeners hear what the sides say; the mean of left and right in opposite phase is silent.
        """
        n_channels = by_channel.shape[0]
        if n_channels == 1 or not mono.size:
            return
        with np.errstate(all="ignore"):  # NaN compares as false, which is right.
            power = float(np.mean(np.square(by_channel, dtype=np.float64)))
            left = float(np.mean(np.square(mono, dtype=np.float64)))
        if power > QUIET_POWER and left < CANCELLED_SHARE * power / n_channels:
            self.cancelled += mono.size


def mix(by_channel: NDArray[Any]) -> Mono:
    """Return the mean of the channels, shape=(channels, n) -> (n,), as contiguous float32."""
    with np.errstate(invalid="ignore", over="ignore"):  # Float files may hold NaN, Inf and 1e38.
        return np.ascontiguousarray(by_channel.mean(axis=0), dtype=np.float32)


def clip(position: int, samples: Mono, windows: Iterable[tuple[int, int]]) -> Iterator[Block]:
    """Yield the parts of `samples`, which start at frame `position`, that lie inside the windows."""
    for first, last in windows:
        start, end = max(first, position), min(last, position + samples.size)
        if start < end:
            yield start, samples[start - position : end - position]
        if last > position + samples.size:
            return


def joined(blocks: Iterable[Block], n_frames: int) -> Iterator[Block]:
    """Join blocks that follow each other up to `n_frames` frames: each one costs whoever listens a fixed time.

    A file may hold one sample a packet. What was read before an error is given before the error is.
    """
    held: list[Mono] = []
    start = size = 0
    try:
        for first, samples in blocks:
            if held and (first != start + size or size + samples.size > n_frames):
                yield start, np.concatenate(held)
                held, size = [], 0
            if not held:
                start = first
            held.append(samples)
            size += samples.size
    except Exception:
        if held:
            yield start, np.concatenate(held)
        raise
    if held:
        yield start, np.concatenate(held)
