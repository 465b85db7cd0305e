"""A whole recording at once: the one-chunk case of `streaming`, not a second implementation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wasm_detector.hint import Hint
from wasm_detector.model import Model
from wasm_detector.streaming import Stream
from wasm_detector.waveform import check_rate, check_samples


def screen(
    samples: NDArray[np.floating],
    sample_rate: float,
    *,
    max_seconds: float = 120.0,
    model: Model | None = None,
) -> Hint:
    """Return the hint for mono `samples`, shape=(n,), floating point in -1 to 1.

    Raises `InvalidWaveformError` for an impossible rate, type or shape, or no samples. Anything else gives a
    hint: silence, noise, music, clipping or too little speech give the band `inconclusive`.
    """
    check_samples(samples)
    total_s = samples.size / check_rate(sample_rate)
    stream = Stream(sample_rate, total_s=total_s, max_seconds=max_seconds, model=model)
    stream.push(samples, start=0)
    return stream.finish()
