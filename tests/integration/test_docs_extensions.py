"""The page about extensions: its package is made, installed and heard; the example's own tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest

from prelisten.wheels import listed_wheels
from tests.browser.conftest import PRELISTEN
from wasm_detector.extensions import MAX_STEPS, MAX_TEXT, MIN_SAMPLES, Observer, load_from

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "web/docs/extensions.md"
EXAMPLE = ROOT / "web/examples/pause_depth"


def block(language: str) -> str:
    """Return the page's first block of a language."""
    found, *_ = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def test_the_package_on_the_page_is_an_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files, the commands as they stand, and a sine of half the range: its peak is 6 dB below."""
    (tmp_path / "pyproject.toml").write_text(block("toml"))
    (tmp_path / "acme_peak.py").write_text(block("python"))
    site = tmp_path / "site"
    commands = block("sh").replace("pip install ", f"pip install --target {site} ")
    environ = {**os.environ, "PATH": f"{PRELISTEN.parent}:{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", "-euc", commands], cwd=tmp_path, env=environ, check=True)
    (wheel,) = listed_wheels(tmp_path / "wheels")
    assert (wheel.name, wheel.version) == ("acme-peak", "1.0.0")
    monkeypatch.syspath_prepend(str(site))
    (installed,) = distributions(name="acme-peak", path=[str(site)])
    observer = Observer(load_from(installed))
    observer.hear((0.5 * np.sin(np.arange(16_000) * 0.1)).astype(np.float32))
    (reason,) = observer.reasons()
    assert reason.params["text"] == "The loudest moment of a segment is at -6.02 dBFS."


def test_the_page_states_the_limits_of_the_code() -> None:
    """Numbers on the page are those in force."""
    text = PAGE.read_text()
    for stated in (f"{MAX_STEPS:,} lines", f"{MAX_TEXT} characters", f"n >= {MIN_SAMPLES}"):
        assert stated in text


def test_the_tests_of_the_example_pass() -> None:
    """As its author would run them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "."]
    subprocess.run(command, cwd=EXAMPLE, env={**os.environ, "PYTHONPATH": str(EXAMPLE)}, check=True)
