"""The element in other languages: which one, loaded when, and nothing that overflows however long its sentences are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from prelisten.catalogue import sentence
from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, form_markup
from tests.recordings import speech_like, wav_bytes

VOICE = wav_bytes(speech_like(3.0, seed=17))
CASES = json.loads((Path(__file__).parents[1] / "unit" / "server" / "languages.json").read_text())
ACCENTED = str.maketrans("aeioucnsyAEIOUCNSY", "áéíóúçñšýÁÉÍÓÚÇÑŠÝ")
NARROW = 320
# Everything in the shadow tree that is wider than its box, by more than a turned arrow's corner; what is only read
# aloud has no box.
WIDER = """(element) => [...element.shadowRoot.querySelectorAll("*")]
  .filter((node) => node.clientWidth > 1 && node.scrollWidth > node.clientWidth + 4)
  .filter((node) => getComputedStyle(node).display !== "inline")
  .map((node) => `${node.tagName} ${node.className} ${node.textContent.trim().slice(0, 60)}`)"""


def opened(page: Page, app: OwnApp, attributes: str, around: str = "") -> FormPage:
    """Open a page with one element inside a part of the page that has attributes of its own."""
    markup = f"<div {around}>{form_markup(attributes)}</div>"
    app.markup = f'<script type="module" src="/prelisten/v1/widget.js"></script>{markup}'
    form = FormPage(page, app.url).open()
    page.locator("prelisten-check[state]").wait_for()
    return form


def loaded(form: FormPage) -> list[str]:
    """Return which files of sentences were asked for, in order."""
    found = (re.search(r"locales/(.+)\.json$", request.url) for request in form.requests)
    return [match[1] for match in found if match]


def test_tag_gets_the_language_that_the_server_gives_it(page: Page, running: OwnApp) -> None:
    """The browser's choice and the server's are the same, tag by tag."""
    opened(page, running, 'test="clear"')
    spoken = page.evaluate(
        """async (cases) => {
          const element = document.querySelector("prelisten-check");
          const base = element.shadowRoot.querySelector("[part=base]");
          const found = {};
          for (const [tag, language] of Object.entries(cases)) {
            element.setAttribute("lang", tag);
            for (let i = 0; i < 250 && base.lang !== language; i += 1) {
              await new Promise((done) => setTimeout(done, 20));
            }
            found[tag] = base.lang;
          }
          return found;
        }""",
        CASES,
    )
    assert spoken == CASES


def test_only_the_pages_language_is_loaded(page: Page, running: OwnApp) -> None:
    """Before intent the few first sentences; with the file the rest; never another language, not even English."""
    form = opened(page, running, 'test="high"', 'lang="de-AT"')
    page.get_by_text(sentence("ui.idle", language="de")).wait_for()
    assert loaded(form) == ["early/de"]
    form.choose(VOICE)
    form.wait_for("done")
    assert sorted(set(loaded(form))) == ["de", "early/de"]
    assert sentence("band.high", language="de") in form.text()
    assert page.get_by_role("status").inner_text().startswith(sentence("band.high", language="de"))
    assert form.told("CSP") == form.told("ERROR") == []


def test_english_needs_no_file_before_intent(page: Page, running: OwnApp) -> None:
    """It is in the script."""
    form = opened(page, running, 'test="clear"')
    page.get_by_text(sentence("ui.idle")).wait_for()
    assert loaded(form) == []


def test_language_follows_the_page(page: Page, running: OwnApp) -> None:
    """A page that changes its language is followed, with the result that is shown."""
    form = opened(page, running, 'test="elevated"', 'id="around" lang="fr"')
    form.choose(VOICE)
    form.wait_for("done")
    page.locator("#around").evaluate("(node) => node.setAttribute('lang', 'tr')")
    page.get_by_text(sentence("band.elevated", language="tr"), exact=True).first.wait_for()


def test_language_may_change_while_the_first_one_loads(page: Page, running: OwnApp) -> None:
    """The sentences of the language that was left come late, and are not shown."""
    form = opened(page, running, 'test="elevated"', 'id="around" lang="fr"')
    held: list[Route] = []
    page.route("**/locales/fr.json", lambda route: held.append(route))
    with page.expect_request("**/locales/fr.json"):
        form.choose(VOICE)
    page.locator("#around").evaluate("(node) => node.setAttribute('lang', 'tr')")
    page.get_by_text(sentence("ui.idle", language="tr")).wait_for()
    held[0].continue_()
    form.wait_for("done")
    page.get_by_text(sentence("band.elevated", language="tr"), exact=True).first.wait_for()


def test_figures_are_those_of_the_language(page: Page, running: OwnApp) -> None:
    """A score in Persian has Persian digits; a length in German has its own unit."""
    form = opened(page, running, 'test="high" show="score"', 'lang="fa" dir="rtl"')
    form.choose(VOICE)
    form.wait_for("done")
    assert "۹۵" in form.text()


def lengthened(text: str) -> str:
    """Return a sentence as a far wordier language might say it: accented, bracketed, half as long again."""
    parts = re.split(r"(\{\w+\})", text)
    said = "".join(part if part.startswith("{") else part.translate(ACCENTED) for part in parts)
    words = [word for word in re.sub(r"\{\w+\}", "", text).split() if len(word) > 3]
    return f"[{said} {' '.join(words[: max(1, len(words) // 2)])}]"


def say_more(route: Route) -> None:
    """Answer a file of sentences with the pseudo-language."""
    said = route.fetch().json()
    route.fulfill(json={key: lengthened(sentence(key)) for key in said})


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        ('test="clear" show="score"', "done"),
        ('test="elevated" record declare', "done"),
        ('test="high" seal="result"', "done"),
        ('test="inconclusive" appearance="compact"', "done"),
        ('test="high" appearance="status"', "done"),
        ('test="unsupported"', "unsupported"),
        ('test="error"', "error"),
        ('test="timeout"', "timeout"),
    ],
)
def test_wordy_language_overflows_nothing(
    page: Page, running: OwnApp, attributes: str, state: str, direction: str
) -> None:
    """At 320 px, before and after: no part of the element is wider than its box, and the page does not scroll."""
    page.route("**/locales/**/de.json", say_more)
    page.set_viewport_size({"width": NARROW, "height": 900})
    form = opened(page, running, attributes, f'lang="de" dir="{direction}"')
    page.locator("prelisten-check .note", has_text="[").first.wait_for(state="attached")
    element = page.locator("prelisten-check")
    assert element.evaluate(WIDER) == []
    form.choose(VOICE)
    form.wait_for(state)
    page.locator("prelisten-check .panel, prelisten-check .line", has_text="[").first.wait_for()
    assert element.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
