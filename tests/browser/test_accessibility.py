"""No accessibility rule that a machine can check is broken, on any of our pages, in any colour scheme."""

from __future__ import annotations

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Server
from tests.browser.form_page import FormPage
from tests.recordings import speech_like, wav_bytes

SCHEMES = [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}]
NAMES = ["light", "dark", "forced"]


def violations(page: Page) -> list[str]:
    """Return each broken rule with the first element that breaks it."""
    found = Axe().run(page)["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in found]


def check_schemes(page: Page) -> None:
    """Check the page as it stands in each colour scheme, wide and narrow."""
    for scheme, name in zip(SCHEMES, NAMES, strict=True):
        page.emulate_media(**({"color_scheme": "light", "forced_colors": "none"} | scheme))
        for width in (1100, 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert violations(page) == [], f"{name}, {width} px"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name}, {width} px"


@pytest.mark.parametrize(
    ("content", "state"),
    [(None, "idle"), (wav_bytes(speech_like(5.0, seed=51)), "done"), (b"no recording", "unsupported")],
    ids=["idle", "done", "unsupported"],
)
def test_form_breaks_no_rule(form: FormPage, content: bytes | None, state: str):
    """The form, before and after a check, and with a file that is none."""
    if content is not None:
        form.choose(content)
    form.wait_for(state)
    check_schemes(form.page)


def test_submission_breaks_no_rule(form: FormPage):
    """The page that a sender is led to."""
    form.choose(wav_bytes(speech_like(5.0, seed=52)))
    form.wait_for("done")
    form.send()
    form.page.locator("[data-decision]:not([data-decision=hold])").wait_for(timeout=30_000)
    check_schemes(form.page)


def test_error_page_breaks_no_rule(page: Page, server: Server):
    """A page that says that something did not work."""
    page.goto(f"{server.url}/submissions/none")
    check_schemes(page)


def test_review_breaks_no_rule(page: Page, strict_server: Server):
    """Signed out, signing in, the list, an open case and a resolved one."""
    form = FormPage(page, strict_server.url).open()
    form.choose(wav_bytes(speech_like(5.0, seed=53)), name="axe.wav")
    form.wait_for("done")
    form.send()
    page.locator("[data-decision=review]").wait_for(timeout=30_000)
    page.goto(f"{strict_server.url}/review/")
    check_schemes(page)
    page.goto(strict_server.new_review_link())
    check_schemes(page)
    page.get_by_label("Your name").fill("Mona")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/review")
    check_schemes(page)
    page.get_by_role("link", name="axe.wav").first.click()
    page.locator("#player").wait_for()
    check_schemes(page)
    page.get_by_role("radio", name="Cannot tell").check()
    page.get_by_role("button", name="Resolve").click()
    page.get_by_role("link", name="Resolved").click()
    page.get_by_role("link", name="axe.wav").first.click()
    check_schemes(page)
