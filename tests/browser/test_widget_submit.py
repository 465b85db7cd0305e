"""Sending a form with the element in it: each handler runs once, with the token there; whatever fails, it is sent.

Where nothing has to be listened to, the element is in test mode: real challenges, seals and tokens, no runtime.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from tests.browser.form_page import FormPage
from tests.browser.own_app import SCRIPT, OwnApp, form_markup
from tests.recordings import speech_like, wav_bytes

VOICE = wav_bytes(speech_like(3.0, seed=71))
OTHER = wav_bytes(speech_like(3.0, seed=72))
LONG = wav_bytes(speech_like(100.0, seed=73))
# Every message to the worker: a renewal must not make it listen again.
COUNT_ASKED = """
const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (message, ...rest) {
  console.log("ASKED " + message.kind);
  return postMessage.call(this, message, ...rest);
};
"""
POST_BY_FETCH = """
const post = (event) => {
  event.preventDefault();
  console.log("HANDLER " + event.submitter?.value);
  fetch("/take", { method: "POST", body: new FormData(event.target, event.submitter) });
};
"""
FORM_POSTS = POST_BY_FETCH + "document.querySelector('form').addEventListener('submit', post);"


def opened(page: Page, app: OwnApp, markup: str, *, script: str = "") -> FormPage:
    """Open a page of the application; `script` runs before the widget's."""
    app.markup = (SCRIPT if "<script" not in markup else "") + markup + '<script src="/own.js"></script>'
    app.script, app.page = script, page
    page.add_init_script(COUNT_ASKED)
    return FormPage(page, app.url).open()


def chosen(form: FormPage, content: bytes | Path = VOICE) -> FormPage:
    """Choose a recording and wait for its result."""
    form.choose(content)
    form.wait_for("done")
    return form


def wait_told(form: FormPage, prefix: str) -> None:
    """Wait for a console line, and a little longer, for one that should not come."""
    for _ in range(600):
        if form.told(prefix):
            break
        form.page.wait_for_timeout(50)
    form.page.wait_for_timeout(300)


def seals(form: FormPage) -> int:
    return form.posts().count("/prelisten/v1/seal")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_by_script(form: FormPage, content: bytes, index: int = 0) -> None:
    """Put another file into an input as scripts do: no event tells of it."""
    form.page.evaluate(
        """([bytes, index]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "other.wav", { type: "audio/wav" }));
          document.querySelectorAll("input[type=file]")[index].files = transfer.files;
        }""",
        [list(content), index],
    )


def test_native_form_carries_a_good_token(page: Page, app: OwnApp) -> None:
    """The browser's own POST has the file, the token and the pressed button; the token is about this file."""
    form = chosen(opened(page, app, form_markup("")))
    form.page.locator("#send").click()
    taken = app.wait_taken()
    assert taken.tokens == {"voice": "ok"}
    assert taken.fields.keys() == {"voice-hint", "how"}
    assert (taken.files["voice"], seals(form)) == (sha256(VOICE), 1)
    assert form.told("CSP") == form.told("ERROR") == []


def test_handler_that_posts_by_fetch_runs_once_with_the_token(page: Page, app: OwnApp) -> None:
    """A framework that prevents the submit and reads FormData finds the token, once, also when sent at once."""
    form = opened(page, app, form_markup(), script=FORM_POSTS)
    form.choose(VOICE)
    form.page.locator("#send").press("Enter")
    assert app.wait_taken().tokens == {"voice": "ok"}
    form.page.wait_for_timeout(500)
    assert form.told("HANDLER") == ["HANDLER plain"]
    assert len(app.taken) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_every_handler_of_the_page_runs_once_with_the_token(page: Page, app: OwnApp, when: str) -> None:
    """On the form and on the document, capturing and not, added before the widget or after it."""
    script = """
      const add = () => {
        const form = document.querySelector("form");
        for (const [name, target] of [["form", form], ["document", document]])
          for (const capture of [true, false])
            target.addEventListener("submit", (event) => {
              event.preventDefault();
              console.log(`HANDLER ${name} ${capture} ${new FormData(form).has("voice-hint")}`);
            }, capture);
      };
    """
    form = opened(page, app, form_markup(), script=script + ("add();" if when == "before" else ""))
    if when == "after":
        form.page.locator("prelisten-check[state]").wait_for()
        form.page.evaluate("add()")
    chosen(form).page.locator("#send").click()
    wait_told(form, "HANDLER document false")
    order = ["document true", "form true", "form false", "document false"]
    assert form.told("HANDLER") == [f"HANDLER {name} true" for name in order]


def test_handler_that_comes_first_of_all_runs_once_without_a_token(page: Page, app: OwnApp) -> None:
    """One on the window, capturing, added before ours, has already read the form: it must not be asked twice."""
    script = POST_BY_FETCH + "window.addEventListener('submit', post, true);"
    form = chosen(opened(page, app, form_markup(), script=script))
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "absent"}
    form.page.wait_for_timeout(500)
    assert (len(app.taken), seals(form)) == (1, 0)


def test_handler_in_a_shadow_tree_runs_once_with_the_token(page: Page, app: OwnApp) -> None:
    """A submit inside a shadow tree never reaches the window; its capturing handler still comes after the seal."""
    script = """
      const root = document.querySelector("#host").attachShadow({ mode: "open" });
      const form = document.querySelector("form");
      root.append(form);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        console.log("HANDLER " + new FormData(event.target).has("voice-hint"));
      }, true);
    """
    form = chosen(opened(page, app, f'<div id="host"></div>{form_markup()}', script=script))
    form.page.locator("#send").click()
    wait_told(form, "HANDLER")
    assert form.told("HANDLER") == ["HANDLER true"]


def test_handler_that_sends_again_by_itself_is_not_taken_for_a_double_click(page: Page, app: OwnApp) -> None:
    """Prevent, ask something, then `requestSubmit()`: a common way to confirm. The form must arrive."""
    script = """
      let sure = false;
      document.querySelector("form").addEventListener("submit", async (event) => {
        if (sure) return;
        event.preventDefault();
        await new Promise((resolve) => setTimeout(resolve, 200));
        sure = true;
        event.target.requestSubmit(event.submitter);
      });
    """
    form = chosen(opened(page, app, form_markup(), script=script))
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_the_pressed_button_decides_where_and_how(page: Page, app: OwnApp) -> None:
    """Of two buttons, the pressed one's name, value and `formaction` are kept over the hold."""
    extra = '<button id="draft" name="how" value="draft" formaction="/elsewhere">Draft</button>'
    form = chosen(opened(page, app, form_markup(extra=extra)))
    form.page.locator("#draft").click()
    taken = app.wait_taken()
    assert (taken.path, taken.fields["how"], taken.tokens) == ("/elsewhere", "draft", {"voice": "ok"})


def test_clicks_and_enter_during_the_hold_are_one_submission(page: Page, app: OwnApp) -> None:
    """An impatient person makes one submission, by a handler that would run as often as it is asked."""
    form = opened(page, app, form_markup(extra='<input name="title" value="t">'), script=FORM_POSTS)

    def slowly(route: Route) -> None:
        time.sleep(0.7)
        route.continue_()

    form.page.route("**/prelisten/v1/seal", slowly)
    chosen(form)
    form.page.locator("#send").dblclick()
    form.page.locator("[name=title]").press("Enter")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
    form.page.locator("#send").click()  # Right after it went: still the same wish.
    form.page.wait_for_timeout(1500)
    assert (len(app.taken), seals(form)) == (1, 1)


def test_sending_again_later_has_a_token_of_its_own(page: Page, app: OwnApp) -> None:
    """A page that stays, and a person who sends a second time: the first token is spent, so there is another."""
    form = chosen(opened(page, app, form_markup(), script=FORM_POSTS))
    form.page.locator("#send").click()
    first = app.wait_taken()
    form.page.wait_for_timeout(1200)
    form.page.locator("#send").click()
    second = app.wait_taken(2)
    assert second.tokens == {"voice": "ok"}
    assert first.fields["voice-hint"] != second.fields["voice-hint"]


def test_spent_token_is_not_sent_again_when_sealing_fails(page: Page, app: OwnApp) -> None:
    """The second sending meets a server that cannot seal: no token is better than one that is spent."""
    form = chosen(opened(page, app, form_markup(), script=FORM_POSTS))
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
    form.page.route("**/prelisten/v1/seal", lambda route: route.fulfill(status=500))
    form.page.wait_for_timeout(1200)
    form.page.locator("#send").click()
    assert app.wait_taken(2).tokens == {"voice": "absent"}


def test_invalid_form_is_not_sealed_and_can_be_corrected(page: Page, app: OwnApp) -> None:
    """The browser's own validation comes first; nothing is said about the file before the form is valid."""
    form = chosen(opened(page, app, form_markup(extra='<input name="title" required>')))
    form.page.locator("#send").click()
    form.page.wait_for_timeout(500)
    assert (app.taken, seals(form)) == ([], 0)
    form.page.locator("[name=title]").fill("Song")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_form_made_invalid_during_the_hold_can_be_corrected_at_once(page: Page, app: OwnApp) -> None:
    """What is emptied while it waits stops the sending, as without us; the next click is no double click."""
    form = opened(page, app, form_markup(extra='<input name="title" required value="Song">'))

    def emptied(route: Route) -> None:
        form.page.locator("[name=title]").fill("")
        form.page.locator("[name=title]").blur()  # Filling it has given it the focus.
        route.continue_()

    form.page.route("**/prelisten/v1/seal", emptied, times=1)
    chosen(form)
    with form.page.expect_response("**/prelisten/v1/seal"):  # By then it has lost the focus again.
        form.page.locator("#send").dispatch_event("click")
    form.page.locator("[name=title]:focus").wait_for()  # Where the browser points at the problem.
    assert app.taken == []
    form.page.locator("[name=title]").fill("Again")
    form.page.locator("#send").dispatch_event("click")
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_request_submit_by_script_is_held_too(page: Page, app: OwnApp) -> None:
    """`form.requestSubmit()` makes the same event as a click."""
    form = chosen(opened(page, app, form_markup()))
    form.page.evaluate("document.querySelector('form').requestSubmit()")
    assert app.wait_taken().tokens == {"voice": "ok"}


@pytest.mark.parametrize(("seal", "state"), [("submit", "absent"), ("result", "ok")])
def test_form_submit_by_script_has_a_token_only_when_sealed_before(
    page: Page, app: OwnApp, seal: str, state: str
) -> None:
    """`form.submit()` makes no event, so nothing can be held: the file goes, with what is there."""
    form = chosen(opened(page, app, form_markup(f'test="clear" seal="{seal}"')))
    if seal == "result":
        wait_sealed(form)
    form.page.evaluate("document.querySelector('form').submit()")
    assert app.wait_taken().tokens == {"voice": state}


def wait_sealed(form: FormPage, count: int = 1) -> None:
    """Wait until the server has sealed so often, and the element is at rest."""
    for _ in range(200):
        if seals(form) >= count and form.page.evaluate("document.querySelector('prelisten-check').value"):
            form.wait_for("done")
            return
        form.page.wait_for_timeout(50)
    pytest.fail(f"sealed {seals(form)} times, not {count}")


def test_closing_a_dialog_seals_nothing(page: Page, app: OwnApp) -> None:
    """A form that only closes its dialog sends nothing, so nothing is to be told about the file."""
    markup = form_markup(extra='<button id="close" formmethod="dialog" value="no">Close</button>')
    form = opened(
        page, app, f"<dialog>{markup}</dialog>", script="document.querySelector('dialog').showModal()"
    )
    chosen(form).page.locator("#close").click()
    form.page.locator("dialog:not([open])").wait_for(state="attached")
    assert (app.taken, seals(form)) == ([], 0)


def test_reset_during_the_hold_takes_the_wish_back(page: Page, app: OwnApp) -> None:
    """Who empties the form while it waits does not want it sent; the next sending works."""
    form = chosen(opened(page, app, form_markup()))
    held: list[Route] = []
    form.page.route("**/prelisten/v1/seal", lambda route: held.append(route), times=1)
    with form.page.expect_request("**/prelisten/v1/seal"):
        form.page.locator("#send").click()
    form.page.evaluate("document.querySelector('form').reset()")
    form.wait_for("idle")
    form.page.wait_for_timeout(500)
    assert app.taken == []
    chosen(form).page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_element_removed_during_the_hold_lets_the_form_go(page: Page, app: OwnApp) -> None:
    """A page that takes the element away is not made to wait for it; its other fields arrive."""
    form = chosen(opened(page, app, form_markup(extra='<input name="title" value="Song">')))
    form.page.route("**/prelisten/v1/seal", lambda route: None)
    with form.page.expect_request("**/prelisten/v1/seal"):
        form.page.locator("#send").click()
    form.page.evaluate("document.querySelector('prelisten-check').remove()")
    taken = app.wait_taken(within_s=8)
    assert (taken.fields, taken.files) == ({"title": "Song", "how": "plain"}, {})


def test_element_moved_while_it_listens_starts_again(page: Page, app: OwnApp) -> None:
    """A framework that puts the element elsewhere in the page does not leave it listening for ever."""
    form = opened(
        page,
        app,
        form_markup("") + '<form id="new" method="post" action="/take" '
        'enctype="multipart/form-data"><button id="go">Go</button></form>',
    )
    form.choose(LONG)
    form.wait_for("loading", "reading", "analysing")
    form.page.evaluate("document.querySelector('#new').append(document.querySelector('prelisten-check'))")
    form.wait_for("done")
    form.page.locator("#go").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_several_elements_have_a_token_each(page: Page, app: OwnApp) -> None:
    """Files swapped between two inputs after their results are heard again: each token is about its own file."""
    second = (
        '<prelisten-check test="high"><input type="file" name="second" aria-label="Second"></prelisten-check>'
    )
    form = opened(page, app, form_markup(extra=second))
    for index, content in enumerate((VOICE, OTHER)):
        put = {"name": "v.wav", "mimeType": "audio/wav", "buffer": content}
        form.page.locator("input[type=file]").nth(index).set_input_files(put)
        form.page.locator("prelisten-check").nth(index).and_(form.page.locator("[state=done]")).wait_for(
            timeout=60_000
        )
    put_by_script(form, OTHER, 0)
    put_by_script(form, VOICE, 1)
    form.page.locator("#send").click()
    taken = app.wait_taken()
    assert taken.files == {"second": sha256(OTHER), "voice": sha256(VOICE)}
    assert taken.tokens == {"second": "ok", "voice": "ok"}


def test_file_swapped_by_script_is_heard_before_it_is_sent(page: Page, app: OwnApp) -> None:
    """The token of the first file never goes with the second one, however it came into the input."""
    form = chosen(opened(page, app, form_markup('seal="result"')))
    wait_sealed(form)
    put_by_script(form, OTHER)
    form.page.locator("#send").click()
    taken = app.wait_taken()
    assert (taken.files["voice"], taken.tokens) == (sha256(OTHER), {"voice": "ok"})
    assert len(form.told("ASKED screen")) == 2


def test_token_of_another_file_is_taken_out_of_the_entries(page: Page, app: OwnApp) -> None:
    """Where no submit event tells of the sending, the entry is left out of a form whose file was swapped."""
    form = chosen(opened(page, app, form_markup('test="clear" seal="result"')))
    wait_sealed(form)
    put_by_script(form, OTHER)
    form.page.evaluate("document.querySelector('form').submit()")
    taken = app.wait_taken()
    assert (taken.files["voice"], taken.tokens) == (sha256(OTHER), {"voice": "absent"})


def test_file_put_by_script_without_an_event_is_heard(page: Page, app: OwnApp) -> None:
    """A page that fills the input by itself need not tell: the submit is held for the whole check."""
    form = opened(page, app, form_markup())
    form.page.locator("prelisten-check[state]").wait_for()
    put_by_script(form, VOICE)
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_changed_file_is_asked_for_again_and_sent_when_insisted(
    page: Page, app: OwnApp, tmp_path: Path
) -> None:
    """Changed on disk: `stale`, nothing sealed, nothing sent; who sends again sends it as it is, without a token."""
    recording = tmp_path / "voice.wav"
    recording.write_bytes(VOICE)
    form = chosen(opened(page, app, form_markup()), recording)
    time.sleep(1.1)  # A browser may see no smaller steps of a file's time.
    recording.write_bytes(OTHER)
    form.page.locator("#send").click()
    form.wait_for("stale")
    assert "Choose it again" in form.text()
    assert (app.taken, seals(form), form.result()) == ([], 0, None)
    form.page.locator("#send").click()
    taken = app.wait_taken()
    assert (taken.files["voice"], taken.tokens) == (sha256(OTHER), {"voice": "absent"})


def test_changed_file_chosen_again_is_heard_anew(page: Page, app: OwnApp, tmp_path: Path) -> None:
    """The offered button opens the chooser, and the new version gets a token of its own."""
    recording = tmp_path / "voice.wav"
    recording.write_bytes(VOICE)
    form = chosen(opened(page, app, form_markup('test="clear" seal="result"')), recording)
    wait_sealed(form)
    time.sleep(1.1)
    recording.write_bytes(OTHER)
    form.page.locator("#send").click()
    form.wait_for("stale")
    assert not form.page.evaluate("new FormData(document.querySelector('form')).has('voice-hint')")
    with form.page.expect_file_chooser() as chooser:
        form.page.locator("[part=retry-button]").click()
    chooser.value.set_files(recording)
    form.wait_for("done")
    form.page.locator("#send").click()
    taken = app.wait_taken()
    assert (taken.files["voice"], taken.tokens) == (sha256(OTHER), {"voice": "ok"})


@pytest.mark.parametrize(
    ("status", "headers", "state"),
    [
        (500, {}, "absent"),
        (403, {}, "absent"),
        (404, {}, "absent"),
        (413, {}, "absent"),
        (429, {"Retry-After": "1"}, "ok"),
        (503, {"Retry-After": "1"}, "ok"),
        (429, {"Retry-After": "60"}, "absent"),
        (429, {}, "absent"),
        (429, {"Retry-After": "soon"}, "absent"),
        (200, {}, "absent"),
    ],
    ids=str,
)
def test_refused_seal_costs_the_token_at_most(
    page: Page, app: OwnApp, status: int, headers: dict[str, str], state: str
) -> None:
    """The form is sent within its `wait`; a server that is busy for a moment is asked again after it."""
    form = chosen(opened(page, app, form_markup('test="clear" wait="8000"')))
    body = {"status": status, "headers": headers, "body": "" if status != 200 else "no JSON"}
    form.page.route("**/prelisten/v1/seal", lambda route: route.fulfill(**body), times=1)
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": state}


@pytest.mark.parametrize("path", ["seal", "challenge"])
def test_server_that_hangs_costs_the_wait_and_no_more(page: Page, app: OwnApp, path: str) -> None:
    """Neither a seal nor a challenge that never answers keeps a form longer than `wait`."""
    form = opened(page, app, form_markup('wait="1500"'))
    form.page.route(f"**/prelisten/v1/{path}", lambda route: None)
    chosen(form).page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "absent"}


@pytest.mark.parametrize("path", ["seal", "challenge"])
def test_connection_that_breaks_costs_the_token_at_most(page: Page, app: OwnApp, path: str) -> None:
    """A broken connection is no answer; the form goes at once."""
    form = opened(page, app, form_markup(""))
    form.page.route(f"**/prelisten/v1/{path}", lambda route: route.abort())
    chosen(form).page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "absent"}


def test_hold_that_ran_out_spends_no_later_token(page: Page, app: OwnApp) -> None:
    """A form that went without waiting has nothing to do with the file that is chosen next."""
    form = opened(page, app, form_markup('seal="result" wait="100"'), script=FORM_POSTS)
    form.choose(LONG)
    form.wait_for("loading", "reading", "analysing")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "absent"}
    chosen(form)
    wait_sealed(form)
    form.page.wait_for_timeout(300)
    form.page.locator("#send").click()
    assert app.wait_taken(2).tokens == {"voice": "ok"}
    assert seals(form) == 1


def test_another_button_pressed_during_the_hold_counts(page: Page, app: OwnApp) -> None:
    """Who presses "Draft" after "Send" means the draft: the last button decides, once."""
    extra = '<button id="draft" name="how" value="draft" formaction="/elsewhere">Draft</button>'
    form = opened(page, app, form_markup(extra=extra))

    def pressed(route: Route) -> None:
        form.page.locator("#draft").dispatch_event("click")
        route.continue_()

    form.page.route("**/prelisten/v1/seal", pressed, times=1)
    chosen(form).page.locator("#send").dispatch_event("click")
    taken = app.wait_taken()
    assert (taken.path, taken.fields["how"], taken.tokens) == ("/elsewhere", "draft", {"voice": "ok"})
