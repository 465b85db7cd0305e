"""The bench's table: ratios are taken turn by turn, and what was not measured is said."""

from __future__ import annotations

import pytest

from tests.bench.bundle.figures import Bar, Figures, Measure, Spread, files_table, markdown

READY = Measure("ready", "ms")
LONG = Measure("10 min", "ms")
SHORT = Measure("30 s", "ms")
PER_SECOND = Measure("each second", "ms")


def test_a_ratio_is_taken_within_a_turn() -> None:
    """The median of the turns' ratios (0.5, 0.25, 1), not the ratio of the medians (1)."""
    figures = Figures()
    for turn, (ours, other) in enumerate(((10, 20), (100, 400), (30, 30))):
        figures.add(READY, "ours", (turn,), ours)
        figures.add(READY, "other", (turn,), other)
    assert figures.ratio(READY, "ours", "other") == Spread(0.5, 0.375, 0.75, 3)


def test_turns_that_only_one_build_finished_have_no_ratio() -> None:
    """A visit that failed takes its turn out of the ratio, not out of the other build's figures."""
    figures = Figures()
    for turn in range(3):
        figures.add(READY, "other", (turn,), 100)
    figures.add(READY, "ours", (1,), 20)
    assert figures.ratio(READY, "ours", "other") == Spread(0.2, 0.2, 0.2, 1)
    assert figures.spread(READY, "other") == Spread(100, 100, 100, 3)
    assert figures.ratio(LONG, "ours", "other") is None


def test_nothing_is_divided_by_nothing() -> None:
    """A page without a long task gives no ratio, and the table shows a dash."""
    figures = Figures()
    figures.add(READY, "ours", (0,), 60)
    figures.add(READY, "other", (0,), 0)
    assert figures.ratio(READY, "ours", "other") is None
    [row] = [line for line in figures.table([READY], "ours", ["other"]) if line.startswith("| ready")]
    assert row.split("|")[2].strip() == "-"


def test_quartiles_lie_around_the_median() -> None:
    """Median and quartiles of 1 to 5 are 3, 2 and 4; of one value they are that value, of none there is nothing."""
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(3, 2, 4, 5)
    assert Spread.of([7]) == Spread(7, 7, 7, 1)
    assert Spread.of([]) is None


def test_the_price_of_a_second_needs_both_lengths_of_one_turn() -> None:
    """What is derived exists only where all its parts were measured."""
    figures = Figures()
    figures.add(LONG, "ours", (0,), 6_000)
    figures.add(LONG, "ours", (1,), 9_999)
    figures.add(SHORT, "ours", (0,), 300)
    figures.derive(PER_SECOND, lambda long, short: (long - short) / 570, LONG, SHORT)
    assert figures.values[PER_SECOND]["ours"] == {(0,): 10.0}


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.3, "met, stretch too"),
        (0.35, "met, stretch too"),
        (0.4, "met"),
        (0.46, "missed"),
        (None, "not measured"),
    ],
)
def test_a_bar_says_how_it_stands(value: float | None, word: str) -> None:
    """The limit itself is kept; nothing that was not measured counts as kept."""
    assert Bar("ready", 0.45, 0.35, value).word == word


def test_every_value_reaches_the_json() -> None:
    """Ratios, spreads and raw values, under the measure's name."""
    figures = Figures()
    for turn in range(2):
        figures.add(READY, "ours", (turn,), 10 + turn)
        figures.add(READY, "other", (turn,), 20)
    found = figures.as_json("ours", ["other", "third"])["ready"]
    assert found["values"]["ours"] == [10, 11]
    assert found["ratios"]["ours / other"]["n"] == 2
    assert "ours / third" not in found["ratios"]


def test_files_are_summed_and_the_largest_stands_first() -> None:
    """Every requested file, then the sum of each column."""
    small = {"received": 1, "br": 1, "gz": 2, "raw": 3}
    large = {"received": 1_000, "br": 1_000, "gz": 2_000, "raw": 3_000}
    lines = files_table({"small": small, "large": large})
    assert [line.split()[1] for line in lines[2:]] == ["large", "small", "sum"]
    assert lines[-1].split() == ["|", "sum", "|", "1,001", "|", "1,001", "|", "2,002", "|", "3,003", "|"]


def test_columns_stand_below_each_other() -> None:
    """All lines of a table are as long as each other."""
    assert len({len(line) for line in markdown([["a", "b"], ["longer", ""], ["", "x"]])}) == 1
