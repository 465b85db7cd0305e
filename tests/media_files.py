"""Compressed recordings and videos of any length from a few encoded seconds: their packets are repeated."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

PICTURE_RATE = 25
PICTURE_SIZE = (160, 120)
PICTURE_CODECS = {"webm": "libvpx"}


def media_file(
    samples: NDArray[np.float32] | None,
    rate: int = 48_000,
    *,
    container: str,
    codec: str = "aac",
    times: int = 1,
    picture_s: float = 0.0,
    options: dict[str, str] | None = None,
) -> bytes:
    """Return a file whose sound is `samples`, shape=(n,) or (channels, n), `times` over; `None` leaves the track out.

    `picture_s` are the seconds of a noisy picture that go with it. Times and padding are written as encoders do.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as target:
        picture = _picture_stream(target, container) if picture_s else None
        sound = None
        if samples is not None:
            layout = "mono" if samples.ndim == 1 else "stereo"
            sound = target.add_stream(codec, rate=rate, layout=layout)
            sound.bit_rate = 64_000
        if picture is not None:
            for packet in _picture_packets(picture, picture_s):
                target.mux(packet)
        if sound is not None and samples is not None:
            _mux_repeated(target, sound, np.atleast_2d(samples), rate, times)
    return file.getvalue()


def _picture_stream(target: Any, container: str) -> Any:
    stream = target.add_stream(PICTURE_CODECS.get(container, "mpeg4"), rate=PICTURE_RATE)
    stream.width, stream.height = PICTURE_SIZE
    stream.pix_fmt = "yuv420p"
    stream.bit_rate = 4_000_000
    return stream


def _picture_packets(stream: Any, seconds: float) -> list[Any]:
    rng, packets = np.random.default_rng(0), []
    for index in range(int(seconds * PICTURE_RATE)):
        pixels = rng.integers(0, 256, (PICTURE_SIZE[1], PICTURE_SIZE[0], 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts = index
        packets += stream.encode(frame)
    return packets + list(stream.encode(None))


def _mux_repeated(target: Any, stream: Any, samples: NDArray[np.float32], rate: int, times: int) -> None:
    """Encode once; write the packets, each time a whole number of them later."""
    context = stream.codec_context
    if not context.is_open:
        context.open()  # Only then does libopus say how long its packets are.
    layout = context.layout.name
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples, np.float32), format="fltp", layout=layout
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    size = context.frame_size or 1024
    resampler = av.AudioResampler(format=context.format, layout=layout, rate=rate, frame_size=size)
    packets, at = [], 0
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        piece.pts, piece.time_base = at, Fraction(1, rate)
        at += piece.samples
        packets += stream.encode(piece)
    packets += stream.encode(None)
    step = len(packets) * size
    kept = [(bytes(packet), packet.pts, packet.time_base) for packet in packets]
    for turn in range(times):
        for index, (content, pts, time_base) in enumerate(kept):
            if turn == times - 1:
                packet = packets[index]  # With what the encoder says about padding at the end.
            else:
                packet = av.Packet(content)
                packet.time_base, packet.stream = time_base, stream
                packet.duration = round(
                    Fraction(size, rate) / time_base
                )  # The last one is trimmed at the end alone.
                packet.is_keyframe = True
            packet.pts = packet.dts = pts + round(Fraction(turn * step, rate) / time_base)
            target.mux(packet)
