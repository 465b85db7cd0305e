"""Places for bodies and for those who wait: bounded, shared fairly, and given back."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from prelisten import pressure
from prelisten.errors import OverloadedError, RateLimitedError
from prelisten.pressure import Pressure


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    """Nobody waits for a place unless a test is about that."""
    monkeypatch.setattr(pressure, "PLACE_WAIT_S", 0.0)


def test_the_last_place_is_the_last():
    """Past all places the server is overloaded, and says when to come back."""
    gate = Pressure(receiving=2, receiving_per_client=2, waiting=0)
    with gate.receiving("a"), gate.receiving("b"):
        with pytest.raises(OverloadedError) as refused, gate.receiving("c"):
            pass
        assert refused.value.retry_after_s > 0
    with gate.receiving("c"):
        assert gate.in_use["receiving"] == 1


def test_one_client_leaves_places_to_others():
    """Who holds all that one may have is told so; the next client is taken."""
    gate = Pressure(receiving=3, receiving_per_client=2, waiting=0)
    with gate.receiving("hog"), gate.receiving("hog"):
        with pytest.raises(RateLimitedError), gate.receiving("hog"):
            pass
        with gate.receiving("honest"):
            pass


def test_a_place_is_given_back_whatever_happens():
    """A body that fails frees its place."""
    gate = Pressure(receiving=1, receiving_per_client=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.receiving("a"):
            _ = 1 / 0
    assert gate.in_use == {"receiving": 0, "waiting": 0}


def test_a_burst_waits_a_moment_and_passes(monkeypatch):
    """Small bodies that come at once all find a place within the moment that they wait."""
    monkeypatch.setattr(pressure, "PLACE_WAIT_S", 20.0)
    gate, taken = Pressure(receiving=2, receiving_per_client=2, waiting=0), []

    def send(number: int) -> None:
        with gate.receiving("a"):
            taken.append(number)

    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(gate.receiving("a"))
        threads = [threading.Thread(target=send, args=(n,)) for n in range(10)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(10))


def test_those_who_wait_are_counted():
    """Past the bound nobody waits; the answer is `hold` at once."""
    gate = Pressure(receiving=1, receiving_per_client=1, waiting=1)
    with gate.waiting() as first, gate.waiting() as second:
        assert (first, second) == (True, False)
    with gate.waiting() as third:
        assert third
