"""The examples of upload libraries and frameworks, as their READMEs start them: bundled, in a browser, with a back end.

Each carries the token of its file to the server, which says what it is worth; and each uploads without one.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from werkzeug.serving import make_server

from prelisten.config import load_config
from prelisten.hints.verify import read_token
from prelisten.keys import ensure_keys
from prelisten.pipeline import Services
from prelisten.records import Submission, TokenState
from prelisten.storage import tables
from tests.browser.firefox import FIREFOX, Firefox, firefox
from tests.browser.form_page import FormPage
from tests.browser.test_other_browsers import IS_FULL, WATCH
from tests.recordings import speech_like, wav_bytes

EXAMPLES = Path(__file__).resolve().parents[2] / "web" / "examples"
sys.path.insert(0, str(EXAMPLES))
serve = importlib.import_module("serve")
back_end = importlib.import_module("back_end")
OPTION = 'action: "voice-upload"'
WITHIN_S = 30


def upload_with_uppy(page: Page) -> None:
    page.locator(".uppy-StatusBar-actionBtn--upload").press("Enter")


def upload_with_filepond(page: Page) -> None:
    """Press the button of each recording; FilePond takes it out of use while it moves things about."""
    idle = page.locator("[data-filepond-item-state=idle] .filepond--action-process-item")
    for _ in range(WITHIN_S * 10):
        if not idle.count():
            return
        idle.evaluate_all("(buttons) => buttons.forEach((button) => button.click())")
        page.wait_for_timeout(100)


def send_form(page: Page) -> None:
    page.get_by_role("button", name="Send").press("Enter")


LIBRARIES: dict[str, Callable[[Page], None]] = {
    "uppy": upload_with_uppy,
    "uppy_tus": upload_with_uppy,
    "filepond": upload_with_filepond,
    "tus": send_form,
}
FRAMEWORKS = ("react", "vue")
BUTTONS = {
    "uppy": "document.querySelector('.uppy-StatusBar-actionBtn--upload')",
    "uppy_tus": "document.querySelector('.uppy-StatusBar-actionBtn--upload')",
    "filepond": "document.querySelector('[data-filepond-item-state=idle] .filepond--action-process-item')",
} | dict.fromkeys(("tus", *FRAMEWORKS), "document.querySelector('form button')")
SEND = LIBRARIES | dict.fromkeys(FRAMEWORKS, send_form)


@dataclass(frozen=True, slots=True)
class Site:
    """The running back end of the examples."""

    url: str
    built: Path
    services: Services

    def received(self) -> list[Submission]:
        """Return everything that was uploaded, the newest last."""
        table = tables.submissions.c
        with self.services.storage.read() as tx:
            ids = tx.connection.execute(select(table.id).order_by(table.received_at)).scalars().all()
            return [one for one in map(tx.submission, ids) if one]

    def tokens(self, page: Page, count: int) -> dict[str, TokenState]:
        """Wait until `count` uploads have arrived since `page` was opened; return what their tokens are worth."""
        for _ in range(WITHIN_S * 20):
            new = self.received()[page.started_with :]  # type: ignore[attr-defined]
            if len(new) >= count:
                return {one.sha256: one.hint_check.token for one in new}
            page.wait_for_timeout(50)
        pytest.fail(f"{len(new)} uploads of {count} arrived")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """All examples, bundled once; one server for them. It verifies, and screens nothing."""
    folder = tmp_path_factory.mktemp("examples")
    built = serve.bundle(folder / "built")
    config = load_config(
        {}, data=folder / "data", workers=0, wait_s=0, rate_limit="100000/minute", env="test"
    )
    ensure_keys(config)
    app = back_end.create_app(built, config)
    prelisten = app.extensions["prelisten"]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.port}", built, prelisten.services)
    server.shutdown()
    thread.join()
    server.server_close()
    prelisten.close()


def opened(page: Page, site: Site, name: str, options: str = 'test: "high"') -> FormPage:
    """Open an example with more options than its own; by default in test mode, at once and without the runtime."""
    script = (site.built / name / "main.js").read_text()
    assert OPTION in script
    script = script.replace(OPTION, f"{OPTION}, {options}" if options else OPTION)
    page.route(f"**/{name}/main.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    page.started_with = len(site.received())  # type: ignore[attr-defined]
    return FormPage(page, f"{site.url}/{name}/").open()


def choose(page: Page, *contents: bytes) -> None:
    """Choose recordings with the library's own input."""
    chosen = page.locator("input[type=file]").first
    chosen.set_input_files(
        [
            {"name": f"{index}.wav", "mimeType": "audio/wav", "buffer": content}
            for index, content in enumerate(contents)
        ]
    )
    if page.url.endswith("/filepond/"):  # Before an item is idle its button does nothing.
        expect(page.locator("[data-filepond-item-state=idle]")).to_have_count(len(contents))


def recording(seed: int) -> bytes:
    """Return a recording that no other test sends."""
    return wav_bytes(speech_like(2.0, seed=seed))


@pytest.mark.parametrize("name", SEND)
def test_upload_carries_a_good_token(page: Page, site: Site, name: str) -> None:
    """Choose, send: the server finds the token good for this very file, and nothing is against the strict policy."""
    form = opened(page, site, name)
    choose(page, recording(len(name)))
    if name in FRAMEWORKS:
        form.wait_for("done")
    SEND[name](page)
    assert list(site.tokens(page, 1).values()) == [TokenState.OK]
    assert form.told("CSP") == form.told("ERROR") == []
    if name in LIBRARIES:
        expect(page.locator("#told")).to_contain_text("Strong signs")


@pytest.mark.parametrize("name", SEND)
def test_upload_happens_where_the_check_is_blocked(page: Page, site: Site, name: str) -> None:
    """No script of ours comes: the upload does, without a token."""
    page.route("**/prelisten/v1/**", lambda route: route.abort())
    opened(page, site, name, "")
    choose(page, recording(20 + len(name)))
    SEND[name](page)
    assert list(site.tokens(page, 1).values()) == [TokenState.ABSENT]


@pytest.mark.parametrize("name", LIBRARIES)
def test_upload_does_not_wait_for_ever(page: Page, site: Site, name: str) -> None:
    """The script is asked for and never comes: after `wait` the upload goes."""
    page.route("**/widget.js", lambda route: None)
    opened(page, site, name, "wait: 300")
    choose(page, recording(40 + len(name)))
    SEND[name](page)
    assert list(site.tokens(page, 1).values()) == [TokenState.ABSENT]


@pytest.mark.parametrize("name", ["uppy", "filepond"])
def test_each_of_several_files_has_its_own_token(page: Page, site: Site, name: str) -> None:
    """Two recordings at once, one worker: two good tokens."""
    opened(page, site, name)
    choose(page, recording(61), recording(62))
    SEND[name](page)
    assert list(site.tokens(page, 2).values()) == [TokenState.OK] * 2


SPY = """async (firstHangs) => {
  await import("/prelisten/v1/widget.js");
  const element = customElements.get("prelisten-check"), screen = element.screen;
  window.calls = window.running = window.most = 0;
  element.screen = async (...given) => {
    window.most = Math.max(window.most, ++window.running);
    if (++window.calls === 1 && firstHangs) await new Promise(() => {});
    return screen.apply(element, given).finally(() => window.running--);
  };
}"""


@pytest.mark.parametrize("name", ["uppy", "filepond"])
def test_one_file_is_heard_after_the_other(page: Page, site: Site, name: str) -> None:
    """One worker hears: files that share it would all be late."""
    opened(page, site, name)
    page.evaluate(SPY, False)
    choose(page, recording(68), recording(69), recording(70))
    SEND[name](page)
    assert list(site.tokens(page, 3).values()) == [TokenState.OK] * 3
    assert page.evaluate("[window.calls, window.most]") == [3, 1]


@pytest.mark.parametrize("name", ["uppy", "filepond"])
def test_several_files_wait_once(page: Page, site: Site, name: str) -> None:
    """The first is heard for ever: the second has no time of its own, and both are uploaded without a token."""
    opened(page, site, name, 'test: "high", wait: 300')
    page.evaluate(SPY, True)
    choose(page, recording(71), recording(72))
    SEND[name](page)
    assert list(site.tokens(page, 2).values()) == [TokenState.ABSENT] * 2


def test_filepond_in_chunks_sends_the_token_first(page: Page, site: Site) -> None:
    """With `chunkUploads` the request that begins the upload carries the token; the pieces are the recording."""
    content, begun, pieces = recording(76), [], []

    def take(route):
        request = route.request
        if request.method == "PATCH":
            pieces.append(request.post_data_buffer)
        else:
            begun.append(request)
        route.fulfill(body="the-upload", content_type="text/plain")

    def in_chunks(route):
        script = (site.built / "filepond/main.js").read_text()
        chunks = 'chunkUploads: true, chunkForce: true, chunkSize: 20000, name: "voice",\n  credits'
        assert script.count('name: "voice",\n  credits') == 1
        script = script.replace('name: "voice",\n  credits', chunks).replace(
            OPTION, f'{OPTION}, test: "high"'
        )
        route.fulfill(body=script, content_type="text/javascript")

    for address in ("**/submit", "**/?patch=*"):
        page.route(address, take)
    page.route("**/filepond/main.js", in_chunks)
    FormPage(page, f"{site.url}/filepond/").open()
    choose(page, content)
    SEND["filepond"](page)
    page.locator("[data-filepond-item-state=processing-complete]").wait_for()
    assert b"".join(pieces) == content
    assert len(pieces) > 2
    [first] = begun
    token = re.search(rb'name="voice-hint"\r\n\r\n(.+?)\r\n', first.post_data_buffer)[1].decode()
    sealed = read_token(token, site.services.keys)
    assert sealed
    assert sealed.claim.file.sha256 == hashlib.sha256(content).hexdigest()
    assert first.headers["upload-length"] == str(len(content))


THROW = '() => { throw new Error("the page"); }'


@pytest.mark.parametrize(
    ("options", "token"),
    [
        ('test: "high"', TokenState.OK),  # Its own onResult throws.
        (f'test: "high", accepts: {THROW}, onError: {THROW}', TokenState.ABSENT),
    ],
)
def test_error_in_the_page_costs_no_upload(page: Page, site: Site, options: str, token: TokenState) -> None:
    """What a function of the page throws is told as the page's error; the recording is sent, with its token."""
    opened(page, site, "uppy", options)
    page.locator("#told").evaluate(
        f"(told) => Object.defineProperty(told, 'textContent', {{ set: {THROW} }})"
    )
    choose(page, recording(73 if token is TokenState.OK else 74))
    with page.expect_event("pageerror") as told:
        SEND["uppy"](page)
    assert told.value.message == "the page"
    assert list(site.tokens(page, 1).values()) == [token]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_recording_that_could_not_be_sent_stays_chosen(page: Page, site: Site, name: str) -> None:
    """No network, then a server that fails: the file and the title are there to be sent again, and then are not."""
    form = opened(page, site, name)
    choose(page, recording(75))
    title, file = page.get_by_label("Title"), page.locator("input[type=file]")
    title.fill("A song")
    form.wait_for("done")
    for fail in (lambda route: route.abort(), lambda route: route.fulfill(status=503)):
        page.route("**/submit", fail)
        with page.expect_request("**/submit"):
            page.get_by_role("button", name="Send").click()
        expect(page.locator("form > p")).to_contain_text("could not be sent")
        assert file.evaluate("(input) => input.files.length") == 1
        assert title.input_value() == "A song"
        page.unroute("**/submit")
        page.wait_for_timeout(1100)  # A press within a second is the same wish.
    send_form(page)
    assert list(site.tokens(page, 1).values()) == [TokenState.OK]
    expect(page.locator("form > p")).to_have_text("It was sent.")
    expect(title).to_have_value("")
    assert file.evaluate("(input) => input.files.length") == 0


def test_retry_sends_the_same_token(page: Page, site: Site) -> None:
    """The answer is lost: what Uppy sends again, at a press too, is one upload for the server, not a second one."""
    posted, is_lost = [], True

    def lose(route):
        posted.append(re.search(rb'name="voice-hint"\r\n\r\n(.+?)\r\n', route.request.post_data_buffer)[1])
        answer = route.fetch()
        route.fulfill(response=answer, status=500 if is_lost else 200)

    page.route("**/submit", lose)
    opened(page, site, "uppy")
    choose(page, recording(63))
    SEND["uppy"](page)
    retry = page.locator(".uppy-StatusBar-actionBtn--retry")
    retry.wait_for()
    is_lost = False
    retry.press("Enter")
    expect(page.locator(".uppy-StatusBar-statusPrimary")).to_contain_text("Complete")
    assert len(posted) > 1
    assert len(set(posted)) == 1
    assert list(site.tokens(page, 1).values()) == [TokenState.OK]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_framework_renders_again_and_keeps_the_check(page: Page, site: Site, name: str) -> None:
    """A character typed elsewhere renders the form again: one element, its result, and the page's own word of it.

    React's page is in StrictMode, which mounts everything twice.
    """
    form = opened(page, site, name)
    choose(page, recording(64))
    form.wait_for("done")
    page.get_by_label("Title").press_sequentially("A song")
    assert page.locator("prelisten-check").count() == 1
    assert page.locator("prelisten-check").get_attribute("state") == "done"
    expect(page.locator("form > p")).to_have_text("Listened to 8 seconds.")
    send_form(page)
    assert list(site.tokens(page, 1).values()) == [TokenState.OK]
    form.wait_for("idle")  # The form was reset: a token is for one submission.
    assert form.told("ERROR") == []


@pytest.mark.parametrize("name", ["uppy", "filepond"])
def test_detector_is_loaded_once_a_file_is_chosen(page: Page, site: Site, name: str) -> None:
    """Between choosing and uploading, and nothing is told to the server meanwhile."""
    form = opened(page, site, name, "")
    assert not [request for request in form.requests if "/prelisten/" in request.url]
    with page.expect_request("**/worker.js"):
        choose(page, recording(67))
    assert form.posts() == []


def test_option_that_is_taken_away_is_the_default_again(page: Page, site: Site) -> None:
    """React writes `undefined` to the property, Vue removes the attribute: both are as if it had never been set."""
    opened(page, site, "react", "").wait_for("idle")
    seen = page.locator("prelisten-check").evaluate(
        """async (element) => {
          const told = () => [element.auto, element.seal, element.wait, element.maxSeconds];
          const before = told();
          Object.assign(element, { auto: "manual", seal: "result", wait: 1, maxSeconds: 2 });
          await element.updateComplete;
          const between = told();
          Object.assign(element, { auto: undefined, maxSeconds: undefined });
          for (const name of ["seal", "wait"]) element.setAttribute(name, "3");
          await element.updateComplete;
          for (const name of ["seal", "wait"]) element.removeAttribute(name);
          await element.updateComplete;
          return [before, between, told()];
        }"""
    )
    assert seen == [
        ["select", "submit", 15000, 120],
        ["manual", "result", 1, 2],
        ["select", "submit", 15000, 120],
    ]


def test_for_real(browser: Browser, site: Site) -> None:
    """Without test mode: the detector listens, on the element's page and then before Uppy's upload."""
    context = browser.new_context()
    for name, seed in (("vue", 65), ("uppy", 66)):
        page = context.new_page()
        form = opened(page, site, name, "")
        choose(page, recording(seed))
        if name == "vue":
            form.wait_for("done")
        SEND[name](page)
        assert list(site.tokens(page, 1).values()) == [TokenState.OK]
    context.close()


STARTED = """(async () => {
  const { PrelistenCheck } = await import("/prelisten/v1/widget.js");
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const file = new File([bytes], "any.wav", { type: "audio/wav" });
  return PrelistenCheck.screen(file, { action: "voice-upload" }).then(() => true, () => true);
})()"""


@pytest.fixture(scope="module")
def fox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """One Firefox for the examples."""
    with firefox(tmp_path_factory.mktemp("fox"), WATCH) as started:
        yield started


@pytest.mark.skipif(not FIREFOX, reason="NOTHING WAS TESTED IN FIREFOX: it is not installed.")
@pytest.mark.parametrize("name", SEND if IS_FULL else ["filepond", "react"])
def test_upload_carries_a_good_token_in_firefox(fox: Firefox, site: Site, name: str, tmp_path: Path) -> None:
    """For real, without test mode: chosen, listened to, sent, and the token is good for this very file."""
    before = len(site.received())
    fox.forget()
    fox.open(f"{site.url}/{name}/")
    path = tmp_path / "voice.wav"
    path.write_bytes(recording(100 + len(name)))
    fox.wait_for("document.querySelector('input[type=file]') !== null")
    fox.choose(path, "input[type=file]:not([webkitdirectory])")
    if name in FRAMEWORKS:
        fox.wait_for("document.querySelector('prelisten-check').state === 'done'")
    else:  # The first start may take longer than an upload waits; it is not what is tested here.
        fox.evaluate(STARTED % base64.b64encode(recording(99)).decode())
    click = f"(() => {{ const button = {BUTTONS[name]}; button?.click(); return Boolean(button); }})()"
    fox.wait_for(click)
    end = time.monotonic() + 60
    while len(new := site.received()[before:]) < 1 and time.monotonic() < end:
        time.sleep(0.1)
        if (
            name == "filepond"
        ):  # Its button is out of use while it moves things about, and gone once it is pressed.
            fox.evaluate(click)
    assert [one.hint_check.token for one in new] == [TokenState.OK], fox.lines[-10:]
    assert fox.told("CSP") == fox.told("ERROR") == []
