"""The band that is shown before all is heard: it comes soon, follows slowly, and agrees with the result."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.recordings import speech_like
from wasm_detector.hint import Band
from wasm_detector.model import load_model
from wasm_detector.rolling import FIRST_SPEECH_S, MARGIN, Rolling
from wasm_detector.scoring import SegmentScore, logit
from wasm_detector.screening import screen
from wasm_detector.streaming import Stream

MODEL = load_model()
CLEAR, ELEVATED, HIGH = (logit(p) for p in (0.1, (MODEL.elevated + MODEL.high) / 2, 0.99))


def segment(log_odds: float, *, speech_s: float = 3.0, limit: str | None = None) -> SegmentScore:
    """Return a segment that would have this score alone."""
    contributions = np.zeros(len(MODEL.parts))
    contributions[0] = log_odds - MODEL.bias
    return SegmentScore(0.0, 4.0, speech_s, 0.0, contributions, contributions, limit)


def bands(*segments: SegmentScore) -> list[Band | None]:
    """Return what is shown after each of the segments."""
    rolling = Rolling(MODEL)
    shown = []
    for each in segments:
        rolling.add(each)
        shown.append(rolling.band)
    return shown


@pytest.mark.parametrize(("log_odds", "band"), [(CLEAR, "clear"), (ELEVATED, "elevated"), (HIGH, "high")])
def test_first_band_is_that_of_what_was_heard(log_odds, band):
    """One segment with enough speech is enough to say something."""
    assert bands(segment(log_odds)) == [band]


def test_nothing_is_said_before_there_is_speech():
    """Too little of it, or segments that cannot be judged, give no band."""
    little = segment(HIGH, speech_s=0.4 * FIRST_SPEECH_S)
    music = segment(HIGH, limit="NOT_SPEECH")
    assert bands(little, music, little, little) == [None, None, None, Band.HIGH]


def test_one_odd_segment_changes_no_band():
    """A band that was said stands until two segments in a row have left the score elsewhere."""
    assert bands(segment(CLEAR), segment(20.0), segment(-40.0), segment(CLEAR)) == [Band.CLEAR] * 4


def test_band_follows_a_change_that_lasts():
    """What stays another band for two segments is said."""
    assert bands(segment(CLEAR), segment(20.0), segment(HIGH)) == [Band.CLEAR, Band.CLEAR, Band.HIGH]


def test_score_at_an_edge_says_nothing_and_changes_nothing():
    """A score that wavers around an edge never makes the band waver."""
    above, below = (segment(logit(MODEL.elevated) + side * 0.9 * MARGIN) for side in (1, -1))
    assert bands(above, below, above) == [None] * 3
    wavering = [segment(CLEAR), *[above, below] * 20]
    assert bands(*wavering) == [Band.CLEAR] * len(wavering)


def test_score_is_the_one_of_the_result():
    """Where nothing wavers, the band after the last segment is the band of the whole."""
    voice = speech_like(20.0, seed=4)
    stream = Stream(16_000, total_s=20.0)
    stream.push(voice, start=0)
    stream.finish()
    rolling = Rolling(MODEL)
    for each in stream.segments:
        rolling.add(each)
    result = screen(voice, 16_000)
    log_odds = MODEL.bias + rolling._weighed / rolling.speech_s
    assert result.spoof_score is not None
    assert math.isclose(log_odds, logit(result.spoof_score), abs_tol=1e-9)
    assert rolling.speech_s == result.coverage.speech_s
