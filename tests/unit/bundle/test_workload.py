"""What the build has the detector do, where its model weighs an operator's own signal: there is no wheel then."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from wasm_detector import browser, model
from wasm_detector.errors import ModelError
from wasm_detector.model import Part, Requirement

SCRIPT = Path(__file__).resolve().parents[3] / "web/bundling/pyodide/workload.py"
NAMES = ("acme_peak", "acme_dip")


@pytest.fixture
def workload(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script of the build, with a model that weighs two signals of one wheel."""
    spec = importlib.util.spec_from_file_location("workload", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    packaged = model.load_model()
    one, none = np.ones(1, np.float32), np.zeros((1, 1), np.int8)
    parts = tuple(
        Part(name, one, one, none, 0.1, np.zeros(1), np.ones((2, 1)), (0.0, 0.0), 1.0) for name in NAMES
    )
    requires = tuple(Requirement(name, "acme", "1.0", "a" * 64) for name in NAMES)
    own = replace(
        packaged, parts=(*packaged.parts[:-1], *parts), experts=(), messenger=None, requires=requires
    )
    for place in (browser, model):
        monkeypatch.setattr(place, "load_model", lambda: own)
    monkeypatch.setattr(browser, "installed", {})
    return module


def test_what_is_missing_is_stood_in_for(workload: ModuleType) -> None:
    """The screening runs to its end, with every signal of the model; without the stand-in it does not begin."""
    samples = workload.sound()[: 3 * workload.RATE]
    with pytest.raises(ModelError):
        workload.screen_samples(samples, 16_000.0)
    workload.stand_in()
    workload.screen_samples(samples, 16_000.0)
    assert [loaded.name for loaded in browser.installed["a" * 64]] == list(NAMES)


def test_the_build_learns_what_the_detector_requires(workload: ModuleType) -> None:
    """By name and by the sum of the wheel: the page and the server are told."""
    assert browser.describe()["requires"] == [
        {"name": name, "package": "acme", "version": "1.0", "sha256": "a" * 64} for name in NAMES
    ]
