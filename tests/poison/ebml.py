"""Matroska and WebM written element by element (RFC 8794, RFC 9559)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

SEGMENT, INFO, TRACKS, TRACK, CLUSTER, BLOCK = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675, 0xA3
ATTACHMENTS, ATTACHED, VOID = 0x1941A469, 0x61A7, 0xEC
UNKNOWN_SIZE = b"\x01\xff\xff\xff\xff\xff\xff\xff"


def element(name: int, content: bytes, *, size: bytes | None = None) -> bytes:
    """Return an element with an eight-byte size; `size` writes another one."""
    stated = struct.pack(">Q", 1 << 56 | len(content)) if size is None else size
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + stated + content


def number(name: int, value: int) -> bytes:
    """Return an element that holds a whole number."""
    return element(name, value.to_bytes(8, "big"))


def opus_head(channels: int = 1, *, family: int = 0, mapping: bytes = b"") -> bytes:
    """Return the identification header of RFC 7845."""
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 312, 48_000, 0, family) + mapping


def opus_track(track: int = 1, head: bytes | None = None) -> bytes:
    """Return the description of an Opus track."""
    audio = element(0xB5, struct.pack(">d", 48_000)) + number(0x9F, 1)
    return element(
        TRACK,
        number(0xD7, track)
        + number(0x73C5, track)
        + number(0x83, 2)
        + element(0x86, b"A_OPUS")
        + element(0x63A2, opus_head() if head is None else head)
        + element(0xE1, audio),
    )


def block(packet: bytes, *, at_ms: int = 0, track: int = 1, lacing: int = 0) -> bytes:
    """Return a SimpleBlock; `at_ms` counts from the cluster's time, -32768 to 32767."""
    return element(BLOCK, struct.pack(">BhB", 0x80 | track, at_ms, 0x80 | lacing) + packet)


def cluster(at_ms: int, blocks: Iterable[bytes], *, size: bytes | None = None) -> bytes:
    """Return a cluster of blocks."""
    return element(CLUSTER, number(0xE7, at_ms) + b"".join(blocks), size=size)


def webm(
    clusters: Iterable[bytes],
    *,
    tracks: Sequence[bytes] | None = None,
    before: bytes = b"",
    size: bytes | None = UNKNOWN_SIZE,
) -> bytes:
    """Return a file as a browser's recorder writes it: no length, no index, a segment of unknown size."""
    head = element(0x1A45DFA3, number(0x4286, 1) + number(0x42F7, 1) + element(0x4282, b"webm"))
    described = element(TRACKS, b"".join([opus_track()] if tracks is None else tracks))
    info = element(INFO, number(0x2AD7B1, 1_000_000))
    return head + element(SEGMENT, info + described + before + b"".join(clusters), size=size)
