"""The outline of a recording, whatever the pieces that it came in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.recordings import speech_like
from wasm_detector import browser
from wasm_detector.peaks import N_PEAKS, ZERO, Peaks

VOICE = speech_like(3.0, seed=4)


def pairs(peaks: Peaks) -> np.ndarray:
    """Return the bytes as (lowest, highest) of each stretch."""
    return np.frombuffer(peaks.to_bytes(), np.uint8).reshape(-1, 2)


@pytest.mark.parametrize("size", [1, 93, 94, 1_000, 48_000])
def test_the_size_of_the_pieces_changes_nothing(size):
    """Every stretch holds the extremes of its own samples."""
    peaks = Peaks(VOICE.size)
    for at in range(0, VOICE.size, size):
        peaks.add(VOICE[at : at + size], at)
    length = -(-VOICE.size // N_PEAKS)
    stretches = [VOICE[at : at + length] for at in range(0, VOICE.size, length)]
    expected = [[min(s.min(), 0), max(s.max(), 0)] for s in stretches]
    assert np.array_equal(pairs(peaks), np.rint(ZERO + ZERO * np.array(expected)).clip(0, 255))
    assert peaks.windows == ((0, VOICE.size),)


def test_full_scale_and_damage():
    """-1, +1, beyond, and what is no number at all."""
    peaks = Peaks(5)
    peaks.add(np.array([-1, 1, np.nan, -np.inf, 7], np.float32), 0)
    assert pairs(peaks).tolist() == [[0, ZERO], [ZERO, 255], [ZERO, ZERO], [0, ZERO], [ZERO, 255]]


def test_windows_are_joined_end_to_end():
    """Of a long recording only what is heard has an outline; pieces of one window are one."""
    peaks = Peaks(8)
    for start in (0, 2, 100, 102):
        peaks.add(np.full(2, 0.5, np.float32), start)
    assert peaks.windows == ((0, 4), (100, 104))
    assert len(pairs(peaks)) == 8


def test_more_than_was_announced_is_left_out():
    """A header may lie: memory stays fixed."""
    peaks = Peaks(N_PEAKS)
    peaks.add(np.ones(3 * N_PEAKS, np.float32), 0)
    assert len(pairs(peaks)) == N_PEAKS
    peaks.add(np.ones(10, np.float32), 3 * N_PEAKS)
    assert peaks.windows == ((0, N_PEAKS),)


def test_a_file_that_ends_early_has_fewer():
    """Nothing is drawn where nothing came."""
    analysis = browser.Analysis(16_000, 6.0)
    analysis.push(VOICE.tobytes(), 0)
    drawn = analysis.peaks()
    assert drawn["windows"] == [[0.0, 3.0]]
    assert len(drawn["values"]) == pytest.approx(N_PEAKS, abs=2)
