"""The demonstration pages as people use them: with and without scripts, and the reviewer's side."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, start_server
from tests.recordings import RATE, speech_like, wav_bytes

DECIDED = "[data-decision]:not([data-decision=hold])"


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """A recording of five seconds."""
    path = tmp_path / "voice.wav"
    path.write_bytes(wav_bytes(speech_like(5.0, seed=41)))
    return path


def stored_since(server: Server, before: int) -> int:
    """Return how many submissions the server has stored beyond `before`."""
    with closing(sqlite3.connect(server.data / "prelisten.sqlite3")) as database:
        return database.execute("SELECT count(*) FROM submissions").fetchone()[0] - before


def test_choosing_and_sending_leads_to_a_decision(page: Page, server: Server, voice: Path):
    """A person picks a file, sees a band, sends, and is led to a page that ends with a decision."""
    page.goto(server.url)
    page.get_by_label("Your recording").set_input_files(voice)
    page.locator("prelisten-check[state=done]").wait_for(timeout=60_000)
    page.locator("#send").click()
    page.wait_for_url("**/submissions/*")
    page.locator(DECIDED).wait_for(timeout=30_000)
    assert page.locator(DECIDED).get_attribute("data-decision") in ("accept", "label", "review")


def test_form_works_without_javascript(browser: Browser, server: Server, voice: Path):
    """The same form, scripts off: the file is sent alone, and the page follows the decision by itself."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(server.url)
    page.locator("#voice").set_input_files(voice)
    page.locator("#send").click()
    page.wait_for_url("**/submissions/*")
    page.locator(DECIDED).wait_for(timeout=30_000)
    page.context.close()


def test_double_click_on_send_is_one_submission(page: Page, server: Server, voice: Path):
    """Two quick clicks are one upload, and lead to one page."""
    before = stored_since(server, 0)
    page.goto(server.url)
    page.locator("#voice").set_input_files(voice)
    page.locator("prelisten-check[state=done]").wait_for(timeout=60_000)
    page.locator("#send").dblclick()
    page.wait_for_url("**/submissions/*")
    assert stored_since(server, before) == 1


def test_too_large_upload_is_answered_with_the_limit(browser: Browser, tmp_path: Path):
    """A browser that sends too much gets a page that names the limit, not a broken connection."""
    small = start_server(tmp_path / "data", max_upload_bytes="1000000")
    try:
        big = tmp_path / "big.wav"
        big.write_bytes(wav_bytes(speech_like(2.0, seed=1)) + bytes(30_000_000))
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(small.url)
        page.locator("#voice").set_input_files(big)
        page.locator("#send").click()
        expect(page.locator("[data-error='413']")).to_contain_text("1 MB", timeout=30_000)
        page.context.close()
    finally:
        small.stop()


def test_reviewer_listens_and_resolves(page: Page, strict_server: Server, voice: Path):
    """The link signs in once; a case plays from its marks; an outcome with a note moves it to the resolved ones."""
    page.goto(strict_server.url)
    page.locator("#voice").set_input_files(voice)
    page.locator("prelisten-check[state=done]").wait_for(timeout=60_000)
    page.locator("#send").click()
    page.locator("[data-decision=review]").wait_for(timeout=30_000)

    link = strict_server.new_review_link()
    page.goto(link)
    page.get_by_label("Your name").fill("Mona")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="voice.wav").first.click()
    player = page.locator("#player")
    expect(player).to_have_js_property("readyState", 4, timeout=10_000)
    assert player.evaluate("player => player.duration") == pytest.approx(5.0, abs=1 / RATE)
    page.get_by_role("radio", name="Genuine speech You heard").check()
    page.get_by_label("Note").fill("breath and room")
    page.get_by_role("button", name="Resolve").click()
    page.get_by_role("link", name="Resolved").click()
    page.get_by_role("link", name="voice.wav").first.click()
    expect(page.locator("main")).to_contain_text("breath and room")

    page.context.clear_cookies()
    page.goto(link)
    expect(page.get_by_role("heading")).to_contain_text("no longer works")
