"""Lines of exact frequency, kept up over whole seconds: traces of the program that made a sound.

Software makes sound frame by frame, and stretches a few numbers per frame into many samples. Both may be heard: the
high band flutters at the frame rate, and faint tones stand at multiples of the rates in between (Pons et al. 2021,
"Upsampling artifacts in neural audio synthesis"; Afchar et al. 2025, "A Fourier explanation of AI-music artifacts").
Neither keeps to an exact frequency in a voice. Here windows are as long as the segment, or half a second, so that a
line is told from a pitch that moves. None of the numbers depends on gain or polarity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wasm_detector.frames import Array

Matrix = NDArray[np.float64]

RATE = 16_000

HIGH_BAND = (4000.0, 7600.0)
"""Hz. Lower down the voice's own pulses are louder than any machine's."""

FRAME_RATES = (
    12.5, 25.0, 31.25, 43.066, 46.875, 50.0, 62.5, 66.667, 75.0, 80.0, 86.133, 93.75, 100.0, 125.0, 172.266,
    187.5, 200.0,
)  # fmt: skip
"""Frames a second, Hz: of vocoders and codecs at 16, 22.05, 24 and 44.1 kHz."""

N_HARMONICS = 8
LOWEST_FLUTTER = 30.0
"""Hz. Slower flutter is speech: its syllables and sounds."""

BESIDE = (-6.1, -4.7, -3.4, -2.3, 2.3, 3.4, 4.7, 6.1)
"""Where beside a line the level is taken that it is compared with, in Hz."""

BLOCK = 1600
"""A segment is cut to a multiple of this: its transforms are quick then, and the band has 3600 values a second."""

N_SMOOTH = 91
"""How many values around a moment its loudness is compared with: 25 ms, less than a flutter of `LOWEST_FLUTTER`."""

BAND_FLOOR = 1e-6
"""Added to the high band's power, of which the mean is 0.5 for a segment of unit power that is white."""

MOST_OF_MEAN = 8.0
"""A click counts no more than this, times the mean around it."""

N_FLUTTER = 1 << 16
"""Length of the transform of the envelope, with nought appended: steps of 0.05 Hz."""

FLUTTER_FLOOR = 100.0
"""Added to the power of the flutter, which for noise is about the number of values, 14,400 for 4 s.

Both floors together keep the numbers of an empty band near 0. Otherwise ratios would be taken of what the last of 16
bits, or a decoder's rounding, left there.
"""

FLUTTER_BLOCK = 200
"""Bins of the flutter's spectrum of which a median is taken: 11 Hz."""

N_TONE = 8000
"""Half a second: bins of 2 Hz."""

TONE_HOP = 4000
TONE_BLOCK = 61
"""Bins of the mean spectrum of which a median is taken: 122 Hz."""

TONE_FLOOR = 1e-6
"""Added to the power, of which the mean is 0.4 for a segment of unit power that is white."""

REGIONS = ((50, 1000), (1000, 2500), (2500, 4500), (4500, 6500), (6500, 7900))
"""Stretches of frequency, in Hz, in which the highest tones are looked for."""

RANKS = (1, 4, 21)

SPACINGS = (
    62.5, 75.0, 86.133, 93.75, 100.0, 125.0, 150.0, 172.266, 187.5, 200.0, 250.0, 300.0, 344.53, 375.0, 500.0, 600.0,
    689.06, 750.0, 1000.0, 1378.1, 1500.0, 2000.0, 2756.25, 3000.0,
)  # fmt: skip
"""Rates between a frame's and a sample's, Hz: what is left after the first and later steps of stretching."""

COMB = (1200.0, 7600.0)
"""Hz. Multiples of a spacing count between these; lower down they fall among overtones."""


def frame_rate_lines(samples: Array) -> Array:
    """Return how far the flutter of the high band stands out at exact rates (nat), shape=(36,).

    `samples`: a segment at 16 kHz of unit power, at least half a second. For each of `FRAME_RATES` the mean and the
    highest over its harmonics; then the highest line at any rate from 30 to 450 Hz, and the mean of the 800 highest
    bins. Each is the log of an amplitude over that beside it, about 0 where there is no line.
    """
    envelope, rate = _envelope(samples)
    spectrum = np.fft.rfft(envelope, N_FLUTTER)
    power = spectrum.real**2 + spectrum.imag**2 + FLUTTER_FLOOR
    bins = N_FLUTTER / rate
    found = []
    for frames in FRAME_RATES:
        lines = frames * np.arange(1, N_HARMONICS + 1)
        lines = lines[lines >= LOWEST_FLUTTER]
        at = power[np.rint(lines * bins).astype(int)]
        beside = power[np.rint((lines[:, None] + np.array(BESIDE)) * bins).astype(int)].mean(axis=1)
        height = 0.5 * np.log(at / beside)
        found += [height.mean(), height.max()]
    level = np.log(power[int(LOWEST_FLUTTER * bins) : int(450.0 * bins)])
    above = np.sort(0.5 * (level - _running_median(level, FLUTTER_BLOCK)))
    return np.array([*found, above[-1], above[-800:].mean()], dtype=np.float32)


def _envelope(samples: Array) -> tuple[Matrix, float]:
    """Return the power of the high band over its own mean around, centred, and how many values there are a second.

    The band alone is transformed back, so that few values are enough.
    """
    kept = samples[: samples.size // BLOCK * BLOCK]
    first, last = (int(edge * kept.size / RATE) for edge in HIGH_BAND)
    band = np.fft.rfft(kept.astype(np.float64))[first:last]
    turning = np.fft.ifft(band * np.sqrt(np.hanning(band.size)))
    share = band.size / kept.size
    power = (turning.real**2 + turning.imag**2) * share + BAND_FLOOR
    ratio = np.minimum(power / _moving_mean(power, N_SMOOTH), MOST_OF_MEAN)
    return ratio - ratio.mean(), RATE * share


def _moving_mean(values: Matrix, width: int) -> Matrix:
    """Return the mean of `width` values around each, an odd number; fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(values.size)
    first, last = np.maximum(place - width // 2, 0), np.minimum(place + width // 2 + 1, values.size)
    return np.asarray((total[last] - total[first]) / (last - first))


def _running_median(values: Matrix, width: int) -> Matrix:
    """Return the medians of blocks of `width` values, joined by straight lines. Shape as `values`."""
    n_blocks = values.size // width
    if n_blocks == 0:
        return np.full(values.size, np.sort(values)[values.size // 2])
    medians = np.sort(values[: n_blocks * width].reshape(n_blocks, width), axis=1)[:, width // 2]
    return np.interp(np.arange(values.size), (np.arange(n_blocks) + 0.5) * width, medians)


def steady_tones(samples: Array) -> Array:
    """Return how far steady tones stand out of the mean spectrum (nat, of power), shape=(39,).

    `samples`: a segment at 16 kHz of unit power. The highest, fourth and 21st highest bin in each of `REGIONS`; then
    the mean at the multiples of each of `SPACINGS`. The spectrum is a mean of log powers, so that quiet moments count
    as much as loud ones.
    """
    n = min(N_TONE, samples.size)
    starts = range(0, samples.size - n + 1, TONE_HOP)
    level = np.zeros(n // 2 + 1)
    window = np.hanning(n)
    for start in starts:  # A view of all windows at once would be too large for an address space of 32 bits.
        spectrum = np.fft.rfft(samples[start : start + n] * window)
        level += np.log(spectrum.real**2 + spectrum.imag**2 + TONE_FLOOR * n)
    level /= len(starts)
    above, step = level - _running_median(level, TONE_BLOCK), RATE / n
    found = []
    for low, high in REGIONS:
        ordered = np.sort(above[int(low / step) : int(high / step)])
        found += [ordered[-rank] for rank in RANKS]
    for spacing in SPACINGS:
        tones = spacing * np.arange(1, int(COMB[1] / spacing) + 1)
        found.append(above[np.rint(tones[tones > COMB[0]] / step).astype(int)].mean())
    return np.array(found, dtype=np.float32)
