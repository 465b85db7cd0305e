"""The folder that a browser downloads from: named by its hash, described by its manifest, replaced at once."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
from bundling.output import MANIFEST, describe, is_current, precompress, replace_folder, table, tree_hash
from bundling.toolchain import find_node


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A finished bundle of one file."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "widget.js").write_bytes(b"export {};")
    (folder / "widget.js.gz").write_bytes(gzip.compress(b"export {};"))
    files = describe(folder)
    (folder / MANIFEST).write_text(json.dumps({"inputs": "abc", "files": files}), encoding="utf-8")
    return folder


def test_hash_changes_with_content_and_with_names(tmp_path: Path) -> None:
    """A folder is immutable under its name: any difference gives another one."""
    (tmp_path / "a.js").write_text("1", encoding="utf-8")
    first = tree_hash(tmp_path)
    (tmp_path / "a.js").write_text("2", encoding="utf-8")
    second = tree_hash(tmp_path)
    (tmp_path / "a.js").rename(tmp_path / "b.js")
    assert len({first, second, tree_hash(tmp_path)}) == 3


def test_manifest_describes_sizes_of_each_encoding(dist: Path) -> None:
    """Compressed siblings are no entries of their own."""
    entry = describe(dist)["widget.js"]
    assert (entry["bytes"], entry["br"]) == (10, None)
    assert entry["gz"] == (dist / "widget.js.gz").stat().st_size
    assert len(entry["sha256"]) == 64


def test_equal_files_are_compressed_once(tmp_path: Path) -> None:
    """Each gets its sibling."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in ("a.json", "b.json"):
        (folder / name).write_text("again and " * 100, encoding="utf-8")
    node = find_node(Path(sys.executable), print)
    precompress(folder, node=node, cache=tmp_path / "cache", say=print)
    assert (folder / "a.json.br").read_bytes() == (folder / "b.json.br").read_bytes()
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_current_bundle_is_recognised(dist: Path) -> None:
    """The same inputs and whole files: nothing to do."""
    assert is_current(dist, "abc")


@pytest.mark.parametrize("damage", ["inputs", "missing", "short", "manifest", "sibling"])
def test_anything_amiss_builds_again(dist: Path, damage: str) -> None:
    """Other inputs, a missing or cut file, an unreadable manifest."""
    if damage == "missing":
        (dist / "widget.js").unlink()
    if damage == "short":
        (dist / "widget.js").write_bytes(b"ex")
    if damage == "sibling":
        (dist / "widget.js.gz").unlink()
    if damage == "manifest":
        (dist / MANIFEST).write_text("{", encoding="utf-8")
    assert not is_current(dist, "other" if damage == "inputs" else "abc")


def test_replacing_leaves_nothing_of_the_old_one(dist: Path, tmp_path: Path) -> None:
    """The new folder takes the old one's place whole."""
    made = tmp_path / "made"
    made.mkdir()
    (made / "new.js").write_text("", encoding="utf-8")
    replace_folder(made, dist)
    assert [path.name for path in dist.iterdir()] == ["new.js"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist"]


def test_the_table_adds_up_what_is_loaded_first() -> None:
    """The largest comes first; a file without a compressed sibling is sent as it is."""
    files = {
        "widget.js": {"bytes": 10, "br": None, "gz": None},
        "b/1/big.wasm": {"bytes": 3000, "br": 1000, "gz": 2000},
        "b/1/rest.zip": {"bytes": 500, "br": 100, "gz": 200},
    }
    lines = table({"files": files, "first_load": ["widget.js", "b/1/big.wasm"]})
    assert [line.split() for line in lines[1:4]] == [
        ["3,000", "1,000", "2,000", "big.wasm"],
        ["10", "10", "10", "widget.js"],
        ["3,010", "1,010", "2,010", "=", "up", "to", "the", "first", "band"],
    ]
    assert lines[-1].split()[:3] == ["500", "100", "200"]
