"""The demonstration form in Firefox and WebKitGTK: choosing, hearing, sending, by the keyboard; formats, recording."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from prelisten.assets import manifest
from prelisten.config import load_config
from prelisten.records import HintCheck, Recomputed, TokenState
from prelisten.wiring import wire
from tests.browser.conftest import Server
from tests.browser.driven import DrivenBrowser
from tests.browser.firefox import FIREFOX, firefox
from tests.browser.test_snapshot import outcome, ready
from tests.browser.test_start import RECORDING, START
from tests.browser.webkit import MICROPHONE, SAFARI, WEBKIT, WebKit, webkit
from tests.recordings import FORMATS, speech_like, wav_bytes

NO_FIREFOX = pytest.mark.skipif(
    not FIREFOX, reason="NOTHING WAS TESTED IN FIREFOX: it is not installed (`python3 build.py test` does)."
)
NO_WEBKIT = pytest.mark.skipif(
    not WEBKIT,
    reason="NOTHING WAS TESTED IN WEBKIT: Debian's `webkit2gtk-driver` and `xvfb` are not installed.",
)
WATCH = """
addEventListener("securitypolicyviolation", (event) => {
  console.log("CSP " + event.violatedDirective + " " + event.blockedURI);
});
addEventListener("error", (event) => console.log("ERROR " + event.message));
"""
CHECK = 'document.querySelector("prelisten-check")'
FOCUSED = """(() => {
  let at = document.activeElement;
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at.getAttribute("role") || at.id || at.type || at.localName;
})()"""
VOICE = wav_bytes(speech_like(6.0, seed=23))
IS_FULL = os.environ.get("TEST_SIZE") == "full"
COMPRESSED = sorted(FORMATS) if IS_FULL else ["mp3", "webm"]


@pytest.fixture(
    scope="module",
    params=[pytest.param("firefox", marks=NO_FIREFOX), pytest.param("webkit", marks=NO_WEBKIT)],
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DrivenBrowser]:
    """One of each for all tests."""
    folder = tmp_path_factory.mktemp(request.param)
    with (
        firefox(folder, WATCH) if request.param == "firefox" else webkit(folder, WATCH, MICROPHONE) as started
    ):
        yield started


@pytest.fixture
def form(running: DrivenBrowser, server: Server) -> DrivenBrowser:
    """The form, open and alive."""
    return opened(running, server)


def opened(browser: DrivenBrowser, server: Server) -> DrivenBrowser:
    """Open the form, with nothing of what the browser said before."""
    browser.open(server.url)
    browser.forget()
    browser.wait_for(f"{CHECK}.state")
    return browser


def written(path: Path, content: bytes) -> Path:
    """Write a recording and return its path."""
    path.write_bytes(content)
    return path


def wait_for_state(form: DrivenBrowser, *states: str) -> str:
    """Wait until the element is in one of these states and return it."""
    return form.wait_for(f"{list(states)}.includes({CHECK}.state) && {CHECK}.state")


def send(form: DrivenBrowser) -> str:
    """Press Enter on the button and return the submission's id."""
    form.evaluate("document.querySelector('#send').focus()")
    form.press("Enter")
    return submission_of(form)


def submission_of(form: DrivenBrowser) -> str:
    """Wait for the submission's own page and return its id."""
    return form.wait_for("location.pathname.match(/^\\/submissions\\/(\\w+)/)?.[1]")


def hint_of(server: Server, submission_id: str) -> HintCheck:
    """Return what the server says of the token."""
    services = wire(load_config({}, data=server.data))
    with services.storage.read() as tx:
        check = tx.submission(submission_id).hint_check
    services.storage.close()
    return check


def test_form_is_filled_and_sent_by_the_keyboard(form: DrivenBrowser, server: Server, tmp_path: Path) -> None:
    """To the input by Tab, the band in words, the picture steered by arrows, to the button by Tab, and sent."""
    focus_by_tab(form, "voice")
    form.choose(written(tmp_path / "voice.wav", VOICE))
    wait_for_state(form, "done")
    band = form.evaluate(f"{CHECK}.result.band")
    assert form.evaluate(f"{CHECK}.shadowRoot.querySelector('[part=badge]') !== null")
    form.wait_for(f"{CHECK}.shadowRoot.querySelector('[role=slider]') !== null")
    focus_by_tab(form, "slider")
    form.press("ArrowRight")
    assert form.wait_for(f"Number({CHECK}.shadowRoot.querySelector('[role=slider]').ariaValueNow)") > 0
    focus_by_tab(form, "send")
    form.press("Enter")
    check = hint_of(server, submission_of(form))
    assert (check.token, check.claim["band"]) == (TokenState.OK, band)
    assert form.told("CSP") == form.told("ERROR") == []


def focus_by_tab(form: DrivenBrowser, name: str) -> None:
    """Press Tab until this has the focus."""
    seen = []
    while form.evaluate(FOCUSED) != name:
        assert len(seen) < 30, seen
        form.press("Tab")
        seen.append(form.evaluate(FOCUSED))


def test_submit_while_it_listens_is_held(form: DrivenBrowser, server: Server, tmp_path: Path) -> None:
    """Sent in the same moment: the form goes when the token is there."""
    form.choose(written(tmp_path / "voice.wav", wav_bytes(speech_like(8.0, seed=24))))
    assert hint_of(server, send(form)).token is TokenState.OK


def test_form_is_sent_where_the_check_cannot_start(
    form: DrivenBrowser, server: Server, tmp_path: Path
) -> None:
    """There is no worker: the element says so, and the form goes without a token."""
    form.evaluate(f"{CHECK}.setAttribute('worker-src', '/none/worker.js')")
    form.choose(written(tmp_path / "voice.wav", VOICE))
    wait_for_state(form, "error", "unsupported")
    assert hint_of(server, send(form)).token is TokenState.ABSENT


@pytest.mark.parametrize("ending", COMPRESSED)
def test_format_is_heard_as_the_server_hears_it(
    form: DrivenBrowser, server: Server, tmp_path: Path, ending: str
) -> None:
    """What these decode gives the hint that the server recomputes: an honest sender is never a liar.

    AAC they decode with a library of the system alone; where that is missing the form goes without a token.
    """
    hear_and_send(form, server, tmp_path, ending)


def hear_and_send(form: DrivenBrowser, server: Server, tmp_path: Path, ending: str) -> None:
    """Choose a recording, send it, and hold the hint against what the server hears."""
    form.choose(written(tmp_path / f"voice.{ending}", FORMATS[ending](speech_like(6.0, seed=25), 16_000)))
    state = wait_for_state(form, "done", "unsupported", "error")
    submission_id = send(form)
    if ending == "m4a" and find_library("avcodec") is None:  # `isConfigSupported` says that it can.
        assert (state, hint_of(server, submission_id).token) == ("unsupported", TokenState.ABSENT)
        return
    assert state == "done"
    form.wait_for("document.querySelector('[data-decision]:not([data-decision=hold])') !== null")
    check = hint_of(server, submission_id)
    assert check.token is TokenState.OK
    if not (
        isinstance(form, WebKit) and ending in ("opus", "webm")
    ):  # GStreamer gives Opus some milliseconds shifted.
        assert check.recomputed in (Recomputed.MATCH, Recomputed.WITHIN_TOLERANCE)


@NO_WEBKIT
def test_format_is_heard_by_webcodecs_in_webkit(server: Server, tmp_path: Path) -> None:
    """By its name it is not asked for WebCodecs; under Safari's name it decodes by them what it can.

    Not Vorbis: GStreamer's decoder blocks the worker.
    """
    with webkit(tmp_path / "browser", WATCH, [f"--user-agent={SAFARI}"]) as browser:
        for ending in (each for each in COMPRESSED if each != "ogg"):
            hear_and_send(opened(browser, server), server, tmp_path, ending)


def test_recording_becomes_the_file(form: DrivenBrowser, server: Server) -> None:
    """The microphone (a made one): what was recorded is heard and sent; what cannot record says so."""
    form.evaluate(f"{CHECK}.setAttribute('record', '')")
    part = f"{CHECK}.shadowRoot.querySelector('[part={{}}]')"
    form.wait_for(part.format("record-button") + " !== null")
    form.evaluate(part.format("record-button") + ".focus()")
    form.press("Enter")
    if isinstance(form, WebKit) and not form.evaluate("MediaRecorder.isTypeSupported('audio/mp4')"):
        said = form.wait_for(part.format("record-note") + "?.textContent")
        assert "cannot record here" in said  # GStreamer's plugins that write MP4 are not installed.
        return
    form.wait_for(part.format("stop-button") + " !== null")
    form.evaluate("new Promise((done) => setTimeout(done, 2500))")
    form.evaluate(part.format("stop-button") + ".focus()")
    form.press("Enter")
    wait_for_state(form, "done", "error", "unsupported")
    assert form.evaluate("document.querySelector('#voice').files[0].type").startswith("audio/")
    assert hint_of(server, send(form)).token is TokenState.OK


@pytest.mark.parametrize("running", [pytest.param("firefox", marks=NO_FIREFOX)], indirect=True)
def test_second_visit_goes_on_from_the_first(form: DrivenBrowser) -> None:
    """From the snapshot that it kept: the same result to the last bit. WebKitGTK keeps none when it is driven."""
    forget = (
        "(await navigator.storage.getDirectory()).removeEntry('prelisten-snapshots', { recursive: true })"
    )
    form.evaluate(f"(async () => {forget})().catch(() => {{}})")

    def start(*, is_patient: bool) -> list[dict[str, Any]]:
        arguments = [f"/prelisten/v1/{manifest()['worker']}", RECORDING, is_patient]
        return form.evaluate(f"({START})({json.dumps(arguments)})")

    first, second = start(is_patient=True), start(is_patient=False)
    assert [ready(first), ready(second)] == ["cold", "snapshot"]
    assert outcome(first) == outcome(second)
