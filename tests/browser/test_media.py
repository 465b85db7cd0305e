"""Long recordings and videos, heard piece by piece in the worker: true coverage, honest claims, hostile files."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from prelisten.config import load_config
from prelisten.records import Recomputed
from tests.bench.parity import recompute
from tests.browser.conftest import Server
from tests.browser.form_page import FormPage, without_audio_decoder
from tests.media_files import media_file
from tests.poison.boxes import box, replacing, rewrite, split
from tests.recordings import FORMATS, speech_like

RATE = 48_000
TAKE_S = 20.0
TIMES = 30
LONG_S = TAKE_S * TIMES
SHORT_S = 8.0
ENDS = ("done", "unsupported", "error", "timeout")
SILENT = "Object.assign(AudioDecoder.prototype, { decode() {}, flush: () => new Promise(() => {}) });\n"
SILENT_AFTER_ITS_TRIAL = f"""
const {{ close }} = AudioDecoder.prototype;
AudioDecoder.prototype.close = function () {{ close.call(this); {SILENT} }};
"""
# Notes how many seconds were decoded at once.
LONGEST = """
const { decodeAudioData } = OfflineAudioContext.prototype;
self.longest = 0;
OfflineAudioContext.prototype.decodeAudioData = async function (bytes) {
  const buffer = await decodeAudioData.call(this, bytes);
  self.longest = Math.max(self.longest, buffer.duration);
  return buffer;
};
"""


def take(seconds: float = TAKE_S) -> np.ndarray:
    """Return a voice-like recording in two channels."""
    voice = speech_like(seconds, seed=61, rate=RATE)
    return np.stack([voice, 0.7 * np.roll(voice, 40)])


def late(content: bytes, seconds: int = 25 * 60) -> bytes:
    """Return a WebM file with the same packets, whose clock begins later."""
    made = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(made, "w", format="webm") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.pts = packet.dts = packet.dts + int(seconds / packet.time_base)
                packet.stream = stream
                target.mux(packet)
    return made.getvalue()


HEARD_S = 40  # In ten windows.
LONG = {
    "mp3": lambda: media_file(take(), container="mp3", codec="libmp3lame", times=TIMES),
    "mp4": lambda: media_file(take(), container="mp4", times=TIMES, picture_s=3.0),
}
IS_FULL = os.environ.get("TEST_SIZE") == "full"
if IS_FULL:
    LONG["webm"] = lambda: media_file(take(), container="webm", codec="libopus", times=TIMES, picture_s=3.0)
    LONG["opus"] = lambda: media_file(take(), container="ogg", codec="libopus", times=TIMES)
    LONG["aac"] = lambda: media_file(take(), container="adts", times=TIMES)
    LONG["mov"] = lambda: media_file(take(), container="mov", times=TIMES, picture_s=3.0)
    LONG["m4a"] = lambda: media_file(take(), container="ipod", times=TIMES)


def set_budget(form: FormPage) -> None:
    """Let the element listen to less than it would, which takes a third of the time."""
    element = form.page.locator("prelisten-check")
    element.evaluate(f"element => element.setAttribute('max-seconds', '{HEARD_S}')")


def assert_drawn_and_playing(form: FormPage) -> None:
    """Fail unless the outline is there, and the browser plays the file from its end as well."""
    bars = form.page.locator("prelisten-check path.wave").first.get_attribute("d") or ""
    assert len(bars.split("M")) > 10
    slider = form.page.get_by_role("slider", name="Place in the recording")
    slider.focus()
    slider.press("End")
    slider.press("PageDown")
    form.page.get_by_role("button", name="Play", exact=True).click()
    form.page.get_by_role("button", name="Pause").wait_for()
    expect(form.page.locator("prelisten-check audio")).not_to_have_js_property("currentTime", 0)


def test_long_recordings_are_heard_in_windows_and_their_claims_hold(form: FormPage, tmp_path: Path) -> None:
    """Ten minutes would be 230 MB at once; windows of them are heard, and the server finds what the browser says.

    The tables of a video lie behind its samples, beyond what is looked at to tell the format.
    """
    for ending, make in LONG.items():
        path = tmp_path / f"long.{ending}"
        path.write_bytes(make())
        hear(form, path)
        assert_drawn_and_playing(form)
        send_and_recompute(form, path)


def hear(form: FormPage, path: Path) -> None:
    """Choose a recording of ten minutes, and see that windows of all of it are heard."""
    set_budget(form)
    form.choose(path)
    form.wait_for("done")
    coverage = form.result()["coverage"]
    assert abs(coverage["total_s"] - LONG_S) < 2, path.name
    assert abs(coverage["analysed_s"] - HEARD_S) < 2, path.name
    assert form.result()["segments"][-1]["end_s"] > LONG_S - 2
    assert any(request.url.endswith("/media.js") for request in form.requests), path.name


def send_and_recompute(form: FormPage, path: Path) -> None:
    """Send the form, hear what its claim says again as the server does, and open the form anew."""
    form.send()
    seal = [request for request in form.requests if request.url.endswith("/seal")][-1]
    claim = json.loads(seal.post_data or "")["claim"]
    assert claim["file"]["size"] == path.stat().st_size
    word, differences, _ = recompute(path, claim, load_config({}))
    assert (word, differences) == (Recomputed.WITHIN_TOLERANCE, []), path.name
    assert form.told("ERROR") == form.told("CSP") == []
    form.page.goto(form.url)


CUT = LONG | {"opus": lambda: media_file(take(), container="ogg", codec="libopus", times=TIMES)}
if IS_FULL:
    CUT["ogg"] = lambda: FORMATS["ogg"](np.tile(take()[0], TIMES), RATE)
    CUT["flac"] = lambda: FORMATS["flac"](np.tile(take()[0], TIMES), RATE)


def test_long_recordings_are_heard_without_webcodecs(form: FormPage, tmp_path: Path) -> None:
    """The page decodes them, cut into small files: the same windows, and claims that hold."""
    form.page.route("**/v1/b/*/worker.js", without_audio_decoder)
    form.page.goto(form.url)
    for ending, make in CUT.items():
        path = tmp_path / f"cut.{ending}"
        path.write_bytes(make())
        hear(form, path)
        assert "Listened to" in form.text()
        send_and_recompute(form, path)


def test_damage_in_a_long_recording_costs_its_windows_without_webcodecs(
    form: FormPage, tmp_path: Path
) -> None:
    """Where the page decodes nothing of a section, the rest of the windows is heard, and how much it was is said."""
    form.page.route("**/v1/b/*/worker.js", without_audio_decoder)
    form.page.goto(form.url)
    set_budget(form)
    path = tmp_path / "damaged.mp3"
    path.write_bytes(damaged(TIMES))
    form.choose(path)
    form.wait_for("done")
    coverage = form.result()["coverage"]
    assert coverage["analysed_s"] < HEARD_S - 2 < LONG_S - 5 < coverage["total_s"]
    assert form.told("ERROR") == form.told("CSP") == []


def test_flac_ends_where_it_says_without_webcodecs(form: FormPage, tmp_path: Path) -> None:
    """Of takes that were put behind each other, with the head of the first, that one is heard, as on the server."""
    form.page.route("**/v1/b/*/worker.js", without_audio_decoder)
    form.page.add_init_script(LONGEST)
    form.page.goto(form.url)
    path = tmp_path / "joined.flac"
    path.write_bytes(media_file(take(), container="flac", codec="flac", times=10))
    form.choose(path)
    form.wait_for("done")
    assert form.result()["coverage"]["total_s"] == TAKE_S
    assert 1 < form.page.evaluate("self.longest") < 10
    send_and_recompute(form, path)


@pytest.mark.parametrize("clock", [bytes, late], ids=["from 0", "from 25 min"])
def test_length_that_is_stated_is_not_believed_without_webcodecs(
    form: FormPage, tmp_path: Path, clock: Callable[[bytes], bytes]
) -> None:
    """Half an hour that states one second would be 340 MB at once: it is heard in windows like any other."""
    form.page.route("**/v1/b/*/worker.js", without_audio_decoder)
    form.page.add_init_script(LONGEST)
    form.page.goto(form.url)
    set_budget(form)
    path = tmp_path / "lying.webm"
    path.write_bytes(lying_webm(clock))
    form.choose(path)
    form.wait_for("done")
    coverage = form.result()["coverage"]
    assert abs(coverage["analysed_s"] - HEARD_S) < 3 < 1700 < coverage["total_s"]
    assert 1 < form.page.evaluate("self.longest") < 10


@pytest.mark.parametrize("has_webcodecs", [True, False])
def test_a_recording_cut_out_of_a_stream_is_as_long_as_it_sounds(
    form: FormPage, tmp_path: Path, *, has_webcodecs: bool
) -> None:
    """Its clock begins at 25 minutes, and its head says that it ends eight seconds later."""
    if not has_webcodecs:
        form.page.route("**/v1/b/*/worker.js", without_audio_decoder)
    form.page.goto(form.url)
    path = tmp_path / "stream.webm"
    path.write_bytes(late(media_file(take(8.0), container="webm", codec="libopus")))
    form.choose(path)
    form.wait_for("done")
    coverage = form.result()["coverage"]
    assert abs(coverage["total_s"] - 8.0) < 0.1
    assert coverage["analysed_s"] == coverage["total_s"]


def truncated() -> bytes:
    """Return a video of ten minutes that ends in the middle of its samples, its tables in front."""
    whole = LONG["mp4"]()
    boxes = dict(split(whole))
    # The tables' places count from the file's start: what stood in front of the samples is made as long as before.
    moov = box(b"moov", boxes[b"moov"])
    shifted = rewrite(moov, _shifting(len(moov)))
    front = box(b"ftyp", boxes[b"ftyp"]) + shifted + box(b"free", boxes.get(b"free", b""))
    return (front + box(b"mdat", boxes[b"mdat"]))[: len(front) + len(boxes[b"mdat"]) * 2 // 3]


def _shifting(by: int) -> Callable[[bytes, bytes], bytes | None]:
    def change(name: bytes, inside: bytes) -> bytes | None:
        if name != b"stco":
            return None
        places = np.frombuffer(inside[8:], ">u4") + by
        return box(name, inside[:8] + places.astype(">u4").tobytes())

    return change


def other_rate() -> bytes:
    """Return AAC frames whose rate changes in the middle."""
    first = media_file(take(SHORT_S), container="adts")
    other = media_file(speech_like(SHORT_S, seed=62, rate=22_050), 22_050, container="adts")
    return first + other


def other_channels() -> bytes:
    """Return an MP3 that goes on in one channel."""
    first = media_file(take(SHORT_S), container="mp3", codec="libmp3lame", options={"write_xing": "0"})
    other = media_file(
        take(SHORT_S)[0],
        container="mp3",
        codec="libmp3lame",
        options={"write_xing": "0", "id3v2_version": "0"},
    )
    return first + other


def damaged(times: int = 2) -> bytes:
    """Return an MP3 whose packets are noise at the start and for 1.9 s in the middle, their headers as they were."""
    options = {"write_xing": "0", "id3v2_version": "0"}
    made = bytearray(media_file(take(), container="mp3", codec="libmp3lame", times=times, options=options))
    packet = 64_000 // 8 * 1152 // RATE
    noise = np.random.default_rng(5)
    for number in (*range(20), *range(300, 380)):
        at = number * packet
        made[at + 4 : at + packet] = noise.integers(0, 255, packet - 4, np.uint8).tobytes()
    return bytes(made)


def joined() -> bytes:
    """Return two MP3s behind each other, the second with a picture of 600 kB in front."""
    one = media_file(take(), container="mp3", codec="libmp3lame")
    size = 600_000
    tag = b"ID3\x04\0\0" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0))
    return one + tag + bytes(size) + one


def protected() -> bytes:
    """Return a file that says that its sound is encrypted."""
    scheme = box(b"schm", bytes(4) + b"cenc" + b"\0\1\0\0")
    key = box(b"schi", box(b"tenc", bytes(4) + b"\0\0\1\x08" + bytes(16)))
    sinf = box(b"sinf", box(b"frma", b"mp4a") + scheme + key)

    def change(name: bytes, inside: bytes) -> bytes | None:
        if name != b"stsd" or b"mp4a" not in inside[:24]:
            return None
        ((_, entry),) = split(inside[8:])
        return box(name, inside[:8] + box(b"enca", entry + sinf))

    noise = box(b"mdat", np.random.default_rng(0).bytes(60_000))
    return rewrite(rewrite(media_file(take(SHORT_S), container="ipod"), change), replacing(b"mdat", noise))


def thousands_of_tracks() -> bytes:
    """Return a file that describes its sound track three thousand times."""

    def change(name: bytes, inside: bytes) -> bytes | None:
        if name != b"moov":
            return None
        made = [box(each, content) * (3_000 if each == b"trak" else 1) for each, content in split(inside)]
        return box(name, b"".join(made))

    return rewrite(media_file(take(SHORT_S), container="ipod"), change)


def lying_webm(clock: Callable[[bytes], bytes] = bytes) -> bytes:
    """Return half an hour of next to nothing, in a file that states one second."""
    content = clock(media_file(np.zeros(RATE, np.float32), container="webm", codec="libopus", times=1800))
    at = content.index(b"\x44\x89\x88")  # Duration, eight bytes.
    return content[: at + 3] + np.array([1000.0], ">f8").tobytes() + content[at + 11 :]


def no_samples() -> bytes:
    """Return a video whose tables are empty."""
    content = media_file(take(SHORT_S), container="mp4", picture_s=1.0)
    return rewrite(content, replacing(b"stbl", box(b"stbl", b"")))


def no_sound() -> bytes:
    """Return a video of a picture alone."""
    return media_file(None, container="mp4", picture_s=1.0)


def lying_flac() -> bytes:
    """Return a few seconds in a file that states four hours."""
    content = bytearray(FORMATS["flac"](take(SHORT_S)[0], RATE))
    content[22:26] = (4 * 3600 * RATE).to_bytes(4, "big")  # STREAMINFO: the number of samples.
    return bytes(content)


# What there is to hear in each, in seconds: of nothing, the person is told that it can be sent all the same.
HOSTILE = {
    "lying.flac": (lying_flac, SHORT_S),
    "truncated.mp4": (truncated, 0.66 * LONG_S),
    "other_rate.aac": (other_rate, SHORT_S),
    "other_channels.mp3": (other_channels, 2 * SHORT_S),
    "damaged.mp3": (damaged, 2 * TAKE_S),
    "joined.mp3": (joined, 2 * TAKE_S),
    "lying.webm": (lying_webm, 1800),
    "many_tracks.m4a": (thousands_of_tracks, SHORT_S),
    "no_sound.mp4": (no_sound, None),
    "no_samples.mp4": (no_samples, None),
    "protected.m4a": (protected, None),
}


def test_every_hostile_file_has_its_outcome(form: FormPage, tmp_path: Path) -> None:
    """No spinner for ever, no crash, no exception: what there is to hear is heard, and how much it was is said."""
    set_budget(form)
    for name, (make, seconds) in HOSTILE.items():
        path = tmp_path / name
        path.write_bytes(make())
        form.choose(path)
        state = form.wait_for(*ENDS)
        if seconds is None:
            assert (state, "still send" in form.text()) == ("unsupported", True), name
        else:
            assert state == "done", f"{name}: {form.text()}"
            coverage = form.result()["coverage"]
            assert abs(coverage["analysed_s"] - min(seconds, HEARD_S)) < 3, (name, coverage)
            assert "Listened to" in form.text(), name
        assert len(form.page.workers) == 1, name
        assert form.told("ERROR") == form.told("CSP") == [], name


def change_decoder(form: FormPage, script: str) -> None:
    """Have a script run in the worker before its decoder is used."""

    def answer(route: Route) -> None:
        found = route.fetch()
        route.fulfill(response=found, body=script + found.text())

    form.page.route("**/media.js", answer)


def test_decoder_that_never_answers_is_ended(page: Page, server: Server, tmp_path: Path) -> None:
    """The worker and its decoder go, the person is told, and the form sends."""
    page.clock.install(time=time.time())
    form = FormPage(page, server.url).open()
    change_decoder(form, SILENT_AFTER_ITS_TRIAL)
    path = tmp_path / "voice.mp3"
    path.write_bytes(media_file(take(SHORT_S), container="mp3", codec="libmp3lame"))
    form.choose(path)
    with form.page.expect_response("**/media.js"):
        pass
    form.page.clock.run_for(60_000)
    form.wait_for("timeout")
    assert form.page.workers == []
    form.send()


def test_decoder_that_says_nothing_at_all_is_not_waited_for(form: FormPage, tmp_path: Path) -> None:
    """The page decodes instead, after some seconds."""
    change_decoder(form, SILENT)
    path = tmp_path / "voice.mp3"
    path.write_bytes(media_file(take(SHORT_S), container="mp3", codec="libmp3lame"))
    form.choose(path)
    form.wait_for("done")
    form.send()
