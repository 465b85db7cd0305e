"""Which stretches of a recording are listened to, and that nobody can tell beforehand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelisten.media.plan import Plan, draw, in_frames, inside, joined
from wasm_detector.streaming import plan_windows

SEED, OTHER = "5e" * 32, "07" * 32


def seeds(n: int) -> list[str]:
    return [f"{number:064x}" for number in range(n)]


@given(st.floats(120.01, 20_000.0), st.sampled_from([4.0, 8.0, 30.0, 120.0]))
def test_drawn_windows_keep_to_the_recording_and_to_the_budget(total_s: float, max_seconds: float) -> None:
    """In order, nothing twice, nothing behind the end, and as much as may be heard."""
    windows = Plan(max_seconds, SEED).own(total_s)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(windows))
    assert 0 <= windows[0][0] <= windows[-1][1] <= total_s
    heard_s = sum(end - start for start, end in windows)
    assert max_seconds - 2.01 <= heard_s <= max_seconds + 2.01
    assert all(2.0 <= end - start < 6.0 for start, end in windows)


def test_short_recording_is_heard_whole_whatever_the_seed() -> None:
    """There is nothing to draw where everything is heard."""
    assert Plan(120.0, SEED).own(120.0) == Plan(120.0).own(90.0) == ((0.0, 120.0),)
    assert Plan(120.0, SEED).own(None) == ((0.0, 120.0),)


def test_long_recording_without_a_seed_has_the_detectors_own_windows() -> None:
    """What an operator evaluates at the command line is the same every time."""
    assert Plan(12.0).own(60.0) == plan_windows(60.0, 12.0)


def test_seed_decides_and_nothing_else() -> None:
    """The same seed draws the same windows, for whoever asks; another one draws others."""
    assert Plan(30.0, SEED).own(600.0) == Plan(30.0, SEED, ((0.0, 9.0),)).own(600.0)
    assert Plan(30.0, SEED).own(600.0) != Plan(30.0, OTHER).own(600.0)


def test_every_place_may_be_heard_and_none_more_often() -> None:
    """An hour of which two minutes are heard: no second is safe, and behind the beginning none is favoured."""
    counts = [0] * 900
    for seed in seeds(3_000):
        for start, _ in Plan(120.0, seed).own(3_600.0):
            counts[int(start) // 4] += 1
    assert sum(counts) == 3_000 * 30
    assert counts[:3] == [3_000] * 3
    assert 50 < min(counts[3:]) <= max(counts[3:]) < 160  # 90 each, on average


def test_beginning_is_heard_however_long_the_header_says_it_is() -> None:
    """Eight seconds that claim ten hours are not missed."""
    for seed in seeds(20):
        assert joined(Plan(120.0, seed).own(36_000.0))[0][1] >= 12.0
        assert Plan(12.0, seed).own(36_000.0)[0] == (0.0, 4.0)


@pytest.mark.parametrize("start_s", [0.0, 1_111.0, 3_330.0])
def test_long_passage_is_always_heard(start_s: float) -> None:
    """What is longer than two parts of the recording cannot be missed, wherever it lies."""
    passage = (start_s, start_s + 2 * 3_588 / 27 + 4)
    for seed in seeds(200):
        assert any(start < passage[1] and end > passage[0] for start, end in Plan(120.0, seed).own(3_600.0))


def test_hour_without_end_costs_nothing_to_plan() -> None:
    """A header may state thirty years."""
    assert len(Plan(120.0, SEED).own(1e9)) == 30


def test_draw_gives_each_part_one() -> None:
    """As many as asked for, or all there are."""
    assert [place // 10 for place in draw(100, 10, seed=SEED, purpose="a")] == list(range(10))
    assert draw(3, 10, seed=SEED, purpose="a") == (0, 1, 2)
    assert draw(100, 10, seed=SEED, purpose="a") != draw(100, 10, seed=SEED, purpose="b")


def test_wanted_is_everything_once() -> None:
    """What both sides ask for is decoded once, and nothing behind the end is looked for."""
    plan = Plan(12.0, None, ((2.0, 6.0), (58.0, 61.0), (90.0, 99.0)))
    assert plan.wanted(60.0) == ((0.0, 6.0), (28.0, 32.0), (56.0, 61.0))
    assert Plan(12.0, None, plan.besides, is_besides_only=True).wanted(60.0) == ((2.0, 6.0), (58.0, 61.0))


def test_plan_survives_json() -> None:
    """The child gets it on its command line."""
    plan = Plan(12.5, SEED, ((1.0, 2.5),), is_besides_only=True)
    assert Plan.from_dict(plan.to_dict() | {"besides": [[1.0, 2.5]]}) == plan


def test_stretches_in_frames_and_inside_windows() -> None:
    """Rounded to frames; a block is cut at the windows' edges."""
    assert in_frames(((0.5, 1.0),), 22_050) == ((11_025, 22_050),)
    assert joined([(4, 8), (0, 4), (9, 10), (9.5, 9.7)]) == ((0, 8), (9, 10))
    assert list(inside(5, 25, [(0, 8), (10, 12), (20, 30), (40, 50)])) == [(5, 8), (10, 12), (20, 25)]
