"""What people and attackers choose, on the page: each file ends in a state with words, and the page goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Server
from tests.browser.form_page import FormPage
from tests.poison.corpus import CORPUS
from tests.recordings import speech_like, wav_bytes

ENDS = ("done", "unsupported", "error", "timeout")
GOOD = wav_bytes(speech_like(3.0, seed=45))
SILENT_WORKER = "addEventListener('message', () => {});"


PARTS = 4
CHOSEN = CORPUS if os.environ.get("TEST_SIZE") == "full" else CORPUS[::6]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_file_of_the_corpus_ends_in_a_state(form: FormPage, tmp_path: Path, part: int) -> None:
    """No exception, no markup read from a file, no spinner for ever; a good file afterwards is heard as always."""
    for poison in CHOSEN[part::PARTS]:
        recording = tmp_path / poison.name
        recording.write_bytes(poison.make())
        form.choose(recording)
        assert form.wait_for(*ENDS) in ENDS, poison.name
        assert form.text(), poison.name
    form.choose(GOOD)
    form.wait_for("done")
    assert form.result()["coverage"]["total_s"] == 3
    assert len(form.page.workers) == 1
    assert form.told("ERROR") == form.told("CSP") == []


def test_worker_that_falls_silent_is_ended(page: Page, server: Server) -> None:
    """A decoder that hangs costs its budget: the worker is terminated, the person told, and the form sends."""
    page.clock.install(time=time.time())
    form = FormPage(page, server.url).open()
    body = {"body": SILENT_WORKER, "content_type": "text/javascript"}
    form.page.route("**/v1/b/*/worker.js", lambda route: route.fulfill(**body), times=1)
    form.choose(GOOD)
    form.wait_for("loading")
    form.page.clock.run_for(60_000)
    form.wait_for("timeout")
    assert "took too long" in form.text()
    assert form.page.workers == []
    form.page.locator("[part=retry-button]").click()  # A new worker, which is a good one.
    form.wait_for("done")
    form.send()
    assert "voice-hint" in form.entries()
