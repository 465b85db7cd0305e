"""The gate and the resampler."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from wasm_detector.errors import InvalidWaveformError
from wasm_detector.waveform import TARGET_RATE, admit, resample

RATES = (4_000, 8_000, 11_025, 22_050, 32_000, 44_100, 44_101, 48_000, 96_000, 192_000)


def tone(rate: int, hertz: float, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_and_time(rate):
    """Every rate gives the tone that 16 kHz would have recorded, away from the ends, within -80 dB."""
    resampled = resample(tone(rate, 1_000.0), rate)
    expected = tone(TARGET_RATE, 1_000.0)
    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled[400:-400], expected[400 : len(resampled) - 400], atol=1e-4)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 192_000])
def test_what_16_khz_cannot_hold_is_removed(rate):
    """A tone above 8 kHz does not come back as another one."""
    resampled = resample(tone(rate, 9_000.0), rate)
    assert np.abs(resampled[400:-400]).max() < 1e-3


@pytest.mark.parametrize("rate", [3_999, 192_001, 1, 0, -16_000, float("nan"), float("inf")])
def test_impossible_rates_are_refused_with_advice(rate):
    """A rate that would explode into hours of samples never passes the gate."""
    with pytest.raises(InvalidWaveformError, match="16 kHz"):
        admit(np.zeros(10, np.float32), rate)


@pytest.mark.parametrize("samples", [np.zeros((4, 2)), np.zeros(4, np.int16), [0.0, 0.0], np.float32(0)])
def test_wrong_shapes_and_types_are_refused(samples):
    """Stereo, integers and lists are the caller's mistake, named in the message."""
    with pytest.raises(InvalidWaveformError, match="expected"):
        admit(samples, 16_000)


def test_damaged_samples_become_zero_and_are_counted():
    """NaN, infinities and absurd levels do not reach the arithmetic."""
    wave = admit(np.array([0.5, np.nan, np.inf, -np.inf, 1e38, -0.5], np.float32), 16_000)
    assert wave.n_not_finite == 4
    np.testing.assert_array_equal(wave.samples, np.array([0.5, 0, 0, 0, 0, -0.5], np.float32))


def test_a_rate_without_a_common_divisor_costs_little_memory():
    """A file may state any rate; 191,999 Hz needs 16,000 rows of taps, and must not need a gigabyte to make them."""
    tracemalloc.start()
    resample(np.zeros(1000, dtype=np.float32), 191_999)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000
