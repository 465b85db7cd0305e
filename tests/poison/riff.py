"""WAVE files written chunk by chunk, so that every field can be wrong on its own."""

from __future__ import annotations

import struct

import numpy as np

MULAW, PCM, FLOAT, MP3, EXTENSIBLE = 7, 1, 3, 0x55, 0xFFFE
# The last 14 bytes of the sub-format GUID of a WAVE_FORMAT_EXTENSIBLE file; the tag stands before them.
GUID_REST = bytes.fromhex("000000001000800000aa00389b71")


def pcm16(samples: np.ndarray) -> bytes:
    """Return float samples as little-endian 16-bit PCM."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def chunk(name: bytes, content: bytes, *, size: int | None = None, is_padded: bool = True) -> bytes:
    """Return a chunk that states `size`, its true one when `None`."""
    stated = len(content) if size is None else size
    return name + struct.pack("<I", stated) + content + b"\0" * (is_padded and len(content) & 1)


def fmt(
    tag: int = PCM,
    *,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    block: int | None = None,
    rest: bytes = b"",
) -> bytes:
    """Return a `fmt ` chunk."""
    block = channels * bits // 8 if block is None else block
    fields = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    return chunk(b"fmt ", fields + rest)


def extensible(*, tag: int = PCM, channels: int, bits: int, rate: int = 16_000) -> bytes:
    """Return the `fmt ` chunk that Windows and most studio programs write."""
    rest = struct.pack("<HHIH", 22, bits, (1 << channels) - 1, tag) + GUID_REST
    return fmt(EXTENSIBLE, channels=channels, rate=rate, bits=bits, rest=rest)


def wave(*chunks: bytes, form: bytes = b"RIFF", size: int | None = None) -> bytes:
    """Return a whole file."""
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def rf64(samples: np.ndarray) -> bytes:
    """Return the form for more than 4 GiB (EBU Tech 3306): the true sizes stand in `ds64`."""
    content = pcm16(samples)
    sizes = chunk(b"ds64", struct.pack("<QQQI", len(content) + 80, len(content), samples.size, 0))
    data = chunk(b"data", content, size=0xFFFFFFFF)
    return wave(sizes, fmt(), data, form=b"RF64", size=0xFFFFFFFF)
