"""The sender's page while the recording is screened: it moves, by events or by asking, and ends with the decision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from prelisten.config import load_config
from prelisten.engine.interface import Lease
from prelisten.pipeline import Services, screen_submission
from prelisten.wiring import wire
from tests.browser.conftest import Server, start_server
from tests.recordings import speech_like, wav_bytes

DECIDED = "[data-decision]:not([data-decision=hold])"


@pytest.fixture(scope="module")
def idle_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that screens nothing: the test is its worker."""
    started = start_server(tmp_path_factory.mktemp("idle") / "data", workers="0", wait_s="0")
    yield started
    started.stop()


@pytest.fixture
def worker(idle_server: Server) -> Iterator[Services]:
    """What a screening process would work with."""
    services = wire(load_config({}, data=idle_server.data))
    yield services
    services.storage.close()


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    path = tmp_path / "voice.wav"
    path.write_bytes(wav_bytes(speech_like(3.0, seed=5)))
    return path


def send(page: Page, server: Server, voice: Path) -> None:
    page.goto(server.url)
    page.locator("#voice").set_input_files(voice)
    page.locator("#send").click()
    page.wait_for_url("**/submissions/*", timeout=60_000)


def listening(worker: Services, share: float) -> Lease:
    """Take the job and say how far it is, as a heartbeat would."""
    lease = worker.engine.claim("test")
    lease.progress.enter("listening", lambda: share)
    assert worker.engine.heartbeat(lease)
    return lease


def test_page_follows_by_events(page: Page, idle_server: Server, worker: Services, voice: Path) -> None:
    """One stream, hardly a question beside it; each phase is said, the bar grows, the decision shows itself."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/uploads/" in request.url else None)
    send(page, idle_server, voice)
    text, bar = page.locator("#progress-text"), page.locator("progress")
    expect(text).to_have_text("Yours is next.")
    lease = listening(worker, 0.4)
    expect(text).to_have_text("We are listening to it now.", timeout=10_000)
    expect(bar).to_have_js_property("value", 0.4)
    page.wait_for_timeout(3_000)
    streams = [url for url in asked if url.endswith("/events")]
    assert len(streams) == 1
    assert len(asked) - len(streams) <= 2
    screen_submission(lease.submission_id, worker, lease=lease)
    page.locator(DECIDED).wait_for(timeout=10_000)
    assert page.locator("progress").count() == 0


@pytest.mark.parametrize("refusal", ["503", "nothing"])
def test_page_asks_where_no_stream_is_to_be_had(
    page: Page, idle_server: Server, worker: Services, voice: Path, refusal: str
) -> None:
    """All places taken, or a proxy that keeps the events back: the page moves all the same."""

    def answer(route) -> None:
        if refusal == "503":
            route.fulfill(
                status=503, headers={"Retry-After": "10"}, json={"error": {"code": "no_stream_left"}}
            )
        # Else it hangs, as behind a proxy that waits for the whole answer.

    page.route("**/events", answer)
    send(page, idle_server, voice)
    lease = listening(worker, 0.7)
    expect(page.locator("#progress-text")).to_have_text("We are listening to it now.", timeout=10_000)
    expect(page.locator("progress")).to_have_js_property("value", 0.7)
    screen_submission(lease.submission_id, worker, lease=lease)
    page.locator(DECIDED).wait_for(timeout=10_000)
