"""Per-frame measures, each a pure function of `Frames`. Shapes are (n_frames, k) unless said otherwise.

None of them depends on gain. `bands` are linear in frequency, as in linear-frequency cepstra, which keep
the high bands where synthesis leaves most of its traces (Sahidullah et al. 2015).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from wasm_detector.frames import (
    HOP_LENGTH,
    N_FFT,
    Array,
    Complex,
    Frames,
    blocks,
    energy,
    frame,
    relative_power,
    transform,
)

N_BANDS, N_LFCC, N_PHASE_BANDS = 64, 40, 20
FRAME_RATE = 100.0
"""Frames a second."""

PITCH_LAGS = (40, 230)
"""Lags at 16 kHz that count as a pitch period: 400 Hz down to 70 Hz."""

LPC_ORDER = 16

N_FFT_LONG, HOP_LONG = 1024, 320
"""64 ms windows every 20 ms: long enough to see single overtones."""

N_CELLS, CELL_WIDTH = 16, 16
"""Cells: 16 bands of 500 Hz in each frame, of 16 bins each."""

MODULATION_LENGTH, MODULATION_HOP = 128, 64
MODULATION_EDGES = (2, 5, 10, 17, 26, 38, 52, 65)
"""Spectra of 256 ms of the 2 ms envelopes; edges in bins of 3.9 Hz, so about 8 to 250 Hz."""


@dataclass(frozen=True, slots=True)
class Features:
    """All measures of one segment; `weight` is the frames' activity, shape=(n_frames,).

    `cells` is the log power by bin within cells, shape=(n_frames, 16, 16); `cell_level` the cells' log mean power.
    `phase_sizes`, shape=(n_frames, 60), has each phase band's mean |frequency offset|, |delay| and cosine of the drift,
    all bins alike; `phase_level` the bands' log power. `texture` has the long windows' measures, shape=(n_long, 64);
    `flutter` the fine modulation. `samples`, `spectrum` and `short` are the segment's own (see `Frames`).
    """

    samples: Array
    spectrum: Complex
    short: Array
    weight: Array
    cells: Array
    cell_level: Array
    log_band: Array
    lfcc: Array
    frequency_deviation: Array
    band_frequency: Array
    frequency_spread: Array
    delay_concentration: Array
    band_delay: Array
    delay_spread: Array
    drift_concentration: Array
    phase_sizes: Array
    phase_level: Array
    novelty: Array
    texture: Array
    flutter: Array
    periodicity: Array
    lag: Array
    residual: Array
    resonances: Array
    pulse_alignment: Array
    pulse_sharpness: Array
    flux: Array


def pool(values: Array, n_bands: int, width: int, first: int = 1) -> Array:
    """Sum neighbouring bins into `n_bands` bands of `width` bins from bin `first` on."""
    part = values[:, first : first + n_bands * width]
    return np.asarray(part.reshape(values.shape[0], n_bands, width).sum(axis=2))


@lru_cache(maxsize=16)
def dct_basis(n_in: int, n_out: int) -> Array:
    """Return the orthonormal DCT-II, shape=(n_in, n_out)."""
    angle = np.pi / n_in * (np.arange(n_in) + 0.5)[:, None] * np.arange(n_out)[None, :]
    basis = np.cos(angle) * np.sqrt(2.0 / n_in)
    basis[:, 0] /= np.sqrt(2.0)
    return np.asarray(basis, dtype=np.float32)


def phase_deviation(frames: Frames) -> tuple[Array, Array]:
    """Return each bin's instantaneous-frequency offset (bins) and group delay (share of the window, -0.5 to 0.5).

    Reassignment formulas (Auger & Flandrin 1995): offset = -Im(X_d conj X) / |X|² * N / 2π, delay =
    Re(X_t conj X) / |X|². Both are clipped, since they have heavy tails where |X| is small.
    """
    x, floor = frames.spectrum, np.float32(1e-9)
    level = energy(x) + floor
    derived, ramped = frames.derived, frames.ramped
    offset = (derived.real * x.imag - derived.imag * x.real) / level * np.float32(N_FFT / (2.0 * np.pi))
    delay = (ramped.real * x.real + ramped.imag * x.imag) / level / np.float32(N_FFT)
    return np.clip(offset, -3.0, 3.0), np.clip(delay, -0.5, 0.5)


def spread_within(values: Array, power: Array) -> Array:
    """Return the log of the power-weighted standard deviation of the bins of each band, shape=(n_frames, 20)."""
    total = pool(power, N_PHASE_BANDS, 12)
    mean = pool(power * values, N_PHASE_BANDS, 12) / total
    square = pool(power * values**2, N_PHASE_BANDS, 12) / total
    return np.asarray(np.log(np.sqrt(np.maximum(square - mean**2, 1e-8)) + 1e-3))


def concentration(cosine: Array, sine: Array, weight: Array) -> Array:
    """Return the length of the weighted mean of unit vectors in each band, 0 (scattered) to 1 (all alike)."""
    real, imag = pool(weight * cosine, N_PHASE_BANDS, 12), pool(weight * sine, N_PHASE_BANDS, 12)
    return np.asarray(np.sqrt(real**2 + imag**2) / pool(weight, N_PHASE_BANDS, 12))


def phase_drift(frames: Frames, magnitude: Array) -> tuple[Array, Array, Array]:
    """Return the second time difference of the phase as (cosine, sine, weight), two frames shorter.

    The angle is 0 for anything that stays a sinusoid, whatever its frequency.
    """
    x = frames.spectrum
    step = x[1:] * np.conj(x[:-1])
    turn = step[1:] * np.conj(step[:-1])
    length = np.sqrt(energy(turn)) + np.float32(1e-12)
    weight = np.minimum(np.minimum(magnitude[2:], magnitude[1:-1]), magnitude[:-2])
    return turn.real / length, turn.imag / length, weight


def autocorrelation(frames: Frames) -> Array:
    """Return the normalised autocorrelation of windowed frames, shape=(n_frames, 257), lag 0 = 1.

    Computed from the power spectrum (Wiener-Khinchin); N_FFT is not padded, so it is circular.
    """
    power = energy(frames.spectrum)
    raw = np.empty((len(power), N_FFT // 2 + 1), dtype=np.float32)
    for some in blocks(power):
        raw[some] = np.fft.irfft(power[some].astype(np.float64))[:, : N_FFT // 2 + 1]
    return np.asarray(raw / (raw[:, :1] + 1e-9), dtype=np.float32)


def pitch(correlation: Array) -> tuple[Array, Array]:
    """Return periodicity (the highest peak of the autocorrelation, 0 to 1) and its lag as log2 of samples."""
    first, last = PITCH_LAGS
    lags = np.arange(first, last)
    window = 1.0 - lags / N_FFT  # A period further off finds less of itself in the window (Boersma 1993).
    lifted = correlation[:, first:last] / window.astype(np.float32)
    best = np.argmax(lifted, axis=1)
    peak = lifted[np.arange(best.size), best]
    return np.clip(peak, 0.0, 1.0), np.log2(lags[best]).astype(np.float32)


def linear_prediction(correlation: Array) -> Array:
    """Return predictor polynomials, shape=(n_frames, LPC_ORDER + 1), by Levinson's recursion on all frames."""
    lagged = correlation[:, : LPC_ORDER + 1].astype(np.float64)
    lagged[:, 0] = lagged[:, 0] * 1.0001 + 1e-9
    polynomial = np.zeros_like(lagged)
    polynomial[:, 0], error = 1.0, lagged[:, 0].copy()
    for order in range(1, LPC_ORDER + 1):
        reach = (polynomial[:, :order] * lagged[:, order:0:-1]).sum(axis=1)
        reflection = -reach / error
        flipped = polynomial[:, order::-1].copy()
        polynomial[:, : order + 1] += reflection[:, None] * flipped
        error *= np.maximum(1.0 - reflection**2, 1e-6)
    return polynomial.astype(np.float32)


def prediction_cepstra(polynomial: Array) -> Array:
    """Return the cepstra of the resonances that linear prediction finds, shape=(n_frames, LPC_ORDER).

    Atal's recursion (1974): c_n = -a_n - sum_k (k / n) c_k a_(n-k).
    """
    cepstra = np.zeros_like(polynomial)
    for n in range(1, LPC_ORDER + 1):
        k = np.arange(1, n)
        reach = ((k / n).astype(np.float32) * cepstra[:, 1:n] * polynomial[:, n - 1 : 0 : -1]).sum(axis=1)
        cepstra[:, n] = -polynomial[:, n] - reach
    return cepstra[:, 1:]


def residual_shape(frames: Frames, polynomial: Array) -> Array:
    """Return what is left after linear prediction, shape=(n_frames, 4).

    Columns: prediction gain (log), skewness, kurtosis (log) and peak (log of max²/mean²) of the residual:
    glottal pulses make it peaky and one-sided.
    """
    stacked = frame(frames.samples, N_FFT, HOP_LENGTH)[:, 80 : 80 + 352 + LPC_ORDER]
    left = np.zeros((stacked.shape[0], 352), dtype=np.float32)
    for lag in range(LPC_ORDER + 1):
        left += polynomial[:, lag : lag + 1] * stacked[:, LPC_ORDER - lag : LPC_ORDER - lag + 352]
    floor = np.float32(1e-7)
    square = left**2
    variance = square.mean(axis=1) + floor
    skew = (square * left).mean(axis=1) / (variance * np.sqrt(variance))
    kurtosis = (square**2).mean(axis=1) / variance**2
    gain = np.log(((stacked**2).mean(axis=1) + floor) / variance)
    return np.stack([gain, skew, np.log(kurtosis + 0.1), np.log(square.max(axis=1) / variance + 1.0)], axis=1)


def pulse_measures(frames: Frames) -> tuple[Array, Array, Array]:
    """Return how the bands' fine envelopes move together, shape=(n_blocks, 12), (n_blocks, 8); and the flux.

    Blocks of 64 ms (32 short frames) every 32 ms. The first array holds correlations of the short-time
    envelopes of 8 bands with their neighbours (7), with the lowest band (4) and their mean (1); the second
    each band's envelope kurtosis (log). Flux, shape=(n_short - 1,), is the step of the log spectrum (dB).
    """
    envelope = np.log(pool(frames.short, 8, 6))
    fine = sliding_window_view(envelope, 32, axis=0)[::16]
    centred = fine - fine.mean(axis=2, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=2)) + np.float32(0.05)
    unit = centred / spread[:, :, None]
    near = (unit[:, 1:] * unit[:, :-1]).mean(axis=2)
    far = (unit[:, [2, 4, 6, 7]] * unit[:, :1]).mean(axis=2)
    alignment = np.concatenate([near, far, near.mean(axis=1, keepdims=True)], axis=1)
    level = np.log(frames.short[:, 1:])
    flux = np.abs(level[1:] - level[:-1]).mean(axis=1) * np.float32(10.0 / np.log(10.0))
    return alignment, np.log(np.square(unit * unit).mean(axis=2) + np.float32(0.1)), flux


def spectral_novelty(cells: Array) -> Array:
    """Return 1 - correlation of each cell's bins between successive frames, shape=(n_frames - 1, 16), 0 to 2."""
    centred = cells - cells.mean(axis=2, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=2)) + np.float32(0.5)
    return np.asarray(1.0 - (centred[1:] * centred[:-1]).sum(axis=2) / (norm[1:] * norm[:-1]))


def long_texture(samples: Array) -> Array:
    """Return how the bins of each cell stand out in long windows, shape=(n_long, 64), all in nat.

    Four measures of 16 cells: crest (max over mean), flatness (log mean minus mean log), roughness (log mean square
    step between neighbouring bins) and coarse roughness (between bins 62 Hz apart, relative to it).
    """
    angle = 2.0 * np.pi * (np.arange(N_FFT_LONG) - (N_FFT_LONG - 1) / 2) / N_FFT_LONG
    window = (0.5 + 0.5 * np.cos(angle)).astype(np.float32)
    power = relative_power(energy(transform(frame(samples, N_FFT_LONG, HOP_LONG), window)))
    cells = power[:, 1:513].reshape(-1, N_CELLS, 32)
    log_cells = np.log(cells)
    log_mean = np.log(cells.mean(axis=2))
    rough = np.log(np.square(log_cells[:, :, 1:] - log_cells[:, :, :-1]).mean(axis=2) + np.float32(0.01))
    coarse = np.log(np.square(log_cells[:, :, 4:] - log_cells[:, :, :-4]).mean(axis=2) + np.float32(0.01))
    crest = np.log(cells.max(axis=2)) - log_mean
    return np.concatenate([crest, log_cells.mean(axis=2) - log_mean, rough, coarse - rough], axis=1)


def fine_modulation(short: Array) -> Array:
    """Return where between 8 and 250 Hz the envelopes of 8 bands move, shape=(n_blocks, 56): log power, centred."""
    envelope = np.log(pool(short, 8, 6))
    blocks = sliding_window_view(envelope, MODULATION_LENGTH, axis=0)[::MODULATION_HOP]
    centred = blocks - blocks.mean(axis=2, keepdims=True)
    power = energy(transform(centred, np.hanning(MODULATION_LENGTH).astype(np.float32)))
    level = [power[:, :, low:high].mean(axis=2) for low, high in itertools.pairwise(MODULATION_EDGES)]
    log_level = np.log(np.stack(level, axis=1) + np.float32(0.01))
    return np.asarray((log_level - log_level.mean(axis=1, keepdims=True)).reshape(blocks.shape[0], -1))


def measure(frames: Frames) -> Features:
    """Compute every measure of one segment, each once.

    What needs much room for a moment goes first, and is let go before the next: a browser never gives memory back.
    """
    texture, flutter = long_texture(frames.samples), fine_modulation(frames.short)
    alignment, sharpness, flux = pulse_measures(frames)
    periodicity, lag, residual, resonances = _voice(frames)
    magnitude = np.sqrt(frames.power)
    drift_concentration, drift_size = _drift(frames, magnitude)
    offset, delay = phase_deviation(frames)
    total = pool(magnitude, N_PHASE_BANDS, 12)
    sizes = [pool(np.abs(one), N_PHASE_BANDS, 12) / 12 for one in (offset, delay)]
    phase = {
        "frequency_deviation": pool(magnitude * np.abs(offset), N_PHASE_BANDS, 12) / total,
        "band_frequency": pool(magnitude * offset, N_PHASE_BANDS, 12) / total,
        "frequency_spread": spread_within(offset, frames.power),
        "delay_concentration": _delay_concentration(delay, magnitude),
        "band_delay": pool(magnitude * delay, N_PHASE_BANDS, 12) / total,
        "delay_spread": spread_within(delay, frames.power),
        "phase_sizes": np.concatenate([*sizes, drift_size], 1),
    }
    del offset, delay, magnitude
    n_frames = frames.power.shape[0]
    cells = frames.power[:, 1:257].reshape(n_frames, N_CELLS, CELL_WIDTH)
    log_cells = np.log(cells)
    log_band = np.log(pool(frames.power, N_BANDS, 4))
    return Features(
        samples=frames.samples,
        spectrum=frames.spectrum,
        short=frames.short,
        weight=frames.activity,
        cells=log_cells,
        cell_level=np.log(cells.mean(axis=2)),
        log_band=log_band,
        lfcc=log_band @ dct_basis(N_BANDS, N_LFCC),
        drift_concentration=drift_concentration,
        phase_level=np.log(pool(frames.power, N_PHASE_BANDS, 12)),
        novelty=spectral_novelty(log_cells),
        texture=texture,
        flutter=flutter,
        periodicity=periodicity,
        lag=lag,
        residual=residual,
        resonances=resonances,
        pulse_alignment=alignment,
        pulse_sharpness=sharpness,
        flux=flux,
        **phase,
    )


def _voice(frames: Frames) -> tuple[Array, Array, Array, Array]:
    """Return periodicity, lag, the residual's shape and the cepstra of the resonances."""
    correlation = autocorrelation(frames)
    polynomial = linear_prediction(correlation)
    return *pitch(correlation), residual_shape(frames, polynomial), prediction_cepstra(polynomial)


def _drift(frames: Frames, magnitude: Array) -> tuple[Array, Array]:
    """Return the concentration of the phase's drift in each band, and its mean size, for every frame."""
    cosine, sine, weight = phase_drift(frames, magnitude)
    # The first and the last frame have no second difference.
    size = pool(np.pad(cosine, ((1, 1), (0, 0))), N_PHASE_BANDS, 12) / 12
    return concentration(cosine, sine, weight), np.asarray(size, dtype=np.float32)


def _delay_concentration(delay: Array, magnitude: Array) -> Array:
    turn = np.float32(2.0 * np.pi) * delay
    return concentration(np.cos(turn), np.sin(turn), magnitude)
