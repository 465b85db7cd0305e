"""Sections of a module: exports that nobody wants are taken out, tables are made zero, and no more."""

from __future__ import annotations

import pytest
from bundling.errors import BundleError
from bundling.wasm import exported, imported, sections, unsigned, without_exports, zeroed

HEADER = b"\0asm\1\0\0\0"


def section(kind: int, content: bytes) -> bytes:
    """Return one section."""
    return bytes([kind]) + unsigned(len(content)) + content


def named(name: str) -> bytes:
    """Return a name as the format has it."""
    return unsigned(len(name)) + name.encode()


def exports(*names: str) -> bytes:
    """Return a section that exports function 0 by these names."""
    return section(7, unsigned(len(names)) + b"".join(named(name) + b"\0\0" for name in names))


def data(*segments: tuple[int, bytes], flag: int = 0) -> bytes:
    """Return a section with bytes at (small) addresses."""
    parts = [bytes([flag, 0x41, at, 0x0B]) + unsigned(len(content)) + content for at, content in segments]
    return section(11, unsigned(len(parts)) + b"".join(parts))


def test_long_numbers_are_read_as_they_are_written() -> None:
    """A section of more than 127 bytes."""
    module = HEADER + section(0, bytes(300)) + exports("a")
    assert [(kind, end - start) for kind, _, start, end in sections(module)] == [(0, 300), (7, 5)]


def test_exports_that_nobody_wants_are_taken_out() -> None:
    """What follows is untouched."""
    module = HEADER + exports("_Z1a", "PyList_New", "_Z1b") + section(0, b"end")
    assert exported(module) == {"_Z1a", "PyList_New", "_Z1b"}
    assert without_exports(module, {"_Z1b", "malloc"}) == HEADER + exports("_Z1b") + section(0, b"end")


def test_imports_are_told_apart_from_their_types() -> None:
    """Functions, tables, memories, globals and tags, after each other."""
    kinds = [b"\0\5", b"\1\x70\0\1", b"\1\x70\1\1\2", b"\2\0\1", b"\3\x7f\0", b"\4\0\1"]
    parts = [named("env") + named(f"_Z{i}") + kind for i, kind in enumerate(kinds)]
    module = HEADER + section(2, unsigned(len(parts)) + b"".join(parts))
    assert imported(module) == {f"_Z{i}" for i in range(len(kinds))}


def test_a_table_is_zero_and_its_neighbours_are_not() -> None:
    """Also where it goes over the end of a segment into the next; gaps between segments are none of its business."""
    module = HEADER + data((10, b"abcdef"), (20, b"ghij"))
    assert zeroed(module, [(12, 10)]) == HEADER + data((10, b"ab\0\0\0\0"), (20, b"\0\0ij"))
    assert zeroed(module, [(0, 5), (16, 4), (40, 9)]) == module


def test_data_of_another_kind_is_not_guessed_at() -> None:
    """A module that was linked otherwise stops the build, with a way out."""
    with pytest.raises(BundleError, match="--full"):
        zeroed(HEADER + data((1, b"a"), flag=1), [(1, 1)])
