"""The analysis loop: chunks, windows, segments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prelisten.checks import load_forensic_model
from tests.recordings import speech_like
from wasm_detector.errors import InvalidWaveformError
from wasm_detector.model import load_model
from wasm_detector.screening import screen
from wasm_detector.streaming import Stream, cut, plan_windows

VOICE = speech_like(9.0, seed=1)
LONG = np.tile(speech_like(10.0, seed=1), 4)


def pushed(samples, sizes, *, rate=16_000, **options):
    stream = Stream(rate, total_s=samples.size / rate, **options)
    start = 0
    while start < samples.size:
        for size in sizes:
            stream.push(samples[start : start + size], start=start)
            start += size
    return stream.finish()


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 2_000))
def test_the_size_of_the_chunks_changes_nothing(sizes):
    """Any way of cutting a recording into chunks gives the very same hint."""
    assert pushed(VOICE, sizes) == screen(VOICE, 16_000)


@settings(max_examples=4, deadline=None)
@given(st.integers(3_000, 90_000))
def test_windows_of_a_long_recording_do_not_depend_on_chunks_either(size):
    """Chunks that straddle the edges of windows are cut there."""
    assert pushed(LONG, [size], max_seconds=12.0) == screen(LONG, 16_000, max_seconds=12.0)


@pytest.mark.parametrize(
    ("seconds", "ends"), [(3.0, [3.0]), (5.9, [5.9]), (6.0, [4.0, 6.0]), (9.0, [4.0, 9.0])]
)
def test_a_short_remainder_joins_the_segment_before(seconds, ends):
    """The last segment is between two and six seconds long, or the only one."""
    hint = screen(VOICE[: round(seconds * 16_000)], 16_000)
    assert [segment.end_s for segment in hint.segments] == ends


@pytest.mark.parametrize("total_s", [120.5, 121.0, 130.0, 600.0, 3_600.7, 36_000.0])
def test_windows_cover_both_ends_in_order_within_the_budget(total_s):
    """A long recording is heard at its start, at its end and evenly between, nothing twice."""
    windows = plan_windows(total_s, 120.0)
    assert windows[0][0] == 0.0
    assert windows[-1][1] == total_s
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(windows))
    assert 119.0 <= sum(end - start for start, end in windows) <= 121.0


def test_a_short_recording_is_heard_whole_and_an_unknown_length_from_its_start():
    """Without a length there is no end to aim for."""
    assert plan_windows(119.0, 120.0) == ((0.0, 119.0),)
    assert plan_windows(None, 120.0) == ((0.0, 120.0),)


def test_a_header_that_claims_too_little_hides_nothing():
    """Up to the budget a recording ends where its samples end, not where it says."""
    stream = Stream(16_000, total_s=1.0)
    stream.push(VOICE, start=0)
    assert stream.finish().coverage.analysed_s == 9.0


def test_coverage_says_how_little_of_a_long_recording_was_heard():
    """Analysed, total and speech are three numbers."""
    coverage = screen(LONG, 16_000, max_seconds=12.0).coverage
    assert coverage.total_s == 40.0
    assert 12.0 <= coverage.analysed_s <= 13.0
    assert 0.0 < coverage.speech_s <= coverage.analysed_s


def test_missing_frames_inside_a_window_are_refused():
    """A gap would join what does not belong together."""
    stream = Stream(16_000, total_s=9.0)
    stream.push(VOICE[:8_000], start=0)
    with pytest.raises(InvalidWaveformError, match="missing frames"):
        stream.push(VOICE[9_000:], start=9_000)


def test_frames_heard_before_are_skipped():
    """Pushing the same chunk twice counts it once."""
    stream = Stream(16_000, total_s=9.0)
    for start in (0, 0, 16_000):
        stream.push(VOICE[start : start + 32_000], start=start)
    assert stream.push(VOICE[48_000:], start=48_000) == 9.0
    assert stream.finish() == screen(VOICE, 16_000)


def test_the_caller_may_use_its_buffer_again():
    """What was pushed is kept as it was."""
    stream, buffer = Stream(16_000, total_s=3.0), VOICE[:48_000].copy()
    stream.push(buffer, start=0)
    buffer[:] = 0.0
    assert stream.finish() == screen(VOICE[:48_000], 16_000)


def test_a_rolling_hint_comes_before_the_first_segment_is_complete():
    """Two seconds into a recording there is something to show; the end result is not touched by looking."""
    stream = Stream(16_000, total_s=9.0)
    stream.push(VOICE[:32_000], start=0)
    assert stream.hint().spoof_score is not None
    stream.push(VOICE[32_000:], start=32_000)
    assert stream.finish() == screen(VOICE, 16_000)


def test_no_samples_at_all_is_an_error_with_advice():
    """An empty recording is the one thing that gets no hint."""
    with pytest.raises(InvalidWaveformError, match="no samples"):
        Stream(16_000).finish()


def test_companion_hears_what_it_would_hear_alone():
    """Two models in one pass give the very hints that two passes give, whichever comes first."""
    browser, forensic = load_model(), load_forensic_model()

    def heard(first, *companions):
        stream = Stream(16_000, total_s=9.0, model=first, companions=companions)
        stream.push(VOICE, start=0)
        return stream.finish_each()

    alone = heard(browser)[0], heard(forensic)[0]
    assert heard(browser, forensic) == alone
    assert heard(forensic, browser) == alone[::-1]
    assert alone[0].spoof_score != alone[1].spoof_score


def test_cut_is_what_the_stream_does():
    """The rule that tells where a claim's segments lay is the one by which they were cut."""
    for seconds in (0.5, 4.0, 5.999, 6.0, 9.0):
        hint = screen(VOICE[: round(seconds * 16_000)], 16_000)
        assert tuple((one.start_s, one.end_s) for one in hint.segments) == cut(0.0, seconds)
