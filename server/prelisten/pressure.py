"""How much this process does at once: bodies that it receives, and senders that it keeps waiting for a decision.

Every request holds a thread of the web server. Bounded here, uploads never hold all of them, so that health,
status and pages answer whatever the load. What is over the bound is told so before its body is read.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prelisten.config import MAX_WAITING_FOR_PLACE
from prelisten.errors import OverloadedError, RateLimitedError

PLACE_WAIT_S = 1.0
# Spread, so that those who were told to come back do not come back all at once.
RETRY_FIRST_S, RETRY_SPREAD_S = 10, 20


class Pressure:
    """The places of one process. Safe for threads.

    `receiving`: bodies at once, `receiving_per_client`: of those from one client; `waiting`: senders at once that
    are kept until their decision is there; `listening`: recordings that are heard in this very process.
    """

    def __init__(
        self, *, receiving: int, receiving_per_client: int, waiting: int, listening: int = 1
    ) -> None:
        self._receiving = receiving
        self._per_client = receiving_per_client
        self._waiting = waiting
        self._clients: Counter[str] = Counter()
        self._waiters = 0
        self._ears = threading.BoundedSemaphore(listening)
        self._changed = threading.Condition()
        self._waiting_for_place = 0

    @contextmanager
    def receiving(self, client: str) -> Iterator[None]:
        """Hold a place for one body of `client`.

        Raises `RateLimitedError` when this client has all the places that one may have, `OverloadedError` when
        all are taken; both only after a moment's waiting, for which there are places too.
        """
        self._take_place(client)
        try:
            yield
        finally:
            with self._changed:
                self._clients[client] -= 1
                if not self._clients[client]:
                    del self._clients[client]
                self._changed.notify_all()

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Hold a place for one sender that waits for a decision; yields `False` when there is none."""
        with self._changed:
            is_allowed = self._waiters < self._waiting
            self._waiters += is_allowed
        try:
            yield is_allowed
        finally:
            if is_allowed:
                with self._changed:
                    self._waiters -= 1

    @contextmanager
    def listening(self, wait_s: float) -> Iterator[None]:
        """Hold a place for hearing one recording. Raises `OverloadedError` when none is free within `wait_s`."""
        if not self._ears.acquire(timeout=wait_s):
            raise OverloadedError(retry_after_s())
        try:
            yield
        finally:
            self._ears.release()

    @property
    def in_use(self) -> dict[str, int]:
        """Return how many bodies are being received and how many senders wait, in this process."""
        with self._changed:
            return {"receiving": self._clients.total(), "waiting": self._waiters}

    def _take_place(self, client: str) -> None:
        with self._changed:
            if not self._has_place(client) and self._waiting_for_place < MAX_WAITING_FOR_PLACE:
                self._waiting_for_place += 1
                try:
                    self._changed.wait_for(lambda: self._has_place(client), PLACE_WAIT_S)
                finally:
                    self._waiting_for_place -= 1
            if not self._has_place(client):
                is_clients_own = self._clients[client] >= self._per_client
                raise (
                    RateLimitedError(retry_after_s()) if is_clients_own else OverloadedError(retry_after_s())
                )
            self._clients[client] += 1

    def _has_place(self, client: str) -> bool:
        return self._clients.total() < self._receiving and self._clients.get(client, 0) < self._per_client


def retry_after_s() -> int:
    """Return when to come back, in seconds: not at once, and not all at the same time."""
    return RETRY_FIRST_S + secrets.randbelow(RETRY_SPREAD_S)
