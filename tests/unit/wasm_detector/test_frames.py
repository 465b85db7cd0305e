"""Short-time spectra and the speech gate."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.recordings import speech_like
from wasm_detector.features import measure
from wasm_detector.frames import HOP_LENGTH, N_FFT, analyse, frame, normalise, percentile, transform


def test_frames_overlap_by_the_hop():
    """Frame k starts k hops into the segment; a partial last one is left out."""
    stacked = frame(np.arange(1_000, dtype=np.float32), N_FFT, HOP_LENGTH)
    assert stacked.shape == (4, N_FFT)
    assert stacked[2, 0] == 2 * HOP_LENGTH


@pytest.mark.parametrize("gain", [1e-3, 0.1, 3.0, -1.0])
def test_gain_and_polarity_do_not_matter(gain):
    """A segment is scaled before anything is measured."""
    voice = speech_like(1.0)
    np.testing.assert_allclose(analyse(voice * np.float32(gain)).power, analyse(voice).power, rtol=2e-3)


def test_an_offset_does_not_matter():
    """A constant added by a sound card is taken out."""
    voice = speech_like(1.0)
    np.testing.assert_allclose(normalise(voice + np.float32(0.2)), normalise(voice), atol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 20, 21, 99, 398])
def test_percentile_is_that_of_numpy(n):
    """To the last bit, whatever lies between two levels."""
    levels = np.random.default_rng(n).normal(-30.0, 20.0, n).astype(np.float32)
    assert percentile(levels, 95.0) == np.percentile(levels, 95.0)
    assert percentile(levels, 40.0) == np.percentile(levels, 40.0)


def test_silence_stays_silence():
    """Nothing is divided by nothing."""
    frames = analyse(np.zeros(4_000, np.float32))
    assert np.isfinite(frames.power).all()
    assert np.isfinite(frames.activity).all()


def test_the_gate_opens_for_sound_and_closes_for_the_pause():
    """Frames 40 dB below the voice count for next to nothing."""
    level = np.where(np.arange(32_000) < 16_000, 0.1, 0.001)
    sound = (level * np.random.default_rng(1).normal(size=32_000)).astype(np.float32)
    activity = analyse(sound).activity
    assert activity[:95].min() > 0.99
    assert activity[105:].max() < 0.1


@pytest.mark.parametrize("shape", [(5, 8), (3, 7, 8), (20_000, 8), (1, 8)])
def test_some_frames_at_a_time_are_all_frames(shape):
    """As transformed at once, whatever the number of frames."""
    stacked = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    window = np.hanning(8).astype(np.float32)
    spectra = transform(stacked, window)
    assert spectra.dtype == np.complex64
    np.testing.assert_allclose(spectra, np.fft.rfft(stacked * window), atol=1e-5)


def test_a_segment_needs_little_room():
    """Memory that a browser has once taken for a page it never gives back."""
    voice = speech_like(4.0)
    measure(analyse(voice))  # Tables that stay are not counted.
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        measure(analyse(voice))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 34 * voice.nbytes
