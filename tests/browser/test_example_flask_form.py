"""The example application, started as its README says: signing in, posting with a hint and without one."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from prelisten.cli import parser
from prelisten.config import load_config
from prelisten.pipeline import screen_submission
from prelisten.records import HintCheck, TokenState
from prelisten.wiring import wire
from tests.browser.conftest import PRELISTEN, free_port
from tests.browser.form_page import FormPage
from tests.recordings import speech_like, wav_bytes

EXAMPLE = Path(__file__).resolve().parents[2] / "server" / "examples" / "flask_form"
VOICE = wav_bytes(speech_like(4.0, seed=95))
DECIDED = "#post:not([data-decision=hold])"
START_S = 120
LENGTH = """(audio) => new Promise((done) => {
  audio.onloadedmetadata = () => done(audio.duration);
  audio.load();
})"""


@dataclass(frozen=True, slots=True)
class OpenMic:
    """The running example: its address, and the two data folders."""

    url: str
    data: Path
    own_data: Path

    def last_hint(self) -> HintCheck:
        """Return what the last post's hint was worth."""
        with closing(sqlite3.connect(self.own_data / "open_mic.sqlite3")) as database:
            (submission_id,) = database.execute("SELECT submission_id FROM posts ORDER BY id DESC").fetchone()
        services = wire(load_config({}, data=self.data))
        with services.storage.read() as tx:
            check = tx.submission(submission_id).hint_check
        services.storage.close()
        return check


@contextmanager
def open_mic(folder: Path, **settings: str) -> Iterator[OpenMic]:
    """Start it with Flask's own command, on folders of its own."""
    port, data, own_data = free_port(), folder / "prelisten-data", folder / "open-mic-data"
    environ = {**os.environ, "PRELISTEN_DATA": str(data), "OPEN_MIC_DATA": str(own_data)}
    environ |= {"PRELISTEN_RATE_LIMIT": "100000/minute"}
    environ |= {f"PRELISTEN_{name.upper()}": value for name, value in settings.items()}
    subprocess.run([PRELISTEN, "keys", "new"], env=environ, check=True, capture_output=True)
    log = folder / "open-mic.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "open_mic", "run", "--port", str(port)],
            cwd=EXAMPLE,
            env=environ,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(url, process, log)
        yield OpenMic(url, data, own_data)
    finally:
        process.terminate()
        process.wait(20)


def wait_until_up(url: str, process: subprocess.Popen, log: Path) -> None:
    """Wait for the first answer; fails with the log when it dies."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the example did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenMic]:
    with open_mic(tmp_path_factory.mktemp("open_mic")) as started:
        yield started


def signed_in(page: Page, site: OpenMic, name: str = "Ada") -> FormPage:
    """Sign in; the application leads to its form."""
    form = FormPage(page, site.url).open()
    page.goto(f"{site.url}/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/new")
    return form


def post(form: FormPage, title: str = "A song") -> None:
    """Fill the form and send it."""
    form.page.get_by_label("Title").fill(title)
    form.page.get_by_role("button", name="Post it").click()
    form.page.wait_for_url("**/posts/*", timeout=60_000)


def test_posting_with_a_hint(page: Page, running: OpenMic) -> None:
    """Choose, see the band, post: a good token of this session, a decision on the page, no violation of the policy."""
    form = signed_in(page, running)
    form.choose(VOICE)
    form.wait_for("done")
    post(form)
    page.locator(DECIDED).wait_for(timeout=60_000)
    assert running.last_hint().token is TokenState.OK
    assert form.told("CSP") == form.told("ERROR") == []
    assert page.locator("audio").evaluate(LENGTH) == pytest.approx(4.0, abs=0.1)


def test_posting_without_javascript(browser: Browser, running: OpenMic) -> None:
    """Scripts off: the file goes alone and is decided about; the page follows by itself."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{running.url}/sign-in")
    page.locator("#name").fill("Bob")
    page.locator("#password").fill("battery staple")
    page.get_by_role("button", name="Sign in").click()
    page.locator("#title").fill("Plain")
    page.locator("#voice").set_input_files({"name": "v.wav", "mimeType": "audio/wav", "buffer": VOICE})
    page.locator("#post-it").click()
    page.locator(DECIDED).wait_for(timeout=60_000)
    assert running.last_hint().token is TokenState.ABSENT
    page.context.close()


def test_hint_of_another_session_does_not_count(page: Page, running: OpenMic) -> None:
    """Sealed in one sign-in, sent in another (a token that somebody handed on): `wrong_session`, and full screening."""
    form = signed_in(page, running, "Cy")
    page.locator("prelisten-check").evaluate("(element) => element.setAttribute('session', 'f'.repeat(32))")
    form.choose(VOICE)
    form.wait_for("done")
    post(form, "Borrowed")
    assert running.last_hint().token is TokenState.WRONG_SESSION
    page.locator(DECIDED).wait_for(timeout=60_000)


def test_signing_in_again_in_between_makes_the_old_form_a_strangers(page: Page, running: OpenMic) -> None:
    """A form from before a new sign-in, in another tab: its hint is bound to the session that has ended."""
    form = signed_in(page, running, "Eve")
    form.choose(VOICE)
    form.wait_for("done")
    other = page.context.new_page()
    signed_in(other, running, "Eve")
    post(form, "Old tab")
    assert running.last_hint().token is TokenState.WRONG_SESSION


def test_nobody_posts_without_signing_in(page: Page, running: OpenMic) -> None:
    """The guard stands above the screening: a stranger is led to the sign-in, and nothing is received."""
    answer = page.request.post(
        f"{running.url}/new", multipart={"voice": {"name": "v.wav", "mimeType": "audio/wav", "buffer": VOICE}}
    )
    assert answer.url.endswith("/sign-in")
    assert not list((running.data / "quarantine").glob("*"))


def test_refusal_is_shown_in_the_applications_own_layout(page: Page, running: OpenMic) -> None:
    """A form without a recording: the sentence of `screened`, on a page of theirs."""
    form = signed_in(page, running, "Fay")
    page.locator("#voice").evaluate("(input) => { input.required = false; }")
    page.get_by_label("Title").fill("Nothing")
    page.get_by_role("button", name="Post it").click()
    expect(page.locator("main")).to_contain_text("No recording came with the form")
    expect(page.locator("header")).to_contain_text("Open Mic")
    assert form.told("CSP") == []


def test_hold_is_shown_and_then_decided(page: Page, tmp_path: Path) -> None:
    """While nobody has listened only the author sees it; then the page shows the decision by itself."""
    with open_mic(tmp_path, workers="0") as site:
        form = signed_in(page, site, "Dan")
        form.choose(VOICE)
        form.wait_for("done")
        post(form, "Waiting")
        expect(page.locator("#post")).to_have_attribute("data-decision", "hold")
        expect(page.get_by_role("status")).to_contain_text("We are listening")
        assert "Waiting" not in urllib.request.urlopen(site.url, timeout=10).read().decode()  # A stranger.
        services = wire(load_config({}, data=site.data))
        lease = services.engine.claim("test")
        screen_submission(lease.submission_id, services, lease=lease)
        services.storage.close()
        page.locator(DECIDED).wait_for(timeout=30_000)
        page.goto(site.url)
        expect(page.locator("article")).to_contain_text("Waiting")
        assert form.told("CSP") == form.told("ERROR") == []


def test_commands_of_the_readme_exist() -> None:
    """What people copy names things that are there."""
    text = (EXAMPLE / "README.md").read_text()
    commands = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1]
    for command in re.findall(r"bin/prelisten (.+)", commands):
        assert parser().parse_args(shlex.split(command)).run
    assert (EXAMPLE / "open_mic" / "__init__.py").is_file()
    for link in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        assert (EXAMPLE / link).exists(), link
    for name in re.findall(r"`(open_mic/[a-z_./]+)`", text):
        assert (EXAMPLE / name).exists(), name
