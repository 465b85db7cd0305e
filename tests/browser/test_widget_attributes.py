"""What a page can set and ask: attributes, properties and methods, each in a form that is really sent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from prelisten.assets import manifest
from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, form_markup
from tests.browser.test_widget_submit import OTHER, POST_BY_FETCH, VOICE, chosen, opened, seals

DOCS = (Path(__file__).resolve().parents[2] / "web" / "docs" / "widget.md").read_text()
CHECK = "document.querySelector('prelisten-check')"


def fast(attributes: str) -> str:
    """Return the form's markup in test mode with more attributes."""
    return form_markup(f'test="clear" {attributes}')


def ready(form: FormPage) -> FormPage:
    """Wait until the element is defined."""
    form.page.locator("prelisten-check[state]").wait_for()
    return form


def bundle_requests(form: FormPage) -> list[str]:
    return [request.url for request in form.requests if "/v1/b/" in request.url]


def test_auto_submit_listens_when_the_form_is_sent(page: Page, app: OwnApp) -> None:
    """Choosing does nothing; the hold listens and seals."""
    form = ready(opened(page, app, fast('auto="submit"')))
    form.choose(VOICE)
    form.page.wait_for_timeout(300)
    assert form.page.locator("prelisten-check").get_attribute("state") == "idle"
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_auto_manual_listens_only_when_asked(page: Page, app: OwnApp) -> None:
    """Without `check()` the form goes at once and alone; another file loses the first one's result."""
    form = ready(opened(page, app, fast('auto="manual"')))
    form.choose(VOICE)
    form.page.evaluate(f"{CHECK}.check()")
    form.wait_for("done")
    form.choose(OTHER, "other.wav")
    form.wait_for("idle")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "absent"}
    assert seals(form) == 0


def test_auto_manual_is_sealed_after_check(page: Page, app: OwnApp) -> None:
    """What the page had checked goes with a token."""
    form = ready(opened(page, app, fast('auto="manual"')))
    form.choose(VOICE)
    form.page.evaluate(f"{CHECK}.check()")
    form.wait_for("done")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_preload_none_loads_nothing_at_intent(page: Page, app: OwnApp) -> None:
    """The pointer and the focus load nothing; a chosen file does."""
    form = ready(opened(page, app, fast('preload="none"')))
    form.page.locator("input[type=file]").hover()
    form.page.locator("input[type=file]").focus()
    form.page.wait_for_timeout(500)
    assert bundle_requests(form) == []
    chosen(form)
    assert bundle_requests(form)


def test_preload_idle_loads_without_intent(page: Page, app: OwnApp) -> None:
    """The parts come as soon as the page has nothing else to do."""
    with page.expect_request("**/panel.js"):
        opened(page, app, fast('preload="idle"'))


@pytest.mark.parametrize("is_declared", [True, False])
def test_declaration_is_posted_beside_the_token(page: Page, app: OwnApp, is_declared: bool) -> None:
    """The box is there before anything loads, posts `<name>-declared` when it is set, and nothing otherwise."""
    form = ready(opened(page, app, fast("declare")))
    box = form.page.get_by_role("checkbox", name="This recording contains computer-generated speech")
    expect(box).to_be_visible()
    if is_declared:
        box.press("Space")
    chosen(form).page.locator("#send").click()
    taken = app.wait_taken()
    assert taken.tokens == {"voice": "ok"}
    assert taken.fields.get("voice-declared") == ("yes" if is_declared else None)


def test_declaration_goes_without_a_recording_being_heard(page: Page, app: OwnApp) -> None:
    """With the lazy parts blocked the box still says what the person wants to say."""
    form = opened(page, app, fast("declare"))
    form.page.route("**/v1/b/**", lambda route: route.abort())
    form.page.get_by_role("checkbox").check()
    form.choose(VOICE)
    form.wait_for("error")
    form.page.locator("#send").click()
    assert app.wait_taken().fields.keys() == {"voice-declared", "how"}


def test_reset_takes_the_declaration_back(page: Page, app: OwnApp) -> None:
    """An emptied form says nothing of what was declared before."""
    form = ready(opened(page, app, fast("declare")))
    form.page.get_by_role("checkbox").check()
    form.page.evaluate("document.querySelector('form').reset()")
    expect(form.page.get_by_role("checkbox")).not_to_be_checked()
    assert not form.page.evaluate("new FormData(document.querySelector('form')).has('voice-declared')")


def test_declaration_box_inside_a_label_opens_no_chooser(page: Page, app: OwnApp) -> None:
    """A label around the element hands clicks on to the input, but not those on the box."""
    markup = '<form><label>Voice<prelisten-check declare><input type="file" name="v"></prelisten-check></label></form>'
    form = ready(opened(page, app, markup))
    opens: list[object] = []
    form.page.on("filechooser", lambda chooser: opens.append(chooser))
    form.page.get_by_role("checkbox").click()
    form.page.wait_for_timeout(300)
    expect(form.page.get_by_role("checkbox")).to_be_checked()
    assert opens == []


def test_appearance_is_mirrored_and_none_is_silent(page: Page, app: OwnApp) -> None:
    """The attribute stands on the host for style sheets; with `none` the page speaks, not the element."""
    form = ready(opened(page, app, fast("")))
    expect(form.page.locator("prelisten-check")).to_have_attribute("appearance", "standard")
    form.page.evaluate(f"{CHECK}.appearance = 'none'")
    chosen(form)
    assert form.page.get_by_role("status").text_content() == ""


def test_validity_is_the_inputs_own(page: Page, app: OwnApp) -> None:
    """`required` is the input's; the element answers with the input's words and adds no condition."""
    form = ready(opened(page, app, fast("")))
    form.page.evaluate("document.querySelector('#voice').required = true")
    answers = (
        "((check) => [check.checkValidity(), check.validity.valueMissing, check.validationMessage !== ''])"
        f"({CHECK})"
    )
    assert form.page.evaluate(answers) == [False, True, True]
    chosen(form)
    assert form.page.evaluate(answers) == [True, False, False]


def test_configure_sets_several_and_refuses_what_does_not_exist(page: Page, app: OwnApp) -> None:
    """A typing error is an error, and sets nothing."""
    form = ready(opened(page, app, fast("")))
    told = form.page.evaluate(
        f"""(() => {{
          const check = {CHECK};
          check.configure({{ show: "nothing", maxSeconds: 30, strings: {{ "ui.done": "Checked, thank you." }} }});
          try {{ check.configure({{ shwo: "score", wait: 1 }}); }}
          catch (error) {{ return [error.name, error.message, check.wait]; }}
        }})()"""
    )
    assert told == ["TypeError", "<prelisten-check> has no option shwo", 15000]
    chosen(form)
    assert "Checked, thank you." in form.text()


def test_strings_are_readable_and_replaceable(page: Page, app: OwnApp) -> None:
    """A page may say some sentences in its own words, also those shown before anything loads."""
    form = ready(opened(page, app, fast("")))
    form.page.evaluate(f"{CHECK}.strings = {{ 'ui.idle': 'Our own words.' }}")
    form.page.get_by_text("Our own words.").wait_for()
    assert form.page.evaluate(f"{CHECK}.strings['error.offline']").startswith("You are offline")


def test_ready_is_kept_when_it_can_listen(page: Page, app: OwnApp) -> None:
    """Reading it loads nothing; intent does, and keeps the promise."""
    form = ready(opened(page, app, fast("")))
    form.page.evaluate(f"void {CHECK}.ready.then(() => console.log('READY'))")
    form.page.wait_for_timeout(300)
    assert (form.told("READY"), bundle_requests(form)) == ([], [])
    with form.page.expect_console_message(lambda line: line.text == "READY"):
        form.page.locator("input[type=file]").focus()


def test_defined_twice_and_under_another_name(page: Page, app: OwnApp) -> None:
    """A second definition changes nothing; another tag is another element of the same kind."""
    form = ready(opened(page, app, fast("")))
    form.page.evaluate(
        """async () => {
          const { PrelistenCheck } = await import("/prelisten/v1/widget.js");
          PrelistenCheck.define();
          PrelistenCheck.define("voice-check");
          PrelistenCheck.define("voice-check");
          const check = document.createElement("voice-check");
          check.test = "high";
          check.append(document.querySelector("#voice"));
          document.querySelector("prelisten-check").replaceWith(check);
        }"""
    )
    form.choose(VOICE)
    form.page.locator("voice-check[state=done]").wait_for()
    button = "getComputedStyle(document.querySelector('#voice'), '::file-selector-button').borderRadius"
    assert form.page.evaluate(button) == "999px"
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_screen_without_an_element(page: Page, app: OwnApp) -> None:
    """An upload library gets the token and the result of one file, and posts both by itself."""
    form = ready(opened(page, app, fast("")))
    told = form.page.evaluate(
        """async (bytes) => {
          const { PrelistenCheck } = await import("/prelisten/v1/widget.js");
          const file = new File([new Uint8Array(bytes)], "voice.wav", { type: "audio/wav" });
          const { token, result } = await PrelistenCheck.screen(file, { action: "voice-upload", test: "high" });
          const body = new FormData();
          body.append("voice", file);
          body.append("voice-hint", token);
          await fetch("/take", { method: "POST", body });
          try { await PrelistenCheck.screen(file, { test: "unsupported" }); }
          catch (error) { return [result.band, error.code]; }
        }""",
        list(VOICE),
    )
    assert told == ["high", "unsupported"]
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_screen_without_a_seal_gives_the_result(page: Page, app: OwnApp) -> None:
    """A server that cannot seal costs the token."""
    form = ready(opened(page, app, fast("")))
    form.page.route("**/prelisten/v1/seal", lambda route: route.fulfill(status=500))
    told = form.page.evaluate(
        """async () => {
          const { PrelistenCheck } = await import("/prelisten/v1/widget.js");
          const { token, result } = await PrelistenCheck.screen(new File(["x"], "x.wav"), { test: "clear" });
          return [token, result.band];
        }"""
    )
    assert told == ["", "clear"]


def test_input_that_a_framework_replaces_is_adopted(page: Page, app: OwnApp) -> None:
    """A re-render puts another input in the place of the first, deep inside: the new one is checked and sealed."""
    form = chosen(
        opened(
            page,
            app,
            fast("")
            .replace('<input id="voice"', '<div><input id="voice"')
            .replace('Voice">', 'Voice"></div>'),
        )
    )
    form.page.evaluate(
        "document.querySelector('#voice').replaceWith(document.querySelector('#voice').cloneNode())"
    )
    form.choose(OTHER, "other.wav")
    form.wait_for("done")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_fieldset_enabled_again_has_its_file_checked(page: Page, app: OwnApp) -> None:
    """Disabled, nothing is known of the file; enabled again, it is listened to by itself."""
    markup = (
        fast("")
        .replace("<prelisten-check", "<fieldset><prelisten-check")
        .replace("</prelisten-check>", "</prelisten-check></fieldset>")
    )
    form = chosen(opened(page, app, markup))
    form.page.evaluate("document.querySelector('fieldset').disabled = true")
    form.wait_for("idle")
    form.page.evaluate("document.querySelector('fieldset').disabled = false")
    form.wait_for("done")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_fieldset_enabled_again_enables_ours_without_a_file(page: Page, app: OwnApp) -> None:
    """A form that waits for a consent: the declaration and the microphone can be used after it."""
    markup = (
        fast("declare record")
        .replace("<prelisten-check", "<fieldset disabled><prelisten-check")
        .replace("</prelisten-check>", "</prelisten-check></fieldset>")
    )
    form = opened(page, app, markup)
    expect(form.page.get_by_role("button", name="Record")).to_be_disabled()
    form.page.evaluate("document.querySelector('fieldset').disabled = false")
    expect(form.page.get_by_role("button", name="Record")).to_be_enabled()
    expect(form.page.get_by_role("checkbox")).to_be_enabled()


def test_every_attribute_stands_in_the_docs(page: Page, app: OwnApp) -> None:
    """The table of attributes is complete."""
    form = ready(opened(page, app, fast("")))
    names = form.page.evaluate(f"{CHECK}.constructor.observedAttributes")
    table = DOCS[DOCS.index("## Attributes") : DOCS.index("## Properties")]
    assert {name for name in names if name != "state"} == set(
        re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE)
    )


def test_each_thing_is_announced_once_and_then_taken_away(page: Page, app: OwnApp) -> None:
    """Start, outcome and sending, each said once; later the region is empty, so that nobody reads it twice."""
    script = POST_BY_FETCH + "document.querySelector('form').addEventListener('submit', post);"
    page.clock.install()
    form = ready(opened(page, app, fast(""), script=script))
    form.page.evaluate(
        f"""(() => {{
          const status = {CHECK}.renderRoot.querySelector("[role=status]");
          new MutationObserver(() => console.log("SAID " + status.textContent))
            .observe(status, {{ characterData: true, childList: true, subtree: true }});
        }})()"""
    )
    form.choose(VOICE)
    form.wait_for("done")
    form.page.locator("#send").click()
    app.wait_taken()
    assert [line.split(".")[0] for line in form.told("SAID")] == [
        "SAID Checking your recording",
        "SAID No signs found",
        "SAID Preparing to send",
    ]
    form.page.clock.run_for(11_000)
    assert form.told("SAID")[-1] == "SAID "
    form.page.clock.run_for(60_000)
    assert len(form.told("SAID")) == 4


def test_going_back_in_the_browser_keeps_a_form_that_can_be_sent(page: Page, app: OwnApp) -> None:
    """Sent, then back (from memory, or loaded anew): it goes again, with a token."""
    form = chosen(opened(page, app, fast("")))
    form.page.locator("#send").click()
    first = app.wait_taken().fields["voice-hint"]
    form.page.go_back()
    ready(form)
    if not form.page.evaluate("document.querySelector('#voice').files.length"):
        form.choose(VOICE)
    form.wait_for("done")
    form.page.wait_for_timeout(1200)
    form.page.locator("#send").click()
    second = app.wait_taken(2)
    assert (second.tokens, second.fields["voice-hint"] != first) == ({"voice": "ok"}, True)


def test_worker_src_is_where_the_worker_comes_from(page: Page, app: OwnApp) -> None:
    """Another address of the same origin is taken; the rest of the bundle is looked for beside it."""
    address = f"/prelisten/v1/{manifest()['worker']}?elsewhere"
    form = ready(opened(page, app, form_markup(f'worker-src="{address}"')))
    with form.page.expect_request(f"**{address}"):
        form.page.locator("input[type=file]").focus()


def test_worker_of_another_origin_is_unsupported_and_the_form_is_sent(page: Page, app: OwnApp) -> None:
    """Browsers start no such worker; that costs the hint alone."""
    form = ready(opened(page, app, form_markup('worker-src="https://elsewhere.example/worker.js"')))
    form.choose(VOICE)
    form.wait_for("unsupported")
    form.page.locator("#send").click()
    assert app.wait_taken().tokens == {"voice": "absent"}
