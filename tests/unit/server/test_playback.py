"""Marks must play what they are about, also in a recording of which only windows were scored."""

from __future__ import annotations

import pytest

from prelisten.review.playback import playback_time

WINDOWS = [(0.0, 4.0), (4.0, 8.0), (700.0, 704.0), (1400.0, 1408.0)]


@pytest.mark.parametrize(
    ("recording_s", "playback_s"),
    [(0.0, 0.0), (5.5, 5.5), (700.0, 8.0), (702.5, 10.5), (1401.0, 13.0), (300.0, 8.0), (2000.0, 20.0)],
)
def test_place_in_the_recording_is_found_in_the_playback(recording_s, playback_s):
    """Windows are played one after another; a mark keeps its distance from the start of its window."""
    assert playback_time(recording_s, WINDOWS) == pytest.approx(playback_s)


def test_whole_recording_plays_as_it_is():
    """Where everything was scored, the clocks agree."""
    assert playback_time(17.25, [(0.0, 30.0)]) == 17.25
