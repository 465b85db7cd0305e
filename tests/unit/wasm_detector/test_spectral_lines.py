"""Lines of exact frequency: each stands at its own rate, other rates stay quiet, and an empty band says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import firwin, lfilter

from prelisten.lab import pictures
from tests.unit.wasm_detector import sounds
from wasm_detector.frames import normalise
from wasm_detector.spectral_lines import (
    FRAME_RATES,
    REGIONS,
    SPACINGS,
    frame_rate_lines,
    steady_tones,
)


def flutter(samples: np.ndarray) -> dict[float, float]:
    """Return the mean height of the lines at each frame rate."""
    found = frame_rate_lines(normalise(samples.astype(np.float32)))
    return dict(zip(FRAME_RATES, found[: 2 * len(FRAME_RATES) : 2].tolist(), strict=True))


@pytest.mark.parametrize("rate", [80.0, 86.133, 100.0])
def test_flutter_at_a_frame_rate_is_clearest_there(rate):
    """Noise that beats so many times a second, with the harmonic that a beat has."""
    found = flutter(sounds.beating(sounds.noise(), rate))
    assert max(found, key=found.__getitem__) == rate
    assert found[rate] > 0.3


def test_flutter_at_no_frame_rate_is_found_at_none():
    """A pitch is no frame rate, unless it is exactly one."""
    plain, beating = (
        max(flutter(one).values()) for one in (sounds.noise(), sounds.beating(sounds.noise(), 110.0))
    )
    assert plain < 0.25
    assert beating < 0.25


def test_a_line_at_any_rate_shows_in_the_general_numbers():
    """The highest line from 30 to 450 Hz."""
    plain, beating = (
        frame_rate_lines(normalise(one.astype(np.float32)))[-2]
        for one in (sounds.noise(), sounds.beating(sounds.noise(), 110.0))
    )
    assert beating > plain + 0.5


@pytest.mark.parametrize("spacing", [600.0, 689.06, 1500.0])
def test_tones_are_clearest_at_their_spacing(spacing):
    """Faint ones below noise."""
    tones = sum(np.sin(2 * np.pi * k * spacing * sounds.TIME) for k in range(1, int(7_900 / spacing) + 1))
    found = steady_tones(normalise((sounds.noise() + 0.1 * tones).astype(np.float32)))[-len(SPACINGS) :]
    assert SPACINGS[int(np.argmax(found))] == spacing
    assert found.max() > 1.0


def test_a_tone_stands_out_in_its_stretch_of_frequency():
    """Only there."""
    sound = sounds.noise() + 0.3 * np.sin(2 * np.pi * 5_000.0 * sounds.TIME)
    highest = steady_tones(normalise(sound.astype(np.float32)))[: 3 * len(REGIONS) : 3]
    assert int(np.argmax(highest)) == 3
    assert highest[3] > 2.0 * np.delete(highest, 3).max()


@pytest.mark.parametrize("seed", range(3))
def test_an_empty_high_band_says_nothing(seed):
    """What rounding to 16 bits leaves there is another thing for each level; the numbers must not follow it."""
    voice = lfilter(firwin(801, 3_600.0, fs=16_000), 1.0, pictures.voice(4.0, seed=seed))
    first, second = (
        frame_rate_lines(normalise((np.round(gain * voice * 32_767) / 32_768).astype(np.float32)))
        for gain in (1.0, 0.99)
    )
    np.testing.assert_allclose(first, second, atol=0.15)
    assert np.abs(first).mean() < 0.1


@pytest.mark.parametrize("n_samples", [8_000, 8_001, 9_973, 23_999, 64_001])
def test_segments_of_any_length_are_measured(n_samples):
    """From half a second on."""
    sound = normalise(np.random.default_rng(1).normal(size=n_samples).astype(np.float32))
    assert np.isfinite(np.concatenate([frame_rate_lines(sound), steady_tones(sound)])).all()
