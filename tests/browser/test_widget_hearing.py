"""While a recording is heard: read once, a first impression before the end, and slow machines are waited for."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import soundfile as sf
from playwright.sync_api import Browser, Page, Route

from tests.browser import scripted_worker as worker
from tests.browser.conftest import Server
from tests.browser.form_page import LOAD_MS, FormPage
from tests.media_files import media_file
from tests.poison.boxes import box
from tests.recordings import encoded, speech_like, wav_bytes
from wasm_detector.screening import screen

RATE = 8_000
LISTENED_S = 24
LONG = wav_bytes(speech_like(60.0, seed=10, rate=RATE), RATE)  # Not near the edge of a band, at no length.
BEYOND = (
    b"LIST" + (1_500_000).to_bytes(4, "little") + bytes(1_500_000)
)  # What lies behind the samples is hashed too.
HEAD_BYTES = 1 << 20
WATCH_WORKER = """
{
  const { postMessage } = self;
  self.postMessage = (message, ...rest) => {
    console.log("TELL " + message.kind);
    return postMessage.call(self, message, ...rest);
  };
}
const { slice } = Blob.prototype;
Blob.prototype.slice = function (...range) {
  console.log("SLICE " + range);
  return slice.apply(this, range);
};
"""
TELL_PROGRESS = """
addEventListener("prelisten-progress", ({ detail }) => console.log("PROGRESS " + JSON.stringify(detail)));
addEventListener("prelisten-statechange", ({ detail }) => console.log("STATE " + detail.state));
addEventListener("prelisten-start", () => (globalThis.startedAt = performance.now()), true);
"""

TELL_RECEIVED = """
const { addEventListener } = Worker.prototype;
Worker.prototype.addEventListener = function (type, listen, ...rest) {
  const told = (event) => {
    listen.call(this, event);
    if (type === "message") console.log("RECEIVED " + event.data.kind);
  };
  return addEventListener.call(this, type, told, ...rest);
};
"""
# A decoder that is asked about while the page cancels, and that this browser turns out not to have.
CANCELLED_MEANWHILE = """
const cancelled = new Promise((resolve) => {
  self.addEventListener("message", ({ data }) => data.kind === "cancel" && setTimeout(resolve));
});
AudioDecoder.isConfigSupported = async (config) => {
  console.log("OPENING");
  await cancelled;
  return { supported: false, config };
};
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one recording's way through the page left."""

    form: FormPage
    slices: list[tuple[int, int]]
    progress: list[dict]
    states: list[str]
    seconds: float


def changed(route: Route, prelude: str) -> None:
    """Answer with the real worker, and with this before it."""
    response = route.fetch()
    route.fulfill(response=response, body=prelude + response.text())


@pytest.fixture(scope="module")
def heard(browser: Browser, server: Server) -> Iterator[Heard]:
    """A recording that is longer than what is listened to, heard to its end by the real worker."""
    context = browser.new_context()
    page = context.new_page()

    page.route("**/worker.js", lambda route: changed(route, WATCH_WORKER))
    page.add_init_script(TELL_PROGRESS)
    form = FormPage(page, server.url).open()
    page.evaluate(f"document.querySelector('prelisten-check').maxSeconds = {LISTENED_S}")
    form.choose(LONG + BEYOND)
    form.wait_for("done")
    seconds = page.evaluate("(performance.now() - startedAt) / 1000")
    ranges = [re.findall(r"\d+", line) for line in form.told("SLICE ")]
    yield Heard(
        form,
        [(int(start), int(end)) for start, end in ranges],
        [json.loads(line.removeprefix("PROGRESS ")) for line in form.told("PROGRESS ")],
        [line.removeprefix("STATE ") for line in form.told("STATE ")],
        seconds,
    )
    context.close()


def test_file_is_read_once(heard: Heard) -> None:
    """After a look at the first bytes every byte is read, once and in order, for the sum and for the ears."""
    probe, *slices = heard.slices
    size = len(LONG) + len(BEYOND)
    assert probe == (0, HEAD_BYTES)
    assert [start for start, _ in slices] == [0, *(end for _, end in slices[:-1])]
    assert slices[-1][1] == size
    assert max(end - start for start, end in slices) <= HEAD_BYTES


def test_result_is_the_one_of_the_whole(heard: Heard) -> None:
    """Read piece by piece or at once: the same."""
    samples, _ = sf.read(io.BytesIO(LONG), dtype="float32")
    ours = screen(samples, RATE, max_seconds=LISTENED_S).to_dict()
    theirs = heard.form.result()
    assert theirs["band"] == ours["band"]
    assert theirs["spoof_score"] == pytest.approx(ours["spoof_score"], abs=1e-3)
    assert theirs["coverage"] == pytest.approx(ours["coverage"])


def test_first_impression_comes_before_the_end(heard: Heard) -> None:
    """Absent at first, then in every message, growing; the band is the one of the result here, and never wavers."""
    hints = [told.get("hint") for told in heard.progress if told["phase"] == "analysing"]
    known = [hint for hint in hints if hint]
    assert hints.index(known[0]) < len(hints) / 2
    assert known == hints[hints.index(known[0]) :]
    assert {hint["band"] for hint in known} == {heard.form.result()["band"]}
    speech = [hint["speech_s"] for hint in known]
    assert speech == sorted(speech)
    assert len(set(speech)) <= 1 + heard.seconds


def test_phases_come_in_their_order(heard: Heard) -> None:
    """Reading and hearing at once is one phase for the person."""
    assert heard.states == ["loading", "reading", "analysing", "done"]


def test_worker_says_that_it_lives_at_each_step_of_its_start(heard: Heard) -> None:
    """A slow machine takes long for each step, not for one silence."""
    told = heard.form.told("TELL ")
    start = told[: told.index("TELL ready")]
    assert start.count("TELL alive") >= 4
    assert start[-1] == "TELL alive"


def test_sum_is_that_of_the_file(heard: Heard) -> None:
    """The claim that is sealed is about these very bytes: the server takes the token for them."""
    form = heard.form
    with form.page.expect_request("**/prelisten/v1/seal") as sealed:
        form.page.locator("#send").click()
    claimed = json.loads(sealed.value.post_data)["claim"]["file"]
    assert claimed["sha256"] == hashlib.sha256(LONG + BEYOND).hexdigest()


def test_job_cancelled_while_its_file_is_opened_ends(heard: Heard, server: Server) -> None:
    """The page has dropped it and answers nothing: the worker asks nothing either, and is free again."""
    page = heard.form.page.context.new_page()
    prelude = WATCH_WORKER + CANCELLED_MEANWHILE
    page.route("**/worker.js", lambda route: changed(route, prelude))
    form = FormPage(page, server.url).open()
    with page.expect_console_message(lambda line: line.text == "OPENING", timeout=LOAD_MS):
        form.choose(encoded(speech_like(3.0, seed=2), file_format="MP3"), "voice.mp3", "audio/mpeg")
    with page.expect_console_message(lambda line: line.text == "TELL failed"):
        page.evaluate("document.querySelector('form').reset()")
    assert form.told("TELL decode") == []


def test_page_that_slept_does_not_blame_the_worker(page: Page, server: Server) -> None:
    """Two minutes that passed at once are no silence, and any word ends one; at long last a worker is given up."""
    page.clock.install()
    worker.play(page, worker.progress("reading", 0.1))
    page.add_init_script(TELL_RECEIVED)
    form = FormPage(page, server.url).open()
    form.choose(LONG)
    form.wait_for("reading")
    page.clock.fast_forward(120_000)
    page.clock.run_for(35_000)
    with page.expect_console_message(lambda line: line.text == "RECEIVED alive"):
        page.workers[0].evaluate("postMessage({ kind: 'alive' })")
    page.clock.run_for(40_000)
    assert form.wait_for("reading", "timeout") == "reading"
    page.clock.run_for(10_000)
    form.wait_for("timeout")


def noted_at_its_end() -> bytes:
    """Return a video of more than a megabyte whose tables and notes lie behind its samples."""
    video = media_file(speech_like(3.0, seed=35, rate=48_000), container="mp4", picture_s=4.0)
    assert video.index(b"moov") > HEAD_BYTES
    return video + box(b"uuid", b"made with Suno")


def test_what_the_file_says_of_itself_is_told_where_the_page_wants_it(form: FormPage) -> None:
    """As its own word, as text, and only with the attribute; the claim says nothing of it."""
    note = b"INFOISFT" + (20).to_bytes(4, "little") + "ElevenLabs \u202e<b>API".encode()
    voice = wav_bytes(speech_like(3.0, seed=34))
    signed = voice + b"LIST" + len(note).to_bytes(4, "little") + note
    form.choose(signed)
    form.wait_for("done")
    assert "provenance" not in form.result()
    form.page.locator("prelisten-check").evaluate("element => element.setAttribute('provenance', '')")
    form.choose(voice, name="other.wav")
    form.wait_for("done")
    assert form.result()["provenance"]["generators"] == []
    assert "ElevenLabs" not in form.text()
    assert form.page.locator("prelisten-check [part=provenance]").count() == 0
    form.choose(signed, name="signed.wav")
    told = form.page.locator("prelisten-check [part=provenance]")
    told.wait_for()
    assert "ElevenLabs" in told.inner_text()
    assert "Nobody has checked" in told.inner_text()
    assert form.result()["provenance"]["generators"] == ["ElevenLabs"]
    assert "<b>API" not in told.inner_html()
    form.choose(noted_at_its_end(), name="signed.mp4")
    form.wait_for("done")
    assert form.result()["provenance"]["generators"] == ["Suno"]
    assert form.result()["provenance"]["encoder"].startswith("Lavf")
    form.send()
    seal = next(request for request in form.requests if request.url.endswith("/seal"))
    assert "ElevenLabs" not in (seal.post_data or "")
