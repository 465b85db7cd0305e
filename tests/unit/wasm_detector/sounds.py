"""Sounds that differ in one thing, made from seeds, 16 kHz, 2 s."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE, N = 16_000, 32_000
TIME = np.arange(N) / RATE
Samples = NDArray[np.float64]


def noise(seed: int = 0) -> Samples:
    """White noise."""
    return np.random.default_rng(seed).normal(size=N)


def pulses(pitch_hz: float | Samples = 120.0) -> Samples:
    """Sharp pulses at a pitch: all overtones start together."""
    phase = np.cumsum(np.broadcast_to(pitch_hz, N)) / RATE
    return np.diff(np.floor(phase), prepend=0.0) + 1e-3 * noise(9)


def overtones(pitch_hz: float = 120.0) -> Samples:
    """Steady overtones of equal strength with phases at random, so that no pulse shows."""
    rng = np.random.default_rng(1)
    tones = [np.sin(2 * np.pi * (k * pitch_hz * TIME + rng.random())) for k in range(1, 60)]
    return np.sum(tones, axis=0) + 1e-3 * noise(9)


def shaped(source: Samples, formant_hz: float | Samples, width_hz: float = 250.0) -> Samples:
    """Pass a source through one resonance that may move, frame by frame, by overlap and add."""
    centre = np.broadcast_to(formant_hz, N)
    hertz = np.fft.rfftfreq(512, 1 / RATE)
    out, window = np.zeros(N + 512), np.hanning(512)
    for start in range(0, N - 512, 128):
        gain = 0.05 + np.exp(-(((hertz - centre[start + 256]) / width_hz) ** 2))
        out[start : start + 512] += np.fft.irfft(np.fft.rfft(source[start : start + 512] * window) * gain)
    return out[:N]


def gliding(rate_hz: float, depth_hz: float = 900.0, source: Samples | None = None) -> Samples:
    """A voice whose resonance moves up and down `rate_hz` times a second."""
    return shaped(
        pulses() if source is None else source, 1_500.0 + depth_hz * np.sin(2 * np.pi * rate_hz * TIME)
    )


def beating(sound: Samples, rate_hz: float) -> Samples:
    """Let the loudness beat."""
    return sound * (1.0 + 0.95 * np.sin(2 * np.pi * rate_hz * TIME))


def bursts(*, together: bool) -> Samples:
    """Low and high noise that swell together, or one after the other."""
    low, high = shaped(noise(1), 500.0), shaped(noise(2), 6_000.0, 1_500.0)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 4.0 * TIME)
    return low * swell + high * (swell if together else 1.0 - swell)


def jumping_pitch() -> Samples:
    """A pitch that wanders by some per cent every 30 ms."""
    steps = np.random.default_rng(4).normal(0, 0.05, N // 480 + 1)
    return pulses(120.0 * np.exp(np.repeat(steps, 480)[:N]))


def joined() -> Samples:
    """Pieces of other vowels joined with a click."""
    sound = overtones()
    for k, start in enumerate(range(2_000, N - 2_000, 6_000)):
        sound[start : start + 3_000] = 0.3 * np.roll(sound, 500 * k)[start : start + 3_000]
        sound[start] += 200.0
    return sound


def voiced_and_unvoiced(*, steady: bool) -> Samples:
    """Half a second of voice and half a second of noise in turn; the voice steady, or of a trembling pitch."""
    voice = overtones() if steady else pulses(120.0 + 25.0 * np.sin(2 * np.pi * 11.0 * TIME)) * 20
    return np.where(np.sin(2 * np.pi * TIME) > 0, voice / voice.std(), noise(5))


def griffin_lim(samples: Samples, *, n_fft: int = 512, hop: int = 128, rounds: int = 8) -> Samples:
    """Rebuild a sound from the magnitudes of its spectrogram (Griffin & Lim 1984), from phases at random."""
    window = np.hanning(n_fft)
    starts = range(0, samples.size - n_fft, hop)
    magnitude = np.abs(np.array([np.fft.rfft(samples[s : s + n_fft] * window) for s in starts]))
    phase = np.exp(2j * np.pi * np.random.default_rng(6).random(magnitude.shape))
    for _ in range(rounds):
        rebuilt, total = np.zeros(samples.size), np.full(samples.size, 1e-6)
        for s, frame in zip(starts, np.fft.irfft(magnitude * phase), strict=True):
            rebuilt[s : s + n_fft] += frame * window
            total[s : s + n_fft] += window**2
        rebuilt /= total
        spectra = np.array([np.fft.rfft(rebuilt[s : s + n_fft] * window) for s in starts])
        phase = spectra / (np.abs(spectra) + 1e-9)
    return rebuilt
