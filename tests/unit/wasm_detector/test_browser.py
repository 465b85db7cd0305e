"""The door to Pyodide, with plain buffers in the place of JavaScript's."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.recordings import FORMATS, speech_like, wav_bytes
from wasm_detector import browser
from wasm_detector.errors import InvalidWaveformError
from wasm_detector.model import detector_id
from wasm_detector.screening import screen

VOICE = speech_like(5.0, seed=1)
WAV = wav_bytes(VOICE)


LATE = """
import sys
from wasm_detector import browser
content = sys.stdin.buffer.read()
browser.settle()
settled = set(sys.modules)
sys.addaudithook(lambda event, given: event == "open" and print("opens", given[0]))
browser.golden()
probed = browser.probe(content, len(content))
analysis = browser.Analysis(probed["sample_rate"], 5.0, browser.MAX_SECONDS, probed, probed["facts"])
analysis.push_wav(content[probed["data_offset"] :], 0)
analysis.finish()
print(*sorted(set(sys.modules) - settled))
"""


class Proxy:
    """What Pyodide hands over for a typed array."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def to_bytes(self) -> bytes:
        return self.raw


class Result:
    """What Pyodide hands back for an object that went through JavaScript."""

    def __init__(self, plain: dict) -> None:
        self.plain = plain

    def to_py(self) -> dict:
        return self.plain


def test_a_wav_is_read_by_slices_of_its_bytes():
    """Probe, push raw frames, finish: the same result as from the decoded samples, and exact sums."""
    probed = browser.probe(Proxy(WAV), len(WAV))
    assert probed["reader"] == "wav"
    facts = Result(probed["facts"])
    analysis = browser.Analysis(probed["sample_rate"], probed["duration_s"], wav=Result(probed), facts=facts)
    size = 7_000 * probed["frame_bytes"]
    for at in range(probed["data_offset"], len(WAV), size):
        analysis.push_wav(Proxy(WAV[at : at + size]), (at - probed["data_offset"]) // probed["frame_bytes"])
    done = analysis.finish()
    samples = (np.frombuffer(WAV[probed["data_offset"] :], "<i2") / 32_768).astype(np.float32)
    assert done["result"] == screen(samples, 16_000).to_dict()
    exact = {"format": 1, "rate": 16_000, "channels": 1, "duration_ms": 5_000, "n_frames": VOICE.size}
    assert {name: done["claim"]["exact"][name] for name in exact} == exact
    assert json.dumps(done, allow_nan=False)


def test_decoded_samples_are_taken_as_float32():
    """What the page decoded has no exact sums."""
    analysis = browser.Analysis(16_000, 5.0)
    assert analysis.windows() == [[0, 1_920_000]]
    assert analysis.push(Proxy(VOICE.tobytes()), 0)["analysed_s"] == 5.0
    assert analysis.peek()["band"] == analysis.finish()["result"]["band"]
    assert analysis.finish()["claim"]["exact"] == {}


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "wav"])
def test_the_page_decodes_what_this_code_does_not(name):
    """With the native rate, and the memory it will take where the file tells its length."""
    file = FORMATS[name](VOICE, 16_000)
    probed = browser.probe(file, len(file))
    assert probed["reader"] == "page"
    assert probed["sample_rate"] == (48_000 if name in ("opus", "webm") else 16_000)
    if probed["predicted_pcm_bytes"] is not None:
        assert probed["predicted_pcm_bytes"] == pytest.approx(5.0 * probed["sample_rate"] * 4, rel=0.1)


def test_what_nobody_can_read_says_so():
    """Text, nothing, and a rate of 1 Hz."""
    bomb = bytearray(WAV)
    bomb[24:28] = (1).to_bytes(4, "little")
    for file in (b"text", b"", bytes(bomb)):
        assert browser.probe(file, len(file))["reader"] == "none"


def test_raw_bytes_without_a_layout_are_refused():
    """A mistake of the worker, named."""
    with pytest.raises(InvalidWaveformError, match="probe"):
        browser.Analysis(16_000).push_wav(b"\0\0", 0)


def test_the_digest_of_slices_is_the_digest_of_the_file():
    """SHA-256, incrementally."""
    digest = browser.FileDigest()
    for at in range(0, len(WAV), 999):
        digest.update(memoryview(WAV[at : at + 999]))
    assert digest.hexdigest() == hashlib.sha256(WAV).hexdigest()


def test_the_detector_names_itself():
    """The id is what a challenge pins."""
    assert browser.describe()["id"] == detector_id()


def test_a_settled_detector_opens_and_imports_nothing_more():
    """A start from a snapshot has no files: what a screening needs is in memory when the snapshot is made."""
    done = subprocess.run([sys.executable, "-c", LATE], input=WAV, capture_output=True, check=True)
    assert done.stdout.split() == []


def test_the_golden_text_holds_every_signal_and_changes_with_the_model(monkeypatch):
    """Equal twice; another bias of one part shows."""
    first = browser.golden()
    assert browser.golden() == first
    model = browser.load_model()
    *others, last = model.parts
    changed = replace(model, parts=(*others, replace(last, offset=(last.offset[0] + 1e-9, last.offset[1]))))
    monkeypatch.setattr(browser, "load_model", lambda: changed)
    assert browser.golden() != first


def test_rolling_hint_comes_with_the_first_segment_and_changes_no_result():
    """Each piece that is pushed tells what may be shown so far; the result is the one of the whole."""
    voice = speech_like(14.0, seed=1)
    analysis = browser.Analysis(16_000, 14.0)
    told = [analysis.push(voice[at : at + 32_000], at)["hint"] for at in range(0, voice.size, 32_000)]
    assert told[0] is told[1] is None
    assert told[-1]["band"] == analysis.finish()["result"]["band"]
    assert told[2]["speech_s"] < told[-1]["speech_s"]
    assert analysis.finish()["result"] == screen(voice, 16_000).to_dict()


def test_a_recording_that_is_being_made_is_judged_every_four_seconds():
    """Whatever the size of the chunks, the first band is there after the first four seconds."""
    voice = speech_like(9.0, seed=31, rate=48_000)
    live, shown = browser.Live(48_000), []
    for at in range(0, voice.size, 4_800):
        shown.append(live.push(Proxy(voice[at : at + 4_800].tobytes()))["hint"])
    assert shown[38] is None
    assert shown[39] == browser.Live(48_000).push(voice[:192_000])["hint"]
    assert shown[-1]["speech_s"] > shown[39]["speech_s"]


def test_extensions_that_are_not_installed_are_said() -> None:
    """What is listed and not there is no secret, whatever is missing besides; the recording is heard."""
    analysis = browser.Analysis(16_000, 4.0, extensions=[{"name": "acme", "sha256": "0" * 64}])
    analysis.push(speech_like(4.0), 0)
    result = analysis.finish()["result"]
    (reason,) = [one for one in result["reasons"] if one["code"] == "EXTENSION_FAILED"]
    assert reason["params"] == {"name": "acme", "problem": "not_installed"}
    assert result["spoof_score"] is not None
