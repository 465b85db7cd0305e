"""Detectors of earlier bundles: accepted for their days, over restarts and in several processes."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from prelisten.detectors import DAY_S, FILE_NAME, MAX_REMEMBERED, AcceptedDetectors

START = 1_800_000_000.0
OLD, NEW, NEWEST = (("wd-1", "1" * 64), ("wd-2", "2" * 64), ("wd-3", "3" * 64))


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def add_days(self, days: float) -> None:
        self.now += days * DAY_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


def accepted(own, folder: Path, clock: Clock, days: float = 14) -> AcceptedDetectors:
    return AcceptedDetectors(own, folder, days=days, clock=clock)


def test_first_start_accepts_its_own(tmp_path, clock):
    """There is nothing earlier, and no second entry of the same."""
    assert list(accepted(OLD, tmp_path, clock)) == [OLD]
    assert list(accepted(OLD, tmp_path, clock)) == [OLD]


def test_earlier_detector_counts_from_its_replacement(tmp_path, clock):
    """It was served until the deployment, whenever its process had started; fourteen days later it is over."""
    accepted(OLD, tmp_path, clock)
    clock.add_days(60)
    after = accepted(NEW, tmp_path, clock)
    assert list(after) == [NEW, OLD]
    clock.add_days(13.9)
    assert OLD in after
    assert list(accepted(NEW, tmp_path, clock)) == [NEW, OLD]  # A restart neither forgets nor prolongs it.
    clock.add_days(0.2)
    assert list(after) == [NEW]
    assert len(after) == 1


def test_restarts_do_not_prolong(tmp_path, clock):
    """A server that is started anew every day does not keep an old detector for ever."""
    accepted(OLD, tmp_path, clock)
    for _ in range(15):
        made = accepted(NEW, tmp_path, clock)
        clock.add_days(1)
    assert list(made) == [NEW]


def test_zero_days_accepts_the_own_alone(tmp_path, clock):
    accepted(OLD, tmp_path, clock)
    made = accepted(NEW, tmp_path, clock, days=0)
    clock.add_days(0.001)
    assert list(made) == [NEW]


def test_running_process_learns_of_a_newer_one(tmp_path, clock):
    """While a deployment rolls, pages of the new bundle may reach a process of the old one."""
    running = accepted(OLD, tmp_path, clock)
    accepted(NEW, tmp_path, clock)
    assert list(running) == [OLD, NEW]
    clock.add_days(30)
    assert NEW in running, "what is served now is accepted, however long ago that began"


def test_return_to_an_earlier_release(tmp_path, clock):
    """What is taken back was served until now, too."""
    for own in (OLD, NEW, OLD):
        made = accepted(own, tmp_path, clock)
        clock.add_days(10)
    assert list(made) == [OLD, NEW]


def test_only_so_many_are_remembered(tmp_path, clock):
    """A challenge has room for so many; the latest stay."""
    for number in range(20):
        made = accepted((f"wd-{number}", "a" * 64), tmp_path, clock)
        clock.now += 1
    assert len(made) == MAX_REMEMBERED
    assert list(made)[:2] == [("wd-19", "a" * 64), ("wd-18", "a" * 64)]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"current": 5, "served": []}', '{"current": ["a", "b"], "served": [{}]}',
        '{"current": ["wd-1", "x"], "served": [{"id": "<b>", "sha256": "x", "served_at": 1e99}]}', "[" * 100_000,
    ],
)  # fmt: skip
def test_spoiled_file_is_written_anew(tmp_path, clock, text):
    """Whatever the file holds: the own detector is accepted, nothing made up is, and the file is mended."""
    (tmp_path / FILE_NAME).write_text(text)
    assert list(accepted(NEW, tmp_path, clock)) == [NEW]
    assert json.loads((tmp_path / FILE_NAME).read_text())["current"] == list(NEW)


def test_file_that_vanishes_changes_nothing(tmp_path, clock):
    accepted(OLD, tmp_path, clock)
    made = accepted(NEW, tmp_path, clock)
    assert OLD in made
    (tmp_path / FILE_NAME).unlink()
    assert list(made) == [NEW, OLD]


def test_folder_that_takes_nothing_keeps_nobody_from_starting(tmp_path, clock):
    """The own detector is accepted all the same."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert list(accepted(NEW, blocked, clock)) == [NEW]


def _start(folder: Path, number: int) -> None:
    AcceptedDetectors((f"wd-{number}", f"{number:064x}"), folder, days=14)


def test_processes_that_start_together_lose_nothing(tmp_path):
    """Six processes of six releases start in the same moment: each one's detector is remembered."""
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=_start, args=(tmp_path, number)) for number in range(6)]
    for process in started:
        process.start()
    for process in started:
        process.join(30)
    made = AcceptedDetectors(NEW, tmp_path, days=14)
    assert set(made) == {NEW, *((f"wd-{n}", f"{n:064x}") for n in range(6))}
    assert not list(tmp_path.glob(".*.json.*[0-9a-f]"))
