"""The one gate for samples, and the resampler. What has passed here is trusted everywhere else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wasm_detector.errors import InvalidWaveformError

TARGET_RATE = 16_000
"""The rate (Hz) that every feature is defined at."""

MIN_RATE, MAX_RATE = 4_000, 192_000
"""Rates outside are refused: a 20 KB file that claims 1 Hz becomes 640 MB of samples."""

ABSURD_LEVEL = 1e6
"""Float files hold anything. Beyond 120 dB over full scale a number is damage, and its square overflows."""

ZERO_CROSSINGS = 24
"""Half-width of the resampling kernel in zero crossings of its sinc."""

ROLLOFF = 0.945
"""Cut-off as a share of the lower Nyquist frequency: the kernel's transition band ends at Nyquist."""

KAISER_BETA = 8.0
"""About 80 dB of stop-band attenuation (Kaiser 1974)."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """Samples that can be analysed: mono float32, shape=(n,), all finite; `sample_rate` in Hz.

    `n_not_finite` counts the samples that were NaN, infinite or absurdly large; they are 0 now.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    n_not_finite: int = 0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.sample_rate


def check_rate(sample_rate: float) -> int:
    """Return `sample_rate` in whole Hz; raise `InvalidWaveformError` outside `MIN_RATE` to `MAX_RATE`."""
    if not (math.isfinite(sample_rate) and MIN_RATE <= sample_rate <= MAX_RATE):
        raise InvalidWaveformError(
            f"The sample rate is {sample_rate} Hz; {MIN_RATE} to {MAX_RATE} Hz can be analysed. "
            "Convert the recording to 16 kHz and try again."
        )
    return round(sample_rate)


def check_samples(samples: NDArray[np.floating]) -> None:
    """Raise `InvalidWaveformError` unless `samples` is a floating-point array of one channel, shape=(n,)."""
    if not isinstance(samples, np.ndarray) or samples.ndim != 1:
        shape = getattr(samples, "shape", type(samples).__name__)
        raise InvalidWaveformError(f"Got {shape}; expected one channel, shape (n,). Mix to mono first.")
    if not np.issubdtype(samples.dtype, np.floating):
        raise InvalidWaveformError(f"Got {samples.dtype} samples; expected float32 in -1 to 1.")


def admit(samples: NDArray[np.floating], sample_rate: float) -> Waveform:
    """Check `samples` and the rate, and replace what is not finite by 0.

    No samples at all pass here: a chunk may be empty; it is the whole recording that may not.
    """
    rate = check_rate(sample_rate)
    check_samples(samples)
    is_bad = ~(np.abs(samples) <= ABSURD_LEVEL)  # Written so that NaN is bad too.
    n_bad = int(np.count_nonzero(is_bad))
    if n_bad:
        samples = np.where(is_bad, 0.0, samples)
    return Waveform(np.ascontiguousarray(samples, dtype=np.float32), rate, n_bad)


ROWS = 256
"""Rows of a kernel that are made at once: a rate without a common divisor has 16,000 of hundreds of taps each."""


@lru_cache(maxsize=2)
def _kernel(up: int, down: int) -> tuple[NDArray[np.float32], int]:
    """Return windowed-sinc taps, shape=(up, n_taps), one row for each output phase, and the half-width.

    Row p weighs the input samples around time p/up (in input samples). Each row sums to 1, so that a
    constant stays exactly constant.
    """
    cutoff = ROLLOFF * min(1.0, up / down)  # In units of the input's Nyquist frequency.
    half = math.ceil(ZERO_CROSSINGS / cutoff)
    kernel = np.empty((up, 2 * half), dtype=np.float32)
    for first in range(0, up, ROWS):
        phases = np.arange(up)[first : first + ROWS] / up
        offset = np.arange(1 - half, half + 1)[None, :] - phases[:, None]
        window = np.i0(KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (offset / half) ** 2)))
        taps = np.sinc(cutoff * offset) * window
        kernel[first : first + ROWS] = taps / taps.sum(axis=1, keepdims=True)
    return kernel, half


def resample(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Resample to 16 kHz by a polyphase windowed-sinc filter (Smith, "Digital Audio Resampling").

    Any whole rate; shape=(n,) becomes shape=(ceil(n * 16000 / sample_rate),). Outside its ends the
    recording counts as 0.
    """
    if sample_rate == TARGET_RATE:
        return samples
    divisor = math.gcd(sample_rate, TARGET_RATE)
    up, down = TARGET_RATE // divisor, sample_rate // divisor
    taps, half = _kernel(up, down)
    n_out = -(-samples.size * up // down)
    padded = np.pad(samples, (half - 1, half + down))
    windows = sliding_window_view(padded, taps.shape[1])
    resampled = np.empty(n_out, dtype=np.float32)
    for first in range(min(up, n_out)):
        rows = windows[first * down // up :: down][: -(-(n_out - first) // up)]
        resampled[first::up] = rows @ taps[first * down % up]
    return resampled


def fixed_sound(n_samples: int) -> NDArray[np.float32]:
    """Return a rising sawtooth at 16 kHz, shape=(n_samples,), -0.5 to 0.5, the same on every machine."""
    at = np.arange(n_samples)
    return (at * (at + 20_000) // 40_000 * 100 % 133 / 133 - 0.5).astype(np.float32)
