"""Read and rewrite the sections of a WebAssembly module; code is untouched.

Format: https://webassembly.github.io/spec/core/binary/modules.html
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .errors import BundleError

HEADER_BYTES = 8
IMPORT, EXPORT, DATA = 2, 7, 11
FUNCTION, TABLE, MEMORY, GLOBAL, TAG = range(5)
I32_CONST, END = 0x41, 0x0B


@dataclass
class Reader:
    """Bytes, and where the next one is read."""

    content: bytes | bytearray
    at: int = 0

    def byte(self) -> int:
        """Return the next byte."""
        self.at += 1
        return self.content[self.at - 1]

    def unsigned(self) -> int:
        """Return the next LEB128 number."""
        return self._number()[0]

    def signed(self) -> int:
        """Return the next signed LEB128 number."""
        value, bits, last = self._number()
        return value - (1 << bits) if last & 0x40 else value

    def _number(self) -> tuple[int, int, int]:
        value = bits = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << bits
            bits += 7
            if byte < 0x80:
                return value, bits, byte

    def name(self) -> str:
        """Return the next name."""
        size = self.unsigned()
        self.at += size
        return bytes(self.content[self.at - size : self.at]).decode()


def unsigned(value: int) -> bytes:
    """Return a number as LEB128."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def sections(module: bytes | bytearray) -> Iterator[tuple[int, int, int, int]]:
    """Yield (id, first byte of all, first byte of the content, end) of each section."""
    reader = Reader(module, HEADER_BYTES)
    while reader.at < len(module):
        start, kind, size = reader.at, reader.byte(), reader.unsigned()
        yield kind, start, reader.at, reader.at + size
        reader.at += size


def imported(module: bytes) -> set[str]:
    """Return the names that a module imports."""
    found = set()
    for kind, _, start, _ in sections(module):
        if kind != IMPORT:
            continue
        reader = Reader(module, start)
        for _ in range(reader.unsigned()):
            reader.name()
            found.add(reader.name())
            _skip_type(reader)
    return found


def _skip_type(reader: Reader) -> None:
    kind = reader.byte()
    if kind in (TABLE, GLOBAL, TAG):
        reader.byte()
    if kind in (TABLE, MEMORY):
        has_most = reader.byte() & 1
        reader.unsigned()
        if has_most:
            reader.unsigned()
    elif kind == GLOBAL:
        reader.byte()
    else:
        reader.unsigned()


def exported(module: bytes) -> set[str]:
    """Return the names that a module exports."""
    return {name for name, _ in _exports(module)}


def without_exports(module: bytes, wanted: Collection[str]) -> bytes:
    """Return the module without the exports that are not wanted."""
    _, before, _, end = _section(module, EXPORT)
    kept = [content for name, content in _exports(module) if name in wanted]
    content = unsigned(len(kept)) + b"".join(kept)
    return module[:before] + bytes([EXPORT]) + unsigned(len(content)) + content + module[end:]


def _section(module: bytes, kind: int) -> tuple[int, int, int, int]:
    return next(section for section in sections(module) if section[0] == kind)


def _exports(module: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name, and the bytes, of each export."""
    for kind, _, start, _ in sections(module):
        if kind != EXPORT:
            continue
        reader = Reader(module, start)
        for _ in range(reader.unsigned()):
            first = reader.at
            name = reader.name()
            reader.byte()
            reader.unsigned()
            yield name, module[first : reader.at]


def zeroed(module: bytes, ranges: Iterable[tuple[int, int]]) -> bytes:
    """Return the module with these (address, size) of its initial memory zero."""
    made = bytearray(module)
    segments = _segments(module)
    addresses = [address for address, _, _ in segments]
    for address, size in ranges:
        for start, at, length in segments[max(0, bisect.bisect_right(addresses, address) - 1) :]:
            if start >= address + size:
                break
            first, last = max(address, start), min(address + size, start + length)
            if first < last:
                made[at + first - start : at + last - start] = bytes(last - first)
    return bytes(made)


def _segments(module: bytes) -> list[tuple[int, int, int]]:
    """Return (address, offset in the module, size) of each segment of data, by address."""
    reader = Reader(module, _section(module, DATA)[2])
    found = []
    for _ in range(reader.unsigned()):
        if reader.unsigned() != 0 or reader.byte() != I32_CONST:
            raise BundleError(
                "Pyodide's main module has data of a kind that is not known here; build with --full."
            )
        address = reader.signed()
        if reader.byte() != END:
            raise BundleError("Pyodide's main module computes an address; build with --full.")
        size = reader.unsigned()
        found.append((address, reader.at, size))
        reader.at += size
    return sorted(found)
