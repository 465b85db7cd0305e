"""Recordings made from seeds: nothing to download, the same on every machine."""

from __future__ import annotations

import io
from functools import lru_cache
from math import gcd

import av
import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from scipy.signal import resample_poly

RATE = 16_000


LONGEST_TAKE_S = 12.0
LONGEST_WRITE = 1_000_000  # Frames. libsndfile's Vorbis encoder dies of minutes at once.


def speech_like(seconds: float = 4.0, *, seed: int = 0, rate: int = RATE) -> NDArray[np.float32]:
    """Return a voice-like waveform: pulses through moving resonances, hisses between them, a room's noise.

    Shape (seconds * rate,), float32, peak 0.5. What is longer than 12 s repeats itself, a little louder or softer.
    """
    take, levels = _take_and_levels(seconds, seed)
    out = np.concatenate([take * level for level in levels])
    if rate != RATE:
        common = gcd(rate, RATE)
        out = resample_poly(out, rate // common, RATE // common)
    n = int(seconds * rate)
    out = np.pad(out[:n], (0, max(0, n - out.size)))
    return (0.5 * out / np.abs(out).max()).astype(np.float32)


def in_noise(samples: NDArray[np.float32], *, snr_db: float, seed: int = 0) -> NDArray[np.float32]:
    """Return the sound with white noise so far below it."""
    noise = np.random.default_rng(seed).standard_normal(samples.size)
    return np.asarray(samples + noise * samples.std() * 10.0 ** (-snr_db / 20.0), dtype=np.float32)


@lru_cache(maxsize=32)  # Many tests use the same few voices.
def _take_and_levels(seconds: float, seed: int) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    rng = np.random.default_rng(seed)
    take = _take(min(seconds, LONGEST_TAKE_S), rng)
    n_takes = int(np.ceil(seconds / LONGEST_TAKE_S)) or 1
    return take, (1.0, *rng.uniform(0.8, 1.0, n_takes - 1))


def _take(seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    n = int(seconds * RATE) + 1
    time = np.arange(n) / RATE

    def wandering(points_a_second: float, low: float, high: float) -> NDArray[np.float64]:
        points = rng.uniform(low, high, int(seconds * points_a_second) + 3)
        return np.interp(time * points_a_second, np.arange(points.size), points)

    pitch_hz = (110 + 60 * rng.random()) * 2.0 ** wandering(3, -0.25, 0.25) * wandering(60, 0.985, 1.015)
    turns = np.cumsum(pitch_hz / RATE)
    bounds = ((300, 800), (900, 2200), (2200, 3000), (3300, 4000), (4300, 5200))
    resonances = [wandering(5, low, high) for low, high in bounds]
    voice = np.zeros(n)
    for k in range(1, 60):
        hz = k * pitch_hz
        size = sum(
            gain / (1.0 + ((hz - centre) / (60.0 + 0.06 * centre)) ** 2)
            for gain, centre in zip((1, 0.5, 0.25, 0.12, 0.06), resonances, strict=True)
        )
        voice += (
            np.where(hz < 7_600, size, 0.0) * np.cos(2 * np.pi * k * turns + 0.3 * np.sin(k)) / np.sqrt(k)
        )
    spectrum = np.fft.rfft(rng.normal(size=n))
    hz = np.fft.rfftfreq(n, 1 / RATE)
    hiss = np.fft.irfft(spectrum * (np.exp(-(((hz - 4_500) / 1_800) ** 2)) + 0.03), n)
    voiced = np.clip(wandering(7, -0.6, 1.2), 0, 1)
    hissed = np.clip(wandering(9, -1.2, 0.8), 0, 1)
    out = voice / voice.std() * voiced + 0.4 * hiss / hiss.std() * (hissed + 0.15 * voiced)
    return out + 0.09 * out.std() * rng.normal(size=n)


def encoded(
    samples: NDArray[np.float32], *, file_format: str, subtype: str | None = None, rate: int = RATE
) -> bytes:
    """Return the samples as a file that libsndfile writes (WAV, FLAC, OGG, MP3)."""
    file = io.BytesIO()
    with sf.SoundFile(
        file, "w", rate, 1 if samples.ndim == 1 else samples.shape[1], subtype, format=file_format
    ) as out:
        for first in range(0, samples.shape[0], LONGEST_WRITE):
            out.write(samples[first : first + LONGEST_WRITE])
    return file.getvalue()


def wav_bytes(samples: NDArray[np.float32], rate: int = RATE) -> bytes:
    """Return the samples as a WAV file of 16 bits."""
    return encoded(samples, file_format="WAV", subtype="PCM_16", rate=rate)


def encoded_by_av(samples: NDArray[np.float32], *, container: str, codec: str, rate: int = RATE) -> bytes:
    """Return the samples as a file that FFmpeg writes (`ipod` + `aac` is M4A, `webm` + `libopus`, ...).

    Opus knows five rates only; others are resampled to 48 kHz.
    """
    out_rate = rate if codec != "libopus" or rate in (8_000, 12_000, 16_000, 24_000, 48_000) else 48_000
    file = io.BytesIO()
    with av.open(file, "w", format=container) as target:
        stream = target.add_stream(codec, rate=out_rate, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(samples[None, :].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.codec_context.format,
            layout="mono",
            rate=out_rate,
            frame_size=stream.frame_size or None,
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return file.getvalue()


FORMATS = {
    "wav": lambda samples, rate: wav_bytes(samples, rate),
    "flac": lambda samples, rate: encoded(samples, file_format="FLAC", subtype="PCM_16", rate=rate),
    "mp3": lambda samples, rate: encoded(samples, file_format="MP3", rate=rate),
    "ogg": lambda samples, rate: encoded(samples, file_format="OGG", subtype="VORBIS", rate=rate),
    "m4a": lambda samples, rate: encoded_by_av(samples, container="ipod", codec="aac", rate=rate),
    "opus": lambda samples, rate: encoded_by_av(samples, container="ogg", codec="libopus", rate=rate),
    "webm": lambda samples, rate: encoded_by_av(samples, container="webm", codec="libopus", rate=rate),
}
"""File-name ending -> what writes such a file from mono samples and a rate."""
