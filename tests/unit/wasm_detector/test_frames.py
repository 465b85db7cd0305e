"""Short-time spectra and the speech gate."""

from __future__ import annotations

import numpy as np
import pytest

from tests.recordings import speech_like
from wasm_detector.frames import HOP_LENGTH, N_FFT, analyse, fold, fold_squares, frame, normalise
from wasm_detector.patches import Shape, coefficients, slowest


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


@pytest.mark.parametrize("shape", [(40, 20, 12), (40, 25, 3), (7, 1)])
def test_folding_is_summing(shape: tuple[int, ...]) -> None:
    """The quick sums over the last axis, of views with gaps too, are those of doubles to float32's precision."""
    rng = np.random.default_rng(2)
    values = rng.standard_normal((*shape[:-1], shape[-1] + 5)).astype(np.float32)[..., 2:-3]
    exact = values.astype(np.float64)
    np.testing.assert_allclose(fold(values), exact.sum(axis=-1), atol=1e-5)
    np.testing.assert_allclose(fold_squares(values), np.square(exact).sum(axis=-1), rtol=1e-5)


def test_coefficients_are_those_of_each_patch_alone() -> None:
    """Each patch's transform, worked out alone in doubles by the definition, and scaled by its own deviation."""
    shape = Shape(6, 4, 9, hop_frames=3, hop_bands=2)
    level = np.random.default_rng(3).standard_normal((21, 10))
    found = coefficients(level.astype(np.float32), shape)
    kept = [(u, v) for v, rates in slowest(shape).items() for u in rates]
    assert found.shape == (6, 4, len(kept))
    time, band = np.arange(6)[:, None] + 0.5, np.arange(4)[None, :] + 0.5
    for k, (u, v) in enumerate(kept):
        pattern = np.cos(np.pi / 6 * time * u) * np.cos(np.pi / 4 * band * v)
        pattern /= np.sqrt(np.square(pattern).sum())
        for t in range(6):
            for place in range(4):
                patch = level[3 * t : 3 * t + 6, 2 * place : 2 * place + 4]
                expected = (patch * pattern).sum() / np.sqrt(patch.var() + 0.3)
                assert found[t, place, k] == pytest.approx(expected, abs=1e-5)
