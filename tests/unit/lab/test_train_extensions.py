"""Training with an operator's own signal: the example wheel, as it is built, listed and installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prelisten.checks.additions import equipped, observer_of, required_by
from prelisten.lab import train
from prelisten.lab.calibrate import rescale
from prelisten.wheels import Wheel, listed_wheels
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, screened
from tests.unit.lab.conftest import write_corpus
from tests.unit.lab.test_train import run
from wasm_detector import browser
from wasm_detector.errors import ModelError
from wasm_detector.model import Model, parse_model
from wasm_detector.scoring import logit
from wasm_detector.screening import screen

ROOT = Path(__file__).resolve().parents[3]
RATE = 16_000
NAME = "pause_depth"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wheel]:
    """The example's wheel in a folder of its own, installed where this process and its children find it."""
    folder, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = ["wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT / "web/examples/pause_depth")]
    subprocess.run([*pip, *built], check=True)
    (found,) = listed_wheels(folder)
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(found.path)], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site))
        patch.setenv("PRELISTEN_EXTENSIONS", str(folder))
        yield found


@pytest.fixture(scope="module")
def model(wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that was trained with the wheel, less sure (two dozen clips are told too well), as it is read."""
    folder = tmp_path_factory.mktemp("trained")
    out = folder / "model.safetensors"
    assert run(train, write_corpus(folder / "clean", n=12), "--out", out) == 0
    return parse_model(rescale(out.read_bytes(), 0.05, 0.0, {}))


def test_the_model_names_the_wheel_and_its_bytes(model: Model, wheel: Wheel) -> None:
    """Enough to find the very one again."""
    (one,) = model.requires
    assert asdict(one) == {
        "name": NAME,
        "package": "prelisten-pause-depth",
        "version": wheel.version,
        "sha256": wheel.sha256,
    }
    assert NAME in [part.name for part in model.parts]


def test_without_that_very_wheel_nothing_is_scored(model: Model, wheel: Wheel) -> None:
    """Not with none, and not with other bytes of the same name; the message names what is missing."""
    samples = speech_like(3.0, seed=1)
    for unfit in ((), (Wheel(wheel.name, wheel.version, "0" * 64, wheel.path),)):
        with pytest.raises(ModelError, match=rf"{NAME} of prelisten-pause-depth .*{wheel.sha256}"):
            equipped(model, unfit)
    with pytest.raises(ModelError, match="PRELISTEN_EXTENSIONS"):
        screen(samples, RATE, model=model)


def test_its_weight_is_what_it_adds(model: Model, wheel: Wheel) -> None:
    """Taken out of the sum, the log-odds move by exactly that; a recording with other pauses gets another weight."""
    ready, weights = equipped(model, (wheel,)), []
    for seed in (1, 2):
        hint = screen(speech_like(9.0, seed=seed), RATE, model=ready)
        assert hint.spoof_score is not None
        by_name = {signal.name: signal for signal in hint.signals}
        assert by_name[NAME].unit == "dB"
        rest = hint.bias + sum(signal.weight for signal in hint.signals if signal.name != NAME)
        assert 0.001 < hint.spoof_score < 0.999
        assert logit(hint.spoof_score) - rest == pytest.approx(by_name[NAME].weight, abs=1e-9)
        weights.append(by_name[NAME].weight)
    assert abs(weights[0] - weights[1]) > 1e-4
    assert observer_of((wheel,), ready) is None


def test_browser_and_server_say_the_same(model: Model, wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the browser's door, with the wheel as it comes over the network: before it is there, no analysis."""
    monkeypatch.setattr(browser, "load_model", lambda: model)
    monkeypatch.setattr(browser, "installed", {})
    samples = speech_like(6.0, seed=4)
    with pytest.raises(ModelError, match=NAME):
        browser.Analysis(RATE)

    async def installed(*_: Any, **__: Any) -> None:
        """The wheel is there already; in a browser micropip unpacks it."""

    monkeypatch.setitem(sys.modules, "micropip", SimpleNamespace(install=installed))
    installing = browser.install_extension(wheel.path.read_bytes(), wheel.path.name, wheel.sha256)
    with ThreadPoolExecutor(1) as pool:  # The main thread may have the event loop of another test's browser.
        pool.submit(asyncio.run, installing).result()
    analysis = browser.Analysis(RATE, extensions=[{"name": wheel.name, "sha256": wheel.sha256}])
    analysis.push(samples, 0)
    result = analysis.finish()["result"]
    assert result["signals"] == screen(samples, RATE, model=equipped(model, (wheel,))).to_dict()["signals"]
    assert NAME in [signal["name"] for signal in result["signals"]]


def test_golden_text_holds_the_other_signals_before_the_wheel_is_there(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot of a page's runtime is compared by it: another number of any part shows."""
    parts = [replace(part, offset=(part.offset[0] + 1e-9, part.offset[1])) for part in model.parts]
    changed = [(*model.parts[:k], part, *model.parts[k + 1 :]) for k, part in enumerate(parts)]
    golden = set()
    for each in (model.parts, *changed):
        monkeypatch.setattr(browser, "load_model", lambda each=each: replace(model, parts=each))
        golden.add(browser.golden())
    assert len(golden) == 1 + len(model.parts)


def test_a_model_on_trial_silences_no_measure(model: Model, wheel: Wheel, tmp_path: Path) -> None:
    """The deciding model does not weigh it: it stands among the reasons as without the trial."""
    services = make_services(tmp_path, extensions=wheel.path.parent)
    submission, _ = screened(replace(services, shadow_model=model), wav_bytes(speech_like(4.0, seed=5)))
    with services.storage.read() as tx:
        codes = [reason.code for one in tx.findings(submission.id) for reason in one.reasons]
        assert (codes.count("EXTENSION"), len(tx.shadow_scores(submission.id))) == (1, 1)
    services.storage.close()


def test_a_measure_that_fails_leaves_the_recording_unjudged(model: Model, wheel: Wheel) -> None:
    """No score without what the model was trained with, and the reason says so."""
    broken = SimpleNamespace(unit="dB", measure=lambda _: float("nan"))
    hint = screen(
        speech_like(3.0, seed=1), RATE, model=replace(equipped(model, (wheel,)), own={NAME: broken})
    )
    assert hint.spoof_score is None
    assert [reason.code for reason in hint.reasons] == ["EXTENSION_MISSED"]


def test_what_is_listed_is_what_is_required(wheel: Wheel) -> None:
    """One line for each entry point of each wheel."""
    assert [(one.name, one.sha256) for one in required_by((wheel,))] == [(NAME, wheel.sha256)]
