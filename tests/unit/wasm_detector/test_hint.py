"""The hint as data, and the detector's part of a claim."""

from __future__ import annotations

import base64
import json

from tests.recordings import speech_like
from wasm_detector.hint import MAX_CLAIMED_SEGMENTS, NO_SCORE, Band, Coverage, Hint, Segment, claim_of
from wasm_detector.screening import screen
from wasm_detector.wav import ExactSums


def segments_of(claim) -> bytes:
    text = claim["near"]["seg"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def a_hint(scores) -> Hint:
    segments = tuple(Segment(4.0 * k, 4.0 * k + 4, score) for k, score in enumerate(scores))
    covered = Coverage(4.0 * len(scores), None, 3.0)
    return Hint(0.1234, Band.CLEAR, (), segments, covered, (), 0.0, "wd-test")


def test_a_hint_is_strict_json():
    """No NaN, no numpy types."""
    hint = screen(speech_like(5.0, seed=1), 16_000)
    assert json.loads(json.dumps(hint.to_dict(), allow_nan=False))["detector"] == hint.detector


def test_a_claim_rounds_the_score_and_the_segments():
    """Thousandths for the whole, 250ths for a segment, 255 for none."""
    claim = claim_of(a_hint([0.0, 0.5, None, 1.0]), {})
    assert claim["q"] == 123
    assert list(segments_of(claim)) == [0, 125, NO_SCORE, 250]
    assert claim["cov"] == {"analysed_ms": 16_000, "total_ms": None}


def test_a_claim_of_a_long_recording_stays_small():
    """At most 128 segments and 16 statistics, whatever the length."""
    claim = claim_of(a_hint([0.3] * 1_000), ExactSums(9, 8, 7).to_dict())
    assert 100 <= len(segments_of(claim)) <= MAX_CLAIMED_SEGMENTS
    assert claim["exact"] == {"n_frames": 9, "total": 8, "energy": 7}
    real = claim_of(screen(speech_like(5.0, seed=1), 16_000), {})
    assert 0 < len(real["near"]["stat"]) <= 16
    assert all(isinstance(value, int) for value in real["near"]["stat"])


def test_a_hint_without_a_score_claims_none():
    """Could not tell is a claim too."""
    claim = claim_of(screen(speech_like(0.3), 16_000), {})
    assert (claim["q"], claim["band"]) == (None, "inconclusive")
