"""The score is a plain sum, and says so exactly."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.signal import resample_poly

from prelisten.lab.degrade import through_codec
from prelisten.lab.hearing import TIERS, model_of
from tests.recordings import in_noise, speech_like
from wasm_detector.features import measure
from wasm_detector.frames import analyse
from wasm_detector.hint import Band
from wasm_detector.model import EXPERTS, Model, Part, load_model
from wasm_detector.reasons import limit_codes, signal_codes
from wasm_detector.scoring import (
    MIN_SPEECH_S,
    SegmentScore,
    band_of,
    clipped_share,
    logit,
    score_by_each,
    sigmoid,
    summarise,
)
from wasm_detector.screening import screen
from wasm_detector.signals import describe_all

MODEL = load_model()
VOICE = speech_like(9.0, seed=1)
NOISY = in_noise(VOICE[:64_000], snr_db=15.0)


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


def silent(part: Part) -> Part:
    return dataclasses.replace(part, weights=part.weights * 0, offset=(0.0, 0.0))


def without(model: Model, left_out: int) -> Model:
    """Return a model whose part says nothing; what experts and messengers change belongs to the last one."""
    parts = (*model.parts[:left_out], silent(model.parts[left_out]), *model.parts[left_out + 1 :])
    if left_out < len(parts) - 1:
        return dataclasses.replace(model, parts=parts)
    experts = tuple(dataclasses.replace(one, part=silent(one.part)) for one in model.experts)
    return dataclasses.replace(model, parts=parts, experts=experts, messenger=None)


def sent(model: Model, share: float) -> Model:
    """Return a model that takes every segment for sent by a messenger: 0 surely not, 1 surely."""
    offset, nothing = share * model.messenger.most, 0.0 * model.messenger.estimate
    return dataclasses.replace(
        model, messenger=dataclasses.replace(model.messenger, offset=offset, estimate=nothing)
    )


def told(model: Model, *estimates: float) -> Model:
    """Return a model that takes every segment for covered so by noise, and by a narrow band: 0 not at all, 1 very."""
    experts = tuple(
        dataclasses.replace(one, offset=estimate, estimate=0.0 * one.estimate)
        for one, estimate in zip(model.experts, estimates, strict=True)
    )
    return dataclasses.replace(model, experts=experts)


@pytest.mark.parametrize(
    ("noise", "narrow", "share"),
    [(0, 0, 0), (0.3, 0, 0), (0, 0.3, 0), (1, 1, 0), (0.4, 0.2, 0), (0, 0, 0.5), (0.3, 0.6, 1)],
)
@pytest.mark.parametrize("tier", TIERS)
def test_a_signal_taken_out_moves_the_log_odds_by_its_weight(tier, noise, narrow, share):
    """Ablation: a model whose part says nothing gives the same sum without that weight, covered or sent as well."""
    model = sent(told(model_of(tier), noise, narrow), share)
    models = [model, *(without(model, k) for k in range(len(model.parts)))]
    whole, *rest = score_by_each(models, VOICE[:64_000], start_s=0, end_s=4)
    moved = [whole.contributions.sum() - one.contributions.sum() for one in rest]
    np.testing.assert_allclose(moved, whole.contributions, atol=1e-9)
    assert np.count_nonzero(whole.contributions) == len(model.parts)


@pytest.mark.parametrize("place", range(len(EXPERTS)))
@pytest.mark.parametrize("tier", TIERS)
def test_under_a_cover_an_expert_stands_in(tier, place):
    """By the share by which most other weights shrink, at most `most`; without a cover nothing changes at all."""
    model = model_of(tier)
    expert = model.experts[place]
    assert expert.part.name == EXPERTS[place]
    shrinks = np.array([part.name not in expert.unchanged for part in model.parts[:-1]])
    assert 0 < np.count_nonzero(~shrinks) < np.count_nonzero(shrinks)
    models = [
        dataclasses.replace(model, experts=()),
        *(
            told(model, *(estimate if k == place else -1.0 for k in range(len(EXPERTS))))
            for estimate in (-1.0, 0.3, 2.0)
        ),
    ]
    usual, clear, some, much = (
        one.contributions for one in score_by_each(models, VOICE[:64_000], start_s=0, end_s=4)
    )
    np.testing.assert_array_equal(clear, usual)
    shares = (0.3, expert.most)
    for covered, share in zip((some, much), shares, strict=True):
        np.testing.assert_allclose(covered[:-1], np.where(shrinks, 1.0 - share, 1.0) * usual[:-1])
    instead = [
        (one[-1] - (1.0 - share) * usual[-1]) / share for one, share in zip((some, much), shares, strict=True)
    ]
    assert instead[0] == pytest.approx(instead[1])


@pytest.mark.parametrize("tier", TIERS)
def test_an_expert_stands_in_for_what_the_one_before_has_left(tier):
    """In noise and a narrow band: shares multiply, so that together they are never more than all."""
    model = model_of(tier)
    models = [told(model, *estimates) for estimates in ((0.0, 0.0), (0.4, 0.0), (0.0, 0.5), (0.4, 0.5))]
    usual, noisy, narrow, both = (
        one.contributions.sum() for one in score_by_each(models, VOICE[:64_000], start_s=0, end_s=4)
    )
    assert both - narrow == pytest.approx(0.5 * (noisy - usual))
    assert abs(noisy - usual) > 1e-3


@pytest.mark.parametrize("tier", TIERS)
def test_a_cover_is_noticed_by_its_expert(tier):
    """White noise over a voice that has some of its own; and a telephone's band, which calls in the other one."""
    model = model_of(tier)
    names = [part.name for part in model.parts]
    voice = VOICE[:64_000]
    telephone = resample_poly(resample_poly(voice, 1, 2), 2, 1).astype(np.float32)
    quiet, noisy, narrow = (
        [expert.hear(describe_all(measure(analyse(sound)), names)[-1].vector)[0] for expert in model.experts]
        for sound in (voice, NOISY, telephone)
    )
    assert noisy[0] > quiet[0] > 0.0
    assert quiet[1] == noisy[1] == 0.0
    assert narrow[1] > 0.5 * model.experts[1].most


@pytest.mark.parametrize("tier", TIERS)
def test_what_a_messenger_sent_counts_less(tier):
    """By no more than `most`, and in the last part alone."""
    model = model_of(tier)
    models = [
        dataclasses.replace(model, messenger=None),
        *(sent(model, share) for share in (-1.0, 0.5, 1.0, 2.0)),
    ]
    usual, *others = (one.contributions for one in score_by_each(models, VOICE[:64_000], start_s=0, end_s=4))
    assert model.messenger.most > 0.5
    for one, share in zip(others, (0.0, 0.5, 1.0, 1.0), strict=True):
        np.testing.assert_array_equal(one[:-1], usual[:-1])
        assert usual[-1] - one[-1] == pytest.approx(share * model.messenger.most)


@pytest.mark.parametrize("tier", TIERS)
def test_a_messengers_codec_is_noticed(tier):
    """Opus, of voices that were not in the training; MP3 much less, and a telephone's band not at all."""
    model = model_of(tier)
    names = [part.name for part in model.parts]

    def estimate(sound: np.ndarray) -> float:
        vector = describe_all(measure(analyse(sound[:64_000].astype(np.float32))), names)[-1].vector
        z = model.parts[-1].standardise(vector)
        return (model.messenger.offset + float(model.messenger.estimate @ z)) / model.messenger.most

    for seed in range(3):
        voice = speech_like(4.0, seed=seed).astype(np.float64)
        rises = [
            estimate(copy) - estimate(voice)
            for copy in (
                *(through_codec(voice, "libopus", "ogg", kbit, 48_000) for kbit in (16, 24, 32)),
                through_codec(voice, "libmp3lame", "mp3", 64, 44_100),
                resample_poly(resample_poly(voice, 1, 2), 2, 1),
            )
        ]
        *over_opus, over_mp3, over_telephone = rises
        assert min(over_opus) > 0.3
        assert over_mp3 < 0.5 * min(over_opus)
        assert over_telephone < 0.0


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
    assert 0 < MODEL.elevated < MODEL.high < 1


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
