"""Ogg files written page by page (RFC 3533)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

from tests.poison.ebml import opus_head

FIRST, LAST = 2, 4


@cache
def _table() -> tuple[int, ...]:
    """Return the remainders of one byte: polynomial 0x04c11db7, not reflected."""
    table = []
    for byte in range(256):
        register = byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(register)
    return tuple(table)


def crc(content: bytes) -> int:
    """Return a page's checksum."""
    register, table = 0, _table()
    for byte in content:
        register = (register << 8 & 0xFFFFFFFF) ^ table[register >> 24 ^ byte]
    return register


def page(
    packets: Sequence[bytes], *, granule: int = 0, number: int = 0, flags: int = 0, serial: int = 1
) -> bytes:
    """Return a page of whole packets, each shorter than 255 bytes, with its checksum."""
    lengths = bytes(map(len, packets))
    made = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, number, 0, len(lengths))
    made += lengths + b"".join(packets)
    return made[:22] + struct.pack("<I", crc(made)) + made[26:]


def opus_start(serial: int = 1, head: bytes | None = None) -> list[bytes]:
    """Return the two header pages of an Opus stream."""
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    first = page([opus_head() if head is None else head], flags=FIRST, serial=serial)
    return [first, page([tags], number=1, serial=serial)]


def hours_of_lost_frames(hours: float) -> bytes:
    """Return hours of Opus in next to no bytes: packets of two bytes, six lost frames of 20 ms each."""
    pages = opus_start()
    for number in range(round(hours * 117.6)):
        pages.append(page([b"\x0b\x06"] * 255, granule=(number + 1) * 255 * 5760, number=number + 2))
    return b"".join(pages)
