"""Copies of genuine recordings that were taken apart and rebuilt, as synthesisers build their sound.

A copy has the words, the voice, the room and the microphone of its original, so that what tells the two apart is the
rebuilding alone. Spectrograms are rebuilt by phase inversion (Griffin & Lim 1984; fast, Perraudin et al. 2013): from
magnitudes, from mel bands, and from a picture of 8 bits. The two vocoders keep only resonances or magnitudes and put
pulses and noise behind them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import istft, lfilter, stft

from wasm_detector.features import autocorrelation, pitch
from wasm_detector.frames import analyse

Samples = NDArray[np.float64]
Spectra = NDArray[np.complex128]
RATE = 16_000
HOP = 160
MOMENTUM = 0.99


def _spectra(samples: Samples, n_fft: int, hop: int) -> Spectra:
    return np.asarray(stft(samples, nperseg=n_fft, noverlap=n_fft - hop)[2])


def _sound(spectra: Spectra, n_fft: int, hop: int, n_samples: int) -> Samples:
    sound = istft(spectra, nperseg=n_fft, noverlap=n_fft - hop)[1][:n_samples]
    return np.pad(sound, (0, n_samples - sound.size))


def invert(
    magnitude: Samples, hop: int, n_samples: int, n_rounds: int, rng: np.random.Generator, momentum: float
) -> Samples:
    """Return sound, shape=(n_samples,), with about this magnitude spectrogram, shape=(n_bins, n_frames)."""
    n_fft = 2 * (magnitude.shape[0] - 1)
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    before = np.zeros_like(phase)
    for _ in range(n_rounds):
        found = _spectra(_sound(magnitude * phase, n_fft, hop, n_samples), n_fft, hop)[:, : phase.shape[1]]
        ahead = found + momentum / (1.0 + momentum) * (found - before)
        before, phase = found, ahead / (np.abs(ahead) + 1e-12)
    return _sound(magnitude * phase, n_fft, hop, n_samples)


def mel_bands(n_fft: int, n_bands: int) -> Samples:
    """Return triangular mel filters, shape=(n_bands, n_fft / 2 + 1)."""
    frequency = np.linspace(0.0, RATE / 2, n_fft // 2 + 1)
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, n_bands + 2) / 2595.0) - 1.0)
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (frequency - low) / (mid - low), (high - frequency) / (high - mid)
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)) * 100.0 / (high - low))


def from_bands(bands: Samples, filters: Samples) -> Samples:
    """Return a non-negative spectrogram with these bands, by multiplicative updates (Lee & Seung 2001)."""
    found = np.maximum(np.linalg.pinv(filters) @ bands, 1e-8 * bands.max())
    reach = filters.T @ bands
    for _ in range(20):
        found *= reach / np.maximum(filters.T @ (filters @ found), 1e-12)
    return np.asarray(found)


def rebuilt_from_magnitude(samples: Samples, rng: np.random.Generator) -> Samples:
    """Keep the magnitudes, forget the phase, invert."""
    n_fft = int(rng.choice([512, 800, 1024]))
    magnitude = np.abs(_spectra(samples, n_fft, n_fft // 4))
    return invert(
        magnitude,
        n_fft // 4,
        samples.size,
        int(rng.integers(20, 61)),
        rng,
        float(rng.choice([0.0, MOMENTUM])),
    )


def rebuilt_from_mel(samples: Samples, rng: np.random.Generator) -> Samples:
    """Keep 80 to 128 mel bands of magnitude or power, invert."""
    hop, power = int(rng.choice([200, 256])), int(rng.choice([1, 2]))
    filters = mel_bands(1024, int(rng.choice([80, 80, 100, 128])))
    bands = filters @ np.abs(_spectra(samples, 1024, hop)) ** power
    magnitude = from_bands(bands, filters) ** (1.0 / power)
    return invert(magnitude, hop, samples.size, int(rng.integers(30, 61)), rng, MOMENTUM)


def rebuilt_from_picture(samples: Samples, rng: np.random.Generator) -> Samples:
    """Keep a picture of the spectrogram: 8 bits over 60 to 100 dB, invert."""
    n_fft = int(rng.choice([512, 1024]))
    hop = n_fft // int(rng.choice([2, 4]))
    level = 20.0 * np.log10(np.abs(_spectra(samples, n_fft, hop)) + 1e-9)
    depth, top = float(rng.choice([60.0, 80.0, 100.0])), level.max()
    shade = np.round((np.clip(level, top - depth, top) - top + depth) / depth * 255.0)
    magnitude = 10.0 ** ((shade / 255.0 * depth + top - depth) / 20.0)
    return invert(magnitude, hop, samples.size, int(rng.integers(30, 61)), rng, MOMENTUM)


def _source(samples: Samples, rng: np.random.Generator, breath: float) -> Samples:
    """Return pulses where the voice has a pitch, with some `breath` (share of noise), and noise elsewhere."""
    periodicity, lag = pitch(autocorrelation(analyse(samples.astype(np.float32))))
    frame_of = np.minimum(np.arange(samples.size) // HOP, lag.size - 1)
    voiced = (periodicity > 0.5)[frame_of]
    rate = np.where(voiced, 2.0 ** -lag.astype(np.float64)[frame_of], 0.0)  # Pulses a sample.
    pulses = np.diff(np.floor(np.cumsum(rate)), prepend=0.0) > 0
    train = np.where(pulses, 1.0 / np.sqrt(np.maximum(rate, 1e-3)), 0.0)
    noise = rng.standard_normal(samples.size)
    return np.where(voiced, np.sqrt(1.0 - breath) * train + np.sqrt(breath) * noise, noise)


def coded_by_prediction(samples: Samples, rng: np.random.Generator) -> Samples:
    """Keep linear prediction's resonances and loudness every 5 ms; pulses and noise instead of the rest."""
    n_window, hop, order = 512, 80, int(rng.choice([16, 20, 24]))
    source = _source(samples, rng, float(rng.uniform(0.05, 0.4)))
    window = np.hanning(n_window)
    padded = np.pad(samples, (n_window // 2, n_window))
    state, out = np.zeros(order), np.zeros(samples.size)
    for start in range(0, samples.size - hop + 1, hop):
        spectrum = np.fft.rfft(padded[start : start + n_window] * window, 2 * n_window)
        lagged = np.fft.irfft(np.abs(spectrum) ** 2)[: order + 1]
        lagged[0] = lagged[0] * 1.0005 + 1e-9
        taps = solve_toeplitz(lagged[:order], lagged[1:])
        gain = np.sqrt(max(lagged[0] - taps @ lagged[1:], 1e-12) / np.square(window).sum())
        piece, state = lfilter([gain], np.r_[1.0, -taps], source[start : start + hop], zi=state)
        out[start : start + hop] = piece
    return out


def coded_by_magnitude(samples: Samples, rng: np.random.Generator) -> Samples:
    """Keep the magnitudes (mostly through 80 mel bands) and take the phase of pulses and noise."""
    source = _spectra(_source(samples, rng, float(rng.uniform(0.02, 0.3))), 1024, 256)
    magnitude = np.abs(_spectra(samples, 1024, 256))
    if rng.random() < 0.7:
        filters = mel_bands(1024, 80)
        magnitude = np.sqrt(from_bands(filters @ magnitude**2, filters))
    return _sound(magnitude * source / (np.abs(source) + 1e-9), 1024, 256, samples.size)


METHODS: dict[str, Callable[[Samples, np.random.Generator], Samples]] = {
    "rebuilt_from_magnitude": rebuilt_from_magnitude,
    "rebuilt_from_mel": rebuilt_from_mel,
    "rebuilt_from_picture": rebuilt_from_picture,
    "coded_by_prediction": coded_by_prediction,
    "coded_by_magnitude": coded_by_magnitude,
}
"""Every way, each (samples at 16 kHz, generator) -> samples of the same length."""
