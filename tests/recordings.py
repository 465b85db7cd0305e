"""Recordings made from seeds: nothing to download, the same on every machine."""

from __future__ import annotations

import io

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

RATE = 16_000


def speech_like(seconds: float = 4.0, *, seed: int = 0, rate: int = RATE) -> NDArray[np.float32]:
    """Return a voice-like waveform: gliding pulses through formants, syllables with pauses, a little breath.

    Shape (seconds * rate,), float32, peak 0.5.
    """
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    t = np.arange(n) / rate
    pitch_hz = (
        120
        + 40 * rng.random()
        + 18 * np.sin(2 * np.pi * (0.7 * t + rng.random()))
        + rng.normal(0, 2, n).cumsum() * 0.01
    )
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 24))
    spectrum = np.fft.rfft(voice + 0.25 * rng.normal(size=n))
    hz = np.fft.rfftfreq(n, 1 / rate)
    shape = sum(
        np.exp(-(((hz - f) / w) ** 2)) for f, w in ((600, 180), (1400, 260), (2600, 400), (3600, 600))
    )
    shaped = np.fft.irfft(spectrum * (0.02 + shape), n)
    syllables = np.clip(np.sin(2 * np.pi * (3.1 + rng.random()) * t + rng.random()) * 1.6 + 0.5, 0, 1)
    out = shaped * syllables + 0.002 * rng.normal(size=n)
    return (0.5 * out / np.abs(out).max()).astype(np.float32)


def encoded(
    samples: NDArray[np.float32], *, file_format: str, subtype: str | None = None, rate: int = RATE
) -> bytes:
    """Return the samples as a file that libsndfile writes (WAV, FLAC, OGG, MP3)."""
    file = io.BytesIO()
    sf.write(file, samples, rate, format=file_format, subtype=subtype)
    return file.getvalue()


def wav_bytes(samples: NDArray[np.float32], rate: int = RATE) -> bytes:
    """Return the samples as a WAV file of 16 bits."""
    return encoded(samples, file_format="WAV", subtype="PCM_16", rate=rate)
