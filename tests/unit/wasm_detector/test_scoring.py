"""The score is a plain sum, and says so exactly."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from tests.recordings import speech_like
from wasm_detector.hint import Band
from wasm_detector.model import load_model
from wasm_detector.reasons import limit_codes, signal_codes
from wasm_detector.scoring import (
    MIN_SPEECH_S,
    SegmentScore,
    band_of,
    clipped_share,
    logit,
    score_segment,
    sigmoid,
    summarise,
)
from wasm_detector.screening import screen

MODEL = load_model()
VOICE = speech_like(9.0, seed=1)


def a_segment(start_s: float = 0.0, *, speech_s: float = 2.0, limit: str | None = None, **contributions):
    weights = np.array([contributions.get(part.name, 0.0) for part in MODEL.parts])
    return SegmentScore(start_s, start_s + 4.0, speech_s, 0.0, weights, np.zeros(len(MODEL.parts)), limit)


def summed(*segments):
    return summarise(segments, model=MODEL, coverage=(4.0 * len(segments), None))


def test_bias_and_weights_are_the_log_odds():
    """Nothing else goes into the score."""
    hint = screen(VOICE, 16_000)
    total = hint.bias + sum(signal.weight for signal in hint.signals)
    assert logit(hint.spoof_score) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("left_out", range(len(MODEL.parts)))
def test_a_signal_taken_out_moves_the_log_odds_by_its_weight(left_out):
    """Ablation: a model whose part says nothing gives the same sum without that weight."""
    silent = dataclasses.replace(
        MODEL.parts[left_out], weights=MODEL.parts[left_out].weights * 0, offset=(0.0, 0.0)
    )
    parts = (*MODEL.parts[:left_out], silent, *MODEL.parts[left_out + 1 :])
    whole = score_segment(VOICE[:64_000], start_s=0, end_s=4, model=MODEL)
    without = score_segment(VOICE[:64_000], start_s=0, end_s=4, model=dataclasses.replace(MODEL, parts=parts))
    moved = whole.contributions.sum() - without.contributions.sum()
    assert moved == pytest.approx(whole.contributions[left_out], abs=1e-9)


def test_segments_count_by_their_speech():
    """A second of speech weighs the same wherever it is."""
    hint = summed(a_segment(speech_s=3.0, modulation=2.0), a_segment(4.0, speech_s=1.0, modulation=-2.0))
    weight = next(signal.weight for signal in hint.signals if signal.name == "modulation")
    assert weight == pytest.approx((3 * 2.0 - 1 * 2.0) / 4)


def test_segments_that_cannot_be_judged_count_for_nothing():
    """Music between speech does not dilute the speech; its place is told."""
    alone = summed(a_segment(modulation=2.0))
    mixed = summed(a_segment(modulation=2.0), a_segment(4.0, limit="NOT_SPEECH", modulation=-9.0))
    assert mixed.spoof_score == alone.spoof_score
    assert [r.ranges for r in mixed.reasons if r.code == "NOT_SPEECH"] == [((4.0, 8.0),)]
    assert mixed.segments[1].spoof_score is None


def test_reasons_are_the_strongest_signals_with_their_weight_and_place():
    """Strongest first, each with where it is at least as strong as on the whole."""
    hint = summed(
        a_segment(0.0, phase_drift=4.0, pitch_steadiness=1.0),
        a_segment(4.0, phase_drift=2.0, pitch_steadiness=3.0),
    )
    assert [reason.code for reason in hint.reasons] == ["PHASE_DRIFT", "PITCH"]
    assert [reason.weight for reason in hint.reasons] == pytest.approx([3.0, 2.0])
    assert [reason.ranges for reason in hint.reasons] == [((0.0, 4.0),), ((4.0, 8.0),)]


def test_a_clear_recording_has_no_reasons_for_synthesis():
    """What is below the bands is not explained away."""
    hint = summed(a_segment(phase_drift=1.0, pitch_steadiness=-9.0))
    assert hint.band is Band.CLEAR
    assert hint.reasons == ()


def test_too_little_speech_is_inconclusive():
    """Below the minimum there is no score; at it there is."""
    assert summed(a_segment(speech_s=MIN_SPEECH_S - 0.01)).reasons[0].code == "TOO_LITTLE_SPEECH"
    assert summed(a_segment(speech_s=MIN_SPEECH_S)).spoof_score is not None


def test_bands_start_at_their_thresholds():
    """The edge belongs to the stricter band."""
    assert band_of(MODEL.high, MODEL) is Band.HIGH
    assert band_of(MODEL.elevated, MODEL) is Band.ELEVATED
    assert band_of(math.nextafter(MODEL.elevated, 0), MODEL) is Band.CLEAR
    assert 0.5 < MODEL.elevated < MODEL.high < 1


def test_the_margin_is_the_distance_to_the_nearest_band():
    """In log-odds, so that rounding can be told from a difference."""
    to_edge = logit(MODEL.high) - MODEL.bias
    assert summed(a_segment(pitch_steadiness=to_edge + 0.25)).band_margin == pytest.approx(0.25, abs=1e-6)


def test_flat_tops_are_found_and_smooth_peaks_are_not():
    """Clipping is neighbours stuck at the peak."""
    sine = np.sin(np.arange(16_000) * 0.05).astype(np.float32)
    assert clipped_share(sine) < 0.01
    assert clipped_share(np.clip(3 * sine, -1, 1)) > 0.3


@pytest.mark.parametrize("value", [-800.0, -3.0, 0.0, 3.0, 800.0])
def test_log_odds_and_probabilities_are_inverse_without_overflow(value):
    """At the ends they saturate."""
    assert logit(sigmoid(value)) == pytest.approx(max(-20.723, min(20.723, value)), abs=1e-3)


def test_every_code_is_catalogued():
    """A code that is not in the catalogue has no sentence."""
    limits = {"SILENCE", "TOO_LITTLE_SPEECH", "CLIPPED", "NOT_SPEECH", "NOT_FINITE"}
    assert limits == set(limit_codes())
    assert not limits & set(signal_codes())
