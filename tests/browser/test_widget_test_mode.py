"""The test mode: eight outcomes that are known beforehand, and nothing of them in production."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, form_markup, own_app
from tests.browser.test_widget_submit import chosen, opened, seals, wait_told
from tests.recordings import speech_like, wav_bytes

VOICE = wav_bytes(speech_like(3.0, seed=91))
# outcome: the element's state, the band, what the server makes of the token
OUTCOMES = {
    "clear": ("done", "clear", "ok"),
    "elevated": ("done", "elevated", "ok"),
    "high": ("done", "high", "ok"),
    "inconclusive": ("done", "inconclusive", "ok"),
    "expired": ("done", "clear", "expired"),
    "unsupported": ("unsupported", None, "absent"),
    "error": ("error", None, "absent"),
    "timeout": ("timeout", None, "absent"),
}


@pytest.fixture(scope="module")
def testing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    with own_app(tmp_path_factory.mktemp("testing") / "data", env="development") as started:
        yield started


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    with own_app(tmp_path_factory.mktemp("production") / "data") as started:
        yield started


def runtime_requests(form: FormPage) -> list[str]:
    return [r.url for r in form.requests if r.url.endswith((".wasm", ".whl", "worker.js"))]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_fixed_outcome(page: Page, testing: OwnApp, outcome: str) -> None:
    """The page shows it without the runtime and says that it is fixed; the form goes as it would in life."""
    testing.taken.clear()
    state, band, token = OUTCOMES[outcome]
    form = opened(page, testing, form_markup(f'test="{outcome}"'))
    form.page.locator("input[type=file]").focus()  # Intent, which would load the runtime.
    form.choose(VOICE)
    form.wait_for(state)
    assert (form.result() or {}).get("band") == band
    assert "Test mode" in form.text()
    form.page.locator("#send").click()
    assert testing.wait_taken().tokens == {"voice": token}
    assert runtime_requests(form) == []
    assert form.told("CSP") == form.told("ERROR") == []


@pytest.mark.parametrize("outcome", ["high", "expired"])
def test_production_ignores_the_attribute(page: Page, production: OwnApp, outcome: str) -> None:
    """Where real people send, the recording is listened to, whatever the attribute says; the console says why."""
    production.taken.clear()
    form = chosen(opened(page, production, form_markup(f'test="{outcome}"')), VOICE)
    assert form.told("ASKED screen") == ["ASKED screen"]
    assert len([line for line in form.lines if "runs no test keys" in line]) == 1
    assert "Test mode" not in form.text()
    form.page.locator("#send").click()
    assert production.wait_taken().tokens == {"voice": "ok"}


def test_outcome_that_does_not_exist_is_said(page: Page, testing: OwnApp) -> None:
    """A typing error is no outcome: the recording is listened to, and the console says so."""
    form = opened(page, testing, form_markup('test="toString"'))
    form.choose(VOICE)
    wait_told(form, "ASKED screen")
    assert [line for line in form.lines if "there is no such outcome" in line]
    assert seals(form) == 0
