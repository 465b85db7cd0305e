"""Every snippet of the element's page, run as it stands there, in a browser under the policy that it names."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page
from werkzeug.serving import make_server

from prelisten.config import load_config
from prelisten.keys import ensure_keys
from tests.browser.form_page import FormPage
from tests.browser.own_app import PAGE_CSP, SCRIPT, OwnApp, own_app
from tests.recordings import speech_like, wav_bytes

TEXT = (Path(__file__).resolve().parents[2] / "web" / "docs" / "widget.md").read_text()
VOICE = wav_bytes(speech_like(3.0, seed=99))
PLAIN, ENHANCED, RESULT, TEST = re.findall(r"```html\n(.*?)```", TEXT, re.DOTALL)
LISTEN, FETCH, SAVE, SCREEN = re.findall(r"```js\n(.*?)```", TEXT, re.DOTALL)
SEVERAL, FLASK = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
[LOOKS] = re.findall(r"```css\n(.*?)```", TEXT, re.DOTALL)
[POLICY] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
TOLD = '<p id="told"></p>'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    with own_app(tmp_path_factory.mktemp("docs") / "data", env="test", wait_s=0) as started:
        assert started.app
        exec(compile(SEVERAL, "widget.md", "exec"), {"app": started.app, "prelisten": started.prelisten})
        yield started


def opened(page: Page, app: OwnApp, markup: str, script: str = "") -> FormPage:
    """Open a page with a snippet of markup and one of script."""
    app.markup = f'{markup}{TOLD}<script type="module" src="/own.js"></script>'
    app.script, app.page = script, page
    return FormPage(page, app.url).open()


def quick(markup: str) -> str:
    """Spare the runtime where a snippet is not about listening: the same snippet in test mode."""
    return markup.replace("<prelisten-check ", '<prelisten-check test="clear" ').replace(
        "data-prelisten ", 'data-prelisten data-test="clear" '
    )


@pytest.mark.parametrize(("markup", "state"), [(PLAIN, "ok"), (ENHANCED, "ok")], ids=["plain", "enhanced"])
def test_markup_carries_a_token(page: Page, app: OwnApp, markup: str, state: str) -> None:
    """Both ways to put it in: choose, send, a good token, nothing against the policy."""
    form = opened(page, app, quick(markup))
    form.page.locator("prelisten-check[state]").wait_for()
    form.choose(VOICE)
    form.page.get_by_role("button", name="Send", exact=True).press("Enter")
    assert app.wait_taken().tokens == {"voice": state}
    assert form.told("CSP") == form.told("ERROR") == []


def test_several_files_are_several_submissions(page: Page, app: OwnApp) -> None:
    """The view of the page gets one screening for each file that the element listened to, with its own token."""
    markup = (
        quick(PLAIN)
        .replace('action="/submit"', 'action="/several"')
        .replace('type="file"', 'type="file" multiple')
    )
    form = opened(page, app, markup)
    form.page.locator("prelisten-check[state]").wait_for()
    files = [VOICE, wav_bytes(speech_like(2.0, seed=98)), b"no recording"]
    form.page.locator("input[type=file]").set_input_files(
        [
            {"name": f"{at}.wav", "mimeType": "audio/wav", "buffer": content}
            for at, content in enumerate(files)
        ]
    )
    form.wait_for("done")
    with page.expect_navigation():
        page.get_by_role("button", name="Send", exact=True).click()
    answers = json.loads(page.locator("pre").inner_text())
    assert [(one["decision"], one["token"]) for one in answers] == [("hold", "ok")] * 3
    assert len({one["status"] for one in answers}) == 3


def test_event_tells_the_page(page: Page, app: OwnApp) -> None:
    """The listener of the page writes band and coverage; here for real."""
    form = opened(page, app, PLAIN, LISTEN)
    form.choose(VOICE)
    form.wait_for("done")
    assert re.fullmatch(r"\w+: listened to 3 s", form.page.locator("#told").inner_text())


def test_handler_that_posts_by_fetch(page: Page, app: OwnApp) -> None:
    """The handler runs once, with the token there."""
    form = opened(page, app, quick(PLAIN), FETCH)
    form.page.locator("prelisten-check[state]").wait_for()
    form.choose(VOICE)
    form.page.get_by_role("button", name="Send", exact=True).press("Enter")
    assert app.wait_taken().tokens == {"voice": "ok"}
    form.page.get_by_text("Sent", exact=True).wait_for()


def test_page_without_a_submit_event(page: Page, app: OwnApp) -> None:
    """`seal="result"`: the button's own script finds the token, and the form is empty afterwards."""
    form = opened(page, app, quick(RESULT), SAVE)
    form.page.locator("prelisten-check[state]").wait_for()
    form.choose(VOICE)
    with form.page.expect_response("**/prelisten/v1/seal"):
        form.wait_for("done", "sealing")
    form.wait_for("done")
    form.page.locator("#save").click()
    assert app.wait_taken().tokens == {"voice": "ok"}
    form.wait_for("idle")


def test_upload_library_posts_by_itself(page: Page, app: OwnApp) -> None:
    """`screen()` without an element: the band and a good token, by the library's own request."""
    markup = f'{SCRIPT}<input type="file" id="file" aria-label="File"><button id="upload">Upload</button>'
    form = opened(page, app, markup, SCREEN.replace('"voice-upload" }', '"voice-upload", test: "high" }'))
    form.choose(VOICE)
    form.page.locator("#upload").press("Enter")
    assert app.wait_taken().tokens == {"voice": "ok"}
    assert form.page.locator("#told").inner_text() == "high"


def test_sentence_of_the_element_says_what_is_told_at_once(page: Page, app: OwnApp) -> None:
    """With `seal="result"` nobody is told that nothing is sent before the form is."""
    form = opened(page, app, RESULT)
    note = form.page.locator("prelisten-check .note")
    note.get_by_text("goes to this site at once").wait_for()
    assert "Nothing about it is sent" not in note.inner_text()


def test_fixed_outcome(page: Page, app: OwnApp) -> None:
    """The snippet of the test mode."""
    form = opened(page, app, TEST)
    form.choose(VOICE)
    form.wait_for("done")
    assert form.result()["band"] == "high"
    form.page.get_by_role("button", name="Send", exact=True).click()
    assert app.wait_taken().tokens == {"voice": "ok"}


def test_policy_is_the_one_that_everything_here_runs_under() -> None:
    """What the page says is enough is what these tests allow."""
    assert POLICY.strip() == PAGE_CSP


def test_looks(page: Page, app: OwnApp) -> None:
    """The variables reach the element, and the part can be styled from outside."""
    form = opened(page, app, f'{SCRIPT}<link rel="stylesheet" href="/looks.css">{quick(PLAIN)}')
    form.page.route("**/looks.css", lambda route: route.fulfill(body=LOOKS, content_type="text/css"))
    form.page.reload()
    form.page.locator("prelisten-check[state]").wait_for()
    form.choose(VOICE)
    form.wait_for("done")
    base, summary = form.page.locator("[part=base]"), form.page.locator("[part=summary]")
    assert base.evaluate("(node) => getComputedStyle(node).borderTopLeftRadius") == "4px"
    assert summary.evaluate("(node) => getComputedStyle(node).fontStyle") == "italic"


@contextmanager
def flask_snippet(monkeypatch: pytest.MonkeyPatch, data: Path) -> Iterator[str]:
    """Run the page's Flask application and give its address."""
    settings = {"DATA": str(data), "WORKERS": "0", "WAIT_S": "0", "ENV": "test"}
    for name, value in settings.items():
        monkeypatch.setenv(f"PRELISTEN_{name}", value)
    ensure_keys(load_config())
    names: dict = {"__name__": "snippet"}
    exec(compile(FLASK, "widget.md", "exec"), names)
    names["app"].before_request(lambda: names["session"].setdefault("check", "made at sign-in") and None)
    server = make_server("127.0.0.1", 0, names["app"], threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
    names["prelisten"].close()


def test_session_is_bound(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application of the page: a token of the same session is good, one of another session is not."""
    with flask_snippet(monkeypatch, tmp_path / "data") as url:
        for change, state in (("", "ok"), ("element.setAttribute('session', 'another')", "wrong_session")):
            form = FormPage(page, url).open()
            page.locator("prelisten-check").evaluate(
                f"(element) => {{ element.setAttribute('test', 'clear'); {change} }}"
            )
            form.choose(VOICE + str(time.time()).encode())
            form.wait_for("done")
            with page.expect_navigation():
                page.get_by_role("button", name="Send", exact=True).click()
            assert f'"token":"{state}"' in page.content().replace(" ", "").replace("\n", "")


def test_tables_name_what_there_is(page: Page, app: OwnApp) -> None:
    """Attributes, properties, methods, states, variables and parts: those of the page are those of the element."""
    source = "".join(
        path.read_text() for path in (Path(__file__).resolve().parents[2] / "web/src").glob("**/*.js")
    )
    opened(page, app, PLAIN).page.locator("prelisten-check[state]").wait_for()
    observed = page.evaluate("customElements.get('prelisten-check').observedAttributes")
    assert set(observed) - {"state"} == set(named("Attributes"))
    members, inherited, statics = page.evaluate(
        """() => {
          const element = customElements.get('prelisten-check');
          const kinds = [];
          const isLits = (kind) => Object.hasOwn(kind, '_$litElement$');
          for (let kind = element; !isLits(kind); kind = Object.getPrototypeOf(kind)) kinds.push(kind);
          const lits = [];
          for (let kind = Object.getPrototypeOf(kinds.at(-1)); kind !== HTMLElement; ) {
            lits.push(kind);
            kind = Object.getPrototypeOf(kind);
          }
          const named = ({ prototype }) => Object.getOwnPropertyNames(prototype);
          return [
            kinds.flatMap(named),
            lits.flatMap(named),
            Object.getOwnPropertyNames(element).filter((name) => typeof element[name] === 'function'),
          ];
        }"""
    )
    named_here = {name.partition("(")[0] for name in named("Properties and methods")}
    theirs = {name for name in named_here if "." not in name}
    ours = {
        name
        for name in members
        if not re.search("Callback|constructor|render|updated|willUpdate|^[A-Z_]", name)
    }
    assert theirs - ours - set(observed) <= set(inherited)
    assert ours - set(observed) - {"maxSeconds", "workerSrc"} <= theirs
    assert named_here - theirs == {f"PrelistenCheck.{name}" for name in statics}
    states = re.search(r"@typedef \{(\"idle\".*?)\} State", source, re.DOTALL)[1]
    assert set(named("States")) == set(re.findall(r'"(\w+)"', states))
    events = {f"prelisten-{name}" for name in re.findall(r'#emit\("(\w+)"', source)}
    assert set(named("Events")) == events
    looks = TEXT.partition("## Looks")[2]
    assert set(re.findall(r"`(--prelisten-\w+)`", looks)) == set(
        re.findall(r"var\((--prelisten-\w+)", source)
    )
    parts = looks.partition("Parts:")[2].partition("Slots")[0]
    assert set(re.findall(r"`([a-z-]+)`", parts)) == set(re.findall(r'part="([a-z-]+)"', source))
    slots = looks.partition("Slots:")[2]
    assert set(re.findall(r"`([a-z]+)`", slots)) == set(re.findall(r'slot name="([a-z]+)"', source))


def named(section: str) -> list[str]:
    """Return the names in the first column of a section's first table."""
    table = TEXT.partition(f"\n## {section}\n")[2].partition("\n|---")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[1:] if row.startswith("|")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
