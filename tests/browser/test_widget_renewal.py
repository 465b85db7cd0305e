"""A form that is left open: its claim is sealed again when challenge or token are over, without listening again."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from prelisten.config import load_config
from prelisten.keys import Key, Keys, write_keys
from prelisten.records import TokenState
from prelisten.wiring import wire
from tests.browser.conftest import free_port, start_server
from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, form_markup, own_app
from tests.browser.test_widget_submit import chosen, opened, seals, wait_sealed
from tests.recordings import speech_like, wav_bytes

VOICE = wav_bytes(speech_like(3.0, seed=81))
LIFE_S = 10  # The shortest that the settings allow.
# What became of the server's keys; each costs two starts of a server.
CHANGES = ["rotated", "replaced", "lost"] if os.environ.get("TEST_SIZE") == "full" else ["replaced"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    folder = tmp_path_factory.mktemp("brief") / "data"
    with own_app(folder, env="test", challenge_ttl_s=LIFE_S, token_ttl_s=LIFE_S) as started:
        yield started


def asked(form: FormPage) -> int:
    """Return how often the worker was asked to listen."""
    return len(form.told("ASKED screen"))


def test_form_left_open_sends_without_listening_again(page: Page, app: OwnApp) -> None:
    """Long after the challenge has expired one click sends: a fresh challenge, the kept claim, a good token."""
    form = chosen(opened(page, app, form_markup("")))
    form.page.wait_for_timeout(1000 * (LIFE_S + 1))
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
    api = [path.rpartition("/")[2] for path in form.posts()]
    assert api == ["challenge", "challenge", "seal", "take"]
    assert asked(form) == 1


def test_token_is_kept_fresh_for_a_page_that_reads_it_any_time(page: Page, app: OwnApp) -> None:
    """`seal="result"`: past the first token's life the form holds another, without a click and without listening."""
    form = chosen(opened(page, app, form_markup('seal="result"')))
    wait_sealed(form)
    first = form.page.evaluate("document.querySelector('prelisten-check').value")
    form.page.wait_for_timeout(1000 * (LIFE_S + 1))
    wait_sealed(form, 2)
    form.page.evaluate("document.querySelector('form').submit()")
    taken = app.wait_taken()
    assert taken.tokens == {"voice": "ok"}
    assert taken.fields["voice-hint"] != first
    assert asked(form) == 1


def test_token_follows_the_session(page: Page, app: OwnApp) -> None:
    """A visitor who logs out while the form is open: a token bound to the session that was is not kept."""
    form = chosen(opened(page, app, form_markup('test="clear" seal="result" session="that-was"')))
    wait_sealed(form)
    form.page.evaluate("document.querySelector('prelisten-check').session = null")
    wait_sealed(form, 2)
    form.page.evaluate("document.querySelector('form').submit()")
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_timer_that_ends_early_is_set_again(page: Page, app: OwnApp) -> None:
    """A clock that is set back a little while the timer runs: the token is still renewed."""
    page.add_init_script(
        "const { setTimeout: real } = window; window.setTimeout = (run, ms) => real(run, ms > 5000 ? ms / 2 : ms);"
    )
    form = chosen(opened(page, app, form_markup('test="clear" seal="result"')))
    wait_sealed(form)
    form.page.wait_for_timeout(1000 * LIFE_S)
    wait_sealed(form, 2)


def test_late_submit_replaces_an_expired_token(page: Page, app: OwnApp) -> None:
    """A machine that slept: no timer ran, the token is over, the submit has it sealed again by itself."""
    page.add_init_script(
        "const { setTimeout: real } = window; window.setTimeout = (run, ms) => ms > 5000 || real(run, ms);"
    )
    form = chosen(opened(page, app, form_markup('test="clear" seal="result"')))
    wait_sealed(form)
    form.page.wait_for_timeout(1000 * (LIFE_S + 1))
    assert seals(form) == 1
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
    assert seals(form) == 2


@pytest.mark.parametrize("hours", [-5, 5])
def test_wrong_clock_of_the_visitor_changes_nothing(page: Page, app: OwnApp, hours: int) -> None:
    """How long a token lives is counted from the server's own clock: a fresh one is used, not sealed again."""
    page.clock.install(time=time.time() + 3600 * hours)
    form = chosen(opened(page, app, form_markup('test="clear" seal="result"')))
    wait_sealed(form)
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
    assert seals(form) == 1


@pytest.mark.parametrize("change", CHANGES)
def test_server_restarted_with_other_keys(page: Page, tmp_path: Path, change: str) -> None:
    """A deployment while the form is open: the old challenge is of an unknown key, the claim goes under a new one."""
    data, port = tmp_path / "data", free_port()
    server = start_server(data, port=port, workers="0", wait_s="0")
    form = FormPage(page, server.url).open()
    form.choose(VOICE)
    form.wait_for("done")
    server.stop()
    keys = Keys.from_json((data / "keys.json").read_text(), source="keys.json")
    kept = {"rotated": keys.ring, "replaced": (), "lost": ()}[change]
    write_keys(data / "keys.json", Keys((Key.generate(), *kept)), replace=True)
    if change == "lost":
        shutil.rmtree(data)
    server = start_server(data, port=port, workers="0", wait_s="0")
    try:
        form.send()
        services = wire(load_config({}, data=data))
        with services.storage.read() as tx:
            check = tx.submission(form.page.url.rpartition("/")[2]).hint_check
        services.storage.close()
        assert check.token is TokenState.OK
    finally:
        server.stop()
