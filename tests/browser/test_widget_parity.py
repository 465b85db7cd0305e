"""The same code in the browser and here: equal scores, equal reasons."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from tests.browser.form_page import FormPage
from tests.recordings import FORMATS, encoded, speech_like
from wasm_detector.screening import screen

TOLERANCE = 1e-3

CASES = {
    "u8": ("WAV", "PCM_U8", 16_000),
    "s16": ("WAV", "PCM_16", 16_000),
    "s16-8k": ("WAV", "PCM_16", 8_000),
    "s16-22k": ("WAV", "PCM_16", 22_050),
    "s24": ("WAV", "PCM_24", 44_100),
    "s32": ("WAV", "PCM_32", 48_000),
    "f32": ("WAV", "FLOAT", 32_000),
    "f64": ("WAV", "DOUBLE", 16_000),
    "flac": ("FLAC", "PCM_16", 44_100),
    "flac-24": ("FLAC", "PCM_24", 48_000),
    "mp3": ("MP3", None, 44_100),
    "vorbis": ("OGG", "VORBIS", 48_000),
}


def voice(rate: int, seed: int) -> NDArray[np.float32]:
    """Return some seconds of a voice-like recording, of two segments and a rest."""
    return speech_like(9.3, seed=seed, rate=rate)


@pytest.mark.parametrize("case", CASES)
def test_page_and_cpython_agree(form: FormPage, tmp_path: Path, case: str) -> None:
    """The score in the page is the score of `screen` on the same samples, whatever read them."""
    file_format, subtype, rate = CASES[case]
    recording = tmp_path / f"voice.{file_format.lower()}"
    samples = voice(rate, seed=list(CASES).index(case))
    recording.write_bytes(encoded(samples, file_format=file_format, subtype=subtype, rate=rate))
    form.choose(recording)
    form.wait_for("done")
    heard, _ = sf.read(recording, dtype="float32")
    ours, theirs = screen(heard, rate).spoof_score, form.result()["spoof_score"]
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert math.isclose(ours, theirs, abs_tol=TOLERANCE)


def test_reasons_agree_too(form: FormPage, tmp_path: Path) -> None:
    """Codes, weights and places are the same on both sides."""
    recording = tmp_path / "voice.wav"
    recording.write_bytes(FORMATS["wav"](voice(16_000, seed=40), 16_000))
    form.choose(recording)
    form.wait_for("done")
    ours = screen(sf.read(recording, dtype="float32")[0], 16_000).to_dict()["reasons"]
    theirs = form.result()["reasons"]
    assert [reason["code"] for reason in ours] == [reason["code"] for reason in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert math.isclose(mine["weight"], other["weight"], abs_tol=TOLERANCE)
        assert mine["ranges"] == other["ranges"]
