"""FLAC files written frame by frame (RFC 9639): constant blocks, right or wrong sums."""

from __future__ import annotations

import struct
from functools import cache


@cache
def _table(bits: int, polynomial: int) -> tuple[int, ...]:
    top, table = 1 << bits - 1, []
    for byte in range(256):
        register = byte << bits - 8
        for _ in range(8):
            register = (register << 1 ^ (polynomial if register & top else 0)) & (1 << bits) - 1
        table.append(register)
    return tuple(table)


def _sum(content: bytes, bits: int, polynomial: int) -> int:
    register, table, mask = 0, _table(bits, polynomial), (1 << bits) - 1
    for byte in content:
        register = (register << 8 & mask) ^ table[register >> bits - 8 ^ byte]
    return register


def _coded(number: int) -> bytes:
    """Return a frame number as UTF-8 would write it."""
    return chr(number).encode("utf-8", "surrogatepass")


def frame(number: int, n_samples: int) -> bytes:
    """Return a block in which every sample is 0: twelve bytes for up to 65,535 samples."""
    head = b"\xff\xf8\x70\x08" + _coded(number) + struct.pack(">H", n_samples - 1)
    head += bytes([_sum(head, 8, 0x07)])
    body = head + b"\0\0\0"  # A constant subframe of 16 bits.
    return body + struct.pack(">H", _sum(body, 16, 0x8005))


def stream_info(
    n_samples: int, *, rate: int = 48_000, channels: int = 1, shortest: int = 4096, longest: int = 4096
) -> bytes:
    """Return the first metadata block, the last one too."""
    packed = rate << 44 | channels - 1 << 41 | 15 << 36 | n_samples
    body = struct.pack(">HH", shortest, longest) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"\x80\x00\x00\x22" + body


def silence(seconds: int, *, rate: int = 48_000, step: int = 65_535) -> bytes:
    """Return silence in next to no bytes."""
    n_frames = seconds * rate // step
    info = stream_info(n_frames * step, rate=rate, shortest=step, longest=step)
    return b"fLaC" + info + b"".join(frame(number, step) for number in range(n_frames))
