"""Odd pages: elements of one name, an input that moves, swaps and sends in the middle of things."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, form_markup, own_app
from tests.browser.test_widget_submit import LONG, OTHER, VOICE, opened

CHECK = "document.querySelector('prelisten-check')"
ELEMENT = '<prelisten-check test="{outcome}"><input type="file" name="voice" aria-label="{label}"></prelisten-check>'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    with own_app(tmp_path_factory.mktemp("odd") / "data", env="test", wait_s=0) as started:
        assert started.app

        @started.app.post("/all")
        @started.prelisten.screened_all("voice", action="voice-upload")
        def take_all(screenings) -> dict[str, str]:
            return {one.submission.sha256: str(one.hint.token) for one in screenings}

        yield started


def form_to(address: str, content: str, *, ident: str = "form") -> str:
    return (
        f'<form id="{ident}" method="post" action="{address}" enctype="multipart/form-data">{content}</form>'
    )


def alive(form: FormPage) -> FormPage:
    form.page.locator("prelisten-check[state]").first.wait_for()
    return form


def put(form: FormPage, label: str, content: bytes) -> None:
    file = {"name": f"{label}.wav", "mimeType": "audio/wav", "buffer": content}
    form.page.get_by_label(label).set_input_files(file)


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("outcome", ["clear", "unsupported"])
def test_two_elements_of_one_name(page: Page, app: OwnApp, outcome: str) -> None:
    """Each file has its own token, also where the first has none at all."""
    both = ELEMENT.format(outcome=outcome, label="One") + ELEMENT.format(outcome="clear", label="Two")
    markup = form_to("/all", f'{both}<button id="send">Send</button>')
    form = alive(opened(page, app, markup))
    put(form, "One", VOICE)
    put(form, "Two", OTHER)
    ended = page.locator("prelisten-check:is([state=done], [state=unsupported])")
    expect(ended).to_have_count(2)
    with page.expect_navigation():
        page.locator("#send").click()
    first = "ok" if outcome == "clear" else "absent"
    assert page.evaluate("JSON.parse(document.querySelector('pre').innerText)") == {
        sum_of(VOICE): first,
        sum_of(OTHER): "ok",
    }


def test_a_file_that_nobody_listened_to_leaves_the_others_token(page: Page, app: OwnApp) -> None:
    """Two elements of one name, and the first waits to be asked: the second's token is sent."""
    silent = ELEMENT.format(outcome="clear", label="One").replace(
        "<prelisten-check", '<prelisten-check auto="manual"'
    )
    both = silent + ELEMENT.format(outcome="clear", label="Two")
    form = alive(opened(page, app, form_to("/all", f'{both}<button id="send">Send</button>')))
    put(form, "One", VOICE)
    put(form, "Two", OTHER)
    expect(page.locator("prelisten-check[state=done]")).to_have_count(1)
    with page.expect_navigation():
        page.locator("#send").click()
    told = page.evaluate("JSON.parse(document.querySelector('pre').innerText)")
    assert told == {sum_of(VOICE): "absent", sum_of(OTHER): "ok"}


def test_input_taken_out_and_put_into_another_form(page: Page, app: OwnApp) -> None:
    """The file goes with its own form alone; the element left behind posts nothing about it."""
    other = form_to("/elsewhere", "", ident="other")
    form = alive(opened(page, app, form_markup() + other))
    form.choose(VOICE)
    form.wait_for("done")
    page.evaluate("document.querySelector('#other').prepend(document.querySelector('#voice'))")
    form.wait_for("idle")
    page.locator("#send").click()
    app.wait_taken()
    assert app.taken_lists[-1] == {"how": ["plain"]}
    assert app.taken[-1].files == {}


def test_element_moved_into_another_form(page: Page, app: OwnApp) -> None:
    """The result moves with it, and the token is the other form's."""
    other = form_to("/elsewhere", '<button id="go">Go</button>', ident="other")
    form = alive(opened(page, app, form_markup() + other))
    form.choose(VOICE)
    form.wait_for("done")
    page.evaluate(f"document.querySelector('#other').prepend({CHECK})")
    page.locator("#go").click()
    taken = app.wait_taken()
    assert (taken.path, taken.tokens) == ("/elsewhere", {"voice": "ok"})


@pytest.mark.parametrize("associated", ["both", "input", "element"])
def test_form_by_its_attribute(page: Page, app: OwnApp, associated: str) -> None:
    """`form="far"`, on both as the docs say. On one alone the file goes, and no token is where it does not belong."""
    of = {name: 'form="far"' if associated in ("both", name) else "" for name in ("input", "element")}
    markup = (
        form_to("/take", '<button id="send">Send</button>', ident="far")
        + f'<prelisten-check test="clear" {of["element"]}>'
        f'<input id="voice" type="file" name="voice" aria-label="Voice" {of["input"]}></prelisten-check>'
    )
    form = alive(opened(page, app, markup))
    form.choose(VOICE)
    form.wait_for("done")
    page.locator("#send").click()
    taken = app.wait_taken()
    if associated == "element":
        assert taken.files == {}
        assert "voice-hint" not in taken.fields
    else:
        assert taken.files == {"voice": sum_of(VOICE)}
        assert taken.tokens["voice"] == ("ok" if associated == "both" else "absent")


def test_another_render_in_the_middle_of_the_hold(page: Page, app: OwnApp) -> None:
    """The framework replaces the input while the seal is under way: the new one's file goes, unheard or heard."""
    form = alive(opened(page, app, form_markup()))
    page.route("**/seal", lambda route: (page.wait_for_timeout(400), route.continue_()))
    form.choose(VOICE)
    form.wait_for("done")
    page.evaluate(
        """(bytes) => {
          document.querySelector("#send").click();
          const input = document.querySelector("#voice"), fresh = input.cloneNode();
          const files = new DataTransfer();
          files.items.add(new File([new Uint8Array(bytes)], "other.wav", { type: "audio/wav" }));
          fresh.files = files.files;
          input.replaceWith(fresh);
        }""",
        list(OTHER),
    )
    taken = app.wait_taken()
    assert taken.files == {"voice": sum_of(OTHER)}
    assert taken.tokens["voice"] in ("ok", "absent")


def test_two_submits_in_one_task(page: Page, app: OwnApp) -> None:
    """A script asks twice, by two buttons, while the file is still heard: one form, the last button's."""
    form = alive(
        opened(page, app, form_markup(extra='<button id="draft" name="how" value="draft">Draft</button>'))
    )
    form.choose(VOICE)
    page.evaluate(
        "() => { document.querySelector('#draft').click(); document.querySelector('#send').click(); }"
    )
    taken = app.wait_taken()
    assert (taken.fields["how"], taken.tokens) == ("plain", {"voice": "ok"})
    page.wait_for_timeout(500)
    assert len(app.taken) == 1


def test_name_of_the_input_changes_while_it_waits(page: Page, app: OwnApp) -> None:
    """The entry is named by the input as it is when the form goes."""
    form = alive(opened(page, app, form_markup()))
    form.choose(VOICE)
    form.wait_for("done")
    page.evaluate("document.querySelector('#voice').name = 'audio'")
    page.locator("#send").click()
    taken = app.wait_taken()
    assert taken.tokens == {"audio": "ok"}
    assert "voice-hint" not in taken.fields


def test_type_of_the_input_changes(page: Page, app: OwnApp) -> None:
    """No file input any more: nothing of the file is posted, and the form goes."""
    form = alive(opened(page, app, form_markup()))
    form.choose(VOICE)
    form.wait_for("done")
    page.evaluate("document.querySelector('#voice').type = 'text'")
    page.locator("#send").click()
    taken = app.wait_taken()
    assert (taken.files, "voice-hint" in taken.fields) == ({}, False)


def test_files_emptied_by_script_in_the_hold(page: Page, app: OwnApp) -> None:
    """The file is gone before the form goes: no token of it goes either."""
    form = alive(opened(page, app, form_markup("")))
    form.choose(LONG)
    page.locator("#send").click()
    page.evaluate("document.querySelector('#voice').value = ''")
    taken = app.wait_taken()
    assert (taken.files, "voice-hint" in taken.fields) == ({}, False)


def test_element_inside_an_element(page: Page, app: OwnApp) -> None:
    """Nonsense, but one submit and a good token."""
    inner = ELEMENT.format(outcome="clear", label="Voice")
    markup = form_to(
        "/take", f'<prelisten-check test="clear">{inner}</prelisten-check><button id="send">Send</button>'
    )
    form = alive(opened(page, app, markup))
    put(form, "Voice", VOICE)
    page.locator("prelisten-check[state=done]").first.wait_for()
    page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
