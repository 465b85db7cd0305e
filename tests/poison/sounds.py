"""What the corpus is made from: one voice-like recording, encoded in many ways, and what breaks it."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import av
import numpy as np

from tests.recordings import FORMATS, speech_like

RATE = 16_000
NOTHING, LIMIT, ERROR, DONE, TIMEOUT = "not_applicable", "limit", "error", "done", "timeout"


@dataclass(frozen=True)
class Poison:
    """A file and its end: the codes that must be given, the finding's state, and the least strict decision.

    `about` says in a few words what the file is, for the table in the documentation.
    """

    name: str
    make: Callable[[], bytes]
    state: str
    action: str
    codes: tuple[str, ...] = ()
    about: str = ""
    heard_s: float | None = None


@cache
def speech(seconds: float = 8.0, rate: int = RATE) -> np.ndarray:
    return speech_like(seconds, seed=3, rate=rate)


@cache
def good(kind: str) -> bytes:
    return FORMATS[kind](speech(), RATE)


def noise(n_bytes: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(n_bytes)


def patched(content: bytes, offset: int, layout: str, *values: int) -> bytes:
    """Return the bytes with some numbers written over."""
    changed = bytearray(content)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)


def muxed(
    container: str,
    tracks: Sequence[tuple[str, np.ndarray]],
    *,
    rate: int = 48_000,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    picture: str | None = None,
) -> bytes:
    """Return a file with a sound track for each (codec, samples), and a moving picture when its codec is named.

    Samples are mono, shape=(n,), or shape=(channels, n) with the layout's name.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as target:
        target.metadata.update(metadata or {})
        pictures = _picture_track(target, picture) if picture else None
        voices = []
        for codec, _ in tracks:
            voice = target.add_stream(codec, rate=rate, layout=layout, options=codec_options or {})
            voices.append(voice)
        if pictures:
            _draw(target, pictures)
        for voice, (_, samples) in zip(voices, tracks, strict=True):
            _say(target, voice, np.atleast_2d(samples).astype("f4"), rate, layout)
    return file.getvalue()


def _picture_track(target: av.container.OutputContainer, codec: str) -> av.VideoStream:
    pictures = target.add_stream(codec, rate=5)
    pictures.width = pictures.height = 64
    pictures.pix_fmt = "yuv420p"
    return pictures


def _draw(target: av.container.OutputContainer, pictures: av.VideoStream) -> None:
    for number in range(5):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * number, "u1"), format="rgb24")
        frame.pts = number
        target.mux(pictures.encode(frame))
    target.mux(pictures.encode(None))


def _say(
    target: av.container.OutputContainer, voice: av.AudioStream, samples: np.ndarray, rate: int, layout: str
) -> None:
    # Interleaved: PyAV cannot take eight separate channels.
    packed = np.ascontiguousarray(samples.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler(
        format=voice.codec_context.format, layout=layout, rate=rate, frame_size=voice.frame_size or None
    )
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        target.mux(voice.encode(piece))
    target.mux(voice.encode(None))


@cache
def opus_packets(seconds: float = 8.0) -> tuple[bytes, ...]:
    """Return the recording as Opus packets of 20 ms."""
    content = muxed("ogg", [("libopus", speech(seconds, 48_000))])
    with av.open(io.BytesIO(content)) as source:
        return tuple(bytes(packet) for packet in source.demux(audio=0) if packet.size)
