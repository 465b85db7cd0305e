"""The example extension: its wheel is made, served, installed by micropip in the page, and heard on the server too."""

from __future__ import annotations

import base64
import io
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest
import soundfile as sf
from playwright.sync_api import Page, Route

from prelisten.config import load_config
from prelisten.records import HintCheck, Recomputed, TokenState
from prelisten.wheels import listed_wheels
from prelisten.wiring import wire
from tests.browser.conftest import Server, free_port, start_server
from tests.browser.form_page import LOAD_MS, FormPage
from tests.browser.own_model import checkout, weighing
from tests.browser.test_session import CLIENT
from tests.browser.test_start import start
from tests.recordings import FORMATS, speech_like
from wasm_detector.extensions import Loaded, Observer, equip, load_from
from wasm_detector.hint import Hint
from wasm_detector.model import Requirement, parse_model
from wasm_detector.scoring import logit
from wasm_detector.screening import screen
from wasm_detector.streaming import Stream

EXAMPLE = Path(__file__).resolve().parents[2] / "web/examples/pause_depth"
WHEEL = "prelisten_pause_depth-1.0.0-py3-none-any.whl"
CODES = ("EXTENSION", "EXTENSION_FAILED")


def pip(*arguments: str) -> None:
    """Run pip as an operator would."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of wheels that the setting names, with the example's in it."""
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(EXAMPLE))
    return folder


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the very same wheel is installed for the server."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--target", str(folder), str(wheels / WHEEL))
    return folder


@pytest.fixture(scope="module")
def extended(wheels: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lists the example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed))
        started = start_server(tmp_path_factory.mktemp("extended") / "data", extensions=str(wheels))
    yield started
    started.stop()


def recording() -> bytes:
    """Return ten seconds of a voice-like sound with pauses."""
    return FORMATS["wav"](speech_like(9.3, seed=7, rate=16_000), 16_000)


def example(installed: Path) -> tuple[Loaded, ...]:
    """Return the installed extension."""
    sys.path.insert(0, str(installed))
    try:
        (found,) = distributions(name="prelisten-pause-depth", path=[str(installed)])
        return load_from(found)
    finally:
        sys.path.remove(str(installed))


def expected(installed: Path) -> float:
    """Return what CPython hears with the installed extension."""
    observer = Observer(example(installed))
    samples, rate = sf.read(io.BytesIO(recording()), dtype="float32")
    stream = Stream(rate, observe=observer.hear)
    stream.push(samples, start=0)
    stream.finish()
    return float(observer.reasons()[0].params["value"])


def findings(server: Server, code: str) -> list[dict]:
    """Return the reasons of that code that the server's own findings give."""
    with sqlite3.connect(server.data / "prelisten.sqlite3") as database:
        rows = [row[0] for row in database.execute("SELECT reasons FROM findings")]
    return [reason for text in rows for reason in json.loads(text) if reason["code"] == code]


def own_reasons(form: FormPage) -> list[dict]:
    """Return the reasons of extensions in the page."""
    return [reason for reason in form.result()["reasons"] if reason["code"] in CODES]


def test_it_is_heard_in_the_page_and_on_the_server(page: Page, extended: Server, installed: Path) -> None:
    """The same number on both sides, shown, without weight; score and claim are as ever; the policy is obeyed."""
    form = FormPage(page, extended.url).open()
    form.choose(recording())
    form.wait_for("done")
    (reason,) = own_reasons(form)
    assert (reason["code"], reason["weight"]) == ("EXTENSION", 0)
    assert reason["params"]["value"] == pytest.approx(expected(installed), abs=1e-3)
    assert "Depth of the pauses: Between the words" in form.text()
    samples, rate = sf.read(io.BytesIO(recording()), dtype="float32")
    ours = screen(samples, rate)
    assert form.result()["spoof_score"] == pytest.approx(ours.spoof_score, abs=1e-3)
    with page.expect_response("**/seal") as sealing:
        page.locator("#send").click()
    claim = json.loads(sealing.value.request.post_data)["claim"]
    assert sealing.value.status == 200
    assert not set(CODES) & set(claim["reasons"])
    decided = page.locator("[data-decision]:not([data-decision=hold])")
    decided.wait_for(timeout=LOAD_MS)
    assert not [line for line in form.lines if line.startswith(("CSP", "ERROR"))]
    (found,) = findings(extended, "EXTENSION")
    assert (found["weight"], found["params"]["name"]) == (0, "pause_depth")
    assert found["params"]["value"] == pytest.approx(expected(installed), abs=1e-3)


def test_a_wheel_with_another_hash_is_refused(page: Page, extended: Server) -> None:
    """Nothing of it runs; the recording is screened all the same, and the page says what is missing."""
    asked: list[str] = []

    def tamper(route: Route) -> None:
        asked.append(route.request.url)
        content = io.BytesIO(route.fetch().body())
        with zipfile.ZipFile(content, "a") as wheel:
            wheel.writestr("more.py", "print('other bytes')")
        route.fulfill(body=content.getvalue(), content_type="application/zip")

    page.context.route(f"**/{WHEEL}", tamper)
    form = FormPage(page, extended.url).open()
    form.choose(recording())
    form.wait_for("done")
    assert asked
    (reason,) = own_reasons(form)
    assert reason["code"] == "EXTENSION_FAILED"
    assert reason["params"] == {"name": "prelisten-pause-depth", "problem": "not_installed"}
    assert form.result()["spoof_score"] is not None
    assert any("is not the file that the server lists" in line for line in form.lines)


def test_without_a_listed_wheel_nothing_of_it_is_loaded(form: FormPage, server: Server) -> None:
    """micropip is no part of the first load, and the challenge names no extension."""
    form.choose(recording())
    form.wait_for("done")
    assert not [request.url for request in form.requests if "/x/" in request.url]
    assert not own_reasons(form)
    asked = urllib.request.Request(
        f"{server.url}/prelisten/v1/challenge", b'{"action": "a"}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert "extensions" not in json.load(answer)


def test_a_listed_wheel_that_is_not_installed_stops_the_start(wheels: Path, tmp_path: Path) -> None:
    """The operator is told the command, before anybody uploads."""
    command = [
        str(Path(sys.executable).parent / "prelisten"),
        "serve",
        "--port",
        str(free_port()),
        "--data",
        str(tmp_path),
    ]
    environ = {**os.environ, "PRELISTEN_EXTENSIONS": str(wheels)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "pip install prelisten-pause-depth==1.0.0" in ended.stdout + ended.stderr


@dataclass
class OwnModel:
    """A server whose browser's model was trained with the example, and what that model says."""

    server: Server
    hint: Hint


@pytest.fixture(scope="module")
def own(wheels: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnModel]:
    """The checkout of an operator who has trained the browser's model with the example, served."""
    (wheel,) = listed_wheels(wheels)
    model = weighing(
        Requirement("pause_depth", wheel.name, wheel.version, wheel.sha256),
        at=expected(installed) + 5.0,
        width=10.0,
        weight=2.0,
    )
    tree = checkout(tmp_path_factory.mktemp("checkout"), model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tree, tree / "server", installed))))
        patch.chdir(tree)
        started = start_server(tmp_path_factory.mktemp("own") / "data", extensions=str(wheels))
    samples, rate = sf.read(io.BytesIO(recording()), dtype="float32")
    ready = equip(parse_model(model), {wheel.sha256: example(installed)})
    yield OwnModel(started, screen(samples, rate, model=ready))
    started.stop()


KEPT = """
async () => {
  const storage = await navigator.storage.getDirectory();
  const folder = await storage.getDirectoryHandle("prelisten-snapshots", { create: true });
  for (;;) {
    for await (const file of folder.values()) {
      const begin = (await file.getFile()).slice(0, 4);
      if (new Uint32Array(await begin.arrayBuffer())[0]) return; // It is written last.
    }
    await new Promise((again) => setTimeout(again, 100));
  }
}
"""

# Hears samples as those of a microphone, and tells the first impression, or that there will be none.
LIVE = """
async ([client, samples, isListed]) => {
  const { sharedClient } = await import(client);
  const [method, headers] = ["POST", { "Content-Type": "application/json" }];
  const answer = await fetch("/prelisten/v1/challenge", { method, headers, body: '{"action": "voice-upload"}' });
  const { extensions } = await answer.json();
  const { port1, port2 } = new MessageChannel();
  const heard = new Float32Array(Uint8Array.from(atob(samples), (c) => c.charCodeAt(0)).buffer);
  return new Promise((resolve) => {
    const told = (hint) => hint !== null && resolve(hint?.band ?? "none");
    const worker = new URL("worker.js", new URL(client, location));
    sharedClient(worker).hear(16_000, port2, told, isListed ? extensions : undefined);
    for (let at = 0; at < heard.length; at += 16_000) port1.postMessage(heard.slice(at, at + 16_000));
  });
}
"""


def sent(form: FormPage, server: Server) -> HintCheck:
    """Send the form; return what the server says of the token when it has heard the recording."""
    form.send()
    form.page.locator("[data-decision]:not([data-decision=hold])").wait_for(timeout=LOAD_MS)
    services = wire(load_config({}, data=server.data))
    with services.storage.read() as tx:
        check = tx.submission(form.page.url.rpartition("/")[2]).hint_check
    services.storage.close()
    return check


def counted(reasons: list[dict]) -> dict:
    """Return the one reason of a measure that weighs."""
    (reason,) = [reason for reason in reasons if reason["code"] == "EXTENSION_COUNTED"]
    return reason


def assert_weighed(result: dict, hint: Hint) -> None:
    """See that the page says what CPython says, and that the measure's weight is its part of the sum."""
    ours, reason = hint.to_dict(), counted(result["reasons"])
    theirs, weights = counted(ours["reasons"]), [signal["weight"] for signal in result["signals"]]
    assert result["detector"] == ours["detector"]
    assert result["spoof_score"] == pytest.approx(ours["spoof_score"], abs=1e-4)
    assert reason["weight"] == pytest.approx(theirs["weight"], abs=2e-4)
    assert reason["params"]["value"] == pytest.approx(theirs["params"]["value"], abs=1e-3)
    assert result["bias"] + sum(weights) == pytest.approx(logit(hint.spoof_score), abs=5e-3)
    assert reason["weight"] in weights


def test_a_model_trained_with_it_weighs_it_in_the_page(page: Page, own: OwnModel) -> None:
    """Score, value and weight as on the server; the claim says so and is true there.

    The challenge is waited for longer than by a model to which the measure is only an addition.
    """

    def late(route: Route) -> None:
        time.sleep(2.5)
        route.continue_()

    page.context.route("**/v1/challenge", late)
    form = FormPage(page, own.server.url).open()
    form.choose(recording())
    form.wait_for("done")
    assert_weighed(form.result(), own.hint)
    assert "it counts towards the result" in form.text()
    check = sent(form, own.server)
    assert (check.token, check.recomputed) == (TokenState.OK, Recomputed.MATCH)
    assert "EXTENSION_COUNTED" in check.claim["reasons"]
    assert not [line for line in form.lines if line.startswith(("CSP", "ERROR"))]


def test_the_second_visit_weighs_it_too(page: Page, own: OwnModel) -> None:
    """The snapshot was made without the wheel, and is taken up: the wheel comes afterwards.

    Also where the first that is heard is a recording that is still being made.
    """
    form = FormPage(page, own.server.url).open()
    form.choose(recording())
    form.wait_for("done")
    page.evaluate(KEPT)
    page.reload()
    samples = base64.b64encode(sf.read(io.BytesIO(recording()), dtype="float32")[0].tobytes()).decode()
    assert [page.evaluate(LIVE, [CLIENT, samples, is_listed]) for is_listed in (False, True)] == [
        "none",
        "high",
    ]
    form.choose(recording())
    form.wait_for("done")
    assert_weighed(form.result(), own.hint)
    assert start(page)[-1]["start"] == "snapshot"


def test_without_a_challenge_there_is_no_score_and_the_form_goes(page: Page, own: OwnModel) -> None:
    """The person reads that it could not be loaded; checking again helps when the server is back."""
    page.context.route("**/v1/challenge", lambda route: route.fulfill(status=500))
    form = FormPage(page, own.server.url).open()
    form.choose(recording())
    assert form.wait_for("error", "done") == "error"
    assert form.result() is None
    assert "could not be loaded" in page.locator("prelisten-check [part=error]").inner_text()
    page.context.unroute("**/v1/challenge")
    page.get_by_role("button", name="Check again").click()
    form.wait_for("done")
    assert_weighed(form.result(), own.hint)
    page.context.route("**/v1/challenge", lambda route: route.fulfill(status=500))
    page.reload()
    form.choose(recording())
    form.wait_for("error")
    assert sent(form, own.server).token is TokenState.ABSENT


def test_other_bytes_than_the_model_was_trained_with_give_no_score(page: Page, own: OwnModel) -> None:
    """Nothing is said of the recording; the console names the wheel, and the form goes without a token."""
    page.context.route(
        f"**/{WHEEL}", lambda route: route.fulfill(body=b"other", content_type="application/zip")
    )
    page.add_init_script(
        "addEventListener('prelisten-error', ({ detail }) => console.log('WHY', detail.code, detail.message))"
    )
    form = FormPage(page, own.server.url).open()
    form.choose(recording())
    assert form.wait_for("error", "done") == "error"
    assert form.result() is None
    (why,) = form.told("WHY model_error")
    assert "pause_depth of prelisten-pause-depth 1.0.0" in why
    assert sent(form, own.server).token is TokenState.ABSENT
