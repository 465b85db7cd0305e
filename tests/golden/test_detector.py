"""Golden vectors: the detector's numbers for voices made from seeds.

Written by `python -m tests.golden.test_detector` after a training or a wanted change of a signal. The same file is
meant for the browser: both sides must come within the stated tolerances of it, and so of each other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.recordings import in_noise, speech_like
from wasm_detector.model import detector_id
from wasm_detector.screening import screen

FILE = Path(__file__).with_name("detector.json")
SCORE_TOLERANCE = 5e-4
"""Of `spoof_score`, so that two sides that both keep it differ by at most 1e-3."""
WEIGHT_TOLERANCE = 5e-3
"""Of each signal's log-odds."""
VALUE_TOLERANCE = 1e-3
"""Of each headline value, relative."""
VOICES = [
    (1, 3.0, 16_000),
    (4, 2.0, 16_000),
    (6, 9.0, 16_000),
    (1, 3.0, 44_100),
    (7, 2.5, 48_000),
    (2, 3.0, 8_000),
    (1, 3.0, 16_000, 20.0),
]
"""Seed, seconds, rate; and decibels of white noise below the voice."""


def hint_of(seed: int, seconds: float, rate: int, snr_db: float | None = None) -> dict[str, Any]:
    voice = speech_like(seconds, seed=seed, rate=rate)
    return screen(voice if snr_db is None else in_noise(voice, snr_db=snr_db), rate).to_dict()


def golden() -> dict[str, Any]:
    return json.loads(FILE.read_text("utf-8"))


def test_the_vectors_are_of_this_detector():
    """Other weights or other code need other vectors."""
    assert golden()["detector"] == detector_id()


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: "-".join(map(str, voice)))
def test_the_detector_keeps_its_numbers(voice):
    """Band, score, every signal's value and weight, within the tolerances above."""
    expected = golden()["voices"][VOICES.index(voice)]
    got = hint_of(*voice)
    assert got["band"] == expected["band"]
    if expected["spoof_score"] is not None:
        assert got["spoof_score"] == pytest.approx(expected["spoof_score"], abs=SCORE_TOLERANCE)
    for one, other in zip(got["signals"], expected["signals"], strict=True):
        assert one["name"] == other["name"]
        assert one["value"] == pytest.approx(other["value"], rel=VALUE_TOLERANCE, abs=1e-4)
        assert one["weight"] == pytest.approx(other["weight"], abs=WEIGHT_TOLERANCE)


def test_the_vectors_hold_scores_and_more_than_one_band():
    """A file of nothing but "could not tell" would prove little."""
    voices = golden()["voices"]
    assert sum(voice["spoof_score"] is not None for voice in voices) >= 4


def write() -> None:
    """Write the file anew; call it after a training or a wanted change."""
    kept = ("band", "spoof_score", "signals")
    voices = [{name: hint_of(*voice)[name] for name in kept} for voice in VOICES]
    FILE.write_text(
        json.dumps({"detector": detector_id(), "voices": voices}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    write()
