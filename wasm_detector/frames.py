"""Short-time spectra of one segment, and how much each frame counts as speech.

All arrays are float32. A segment is scaled to unit power first, so that gain never matters; energies are
floored at `FLOOR_DB` below the mean, so that neither dither nor the last bit of a decoder does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float32]
Complex = NDArray[np.complex64]

N_FFT, HOP_LENGTH = 512, 160
"""32 ms windows every 10 ms at 16 kHz."""

N_FFT_SHORT, HOP_SHORT = 96, 32
"""6 ms windows every 2 ms: shorter than a pitch period, so that single glottal pulses show."""

BLOCK = 1 << 15
"""About so many numbers are transformed at a time."""

FLOOR_DB = -64.0
"""Floor of every power, relative to the segment's mean power per bin."""

FADE = 160
"""Samples faded at both ends (10 ms): a cut through a vowel is not a property of the voice."""

GATE_DB, GATE_SLOPE_DB = -32.0, 3.0
"""A frame this far below the loud frames counts half; the slope makes the gate smooth, not a switch."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Everything that features are computed from.

    `samples`: shape=(n,), unit power, faded. `spectrum`: complex64, shape=(n_frames, n_bins), of Hann
    windows. `ramped`, `derived`: the same with the window times time (samples) and with its derivative
    (per sample), for group delay and instantaneous frequency (Auger & Flandrin 1995). `power`: |spectrum|²
    over its mean. `short`: power of the short windows, shape=(n_short, 49). `activity`: shape=(n_frames,),
    0 to 1, how much a frame counts as sound.
    """

    samples: Array
    spectrum: Complex
    ramped: Complex
    derived: Complex
    power: Array
    short: Array
    activity: Array


def frame(samples: Array, frame_length: int, hop_length: int) -> Array:
    """Return overlapping frames as a view, shape=(n_frames, frame_length); the last partial one is left out."""
    return sliding_window_view(samples, frame_length)[::hop_length]


@lru_cache(maxsize=4)
def _windows(n_fft: int) -> tuple[Array, Array, Array]:
    """Return a Hann window, the window times centred time, and the window's derivative; each shape=(n_fft,)."""
    time = np.arange(n_fft) - (n_fft - 1) / 2
    angle = 2.0 * np.pi * time / n_fft
    hann = 0.5 + 0.5 * np.cos(angle)
    derivative = -np.pi / n_fft * np.sin(angle)
    return hann.astype(np.float32), (hann * time).astype(np.float32), derivative.astype(np.float32)


def transform(stacked: Array, window: Array) -> Complex:
    """Return the spectra of windowed frames, shape=(n_frames, ..., n_bins), as complex64.

    Computed in double precision, so that every platform gives the same numbers, and some frames at a time: given all of
    them as float32, numpy takes four times the room and several times as long.
    """
    spectra = np.empty((*stacked.shape[:-1], window.size // 2 + 1), dtype=np.complex64)
    for some in blocks(stacked):
        spectra[some] = np.fft.rfft((stacked[some] * window).astype(np.float64))
    return spectra


def blocks(array: Array) -> list[slice]:
    """Return stretches along the first axis of about `BLOCK` numbers each."""
    n_rows = max(1, BLOCK * len(array) // max(1, array.size))
    return [slice(first, first + n_rows) for first in range(0, len(array), n_rows)]


def energy(spectrum: Complex) -> Array:
    """Return |spectrum|²."""
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


def normalise(samples: Array) -> Array:
    """Remove the mean, fade both ends and scale to unit power; silence stays silence."""
    faded = samples - samples.mean(dtype=np.float64).astype(np.float32)
    n_fade = min(FADE, faded.size // 2)
    if n_fade:
        ramp = (np.arange(n_fade, dtype=np.float32) + 0.5) / n_fade
        faded[:n_fade] *= ramp
        faded[-n_fade:] *= ramp[::-1]
    power = float(np.mean(np.square(faded, dtype=np.float64)))
    return np.asarray(faded / np.float32(power**0.5)) if power > 0.0 else faded


def relative_power(power: Array) -> Array:
    """Divide by the mean over all bins and frames and put the floor of `FLOOR_DB` under it."""
    scaled = power / max(float(power.mean(dtype=np.float64)), 1e-30)
    return (scaled + np.float32(10.0 ** (FLOOR_DB / 10.0))).astype(np.float32)


def percentile(levels: Array, percent: float) -> np.floating:
    """Return what `np.percentile` says of finite numbers. That one imports `numpy.ma`: each visitor would load it."""
    ordered = np.sort(levels)
    place = (ordered.size - 1) * (percent / 100.0)
    below = int(place)
    low, high = ordered[below], ordered[min(below + 1, ordered.size - 1)]
    part = place - below
    return np.float32(high - (high - low) * (1.0 - part) if part >= 0.5 else low + (high - low) * part)


def activity(power: Array) -> Array:
    """Return how much each frame counts, 0 to 1: a smooth gate below the loud frames (95th percentile).

    Levels come from 90 Hz up, so that hum does not open the gate. Shape=(n_frames,).
    """
    level_db = 10.0 * np.log10(power[:, 3:].mean(axis=1))
    loud_db = percentile(level_db, 95.0)
    gate = 1.0 / (1.0 + np.exp(-(level_db - loud_db - GATE_DB) / GATE_SLOPE_DB))
    return np.asarray(gate, dtype=np.float32)


def analyse(samples: Array) -> Frames:
    """Turn one segment at 16 kHz, shape=(n,) with n >= `N_FFT`, into its frames."""
    scaled = normalise(samples)
    short = relative_power(energy(transform(frame(scaled, N_FFT_SHORT, HOP_SHORT), _windows(N_FFT_SHORT)[0])))
    hann, ramp, derivative = _windows(N_FFT)
    stacked = frame(scaled, N_FFT, HOP_LENGTH)
    spectrum = transform(stacked, hann)
    power = relative_power(energy(spectrum))
    return Frames(
        samples=scaled,
        spectrum=spectrum,
        ramped=transform(stacked, ramp),
        derived=transform(stacked, derivative),
        power=power,
        short=short,
        activity=activity(power),
    )
