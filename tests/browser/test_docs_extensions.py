"""The page about extensions, "Train with it": its commands as they stand, in a checkout, and then a visitor.

Trains a model and builds a bundle, which takes minutes: at TEST_SIZE=full.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from playwright.sync_api import Page

from prelisten.records import Recomputed, TokenState
from prelisten.wheels import listed_wheels
from tests.browser.conftest import PRELISTEN, start_server
from tests.browser.form_page import FormPage
from tests.browser.own_model import ROOT
from tests.browser.test_extensions import EXAMPLE, OwnModel, assert_weighed, example, pip, sent
from tests.recordings import FORMATS, speech_like
from tests.unit.lab.conftest import write_corpus
from tests.unit.wasm_detector.sounds import griffin_lim
from wasm_detector.extensions import equip
from wasm_detector.model import parse_model
from wasm_detector.screening import screen

if os.environ.get("TEST_SIZE") != "full":
    pytest.skip("a model is trained and a bundle built at TEST_SIZE=full", allow_module_level=True)

RATE = 16_000
VENV = PRELISTEN.parent.parent
TRAIN = re.findall(r"```sh\n(.*?)```", (ROOT / "web/docs/extensions.md").read_text(), re.DOTALL)[1]


def rebuilt(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sound rebuilt from its spectrogram, with silence in its pauses: what the example measures."""
    made = griffin_lim(samples)
    level = np.convolve(np.abs(made), np.ones(320) / 320, "same")
    return np.where(level < np.quantile(level, 0.25), 1e-3 * made, made).astype(np.float32)


def recording() -> bytes:
    """Return such a sound that the training has not heard."""
    return FORMATS["wav"](rebuilt(speech_like(9.3, seed=40)), RATE)


def fresh_checkout(folder: Path) -> Path:
    """Return the sources in a folder of their own, with the environment and the downloads of this one."""
    for part in ("server", "wasm_detector", "web"):
        ignored = shutil.ignore_patterns("dist", "node_modules", "__pycache__", ".dist-*")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    for name in ("build.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name, there in {".venv": VENV, ".cache": ROOT / ".cache"}.items():
        (folder / name).symlink_to(there)
    (folder / "web/node_modules").symlink_to(ROOT / "web/node_modules")
    return folder


def own_corpus(folder: Path) -> None:
    """Write a dozen recordings of each kind; the pauses of those that are rebuilt are silent."""
    write_corpus(folder, n=12)
    for path in folder.glob("spoof-*.wav"):
        seed = int(path.stem.removeprefix("spoof-"))
        sf.write(path, rebuilt(speech_like(1.6, seed=seed)), RATE, subtype="PCM_16")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnModel]:
    """A server of the bundle that the page's commands made, and what the model says of the recording."""
    stamp = (VENV / ".prelisten-installed").read_text().split()[0]
    assert stamp == hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(), (
        "this environment is not of this checkout: `build.py bundle` would install another one into it"
    )
    tree, site = fresh_checkout(tmp_path_factory.mktemp("checkout")), tmp_path_factory.mktemp("site")
    pip("wheel", "--no-deps", "--wheel-dir", str(tree / "wheels"), str(EXAMPLE))
    pip("install", "--no-deps", "--target", str(site), *map(str, (tree / "wheels").glob("*.whl")))
    own_corpus(tree / "own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tree, tree / "server", site))))
        patch.setenv("PATH", f"{PRELISTEN.parent}:{os.environ['PATH']}")
        patch.chdir(tree)
        commands, serve = TRAIN.strip().rsplit("\n", 1)
        assert serve == "prelisten serve"
        subprocess.run(["/bin/sh", "-euc", commands], check=True)
        started = start_server(tmp_path_factory.mktemp("own") / "data", extensions=str(tree / "wheels"))
    (wheel,) = listed_wheels(tree / "wheels")
    model = parse_model((tree / "wasm_detector/model.safetensors").read_bytes())
    samples, rate = sf.read(io.BytesIO(recording()), dtype="float32")
    yield OwnModel(started, screen(samples, rate, model=equip(model, {wheel.sha256: example(site)})))
    started.stop()


def test_the_commands_make_a_page_that_weighs_it(page: Page, trained: OwnModel) -> None:
    """The measure counts in the page by the exact weight, no module of the first load is missing, the claim is true."""
    form = FormPage(page, trained.server.url).open()
    form.choose(recording())
    form.wait_for("done")
    assert_weighed(form.result(), trained.hint)
    check = sent(form, trained.server)
    assert (check.token, check.recomputed) == (TokenState.OK, Recomputed.MATCH)
    assert not [line for line in form.lines if line.startswith(("CSP", "ERROR"))]
