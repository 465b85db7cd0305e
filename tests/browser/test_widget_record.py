"""Recording with the microphone: Chromium's own false one, which plays a file of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserType, Page, Route, expect

from tests.browser import scripted_worker as worker
from tests.browser.form_page import LOAD_MS, FormPage
from tests.browser.own_app import OwnApp, form_markup, own_app
from tests.browser.test_widget_submit import VOICE, opened, wait_told
from tests.recordings import speech_like, wav_bytes

RECORD = "Record with the microphone"
STOP, DISCARD = "Stop and use it", "Discard"
WAITING = "A first impression follows after a few seconds of speech."
FIRST = re.compile(r"^So far, and it may still change: (No signs found|Some signs|Strong signs).*\.$")
HINT = {"band": "clear", "speech_s": 4.0}
TRACKS_ENDED = """
const { stop } = MediaStreamTrack.prototype;
MediaStreamTrack.prototype.stop = function () { console.log("RELEASED"); return stop.call(this); };
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    with own_app(tmp_path_factory.mktemp("record") / "data", env="test") as started:
        yield started


@pytest.fixture(scope="module")
def speaking(
    browser_type: BrowserType, browser_type_launch_args: dict, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser whose microphone hears a voice, and whose person allows it."""
    voice = tmp_path_factory.mktemp("voice") / "voice.wav"
    voice.write_bytes(wav_bytes(speech_like(8.0, seed=31, rate=48_000), 48_000))
    more = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={voice}",
    ]
    browser = browser_type.launch(
        **{**browser_type_launch_args, "args": browser_type_launch_args["args"] + more}
    )
    yield browser
    browser.close()


@pytest.fixture
def mouth(speaking: Browser) -> Iterator[Page]:
    context = speaking.new_context()
    yield context.new_page()
    context.close()


def with_microphone(page: Page, app: OwnApp, attributes: str = "record", *, script: str = "") -> FormPage:
    """Open the form with a microphone button."""
    app.taken.clear()
    form = opened(page, app, form_markup(attributes), script=TRACKS_ENDED + script)
    form.page.get_by_role("button", name=RECORD).wait_for()
    return form


def begin(form: FormPage) -> None:
    form.page.get_by_role("button", name=RECORD).press("Enter")
    form.page.get_by_role("button", name=STOP).wait_for()


def test_recording_becomes_the_inputs_file_and_is_heard(mouth: Page, app: OwnApp) -> None:
    """By keyboard alone: record, a first impression, stop, a band, send; the token is about what was recorded.

    The runtime comes when somebody speaks already: that is no impression, and no loss.
    """
    late: list[Route] = []
    mouth.route("**/pyodide.asm.wasm", lambda route: late.append(route))
    form = with_microphone(mouth, app)
    begin(form)
    expect(form.page.locator("[part=stop-button]")).to_be_focused()
    impression = form.page.locator("[part=rolling]")
    wait_told(form, "ASKED hear")
    expect(impression).to_have_count(0)
    assert late
    for route in late:
        route.continue_()
    mouth.unroute("**/pyodide.asm.wasm")
    expect(impression).to_have_text(WAITING, timeout=LOAD_MS)
    expect(impression).to_have_text(FIRST, timeout=30_000)
    expect(form.page.get_by_role("status")).not_to_contain_text("So far")
    level = form.page.get_by_role("meter", name="Loudness").evaluate("meter => meter.value")
    assert 0.01 < level <= 1
    form.page.keyboard.press("Enter")
    expect(impression).to_have_count(0)
    form.wait_for("done")
    assert form.result()["coverage"]["total_s"] >= 3.0
    assert form.told("RELEASED")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
    assert form.told("CSP") == form.told("ERROR") == []


def test_sending_while_it_records_ends_and_sends_it(mouth: Page, app: OwnApp) -> None:
    """Who presses Send during a recording means this recording."""
    form = with_microphone(mouth, app, 'record test="clear"')
    begin(form)
    form.page.wait_for_timeout(800)
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_discarded_recording_leaves_the_input_as_it_was(mouth: Page, app: OwnApp) -> None:
    """Discarding lets go of the microphone, keeps the file that was chosen before, and offers to record again."""
    form = with_microphone(mouth, app, 'record test="clear"')
    form.choose(VOICE)
    form.wait_for("done")
    begin(form)
    form.page.get_by_role("button", name=DISCARD).click()
    expect(form.page.locator("[part=record-button]")).to_be_focused()
    assert form.page.evaluate("document.querySelector('#voice').files[0].name") == "voice.wav"
    assert form.told("RELEASED")


def test_form_goes_at_once_after_a_discarded_recording(mouth: Page, app: OwnApp) -> None:
    """What was thrown away is not waited for."""
    form = with_microphone(mouth, app, 'record test="clear"')
    begin(form)
    form.page.get_by_role("button", name=DISCARD).click()
    form.choose(VOICE)
    form.wait_for("done")
    form.page.locator("#send").click()
    assert app.wait_taken(within_s=12).tokens == {"voice": "ok"}


@pytest.mark.parametrize(
    ("ends", "name"),
    [
        ("document.querySelector('form').reset()", "reset"),
        ("document.querySelector('prelisten-check').remove()", "removed"),
        ("document.querySelector('prelisten-check').disabled = true", "disabled"),
    ],
    ids=["reset", "removed", "disabled"],
)
def test_microphone_is_let_go(mouth: Page, app: OwnApp, ends: str, name: str) -> None:
    """A form that is emptied, or an element that leaves the page, does not go on listening, nor does the worker."""
    worker.play(mouth)
    form = with_microphone(mouth, app)
    begin(form)
    wait_told(form, "ASKED hear")
    with form.page.expect_console_message(lambda line: line.text == "RELEASED"):
        form.page.evaluate(ends)
    assert form.told("ASKED")[-1] == "ASKED cancel"
    assert form.page.evaluate("document.querySelector('#voice')?.files.length ?? 0") == 0


def shows_nothing(route: Route) -> None:
    """Answer a challenge as an operator's server that lets no page show anything."""
    response = route.fetch()
    answer = response.json()
    route.fulfill(response=response, json={**answer, "ui": {**answer["ui"], "show": "nothing"}})


@pytest.mark.parametrize(
    ("attributes", "answer"),
    [
        ('test="clear"', None),
        ('show="nothing"', None),
        ('auto="manual"', None),
        ('appearance="status"', None),
        ("", shows_nothing),
        ("", Route.abort),
    ],
    ids=["test", "nothing", "manual", "status", "operator", "no-server"],
)
def test_nobody_hears_a_recording_where_nothing_may_be_shown(
    mouth: Page, app: OwnApp, attributes: str, answer: Callable[[Route], None] | None
) -> None:
    """A page that asks for no check, or shows no result, gets no first impression either.

    A second element of the page, whose recording begins later, gets one: by then the first would have had it.
    """
    worker.play(mouth, heard=(HINT,))
    if answer:

        def handle(route: Route) -> None:
            is_second = json.loads(route.request.post_data or "")["action"] == "second"
            (Route.continue_ if is_second else answer)(route)

        mouth.route("**/challenge", handle)
    form = with_microphone(mouth, app, f"record {attributes}")
    begin(form)
    form.page.evaluate(
        """document.querySelector("form").insertAdjacentHTML(
          "beforeend",
          '<prelisten-check record action="second" id="second"><input type="file" name="two"></prelisten-check>')"""
    )
    form.page.get_by_role("button", name=RECORD).press("Enter")
    expect(form.page.locator("#second [part=rolling]")).to_have_text(FIRST, timeout=LOAD_MS)
    assert form.told("ASKED hear") == ["ASKED hear"]
    expect(form.page.locator("[part=rolling]")).to_have_count(1)


@pytest.mark.parametrize(
    ("band", "end"),
    [
        ("clear", "setTimeout(() => { throw new Error('crash') })"),
        ("elevated", "postMessage({ kind: 'failed', job: 1, code: 'detector_failed', message: '' })"),
        ("high", "postMessage({ kind: 'heard', job: 1 })"),
    ],
    ids=["crash", "failure", "too-slow"],
)
def test_impression_is_said_in_the_words_of_the_result(mouth: Page, app: OwnApp, band: str, end: str) -> None:
    """What is rough says so; a worker that can hear no more takes it along, and the recording goes on."""
    worker.play(mouth, heard=(None, {**HINT, "band": band}))
    form = with_microphone(mouth, app)
    begin(form)
    expect(form.page.locator("[part=rolling]")).to_have_text(FIRST, timeout=LOAD_MS)
    form.page.workers[0].evaluate(end)
    expect(form.page.locator("[part=rolling]")).to_have_count(0)
    expect(form.page.get_by_role("button", name=STOP)).to_be_visible()


def test_hidden_page_ends_the_recording_and_keeps_it(mouth: Page, app: OwnApp) -> None:
    """Nobody is recorded who does not see the page any more; what was said before is kept, and that is told."""
    form = with_microphone(mouth, app, 'record test="clear"')
    begin(form)
    form.page.wait_for_timeout(800)
    form.page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { get: () => true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    form.wait_for("done")
    expect(form.page.locator("[part=record-note]")).to_contain_text("ended when you left this page")
    assert form.page.evaluate("document.querySelector('#voice').files.length") == 1


def test_microphone_whose_level_cannot_be_shown_is_recorded(mouth: Page, app: OwnApp) -> None:
    """A browser that refuses the meter its input costs the meter, not the recording."""
    refuses = "AudioContext.prototype.createMediaStreamSource = () => { throw new Error('another rate'); };"
    form = with_microphone(mouth, app, 'record test="clear"', script=refuses)
    begin(form)
    form.page.wait_for_timeout(800)
    form.page.get_by_role("button", name=STOP).click()
    form.wait_for("done")
    assert form.page.evaluate("document.querySelector('#voice').files.length") == 1


def refusing(name: str) -> str:
    return f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{name}'); }};"


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (refusing("NotAllowedError"), "was not allowed"),
        (refusing("NotFoundError"), "No microphone was found"),
        (refusing("NotReadableError"), "could not be opened"),
        (
            "Object.defineProperty(window, 'isSecureContext', { value: false });",
            "on secure pages (https) only",
        ),
        ("delete window.MediaRecorder;", "cannot record here"),
    ],
    ids=["denied", "missing", "busy", "insecure", "unsupported"],
)
def test_what_is_in_the_way_is_said(page: Page, app: OwnApp, script: str, sentence: str) -> None:
    """A sentence that says what to do, seen and announced; the form still takes a file."""
    form = with_microphone(page, app, 'record test="clear"', script=script)
    form.page.get_by_role("button", name=RECORD).click()
    expect(form.page.locator("[part=record-note]")).to_contain_text(sentence)
    expect(form.page.get_by_role("status")).to_contain_text(sentence)
    form.choose(VOICE)
    form.wait_for("done")


def test_machine_without_a_microphone_says_so(page: Page, app: OwnApp) -> None:
    """The browser's own refusal, as it comes where there is no device or nobody who could allow it."""
    form = with_microphone(page, app, 'record test="clear"')
    form.page.get_by_role("button", name=RECORD).click()
    expect(form.page.locator("[part=record-note]")).to_contain_text("or choose a file")


def test_recording_is_added_to_several_files(mouth: Page, app: OwnApp) -> None:
    """Where the input takes several, a recording is one more."""
    form = with_microphone(mouth, app, 'record test="clear"')
    form.page.evaluate("document.querySelector('#voice').multiple = true")
    form.choose(VOICE)
    form.wait_for("done")
    begin(form)
    form.page.wait_for_timeout(800)
    form.page.get_by_role("button", name=STOP).click()
    form.page.locator("prelisten-check .panel").nth(1).wait_for()
    assert form.page.evaluate("document.querySelector('#voice').files.length") == 2
