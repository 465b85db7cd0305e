"""What was measured, turn by turn, and what the table says of it: ratios first, each with its spread.

A ratio is taken within a turn, between two builds measured minutes apart at most, and only then is the median taken
over the turns: what slows the whole machine for a while leaves it alone.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Turn = tuple[int, ...]


@dataclass(frozen=True)
class Spread:
    """Median, lower and upper quartile, and how many values there were."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Return the spread of some values; `None` of none."""
        some = sorted(values)
        if not some:
            return None
        if len(some) == 1:
            return cls(some[0], some[0], some[0], 1)
        low, _, high = statistics.quantiles(some, n=4, method="inclusive")
        return cls(statistics.median(some), low, high, len(some))

    def told(self, show: Callable[[float], str]) -> str:
        """Return it as the table shows it."""
        return f"{show(self.median)} ({show(self.low)}-{show(self.high)}, n {self.n})"

    def as_json(self) -> dict[str, float]:
        """Return it for the JSON file."""
        return {"median": self.median, "q1": self.low, "q3": self.high, "n": self.n}


@dataclass(frozen=True)
class Measure:
    """Something measured of each build: its name in the table and its unit."""

    name: str
    unit: str

    @property
    def title(self) -> str:
        """Return the name with the unit, for the table."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def show(self, value: float) -> str:
        """Return a value without its unit."""
        return UNITS[self.unit](value)


UNITS: dict[str, Callable[[float], str]] = {
    "ms": lambda value: f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}",
    "MB": lambda value: f"{value:.2f}",
    "x": lambda value: f"{value:.2f}",
    "": lambda value: f"{value:g}",
}


@dataclass
class Figures:
    """All values of a run: measure -> build -> turn -> value."""

    values: dict[Measure, dict[str, dict[Turn, float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )

    def add(self, measure: Measure, build: str, turn: Turn, value: float) -> None:
        """Note one value."""
        self.values[measure][build][turn] = value

    def spread(self, measure: Measure, build: str) -> Spread | None:
        """Return the spread of one build's values."""
        return Spread.of(self.values[measure][build].values())

    def ratio(self, measure: Measure, build: str, other: str) -> Spread | None:
        """Return the spread of build / other, turn by turn; `None` where they never met, or the other is nothing."""
        ours, theirs = self.values[measure][build], self.values[measure][other]
        return Spread.of(ours[turn] / theirs[turn] for turn in ours if theirs.get(turn))

    def derive(self, measure: Measure, of: Callable[..., float], *parts: Measure) -> None:
        """Add a measure that is computed from others of the same build and turn."""
        for build in list(self.values[parts[0]]):
            columns = [self.values[part][build] for part in parts]
            for turn in columns[0]:
                if all(turn in column for column in columns):
                    self.add(measure, build, turn, of(*(column[turn] for column in columns)))

    def table(self, measures: Sequence[Measure], build: str, others: Sequence[str]) -> list[str]:
        """Return the lines of a Markdown table: the ratios to the others, then every build's own value."""
        rows = [["", *(f"{build} / {other}" for other in others), build, *others]]
        for measure in measures:
            ratios = [self.ratio(measure, build, other) for other in others]
            spreads = [self.spread(measure, one) for one in (build, *others)]
            rows.append(
                [
                    measure.title,
                    *(one.told(UNITS["x"]) if one else "-" for one in ratios),
                    *(one.told(measure.show) if one else "-" for one in spreads),
                ]
            )
        return markdown(rows)

    def as_json(self, build: str, others: Sequence[str]) -> dict[str, Any]:
        """Return every value, spread and ratio."""
        return {
            measure.name: {
                "unit": measure.unit,
                "ratios": {
                    f"{build} / {other}": ratio.as_json()
                    for other in others
                    if (ratio := self.ratio(measure, build, other))
                },
                "spreads": {one: spread.as_json() for one in builds if (spread := self.spread(measure, one))},
                "values": {one: list(turns.values()) for one, turns in builds.items()},
            }
            for measure, builds in list(self.values.items())
        }


@dataclass(frozen=True)
class Bar:
    """A limit that the bundle is to keep: met, missed, or not measured."""

    what: str
    limit: float
    stretch: float | None
    value: float | None
    unit: str = ""

    @property
    def word(self) -> str:
        """Say how it stands."""
        if self.value is None:
            return "not measured"
        if self.stretch is not None and self.value <= self.stretch:
            return "met, stretch too"
        return "met" if self.value <= self.limit else "missed"

    def row(self) -> list[str]:
        """Return its line of the table."""
        show = UNITS[self.unit]
        shown = [show(one) if one is not None else "-" for one in (self.value, self.limit, self.stretch)]
        return [f"{self.what}, {self.unit}" if self.unit else self.what, *shown, self.word]

    def as_json(self) -> dict[str, Any]:
        """Return it for the JSON file."""
        numbers = {"value": self.value, "limit": self.limit, "stretch": self.stretch}
        return {"what": self.what, **numbers, "unit": self.unit, "word": self.word}


def bars_table(bars: Sequence[Bar]) -> list[str]:
    """Return the lines of the table of limits."""
    return markdown([["bar", "measured", "limit", "stretch", ""], *(bar.row() for bar in bars)])


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table whose columns stand below each other; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"

    return [line(rows[0]), line(["-" * width for width in widths]), *(line(row) for row in rows[1:])]


def files_table(files: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a table of requested files, the largest first: what was received, brotli, gzip and raw bytes."""
    kinds = ("received", "br", "gz", "raw")
    total = {kind: sum(file[kind] for file in files.values()) for kind in kinds}
    ordered = sorted(files.items(), key=lambda item: -item[1]["received"])
    rows = [[name, *(f"{sizes[kind]:,.0f}" for kind in kinds)] for name, sizes in ordered]
    return markdown([["file", *kinds], *rows, ["sum", *(f"{total[kind]:,.0f}" for kind in kinds)]])
