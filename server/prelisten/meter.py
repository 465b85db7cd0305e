"""What is counted: every series that an operator may watch, declared in one place, added up in this process.

A `Meter` holds what was added since it was last taken away. `prelisten.metrics` takes it to the database, where the
web processes, the screening processes and every restart add to the same totals.
"""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PREFIX = "prelisten_"
# Upper bounds in seconds, from a health check to a decoder that ran into its limit.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)

Series = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter: it only grows. `labels` are the names of its labels, each with few values."""

    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timed:
    """A histogram of seconds."""

    help: str
    labels: tuple[str, ...] = ()


# Labels take their values from our own words, never from what a client sent: else anybody could make series.
DECLARED: dict[str, Counted | Timed] = {
    "uploads": Counted("Uploads that were stored, by what their hint token was worth.", ("token",)),
    "uploads_repeated": Counted("Uploads that were stored before: double clicks, retries."),
    "upload_bytes": Counted("Bytes of the uploads that were stored."),
    "refusals": Counted("Requests that were refused, by the reason's code.", ("code",)),
    "requests": Counted(
        "Requests, by the view that answered and the class of its status.", ("view", "status")
    ),
    "request_seconds": Timed("From a request's head to its answer, by view.", ("view",)),
    "verifications": Counted("Tokens that back ends asked about, by whether they were ok.", ("success",)),
    "verifications_repeated": Counted("Answers to such questions that were given before: retries, replays."),
    "decisions": Counted("Decisions, by what is to happen.", ("action",)),
    "findings": Counted("Words of checks, by how they ended.", ("check", "state")),
    "recomputed": Counted("Claims of browsers, by what listening again said.", ("recomputed",)),
    "attempts": Counted("Attempts at screening, by how they ended.", ("end",)),
    "stage_seconds": Timed("Where the time of an upload and its screening goes.", ("stage",)),
    "decision_seconds": Timed("From an upload's receipt to its decision."),
}


class Meter:
    """Adds up what happens in this process. Safe for threads."""

    def __init__(self) -> None:
        self._sums: defaultdict[Series, float] = defaultdict(float)
        self._lock = threading.Lock()

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter. Raises `KeyError` for one that is not declared, or with other labels than it has."""
        _check(name, Counted, labels)
        with self._lock:
            self._sums[f"{name}_total", label_text(labels)] += amount

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """Add one duration to a histogram."""
        _check(name, Timed, labels)
        place = bisect_left(SECONDS, seconds)
        bound = str(SECONDS[place]) if place < len(SECONDS) else "+Inf"
        text = label_text(labels)
        with self._lock:
            self._sums[f"{name}_bucket", label_text(labels | {"le": bound})] += 1
            self._sums[f"{name}_sum", text] += seconds
            self._sums[f"{name}_count", text] += 1

    @contextmanager
    def timed(self, name: str, /, **labels: str) -> Iterator[None]:
        """Observe how long the block takes, also when it fails."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.observe(name, time.monotonic() - start, **labels)

    def take(self) -> dict[Series, float]:
        """Return what was added since the last time, and forget it."""
        with self._lock:
            taken, self._sums = dict(self._sums), defaultdict(float)
            return taken

    def put_back(self, taken: dict[Series, float]) -> None:
        """Add again what was taken and could not be stored."""
        with self._lock:
            for series, value in taken.items():
                self._sums[series] += value


def label_text(labels: dict[str, str]) -> str:
    """Return labels as the text that names a series: JSON, in the order of their names."""
    return json.dumps(labels, sort_keys=True)


def _check(name: str, kind: type, labels: dict[str, str]) -> None:
    declared = DECLARED[name]
    if not isinstance(declared, kind) or set(labels) != set(declared.labels):
        raise KeyError(f"got {name} with {sorted(labels)}, expected a {kind.__name__} with what is declared")
