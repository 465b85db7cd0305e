"""Whatever fails, the person is told in plain words and the form still sends the file."""

from __future__ import annotations

import struct
import time

import pytest
from playwright.sync_api import Route

from tests.browser.form_page import FormPage, without_audio_decoder
from tests.recordings import speech_like, wav_bytes

RECORDING = wav_bytes(speech_like(3.0, seed=21))
STILL = "You can still send"


def answer(form: FormPage, pattern: str, **response: object) -> None:
    """Have every request that matches `pattern` answered so."""
    form.page.route(pattern, lambda route: route.fulfill(**response))


def assert_sends_alone(form: FormPage) -> None:
    """The file arrives, without a token."""
    form.send()
    assert "voice" in form.entries()
    assert "voice-hint" not in form.entries()


@pytest.mark.parametrize(
    "part", ["worker.js", "client.js", "pyodide.asm.wasm", "numpy-*.whl", "python_stdlib.zip"]
)
def test_missing_part_of_the_bundle(form: FormPage, part: str) -> None:
    """A file of the bundle that is not there ends in `error`, within seconds, and sends."""
    answer(form, f"**/v1/b/*/{part}", status=404, body="gone")
    form.choose(RECORDING)
    form.wait_for("error")
    assert STILL in form.page.locator("[part=base]").inner_text()
    assert_sends_alone(form)


def test_altered_package_is_refused(form: FormPage) -> None:
    """A wheel with other bytes than the build's never runs."""
    answer(form, "**/v1/b/*/wasm_detector-*.whl", status=200, body="PK other bytes")
    form.choose(RECORDING)
    form.wait_for("error")
    assert_sends_alone(form)


def test_webassembly_forbidden(form: FormPage) -> None:
    """A policy that allows the worker no WebAssembly is a failure like any other."""

    def strip(route: Route) -> None:
        response = route.fetch()
        policy = "default-src 'none'; script-src 'self'; connect-src 'self'"
        route.fulfill(response=response, headers={**response.headers, "content-security-policy": policy})

    form.page.route("**/v1/b/*/worker.js", strip)
    form.choose(RECORDING)
    form.wait_for("error")
    assert_sends_alone(form)


def test_seal_fails(form: FormPage) -> None:
    """The server cannot seal: the result stays, the file goes alone."""
    answer(form, "**/prelisten/v1/seal", status=500, body="")
    form.choose(RECORDING)
    form.wait_for("done")
    assert_sends_alone(form)


def test_challenge_fails(form: FormPage) -> None:
    """Without a challenge there is a hint for the person and none for the server."""
    answer(form, "**/prelisten/v1/challenge", status=503, body="")
    form.choose(RECORDING)
    form.wait_for("done")
    assert_sends_alone(form)


def test_submit_is_never_held_longer_than_wait(form: FormPage) -> None:
    """A seal that never answers costs `wait` milliseconds, not more."""
    form.page.route("**/prelisten/v1/seal", lambda route: None)
    form.page.evaluate("document.querySelector('prelisten-check').setAttribute('wait', '1500')")
    form.choose(RECORDING)
    form.wait_for("done")
    started = time.monotonic()
    with form.page.expect_request(lambda request: request.method == "POST" and request.url == f"{form.url}/"):
        form.page.locator("#send").click()
    assert 1.0 <= time.monotonic() - started <= 4.0


def test_crashed_worker_is_started_again(form: FormPage) -> None:
    """One crash costs time, not the result."""
    form.choose(RECORDING)
    form.wait_for("done")
    form.choose(wav_bytes(speech_like(100.0, seed=22)))
    form.wait_for("reading", "analysing")
    form.page.workers[0].evaluate("setTimeout(() => { throw new Error('crash') })")
    form.wait_for("done")
    assert form.result()["coverage"]["total_s"] == 100


def test_offline_goes_on_when_the_network_is_back(form: FormPage) -> None:
    """Without a network the runtime cannot come: `offline`, and by itself again as soon as it can."""
    form.page.context.set_offline(True)
    form.choose(RECORDING)
    form.wait_for("offline")
    form.page.context.set_offline(False)
    form.wait_for("done")
    form.send()
    assert "voice-hint" in form.entries()


def test_network_lost_while_it_listens(form: FormPage) -> None:
    """Listening needs none; the token is there once the network is back, and the form goes with it."""
    form.choose(wav_bytes(speech_like(60.0, seed=24)))
    form.wait_for("analysing")
    form.page.context.set_offline(True)
    form.wait_for("done")
    form.page.context.set_offline(False)
    form.send()
    assert "voice-hint" in form.entries()


def test_tab_put_to_sleep_while_it_listens(form: FormPage) -> None:
    """What a browser does to a tab that nobody looks at: its tasks stop, and go on where they were."""
    browser = form.page.context.new_cdp_session(form.page)
    form.choose(wav_bytes(speech_like(60.0, seed=25)))
    form.wait_for("analysing")
    browser.send("Page.setWebLifecycleState", {"state": "frozen"})
    time.sleep(1.5)
    browser.send("Page.setWebLifecycleState", {"state": "active"})
    form.wait_for("done")
    form.send()
    assert "voice-hint" in form.entries()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "This file is empty"),
        (b"This is text, named like a recording.\n" * 40, "does not look like a recording"),
        (RECORDING[:30], STILL),
        (b"ID3" + bytes(400), "does not look like a recording"),
    ],
    ids=["empty", "text", "cut-wav-header", "hollow-mp3"],
)
def test_what_is_no_recording_gets_a_sentence(form: FormPage, content: bytes, sentence: str) -> None:
    """Unreadable input ends in `unsupported` with words, never in an exception or a spinner."""
    form.choose(content)
    form.wait_for("unsupported")
    assert sentence in form.text()
    assert form.told("ERROR") == []


def test_too_long_for_the_page_is_said(form: FormPage) -> None:
    """What would fill the tab at once, and cannot be cut, is not decoded where there is no WebCodecs."""
    form.page.route("**/v1/b/*/worker.js", without_audio_decoder)
    rate_of_48_000 = bytes.fromhex("400ebb80000000000000")  # A float of 80 bits.
    hours = struct.pack(">HIH", 2, 4 * 3600 * 48_000, 16)
    aiff = (
        b"AIFFCOMM"
        + struct.pack(">I", 18)
        + hours
        + rate_of_48_000
        + b"SSND"
        + struct.pack(">I", 408)
        + bytes(408)
    )
    form.choose(b"FORM" + struct.pack(">I", len(aiff)) + aiff, "long.aiff", "audio/aiff")
    form.wait_for("unsupported")
    assert "too long to be checked in the browser" in form.text()


def test_markup_in_a_file_name_stays_text(form: FormPage) -> None:
    """Nothing of the file is ever read as markup."""
    form.choose(RECORDING, '<img src=x onerror="console.log(1)">.wav')
    form.wait_for("done")
    assert form.page.locator("prelisten-check img").count() == 0
