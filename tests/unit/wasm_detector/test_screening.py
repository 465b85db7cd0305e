"""A whole recording: bad input, and what must not move a score."""

from __future__ import annotations

import numpy as np
import pytest

from tests.recordings import speech_like
from wasm_detector.errors import InvalidWaveformError
from wasm_detector.hint import Band
from wasm_detector.screening import screen

RNG = np.random.default_rng(3)
CLICK = np.zeros(32_000, np.float32)
CLICK[15_000] = 0.9
BAD = {
    "silence": (np.zeros(32_000), "SILENCE"),
    "offset": (np.full(32_000, 0.3), "SILENCE"),
    "click": (CLICK, "NOT_SPEECH"),
    "0.3 s": (speech_like(0.3), "TOO_LITTLE_SPEECH"),
    "one sample": (np.ones(1), "SILENCE"),
    "noise": (RNG.normal(0, 0.1, 48_000), "NOT_SPEECH"),
    "hum": (0.5 * np.sin(2 * np.pi * 50 * np.arange(48_000) / 16_000), "NOT_SPEECH"),
    "all NaN": (np.full(32_000, np.nan), "NOT_FINITE"),
    "all 1e38": (np.full(32_000, 1e38), "NOT_FINITE"),
    "out-of-phase stereo mixed to mono": (speech_like(3.0) - speech_like(3.0), "SILENCE"),
    "square wave at full scale": (np.sign(np.sin(np.arange(48_000) * 0.05)), "CLIPPED"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_judged_is_inconclusive_and_says_why(name):
    """No exception, no score, a stable reason."""
    samples, code = BAD[name]
    hint = screen(samples.astype(np.float32), 16_000)
    assert (hint.band, hint.spoof_score) == (Band.INCONCLUSIVE, None)
    assert code in [reason.code for reason in hint.reasons]


@pytest.mark.parametrize("rate", [4_000, 8_000, 44_100, 192_000])
def test_every_allowed_rate_gives_a_hint(rate):
    """From telephone to studio there is a band and nothing is raised."""
    hint = screen(speech_like(2.5, rate=rate), rate)
    assert hint.band in set(Band)
    assert hint.coverage.total_s == pytest.approx(2.5)


@pytest.mark.parametrize("seed", range(4))
def test_eight_bits_give_a_hint_that_says_what_it_could_not_judge(seed):
    """Coarse steps are noise, not an error: either there is a score or a reason."""
    coarse = np.round(speech_like(3.0, seed=seed) * 127) / 127
    hint = screen(coarse.astype(np.float32), 16_000)
    assert (hint.spoof_score is None) == (hint.band is Band.INCONCLUSIVE)
    assert hint.spoof_score is not None or hint.reasons


def test_a_few_damaged_samples_are_left_out_and_told():
    """The rest of the recording is still judged."""
    samples = speech_like(3.0, seed=1)
    samples[100:104] = np.nan
    hint = screen(samples, 16_000)
    assert hint.spoof_score is not None
    assert next(r for r in hint.reasons if r.code == "NOT_FINITE").params == {"samples": 4}


def test_no_samples_is_refused():
    """An empty array is the caller's mistake."""
    with pytest.raises(InvalidWaveformError, match="no samples"):
        screen(np.zeros(0, np.float32), 16_000)


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_a_decoders_last_bit_moves_the_score_by_less_than_a_hundredth(seed):
    """Browsers scale 16-bit samples differently by up to 2.4e-5."""
    voice = speech_like(3.0, seed=seed)
    jitter = np.random.default_rng(seed).uniform(-2.4e-5, 2.4e-5, voice.size).astype(np.float32)
    assert screen(voice + jitter, 16_000).spoof_score == pytest.approx(
        screen(voice, 16_000).spoof_score, abs=0.01
    )


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_faint_noise_hardly_moves_the_score(seed):
    """Noise at -80 dBFS is nobody's business."""
    voice = speech_like(3.0, seed=seed)
    noise = np.random.default_rng(seed).uniform(-1e-4, 1e-4, voice.size).astype(np.float32)
    assert screen(voice + noise, 16_000).spoof_score == pytest.approx(
        screen(voice, 16_000).spoof_score, abs=0.03
    )


@pytest.mark.parametrize("gain", [0.02, 0.5, -1.0])
def test_gain_and_polarity_do_not_move_the_score(gain):
    """Loudness tells classes apart for the wrong reason."""
    voice = speech_like(3.0, seed=1)
    louder = screen(voice * np.float32(gain), 16_000).spoof_score
    assert louder == pytest.approx(screen(voice, 16_000).spoof_score, abs=1e-3)


def test_one_and_a_half_seconds_of_speech_are_scored():
    """Short voice messages get an answer."""
    assert screen(speech_like(1.6, seed=1), 16_000).spoof_score is not None
