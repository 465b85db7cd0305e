"""The outline of what was heard, for a picture: the lowest and highest sample of equal stretches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

N_PEAKS = 512
"""The most stretches: a picture as wide as a form has no more points."""

ZERO = 128
"""The byte of silence; 0 is -1 or less, 255 is +1 or more."""


class Peaks:
    """Take a recording piece by piece. `n_frames` are those that will come, as far as is known; memory is fixed."""

    def __init__(self, n_frames: int) -> None:
        self._size = max(1, -(-n_frames // N_PEAKS))
        self._lowest = np.zeros(N_PEAKS, np.float32)
        self._highest = np.zeros(N_PEAKS, np.float32)
        self._n_heard = 0
        self._windows: list[tuple[int, int]] = []

    def add(self, samples: NDArray[np.floating], start: int) -> None:
        """Take mono `samples`, shape=(n,), whose first is frame `start`. What is beyond `n_frames` is left out."""
        samples = samples[: self._size * N_PEAKS - self._n_heard]
        if not samples.size:
            return
        first = self._n_heard // self._size
        last = (self._n_heard + samples.size - 1) // self._size
        cuts = np.maximum(np.arange(first, last + 1) * self._size - self._n_heard, 0)
        finite = np.nan_to_num(samples, posinf=1.0, neginf=-1.0)
        place = slice(first, last + 1)
        self._lowest[place] = np.minimum(self._lowest[place], np.minimum.reduceat(finite, cuts).clip(-1, 0))
        self._highest[place] = np.maximum(self._highest[place], np.maximum.reduceat(finite, cuts).clip(0, 1))
        self._n_heard += samples.size
        self._extend(start, start + samples.size)

    def _extend(self, start: int, end: int) -> None:
        if self._windows and self._windows[-1][1] == start:
            start, _ = self._windows.pop()
        self._windows.append((start, end))

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """The [start, end) frames that were heard, in order; the stretches divide them as if they were one piece."""
        return tuple(self._windows)

    def to_bytes(self) -> bytes:
        """Return lowest and highest of each stretch in turn, 128 = zero: 2 bytes for each of at most `N_PEAKS`."""
        n_peaks = -(-self._n_heard // self._size)
        pairs = np.stack([self._lowest[:n_peaks], self._highest[:n_peaks]], axis=1)
        return np.rint(ZERO + ZERO * pairs).clip(0, 255).astype(np.uint8).tobytes()
