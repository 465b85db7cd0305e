"""Samples from an open file, format by format. Runs in the child only.

Every reader states rate, channels and length before it decodes anything, and then gives mono float32 blocks at
the recording's own rate, inside the asked windows only. Mono is the mean of the channels.
"""

from __future__ import annotations

from prelisten.media.readers.ffmpeg import AvReader
from prelisten.media.readers.flac import FlacReader
from prelisten.media.readers.reader import Check, Reader, UnreadableError, joined
from prelisten.media.readers.wav import WavReader
from wasm_detector.container import Container

__all__ = ["Reader", "UnreadableError", "joined", "open_reader"]


def open_reader(descriptor: int, container: Container, check: Check) -> Reader:
    """Return the reader for what the bytes are. `check` gets rate and channels before anything is decoded.

    Raises `UnreadableError`.
    """
    if container.format == "wav" and container.sample_rate is not None:
        check(container.sample_rate, container.channels or 0)
    if container.wav is not None:
        return WavReader(descriptor, container.wav)
    if container.format == "flac" and (reader := FlacReader.try_open(descriptor, container, check)):
        return reader
    return AvReader(descriptor, container, check)
