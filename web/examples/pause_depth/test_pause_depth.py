"""What the example says about sounds whose pauses are known."""

from __future__ import annotations

import numpy as np
import pytest
from prelisten_pause_depth import PAUSE_DEPTH


def spoken(pause_level: float) -> np.ndarray:
    """Return two seconds of noise whose every second quarter is `pause_level` times as loud."""
    rng = np.random.default_rng(1)
    gain = np.repeat(np.tile([1.0, pause_level], 4), 4000)
    return (0.1 * gain * rng.standard_normal(32_000)).astype(np.float32)


@pytest.mark.parametrize(("pause_level", "depth_db"), [(1.0, 0.0), (0.1, 20.0), (0.01, 40.0)])
def test_depth_is_the_step_between_speech_and_pause(pause_level: float, depth_db: float) -> None:
    """Ten times less amplitude is 20 dB."""
    assert PAUSE_DEPTH.measure(spoken(pause_level)) == pytest.approx(depth_db, abs=2.0)


def test_digital_silence_is_deep_and_finite() -> None:
    """Pauses without a single bit lie at the floor."""
    assert 90.0 < PAUSE_DEPTH.measure(spoken(0.0)) < 120.0


def test_gain_does_not_matter() -> None:
    """Half as loud is as deep."""
    assert PAUSE_DEPTH.measure(0.5 * spoken(0.1)) == pytest.approx(PAUSE_DEPTH.measure(spoken(0.1)), abs=0.1)
