"""MP4 files taken apart and put together again: boxes are (type, content), containers hold lists of them."""

from __future__ import annotations

import struct
from collections.abc import Callable

CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf"})


def box(name: bytes, content: bytes, *, size: int | None = None) -> bytes:
    """Return a box that states `size`, its true one when `None`."""
    return struct.pack(">I4s", len(content) + 8 if size is None else size, name) + content


def full(name: bytes, content: bytes, *, flags: int = 0) -> bytes:
    """Return a box with version 0 and flags."""
    return box(name, struct.pack(">I", flags) + content)


def split(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the boxes of a well-made file, one level deep."""
    found, at = [], 0
    while at + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        found.append((name, content[at + 8 : at + size]))
        at += size
    return found


def rewrite(content: bytes, change: Callable[[bytes, bytes], bytes | None]) -> bytes:
    """Return the file with `change(type, content)` in the place of each box; `None` keeps it.

    Box sizes are made anew. The movie box must lie behind the samples (as FFmpeg writes it), or their offsets
    would be wrong afterwards.
    """
    made = []
    for name, inside in split(content):
        changed = change(name, inside)
        if changed is None:
            changed = box(name, rewrite(inside, change) if name in CONTAINERS else inside)
        made.append(changed)
    return b"".join(made)


def replacing(name: bytes, made: bytes) -> Callable[[bytes, bytes], bytes | None]:
    """Return a change that puts `made` in the place of every box of a type."""
    return lambda found, _: made if found == name else None


def nested(name: bytes, depth: int, inside: bytes = b"") -> bytes:
    """Return boxes inside each other."""
    return (
        b"".join(struct.pack(">I4s", 8 * (depth - level) + len(inside), name) for level in range(depth))
        + inside
    )
