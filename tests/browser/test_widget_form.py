"""The element inside a form: entries, labels, cancelling, changing one's mind, clicking twice."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.form_page import FormPage, lift_limits
from tests.recordings import speech_like, wav_bytes

LONG = wav_bytes(speech_like(100.0, seed=11))
SHORT = wav_bytes(speech_like(3.0, seed=12))
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'"
)


def serve(form: FormPage, markup: str) -> None:
    """Load another page of the same origin that includes the widget, under the strict policy."""
    script = "" if "<script" in markup else '<script type="module" src="/prelisten/v1/widget.js"></script>'
    body = f'<!doctype html><html lang="en"><title>Form</title>{script}{markup}</html>'
    headers = {"Content-Type": "text/html", "Content-Security-Policy": PAGE_CSP}
    form.page.route("**/other-form", lambda route: route.fulfill(body=body, headers=headers))
    form.page.goto(f"{form.url}/other-form")


def test_sending_carries_the_file_and_the_token(form: FormPage) -> None:
    """The form's own POST has both entries, after one seal."""
    form.choose(SHORT)
    form.wait_for("done")
    form.send()
    assert {"voice", "voice-hint", "idempotency_key"} <= set(form.entries())
    assert form.posts() == ["/prelisten/v1/challenge", "/prelisten/v1/seal", "/"]


def test_could_not_tell_is_sealed_too(form: FormPage) -> None:
    """A claim without a score is a claim: the server learns that the browser could not tell."""
    form.choose(wav_bytes(speech_like(3.0) * 0))
    form.wait_for("done")
    form.send()
    assert "voice-hint" in form.entries()


def test_sending_at_once_waits_for_the_result(form: FormPage) -> None:
    """A submit during the analysis is held, and goes out with the token."""
    lift_limits(form.page)
    form.choose(SHORT)
    form.send()
    assert "voice-hint" in form.entries()


def test_double_click_is_one_submission(form: FormPage) -> None:
    """Two clicks on the button make one POST of the form."""
    form.choose(SHORT)
    form.wait_for("done")
    form.page.locator("#send").dblclick()
    form.page.wait_for_url("**/submissions/*")
    assert form.posts().count("/") == 1


def test_the_pressed_button_is_the_submitter(form: FormPage) -> None:
    """A framework's handler runs once, with the token and the button that was pressed."""
    form.page.evaluate(
        """document.querySelector("form").addEventListener("submit", (event) => {
          event.preventDefault();
          console.log("HANDLER " + event.submitter.id + " " + new FormData(event.target).has("voice-hint"));
        })"""
    )
    form.choose(SHORT)
    form.wait_for("done")
    with form.page.expect_console_message(lambda line: line.text.startswith("HANDLER")):
        form.page.locator("#send").click()
    form.page.wait_for_timeout(300)
    assert form.told("HANDLER") == ["HANDLER send true"]


def test_cancel_stops_and_the_form_still_sends(form: FormPage) -> None:
    """Cancelling is offered while it listens; the file then goes alone."""
    form.choose(LONG)
    form.wait_for("analysing")
    form.page.locator("[part=cancel-button]").click()
    form.wait_for("cancelled")
    assert "You cancelled the check" in form.text()
    form.send()
    assert "voice-hint" not in form.entries()


def test_check_again_after_cancelling(form: FormPage) -> None:
    """The button of the cancelled state starts over."""
    form.choose(LONG)
    form.wait_for("loading", "reading", "analysing")
    form.page.evaluate("document.querySelector('prelisten-check').cancel()")
    form.page.locator("[part=retry-button]").click()
    form.wait_for("done")


def test_check_again_after_cancelling_before_the_parts_are_there(form: FormPage) -> None:
    """A script may cancel at once: the person still gets the button that starts over."""
    held: list[Route] = []
    form.page.route("**/panel.js", lambda route: held.append(route), times=1)
    with form.page.expect_request("**/panel.js"):
        form.choose(SHORT)
    form.page.evaluate("document.querySelector('prelisten-check').cancel()")
    form.wait_for("cancelled")
    held[0].continue_()
    form.page.locator("[part=retry-button]").click()
    form.wait_for("done")


def test_file_chosen_before_the_script_came_is_heard(form: FormPage) -> None:
    """A page that adds the script late, as frameworks do: the file that is there by then is checked."""
    serve(form, '<script></script><prelisten-check><input type="file" name="voice"></prelisten-check>')
    form.choose(SHORT)
    form.page.add_script_tag(url="/prelisten/v1/widget.js", type="module")
    form.wait_for("done")


def test_another_file_replaces_the_first_one(form: FormPage) -> None:
    """Choosing again while it listens restarts with the new file; the old one never gives a result."""
    form.page.evaluate(
        "addEventListener('prelisten-result', (event) => console.log('RESULT ' + event.detail.coverage.total_s))"
    )
    form.choose(LONG)
    form.wait_for("analysing")
    form.choose(SHORT)
    form.wait_for("done")
    form.page.wait_for_timeout(500)
    assert form.told("RESULT") == ["RESULT 3"]


def test_file_changed_on_disk_is_stale(form: FormPage, tmp_path: Path) -> None:
    """A file that changed after the check is not sent as if it had been heard: the page asks again."""
    recording = tmp_path / "voice.wav"
    recording.write_bytes(SHORT)
    form.choose(recording)
    form.wait_for("done")
    recording.write_bytes(wav_bytes(speech_like(4.0, seed=13)))
    form.page.locator("#send").click()
    form.wait_for("stale")
    assert "Choose it again" in form.text()
    assert "/prelisten/v1/seal" not in form.posts()


def test_reset_forgets_the_result(form: FormPage) -> None:
    """A form's reset leaves nothing of the last recording."""
    form.choose(SHORT)
    form.wait_for("done")
    form.page.evaluate("document.querySelector('form').reset()")
    form.wait_for("idle")
    assert form.result() is None


def test_expired_challenge_is_renewed_without_analysing_again(form: FormPage) -> None:
    """A form left open: the server refuses the old challenge once, the kept claim is sealed under a fresh one."""
    refused: list[str] = []

    def refuse_first(route: Route) -> None:
        refused.append(route.request.url)
        error = {"error": {"code": "challenge_expired", "message": "expired"}}
        route.fulfill(status=400, json=error) if len(refused) == 1 else route.continue_()

    form.page.route("**/prelisten/v1/seal", refuse_first)
    form.choose(SHORT)
    form.wait_for("done")
    form.send()
    assert "voice-hint" in form.entries()
    api = [path.rpartition("/")[2] for path in form.posts()[:-1]]
    assert api == ["challenge", "seal", "challenge", "seal"]


def test_label_around_the_element_names_the_input(form: FormPage) -> None:
    """With a label around, the input has the label's words as its name, and a click on them opens the chooser."""
    serve(
        form,
        '<form><label>Your voice<prelisten-check><input type="file" name="v"></prelisten-check></label></form>',
    )
    named = form.page.get_by_role("button", name="Your voice")
    named.wait_for()
    with form.page.expect_file_chooser():
        form.page.locator("label").click(position={"x": 3, "y": 3})


def test_label_for_the_input_names_it(form: FormPage) -> None:
    """The ordinary `for` needs nothing of ours."""
    assert form.page.get_by_label("Your recording").get_attribute("type") == "file"


def test_one_line_mode_wraps_the_inputs(form: FormPage) -> None:
    """`data-enhance` makes the element around every input that it names, and the check works."""
    script = (
        '<script type="module" src="/prelisten/v1/widget.js" data-enhance="input[data-prelisten]"></script>'
    )
    serve(form, f'{script}<form><input type="file" name="v" data-prelisten aria-label="Voice"></form>')
    form.page.locator("prelisten-check > input").wait_for()
    form.choose(SHORT)
    form.wait_for("done")


def test_script_included_twice_is_harmless(form: FormPage) -> None:
    """A second copy of the script leaves the first definition alone."""
    copies = "".join(f'<script type="module" src="/prelisten/v1/widget.js?{n}"></script>' for n in (1, 2))
    serve(form, f'{copies}<form><prelisten-check><input type="file" name="v"></prelisten-check></form>')
    form.choose(SHORT)
    form.wait_for("done")
    assert form.told("ERROR") == []


def test_two_elements_share_one_worker_and_one_submit(form: FormPage) -> None:
    """Both recordings are heard by one worker, and one submit carries both tokens."""
    inputs = "".join(f'<prelisten-check><input type="file" name="{n}"></prelisten-check>' for n in "ab")
    serve(
        form,
        f'<form method="post" action="/other-form" enctype="multipart/form-data">{inputs}<button>Go</button></form>',
    )
    for index in (0, 1):
        chosen = {"name": "v.wav", "mimeType": "audio/wav", "buffer": SHORT}
        form.page.locator("input[type=file]").nth(index).set_input_files(chosen)
        form.page.locator("prelisten-check").nth(index).and_(form.page.locator("[state=done]")).wait_for(
            timeout=60_000
        )
    assert len(form.page.workers) == 1
    with form.page.expect_navigation():
        form.page.get_by_role("button", name="Go").click()
    assert {"a-hint", "b-hint"} <= set(form.entries())


def test_disabled_element_lets_everything_pass(form: FormPage) -> None:
    """A disabled check neither listens nor holds."""
    form.page.evaluate("document.querySelector('prelisten-check').disabled = true")
    form.choose(SHORT)
    form.send()
    assert form.entries().count("voice-hint") == 0


def test_show_nothing_hides_the_band(form: FormPage) -> None:
    """`show=nothing` says that it was checked, and no more."""
    form.page.evaluate("document.querySelector('prelisten-check').setAttribute('show', 'nothing')")
    form.choose(SHORT)
    form.wait_for("done")
    assert "Your recording was checked." in form.text()
    assert "signs" not in form.text()


def test_without_javascript_the_form_sends_the_file(server, browser) -> None:
    """The native input stays in the page: no script, no hint, same form."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(server.url)
    page.locator("input[type=file]").set_input_files(
        {"name": "v.wav", "mimeType": "audio/wav", "buffer": SHORT}
    )
    page.locator("#send").click()
    page.wait_for_url("**/submissions/*")
    page.context.close()


def test_person_who_sends_during_the_check_is_told_and_can_go_at_once(form: FormPage) -> None:
    """A held submit says that it waits, why and how long; "Send now" sends the file without a hint."""
    form.page.locator("prelisten-check").evaluate("check => { check.wait = 13_500; }")
    form.page.route("**/*.wasm", lambda route: None)  # The runtime never arrives.
    form.choose(wav_bytes(speech_like(4.0, seed=61)))
    form.page.locator("#send").press("Enter")
    panel = form.page.locator("prelisten-check .panel")
    expect(panel).to_contain_text("sent as soon as the check is done, in 14 seconds", timeout=10_000)
    panel.get_by_role("button", name="Send now").click()
    form.page.wait_for_url("**/submissions/*")
    assert form.entries() == ["idempotency_key", "voice"]


def test_cancelling_keeps_the_keyboard_where_the_person_is(form: FormPage) -> None:
    """The button that was pressed is gone; the focus goes on to the input, not to nowhere."""
    form.page.route("**/*.wasm", lambda route: None)
    form.choose(wav_bytes(speech_like(4.0, seed=62)))
    form.page.get_by_role("button", name="Cancel").press("Enter")
    form.wait_for("cancelled")
    assert form.page.evaluate("document.activeElement.id") == "voice"
