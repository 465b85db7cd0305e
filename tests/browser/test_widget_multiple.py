"""Several files in one input: each is listened to, one after the other, and each has a token of its own."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, form_markup
from tests.browser.test_widget_submit import OTHER, VOICE, opened
from tests.recordings import speech_like, wav_bytes

CHECK = "document.querySelector('prelisten-check')"
LONG = wav_bytes(speech_like(6.0, seed=41))


def several(page: Page, app: OwnApp, attributes: str = 'test="clear"') -> FormPage:
    markup = form_markup(attributes).replace('name="voice"', 'name="voice" multiple')
    form = opened(page, app, markup)
    form.page.locator("prelisten-check[state]").wait_for()
    return form


def choose_all(form: FormPage, *contents: bytes | Path) -> None:
    chosen = [
        content
        if isinstance(content, Path)
        else {"name": f"voice-{index}.wav", "mimeType": "audio/wav", "buffer": content}
        for index, content in enumerate(contents)
    ]
    form.page.locator("input[type=file]").set_input_files(chosen)


def worth(app: OwnApp, contents: list[bytes]) -> list[str]:
    """Return what the server says of each token, about the file at its place."""
    tokens = app.taken_lists[-1]["voice-hint"]
    assert len(tokens) == len(contents)
    return [
        app.word_of(token, hashlib.sha256(content).hexdigest())
        for token, content in zip(tokens, contents, strict=True)
    ]


def test_each_file_has_a_token_at_its_place(page: Page, app: OwnApp) -> None:
    """Three files, two of them the same bytes: three entries in the order of the files, each good for its own."""
    form = several(page, app)
    choose_all(form, VOICE, OTHER, VOICE)
    form.wait_for("done")
    form.page.locator("#send").click()
    app.wait_taken()
    assert worth(app, [VOICE, OTHER, VOICE]) == ["ok", "ok", "ok"]


def test_file_that_cannot_be_heard_leaves_its_place_empty(page: Page, app: OwnApp) -> None:
    """Really listened to, by one worker: what is no recording has an empty entry, and the rest is as good as ever."""
    form = several(page, app, "")
    choose_all(form, LONG, b"no recording", OTHER)
    form.wait_for("done")
    entries = form.page.evaluate(
        f"{CHECK}.entries.map((e) => [e.file.name, e.state, e.result?.coverage.total_s ?? null])"
    )
    assert entries == [
        ["voice-0.wav", "done", 6],
        ["voice-1.wav", "unsupported", None],
        ["voice-2.wav", "done", 3],
    ]
    assert form.page.get_by_role("status").text_content().startswith("2 of 3 recordings were checked.")
    assert len(form.page.workers) == 1
    form.page.locator("#send").click()
    app.wait_taken()
    assert worth(app, [LONG, b"no recording", OTHER]) == ["ok", "absent", "ok"]
    assert form.told("CSP") == form.told("ERROR") == []


def test_one_panel_for_each_file_with_its_name(page: Page, app: OwnApp) -> None:
    """Names stand above the results, and nothing of them is markup."""
    form = several(page, app)
    form.page.locator("input[type=file]").set_input_files(
        [
            {"name": "<b>one</b>.wav", "mimeType": "audio/wav", "buffer": VOICE},
            {"name": "two.wav", "mimeType": "audio/wav", "buffer": OTHER},
        ]
    )
    form.wait_for("done")
    assert form.page.locator("prelisten-check .panel").count() == 2


def test_sending_at_once_waits_for_all(page: Page, app: OwnApp) -> None:
    """A submit right after choosing is held until each file has its token."""
    form = several(page, app)
    choose_all(form, VOICE, OTHER)
    form.page.locator("#send").click()
    app.wait_taken()
    assert worth(app, [VOICE, OTHER]) == ["ok", "ok"]


def test_one_changed_file_stops_the_form_once(page: Page, app: OwnApp, tmp_path: Path) -> None:
    """The person is asked; who insists sends the changed one without a token, the other with its own."""
    recording = tmp_path / "voice.wav"
    recording.write_bytes(VOICE)
    form = several(page, app)
    choose_all(form, recording)
    form.page.locator("input[type=file]").set_input_files([])
    other = tmp_path / "other.wav"
    other.write_bytes(OTHER)
    choose_all(form, recording, other)
    form.wait_for("done")
    time.sleep(1.1)  # A browser may see no smaller steps of a file's time.
    recording.write_bytes(LONG)
    form.page.locator("#send").click()
    form.wait_for("stale")
    assert app.taken == []
    form.page.wait_for_timeout(1200)
    form.page.locator("#send").click()
    app.wait_taken()
    assert worth(app, [LONG, OTHER]) == ["absent", "ok"]
