"""What the bundle leaves out: no screening asks for it, and whoever asks for it gets it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.bench.bundle.static import serving
from tests.browser.conftest import Server, start_server
from tests.browser.form_page import FormPage
from tests.browser.test_start import RECORDING, START, start
from tests.bundles import built_apart, manifest_of
from tests.poison.corpus import CORPUS
from tests.recordings import FORMATS, encoded, speech_like, wav_bytes

IS_FULL = os.environ.get("TEST_SIZE") == "full"
CHOSEN = CORPUS if IS_FULL else CORPUS[::8]

DETECTOR = Path(__file__).resolve().parents[2] / "wasm_detector"
MODULES = sorted(path.stem for path in DETECTOR.glob("*.py") if path.stem != "__init__")
GREEDY = f"""
import csv
import importlib
import statistics
import wave
from email.mime.text import MIMEText

import numpy as np
import numpy.random

for name in {MODULES}:
    importlib.import_module("wasm_detector." + name)


class Greedy:
    api = 1
    unit = ""
    title = {{"en": "Greedy"}}
    sentence = {{"en": "It asked for everything and got {{value}}."}}

    def measure(self, samples):
        spread = np.linalg.svd(np.diag([3.0, 2.0]), compute_uv=False)
        drawn = np.random.default_rng(5).integers(0, 10, 4)
        words = [MIMEText("a").as_string(), csv.__name__, wave.__name__]
        return float(spread.sum() + statistics.mean([1, 2, 3]) + drawn.size + len(words))


GREEDY = Greedy()
"""
PROJECT = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "greedy"
version = "1.0.0"

[project.entry-points."prelisten.signals"]
greedy = "greedy:GREEDY"

[tool.hatch.build.targets.wheel]
only-include = ["greedy.py"]
"""


def asked_for_more(form: FormPage) -> list[str]:
    """Return why archives of what was left out were fetched; each says so."""
    fetched = [request.url for request in form.requests if "-rest.zip" in request.url]
    return fetched and [*fetched, *(line for line in form.lines if "is fetched for" in line)]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_format_asks_for_a_module_that_was_left_out(form: FormPage, name: str) -> None:
    """A recording of each format, from the first load to the result."""
    form.choose(FORMATS[name](speech_like(5.0, seed=3, rate=48_000), 48_000), name=f"voice.{name}")
    form.wait_for("done")
    assert not asked_for_more(form)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("float.wav", encoded(speech_like(3.0, seed=4), file_format="WAV", subtype="FLOAT")),
        ("24.wav", encoded(speech_like(3.0, seed=4), file_format="WAV", subtype="PCM_24")),
        ("8.wav", encoded(speech_like(3.0, seed=4), file_format="WAV", subtype="PCM_U8")),
        ("stereo.wav", wav_bytes(np.stack([speech_like(3.0, seed=4)] * 2, axis=1))),
        ("silent.wav", wav_bytes(np.zeros(48_000, np.float32))),
        ("short.wav", wav_bytes(speech_like(0.2, seed=4))),
        ("loud.wav", wav_bytes(np.clip(30 * speech_like(5.0, seed=4), -1, 1))),
        ("long.wav", wav_bytes(speech_like(150.0, seed=4))),
        ("text.wav", b"no recording at all"),
        ("cut.wav", wav_bytes(speech_like(3.0, seed=4))[:60]),
    ],
)
def test_no_way_through_the_detector_does(form: FormPage, name: str, content: bytes) -> None:
    """Each sample format, what cannot be judged, what is heard in windows, and what is refused."""
    form.choose(content, name=name)
    form.wait_for("done", "unsupported", "error")
    assert not asked_for_more(form)


def test_no_file_of_an_attacker_does(form: FormPage, tmp_path: Path) -> None:
    """Every error is said with what the first load has."""
    for poison in CHOSEN:
        recording = tmp_path / poison.name
        recording.write_bytes(poison.make())
        form.choose(recording)
        form.wait_for("done", "unsupported", "error", "timeout")
        assert not asked_for_more(form), poison.name


@pytest.fixture(scope="module")
def greedy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lists an extension with a taste for everything that was left out."""
    source, wheels = tmp_path_factory.mktemp("greedy"), tmp_path_factory.mktemp("wheels")
    (source / "greedy.py").write_text(GREEDY, encoding="utf-8")
    (source / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(source)], check=True)
    installed = tmp_path_factory.mktemp("site")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(installed), *map(str, wheels.glob("*.whl"))],
        check=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)
        started = start_server(tmp_path_factory.mktemp("served") / "data", extensions=str(wheels))
    yield started
    started.stop()


def test_an_extension_gets_what_was_left_out(page: Page, greedy: Server) -> None:
    """LAPACK, random numbers, the standard library, every module of ours; each archive comes once."""
    form = FormPage(page, greedy.url).open()
    form.choose(wav_bytes(speech_like(9.0, seed=6)))
    form.wait_for("done")
    (reason,) = [reason for reason in form.result()["reasons"] if reason["code"].startswith("EXTENSION")]
    assert (reason["code"], reason["params"].get("value")) == ("EXTENSION", 14.0)
    fetched = [request.url.rpartition("/")[2] for request in form.requests if "-rest.zip" in request.url]
    assert sorted(fetched) == ["numpy-rest.zip", "stdlib-rest.zip"]


def test_an_extension_gets_it_after_a_start_from_a_snapshot(page: Page, greedy: Server) -> None:
    """Such a start has fetched no archive at all: the first import fetches them."""
    page.goto(greedy.url)
    start(page, is_patient=True)
    form = FormPage(page, greedy.url).open()
    form.choose(wav_bytes(speech_like(9.0, seed=6)))
    form.wait_for("done")
    assert any("python_stdlib.zip is fetched for" in line for line in form.lines)
    (reason,) = [reason for reason in form.result()["reasons"] if reason["code"].startswith("EXTENSION")]
    assert (reason["code"], reason["params"].get("value")) == ("EXTENSION", 14.0)


def test_a_screening_goes_without_where_the_archives_do_not_come(page: Page, greedy: Server) -> None:
    """From a snapshot, with a network that has gone: the extension is told to be missing, the recording is heard."""
    page.goto(greedy.url)
    start(page, is_patient=True)
    page.context.route("**/python_stdlib.zip", lambda route: route.abort())
    form = FormPage(page, greedy.url).open()
    form.choose(wav_bytes(speech_like(9.0, seed=6)))
    form.wait_for("done")
    (reason,) = [reason for reason in form.result()["reasons"] if reason["code"].startswith("EXTENSION")]
    assert (reason["code"], reason["params"]["problem"]) == ("EXTENSION_FAILED", "not_installed")
    assert form.result()["spoof_score"] is not None


def test_altered_archive_is_refused(page: Page, greedy: Server) -> None:
    """Other bytes than the build's are not run; the recording is screened without the extension."""
    page.context.route("**/numpy-rest.zip", lambda route: route.fulfill(body=b"PK other bytes"))
    form = FormPage(page, greedy.url).open()
    form.choose(wav_bytes(speech_like(9.0, seed=6)))
    form.wait_for("done")
    (reason,) = [reason for reason in form.result()["reasons"] if reason["code"].startswith("EXTENSION")]
    assert (reason["code"], reason["params"]["problem"]) == ("EXTENSION_FAILED", "not_installed")
    assert form.result()["spoof_score"] is not None


@pytest.mark.skipif(not IS_FULL, reason="one more bundle is built at TEST_SIZE=full")
def test_the_untrimmed_bundle_hears_the_same(page: Page, server: Server, tmp_path: Path) -> None:
    """`--full` starts in a browser, and again on the next visit; its numbers are those of the trimmed one."""
    page.goto(server.url)
    trimmed = start(page, RECORDING)[-1]["outcome"]
    dist = built_apart(tmp_path, "--full")
    (dist / "page.html").write_text("<!doctype html>", encoding="utf-8")
    with serving(dist) as files:
        page.goto(f"{files.url}/page.html")
        address = f"/{manifest_of(dist)['worker']}"
        visits = [page.evaluate(START, [address, RECORDING, is_patient]) for is_patient in (True, False)]
        assert not [sent for sent in files.sent if sent.status >= 400]
    for said in visits:
        assert said[-1]["kind"] == "finished", said[-1]
        for part in ("result", "claim"):
            assert said[-1]["outcome"][part] == trimmed[part]
