"""Choosing a recording: a band from every format, and nothing that a strict policy or a careful person minds."""

from __future__ import annotations

import hashlib

import pytest

from tests.browser.form_page import FormPage
from tests.recordings import FORMATS, speech_like, wav_bytes

MIME = {"m4a": "audio/mp4", "opus": "audio/ogg", "webm": "audio/webm", "flac": "audio/flac"}
BANDS = {"clear", "elevated", "high", "inconclusive"}


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_a_band_and_coverage(form: FormPage, ending: str) -> None:
    """Each format that browsers play is listened to whole, at its own rate."""
    form.choose(
        FORMATS[ending](speech_like(6.0, seed=3, rate=48_000), 48_000),
        f"voice.{ending}",
        MIME.get(ending, ""),
    )
    form.wait_for("done")
    result = form.result()
    assert result["band"] in BANDS
    assert result["coverage"]["analysed_s"] == pytest.approx(6.0, abs=0.2)


def test_stereo_of_unusual_rate_is_heard(form: FormPage) -> None:
    """A WAV at 22.05 kHz is read by our own reader."""
    form.choose(wav_bytes(speech_like(3.0, seed=4, rate=22_050), 22_050))
    form.wait_for("done")
    assert form.result()["coverage"]["total_s"] == pytest.approx(3.0, abs=0.01)


def test_reasons_places_coverage_and_next_step_are_shown(form: FormPage) -> None:
    """The panel says the band in words, how much was heard and what comes next."""
    form.choose(wav_bytes(speech_like(10.0, seed=1)))
    form.wait_for("done")
    text = form.text()
    assert "Listened to the whole recording, 10 s" in text
    assert "What happens next" in text
    assert {"No signs", "Some signs", "Strong signs", "Could not"} & {" ".join(text.split()[:2])}


def test_silence_is_inconclusive(form: FormPage) -> None:
    """Nothing to hear is neither a sign for nor against."""
    form.choose(wav_bytes(speech_like(2.0) * 0))
    form.wait_for("done")
    assert form.result()["band"] == "inconclusive"
    assert "Could not tell" in form.text()


def test_nothing_leaves_the_page_before_sending(form: FormPage) -> None:
    """Until the form is sent, the only POST is the challenge, and no request carries the file's name, size or hash."""
    recording = wav_bytes(speech_like(4.0, seed=5))
    form.choose(recording, "my-secret-name.wav")
    form.wait_for("done")
    told = " ".join(f"{request.url} {request.post_data or ''}" for request in form.requests)
    assert form.posts() == ["/prelisten/v1/challenge"]
    for secret in ("my-secret-name", hashlib.sha256(recording).hexdigest(), str(len(recording))):
        assert secret not in told


def test_no_request_to_another_origin(form: FormPage) -> None:
    """Runtime, packages, sentences: all from the page's own server."""
    form.choose(wav_bytes(speech_like(2.0)))
    form.wait_for("done")
    elsewhere = [r.url for r in form.requests if not r.url.startswith((form.url, "data:"))]
    assert elsewhere == []


def test_nothing_is_loaded_before_intent(form: FormPage) -> None:
    """A page that nobody uses costs one small script."""
    form.page.wait_for_load_state("networkidle")
    assert [r.url for r in form.requests if "/v1/b/" in r.url] == []


def test_focus_is_intent(form: FormPage) -> None:
    """Reaching the input by keyboard starts the download of the runtime."""
    with form.page.expect_request("**/pyodide.asm.wasm"):
        form.page.locator("input[type=file]").focus()


def test_no_policy_violation_and_no_console_error(form: FormPage) -> None:
    """The whole way, result and sending included, under the strictest policy."""
    form.choose(wav_bytes(speech_like(4.0, seed=6)))
    form.wait_for("done")
    form.send()
    assert form.told("CSP") == []
    assert form.told("ERROR") == []


def test_the_page_stays_responsive(form: FormPage) -> None:
    """Nothing freezes the page, a compressed file's decoding included; how long tasks are is for the bench to say."""
    form.choose(FORMATS["mp3"](speech_like(30.0, seed=7), 16_000), "voice.mp3", "audio/mpeg")
    form.wait_for("done")
    longest = max((float(line.removeprefix("TASK ")) for line in form.told("TASK ")), default=0.0)
    assert longest <= 500, longest


def test_progress_is_told_at_most_four_times_a_second(form: FormPage) -> None:
    """Progress events carry a phase and a rising fraction."""
    form.page.evaluate(
        "addEventListener('prelisten-progress', ({detail: d}) => console.log('PROGRESS ' + d.phase + ' ' + d.fraction))"
    )
    form.choose(wav_bytes(speech_like(60.0, seed=8)))
    form.wait_for("done")
    listening = [line.split()[2] for line in form.told("PROGRESS analysing")]
    fractions = [float(fraction) for fraction in listening]
    assert fractions == sorted(fractions)
    assert 1 <= len(fractions) <= 60


def test_a_screen_reader_hears_start_and_end(form: FormPage) -> None:
    """The polite status region ends with the band and its sentence."""
    status = form.page.get_by_role("status")
    assert status.text_content() == ""
    form.choose(wav_bytes(speech_like(2.0) * 0))
    form.wait_for("done")
    assert status.text_content().startswith("Could not tell.")


def test_long_recording_is_heard_in_windows(form: FormPage) -> None:
    """Beyond `max-seconds` the coverage says how much was heard, of how much."""
    form.page.evaluate("document.querySelector('prelisten-check').setAttribute('max-seconds', '8')")
    form.choose(wav_bytes(speech_like(40.0, seed=9)))
    form.wait_for("done")
    coverage = form.result()["coverage"]
    assert coverage["analysed_s"] == pytest.approx(8.0, abs=0.5)
    assert "of 40 sec, in pieces" in form.text()
