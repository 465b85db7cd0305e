"""What a claim is about: exactly the windows that the widget's own detector listens to, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prelisten.checks.claimed import read_claimed
from wasm_detector.browser import Analysis
from wasm_detector.streaming import Stream

SEED, OTHER = "5e" * 32, "07" * 32
RATE = 4_000  # The lowest, so that silence of minutes is small.


def claim_about(total_s: float, max_seconds: float) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """Return what the worker's own code claims about silence of a length, and its segments."""
    n_frames = round(total_s * RATE)
    analysis = Analysis(RATE, n_frames / RATE, max_seconds)
    silence = np.zeros(n_frames, np.float32)
    for start, end in analysis.windows():
        analysis.push(silence[start:end], start)
    finished = analysis.finish()
    return finished["claim"], [
        (segment["start_s"], segment["end_s"]) for segment in finished["result"]["segments"]
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(st.floats(0.3, 300.0), st.integers(1, 300), st.integers(1, 75).map(lambda n: 4.0 * n + 2)),
    st.sampled_from([1.0, 4.0, 7.5, 12.0, 39.0, 40.0, 45.5, 80.0, 120.0, 250.0]),
)
def test_segments_are_those_of_the_widget(total_s: float, max_seconds: float) -> None:
    """From the two lengths and the number of bytes the server knows where every segment lay."""
    claim, segments = claim_about(total_s, max_seconds)
    claimed = read_claimed(claim, max_seconds=1_000.0, seed=SEED)
    assert claimed.is_possible
    assert claimed.n_segments == len(segments)
    if not claimed.segments:  # Heard whole: the server's own hearing is the same thing.
        assert segments[-1][1] == pytest.approx(total_s, abs=0.001)
        return
    assert len(claimed.segments) == len(segments)
    for (start, end), (own_start, own_end) in zip(claimed.segments, segments, strict=True):
        assert start == pytest.approx(own_start, abs=0.001)
        assert end == pytest.approx(own_end, abs=0.11 if own_end > total_s - 0.01 else 0.0005)
    assert claimed.segments[-1][1] - claimed.segments[-1][0] < 6.0  # Or the detector would cut it again.


@pytest.mark.parametrize("total_s", [5.98, 9.98, 13.95])
def test_last_piece_stays_one_where_our_decoder_finds_more(total_s: float) -> None:
    """A few samples more than the browser found must not make two segments of its last one: nobody lied."""
    claim, segments = claim_about(total_s, 120.0)
    claimed = read_claimed(claim, max_seconds=120.0, seed=SEED)
    windows = [(round(start * RATE), round(end * RATE)) for start, end in claimed.segments]
    stream = Stream(RATE, windows=windows)
    stream.push(np.zeros(round((total_s + 0.05) * RATE), np.float32), start=0)
    assert len(stream.finish().segments) == len(segments)


def test_segments_heard_again_are_cut_as_they_are_asked_for() -> None:
    """Also where a sample more or less decides whether the last piece stands alone."""
    for total_s, n_bytes in ((6.02, 1), (5.98, 2), (6.02, 2), (5.98, 1), (10.0, 2), (10.0, 1)):
        claim, _ = claim_about(total_s, 120.0)
        claim["near"]["seg"] = "A" * -(-n_bytes * 4 // 3)
        claimed = read_claimed(claim, max_seconds=120.0, seed=SEED)
        if total_s == 10.0 and n_bytes == 1:  # Nobody cuts ten seconds like that.
            assert not claimed.is_possible
            continue
        windows = [(round(start * RATE), round(end * RATE)) for start, end in claimed.segments]
        stream = Stream(RATE, windows=windows)
        stream.push(np.zeros(round(total_s * RATE), np.float32), start=0)
        assert len(stream.finish().segments) == n_bytes


@pytest.mark.parametrize(
    ("changes", "seg"),
    [
        ({"total_ms": None}, None),
        ({"analysed_ms": 61_000}, None),
        ({"analysed_ms": 0}, None),
        ({"analysed_ms": 5_000}, None),
        ({"analysed_ms": 13_500}, None),
        ({"analysed_ms": 44_000}, None),
        ({"analysed_ms": 12_000, "total_ms": 12_000}, ""),
        ({"analysed_ms": 12_000, "total_ms": 12_000}, "A"),
        ({}, "AAAA"),
        ({"total_ms": 0}, None),
    ],
)
def test_what_no_widget_listens_to_is_not_possible(changes: dict[str, Any], seg: str | None) -> None:
    """Lengths and segments must fit each other as the detector's own plan makes them."""
    claim, _ = claim_about(60.0, 12.0)
    assert claim["cov"] == {"analysed_ms": 12_000, "total_ms": 60_000}
    claim["cov"] |= changes
    claim["near"]["seg"] = claim["near"]["seg"] if seg is None else seg
    if seg == "AAAA":
        claim["near"]["seg"] = "AAAAAA"  # Four segments instead of three.
    assert not read_claimed(claim, max_seconds=120.0, seed=SEED).is_possible


def test_claim_about_more_than_the_server_hears_is_sampled_by_a_secret() -> None:
    """As much as the budget allows, at places that nobody knew when the claim was sealed."""
    claim, segments = claim_about(240.0, 200.0)
    one, two = (read_claimed(claim, max_seconds=40.0, seed=seed) for seed in (SEED, OTHER))
    assert len(one.segments) == len(one.picked) == 10
    assert one.picked != two.picked
    for place, (start, _) in zip(one.picked, one.segments, strict=True):
        assert start == segments[place][0]
    assert one.n_segments == len(segments)


def test_thinned_out_bytes_are_picked_by_their_own_place() -> None:
    """A claim about more than 128 segments carries every second byte."""
    claim, segments = claim_about(700.0, 700.0)
    claimed = read_claimed(claim, max_seconds=40.0, seed=SEED)
    assert len(segments) > 128
    for place, (start, _) in zip(claimed.picked, claimed.segments, strict=True):
        assert start == segments[2 * place][0]


def test_empty_recording_is_possible() -> None:
    """Half a millisecond is 0 ms, and no lie."""
    claim, _ = claim_about(0.00025, 120.0)
    assert read_claimed(claim, max_seconds=120.0, seed=SEED).is_possible
