"""Fetching: cache first, then each source in turn, and only bytes with the official sha256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from bundling.errors import BundleError, SourceError
from bundling.runtime import Cache, Cdn, RuntimeLock, fetch, official_wheels

GOOD = b"the official bytes"
PINS = {"core.zip": hashlib.sha256(GOOD).hexdigest()}
WEB = Path(__file__).resolve().parents[3] / "web"


class Fake:
    """A source that gives fixed bytes, or fails, and counts how often it was asked."""

    def __init__(self, name: str, content: bytes | None) -> None:
        self.name, self.content, self.asked = name, content, 0

    def offer(self, names: Iterable[str], folder: Path) -> None:
        self.asked += 1
        if self.content is None:
            raise SourceError(f"{self.name} cannot be reached")
        for name in names:
            (folder / name).write_bytes(self.content)


@pytest.fixture
def said() -> list[str]:
    """Collect what the build says."""
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache", said.append)


def test_first_source_that_has_it_wins(cache: Cache, said: list[str]) -> None:
    """An unreachable source is passed over; later ones are not asked."""
    sources = [Fake("cdn", None), Fake("registry", GOOD), Fake("mirror", GOOD)]
    found = fetch(PINS, cache, sources, said.append)
    assert found["core.zip"].read_bytes() == GOOD
    assert [source.asked for source in sources] == [1, 1, 0]


def test_cached_file_asks_nobody(cache: Cache, said: list[str]) -> None:
    """The second build is offline."""
    fetch(PINS, cache, [Fake("cdn", GOOD)], said.append)
    second = Fake("cdn", GOOD)
    fetch(PINS, cache, [second], said.append)
    assert second.asked == 0


def test_damaged_cache_is_fetched_again(cache: Cache, said: list[str]) -> None:
    """A flipped byte on disk counts as absent, and is said."""
    path = fetch(PINS, cache, [Fake("cdn", GOOD)], said.append)["core.zip"]
    path.write_bytes(GOOD[:-1] + b"!")
    assert fetch(PINS, cache, [Fake("cdn", GOOD)], said.append)["core.zip"].read_bytes() == GOOD
    assert any("damaged" in line for line in said)


def test_other_bytes_are_refused_and_the_next_source_asked(cache: Cache, said: list[str]) -> None:
    """A mirror with other bytes is named; nothing of it reaches the cache."""
    found = fetch(PINS, cache, [Fake("a bad mirror", b"other"), Fake("registry", GOOD)], said.append)
    assert found["core.zip"].read_bytes() == GOOD
    assert any("a bad mirror gave core.zip" in line and "refused" in line for line in said)


def test_only_bad_mirrors_is_an_error_that_names_them(cache: Cache, said: list[str]) -> None:
    """Without one honest source the build stops, and says who gave what."""
    with pytest.raises(BundleError, match=r"core\.zip[\s\S]*a bad mirror gave[\s\S]*refused"):
        fetch(PINS, cache, [Fake("a bad mirror", b"other")], said.append)
    assert not list((cache.folder).glob("*"))


def test_interrupted_write_leaves_no_file(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache gets a file whole or not at all."""
    offered = tmp_path / "offered"
    offered.write_bytes(GOOD)
    monkeypatch.setattr(
        "bundling.runtime.shutil.copyfileobj", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        cache.put(offered, "core.zip")
    assert list(cache.folder.iterdir()) == []


def test_unreachable_cdn_is_a_source_error(tmp_path: Path, said: list[str]) -> None:
    """A closed network ends the attempt at once, as data."""
    cdn = Cdn("314.0.3", said.append, url="http://127.0.0.1:9/{version}/{name}")
    with pytest.raises(SourceError, match="cannot be reached"):
        cdn.offer(["pyodide.mjs"], tmp_path)


def test_wheels_are_pinned_by_the_official_lockfile() -> None:
    """File name and sha256 come from Pyodide's own lockfile, never from ours."""
    lockfile = {"packages": {"numpy": {"file_name": "numpy-1.whl", "sha256": "aa"}, "scipy": {}}}
    assert official_wheels(lockfile, ["numpy"]) == {"numpy-1.whl": "aa"}


def test_committed_pins_cover_the_core() -> None:
    """Each file of the core has a full digest, and scipy is never shipped."""
    lock = RuntimeLock.read(WEB / "runtime.lock.json")
    assert all(len(bytes.fromhex(digest)) == 32 for digest in lock.core.values())
    assert {"pyodide-lock.json", "pyodide.asm.wasm", "python_stdlib.zip"} <= set(lock.core)
    assert lock.wheels == ("numpy",)


def test_npm_lockfile_names_no_host() -> None:
    """Whoever installs takes their own registry."""
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    packages = [entry for name, entry in lock["packages"].items() if name]
    assert all("resolved" not in entry and entry["integrity"] for entry in packages)
