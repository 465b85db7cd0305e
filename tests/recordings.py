"""Recordings made from seeds: nothing to download, the same on every machine."""

from __future__ import annotations

import io

import av
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
