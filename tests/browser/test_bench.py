"""The bench's builds, once each in a real browser: all of them hear the recording, and none asks for what is not there.

At full size alone: the first time, its rivals are installed and compressed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from playwright.sync_api import BrowserType

if os.environ.get("TEST_SIZE") != "full":
    pytest.skip("the bench's builds are made at TEST_SIZE=full", allow_module_level=True)
pytest.importorskip("onnx", reason="the bench's rival needs the extra `bench`")

from tests.bench.bundle.rivals import BUILDS, make_builds
from tests.bench.bundle.static import Link, serving
from tests.bench.bundle.visits import profile, visit
from tests.recordings import FORMATS, speech_like, wav_bytes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory):
    """All builds, on the bench's own server."""
    folder = tmp_path_factory.mktemp("www")
    builds = make_builds(folder, print)
    with serving(folder) as files:
        yield files, builds


@pytest.mark.parametrize("name", BUILDS)
def test_every_build_hears_the_whole_recording(served, name: str, tmp_path: Path, browser_type: BrowserType):
    """First by WAV, then, in the same profile and from its cache alone, by M4A; the memory is told."""
    files, builds = served
    wav, m4a = tmp_path / "8.wav", tmp_path / "8.m4a"
    wav.write_bytes(wav_bytes(speech_like(8.0, seed=1)))
    m4a.write_bytes(FORMATS["m4a"](speech_like(8.0, seed=1, rate=48_000), 48_000))
    files.take_sent()
    with profile(browser_type) as chromium:
        first = visit(chromium, files.url + builds[name].page(), wav)
        asked = files.take_sent()
        again = visit(chromium, files.url + builds[name].page(is_spied=True), m4a, is_heap_wanted=True)
    assert [one.path for one in asked if one.status != 200] == []
    assert all(one.encoding == "br" for one in asked if one.path.endswith(".wasm"))
    assert 0 < first["ready"] < first["band"]
    assert first["cpu"] > 100 or sys.platform != "linux"
    assert first["analysed"] == pytest.approx(8, abs=0.2)
    assert again["analysed"] == pytest.approx(8, abs=0.2)
    assert {Path(one.path).suffix for one in files.take_sent()} == {".html", ".js"}
    assert again["memory"]["analysed"]["wasm"] >= again["memory"]["loaded"]["wasm"] > 1_000_000
    assert again["worker_heap"] > 100_000


def test_a_slow_line_is_slow(tmp_path: Path):
    """100 kB over 8 Mbit/s and 50 ms take a tenth of a second and a round trip, whatever the machine does."""
    import time
    import urllib.request

    (tmp_path / "file").write_bytes(bytes(100_000))
    with serving(tmp_path) as files:
        files.link = Link("test", 8e6, 0.05)
        began = time.monotonic()
        assert len(urllib.request.urlopen(f"{files.url}/file", timeout=20).read()) == 100_000
        assert time.monotonic() - began > 0.15
