"""Per-frame measures, each a pure function of `Frames`. Shapes are (n_frames, k) unless said otherwise.

None of them depends on gain. `bands` are linear in frequency, as in linear-frequency cepstra, which keep
the high bands where synthesis leaves most of its traces (Sahidullah et al. 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from wasm_detector.frames import HOP_LENGTH, N_FFT, Array, Frames, energy, frame

N_BANDS, N_LFCC, N_PHASE_BANDS = 64, 40, 20
FRAME_RATE = 100.0

PITCH_LAGS = (40, 230)
"""Lags at 16 kHz that count as a pitch period: 400 Hz down to 70 Hz."""

LPC_ORDER = 16


@dataclass(frozen=True, slots=True)
class Features:
    """All per-frame measures of one segment; `weight` is the frames' activity, shape=(n_frames,)."""

    weight: Array
    log_power: Array
    log_band: Array
    lfcc: Array
    frequency_deviation: Array
    band_frequency: Array
    delay_concentration: Array
    band_delay: Array
    drift_concentration: Array
    novelty: Array
    periodicity: Array
    lag: Array
    residual: Array
    pulse_alignment: Array
    pulse_sharpness: Array
    flux: Array


def pool(values: Array, n_bands: int, width: int, first: int = 1) -> Array:
    """Sum neighbouring bins into `n_bands` bands of `width` bins from bin `first` on."""
    part = values[:, first : first + n_bands * width]
    return np.asarray(part.reshape(values.shape[0], n_bands, width).sum(axis=2))


@lru_cache(maxsize=2)
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


def concentration(angle: Array, weight: Array, n_bands: int, width: int) -> Array:
    """Return the length of the weighted mean of unit vectors in each band, 0 (scattered) to 1 (all alike)."""
    total = pool(weight, n_bands, width)
    real, imag = pool(weight * np.cos(angle), n_bands, width), pool(weight * np.sin(angle), n_bands, width)
    return np.asarray(np.sqrt(real**2 + imag**2) / total)


def phase_drift(frames: Frames, magnitude: Array) -> tuple[Array, Array]:
    """Return the second time difference of the phase as (angle, weight), two frames shorter.

    It is 0 for anything that stays a sinusoid, whatever its frequency.
    """
    x = frames.spectrum
    step = x[1:] * np.conj(x[:-1])
    turn = step[1:] * np.conj(step[:-1])
    weight = np.minimum(np.minimum(magnitude[2:], magnitude[1:-1]), magnitude[:-2])
    return np.arctan2(turn.imag, turn.real), weight


def autocorrelation(frames: Frames) -> Array:
    """Return the normalised autocorrelation of windowed frames, shape=(n_frames, 257), lag 0 = 1.

    Computed from the power spectrum (Wiener-Khinchin); N_FFT is not padded, so it is circular.
    """
    raw = np.fft.irfft(energy(frames.spectrum))[:, : N_FFT // 2 + 1]
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


def residual_shape(frames: Frames, correlation: Array) -> Array:
    """Return what is left after linear prediction, shape=(n_frames, 4).

    Columns: prediction gain (log), skewness, kurtosis (log) and peak (log of max²/mean²) of the residual:
    glottal pulses make it peaky and one-sided.
    """
    polynomial = linear_prediction(correlation)
    stacked = frame(frames.samples, N_FFT, HOP_LENGTH)[:, 80 : 80 + 352 + LPC_ORDER]
    left = np.zeros((stacked.shape[0], 352), dtype=np.float32)
    for lag in range(LPC_ORDER + 1):
        left += polynomial[:, lag : lag + 1] * stacked[:, LPC_ORDER - lag : LPC_ORDER - lag + 352]
    floor = np.float32(1e-7)
    square = left**2
    variance = square.mean(axis=1) + floor
    skew = (square * left).mean(axis=1) / variance**1.5
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
    return alignment, np.log((unit**4).mean(axis=2) + 0.1), flux


def spectral_novelty(log_power: Array) -> Array:
    """Return 1 - correlation of each band's bins between successive frames, shape=(n_frames - 1, 16), 0 to 2."""
    n = log_power.shape[0]
    bands = log_power[:, 1:257].reshape(n, 16, 16)
    centred = bands - bands.mean(axis=2, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=2)) + np.float32(0.5)
    return np.asarray(1.0 - (centred[1:] * centred[:-1]).sum(axis=2) / (norm[1:] * norm[:-1]))


def measure(frames: Frames) -> Features:
    """Compute every measure of one segment, each once."""
    log_power = np.log(frames.power)
    magnitude = np.sqrt(frames.power)
    log_band = np.log(pool(frames.power, N_BANDS, 4))
    offset, delay = phase_deviation(frames)
    total = pool(magnitude, N_PHASE_BANDS, 12)
    drift, drift_weight = phase_drift(frames, magnitude)
    correlation = autocorrelation(frames)
    periodicity, lag = pitch(correlation)
    alignment, sharpness, flux = pulse_measures(frames)
    return Features(
        weight=frames.activity,
        log_power=log_power,
        log_band=log_band,
        lfcc=log_band @ dct_basis(N_BANDS, N_LFCC),
        frequency_deviation=pool(magnitude * np.abs(offset), N_PHASE_BANDS, 12) / total,
        band_frequency=pool(magnitude * offset, N_PHASE_BANDS, 12) / total,
        delay_concentration=concentration(2.0 * np.pi * delay, magnitude, N_PHASE_BANDS, 12),
        band_delay=pool(magnitude * delay, N_PHASE_BANDS, 12) / total,
        drift_concentration=concentration(drift, drift_weight, N_PHASE_BANDS, 12),
        novelty=spectral_novelty(log_power),
        periodicity=periodicity,
        lag=lag,
        residual=residual_shape(frames, correlation),
        pulse_alignment=alignment,
        pulse_sharpness=sharpness,
        flux=flux,
    )
