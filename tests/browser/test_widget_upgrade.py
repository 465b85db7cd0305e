"""The script's own task: the element is there in it, and shows itself in one of its own, so that neither becomes long.

The page's script imports the widget's: both are evaluated in one task, and so is everything after `await null`.
"""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, form_markup
from tests.browser.test_widget_submit import VOICE, wait_told

IMPORT = 'import "/prelisten/v1/widget.js";\n'
HAS_TREE = 'const hasTree = () => document.querySelector("prelisten-check").shadowRoot !== null;\n'
# Everything that was put off to the end of the task.
END_OF_TASK = "for (let i = 0; i < 100; i += 1) await null;\n"
TELL = 'console.log("TOLD " + JSON.stringify([{}]));\n'
ENHANCED = (
    '<form><input type="file" name="voice" aria-label="Voice" data-prelisten></form>'
    '<script type="module" src="/own.js"></script>'
    '<script type="module" src="/prelisten/v1/widget.js" data-enhance="[data-prelisten]"></script>'
)
PUT_FILE = f"""
const transfer = new DataTransfer();
transfer.items.add(new File([new Uint8Array({list(VOICE)})], "voice.wav", {{ type: "audio/wav" }}));
document.querySelector("#voice").files = transfer.files;
"""


def opened(page: Page, app: OwnApp, markup: str, script: str) -> FormPage:
    """Open a page of the application with a module of its own."""
    own = "" if "<script" in markup else '<script type="module" src="/own.js"></script>'
    app.markup, app.script, app.page = markup + own, script, page
    return FormPage(page, app.url).open()


def told(form: FormPage) -> list[object]:
    """Return what the page's script told."""
    wait_told(form, "TOLD ")
    return json.loads(form.told("TOLD ")[0].removeprefix("TOLD "))


@pytest.mark.parametrize("markup", [form_markup(), ENHANCED], ids=["element", "data-enhance"])
def test_an_element_of_the_page_shows_itself_in_a_task_of_its_own(
    page: Page, app: OwnApp, markup: str
) -> None:
    """It is an element as soon as the script was evaluated; its look comes after that task, and comes."""
    script = (
        f"{IMPORT}{HAS_TREE}"
        'const element = document.querySelector("prelisten-check");'
        'const isOne = element instanceof customElements.get("prelisten-check");'
        f"const before = hasTree();{END_OF_TASK}"
    )
    form = opened(page, app, markup, script + TELL.format("isOne, element.value, before, hasTree()"))
    assert told(form) == [True, "", False, False]
    expect(page.locator("prelisten-check [part=control]")).to_be_visible()
    expect(page.get_by_label("Voice")).to_be_visible()


def test_an_element_that_a_script_makes_shows_itself_at_once(page: Page, app: OwnApp) -> None:
    """No frame can come between the making and the look."""
    script = (
        f"{IMPORT}{HAS_TREE}"
        'document.querySelector("main").innerHTML = "<prelisten-check></prelisten-check>";'
        'const control = () => document.querySelector("prelisten-check").shadowRoot.querySelector("[part=control]");'
        f"const tree = hasTree();{END_OF_TASK}"
    )
    form = opened(page, app, "<main></main>", script + TELL.format("tree, control() !== null"))
    assert told(form) == [True, True]


@pytest.mark.parametrize("value", ["undefined", "{}"])
def test_without_a_scheduler_a_timer_does(page: Page, app: OwnApp, value: str) -> None:
    """Safari has none, and a page may have a thing of its own by this name."""
    page.add_init_script(f'Object.defineProperty(window, "scheduler", {{ value: {value} }});')
    form = opened(page, app, form_markup(), IMPORT + HAS_TREE + END_OF_TASK + TELL.format("hasTree()"))
    assert told(form) == [False]
    expect(page.locator("prelisten-check [part=control]")).to_be_visible()


def test_what_the_page_says_in_the_same_task_counts(page: Page, app: OwnApp) -> None:
    """Properties and sentences that are set right after the import."""
    script = (
        f'{IMPORT}const element = document.querySelector("prelisten-check");'
        'element.configure({ record: true }); element.strings = { "ui.idle": "Own words" };'
    )
    opened(page, app, form_markup(), script)
    expect(page.get_by_text("Own words")).to_be_visible()
    expect(page.locator("prelisten-check [part=record-button]")).to_be_visible()


@pytest.mark.parametrize("when", ["at once", "later"])
def test_an_element_moved_before_its_turn_shows_itself_once(page: Page, app: OwnApp, when: str) -> None:
    """It is taken out in the script's own task, and put back in it or after its turn would have been."""
    back = 'document.querySelector("form").append(element);'
    script = (
        f'{IMPORT}const element = document.querySelector("prelisten-check");'
        'document.addEventListener("prelisten-start", () => console.log("START"));'
        f"element.remove();{back if when == 'at once' else f'setTimeout(() => {{ {back} }}, 300);'}"
    )
    form = opened(page, app, form_markup(), script)
    expect(page.locator("prelisten-check [part=control]")).to_be_visible()
    form.choose(VOICE)
    form.wait_for("done")
    assert form.told("START") == ["START"]


def test_a_form_sent_before_the_elements_turn_has_its_token(page: Page, app: OwnApp) -> None:
    """A file was there before the script, and the form is sent in the script's own task."""
    later = 'await import("/prelisten/v1/widget.js"); document.querySelector("form").requestSubmit();'
    opened(page, app, form_markup(), PUT_FILE + later)
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_properties_from_before_the_script_count_from_the_first_render_on(page: Page, app: OwnApp) -> None:
    """And what is set after it is not undone by them."""
    script = (
        'const element = document.querySelector("prelisten-check"); element.auto = "manual"; element.maxSeconds = 10;'
        f'{PUT_FILE}await import("/prelisten/v1/widget.js");{END_OF_TASK}'
        "const before = [element.auto, element.maxSeconds]; element.maxSeconds = 20;"
        "await new Promise((done) => setTimeout(done, 500));"
    )
    form = opened(
        page, app, form_markup(), script + TELL.format("...before, element.maxSeconds, element.state")
    )
    assert told(form) == ["manual", 10, 20, "idle"]


def test_a_page_shown_again_before_the_turn_is_checked_in_its_language(page: Page, app: OwnApp) -> None:
    """Browsers put the file back and tell of the page before the element's turn has come."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    script = (
        f'{PUT_FILE}await import("/prelisten/v1/widget.js"); window.dispatchEvent(new Event("pageshow"));'
        'document.addEventListener("prelisten-result", () => console.log("TOLD []"));'
    )
    form = opened(page, app, f'<main lang="de">{form_markup()}</main>', script)
    wait_told(form, "TOLD ")
    locales = [url for url in asked if "locale" in url]
    assert locales
    assert not [url for url in locales if "/en" in url]


def test_a_check_before_the_turn_ends_well_in_an_element_that_is_put_back(page: Page, app: OwnApp) -> None:
    """It is taken out while the element's code is fetched."""
    script = (
        f'{PUT_FILE}await import("/prelisten/v1/widget.js");'
        'const element = document.querySelector("prelisten-check"), form = document.querySelector("form");'
        "element.check(); element.remove(); setTimeout(() => form.prepend(element), 1000);"
    )
    form = opened(page, app, form_markup(), script)
    expect(page.locator("prelisten-check [part=control]")).to_be_visible()
    form.wait_for("done")
