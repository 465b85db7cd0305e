"""What the pipeline and the workers may ask of an engine, and what they are given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection

from prelisten.errors import Cancelled, PrelistenError


class LeaseLost(PrelistenError):  # noqa: N818 - an event, not a fault
    """The job belongs to another worker by now; whatever was found here must not be stored."""

    code = "lease_lost"


class HasConnection(Protocol):
    """A transaction of the storage, seen from here."""

    @property
    def connection(self) -> Connection:
        """The database connection of the transaction."""


class Database(Protocol):
    """The storage, seen from here."""

    def transaction(self) -> AbstractContextManager[HasConnection]:
        """Open a writing transaction."""

    def read(self) -> AbstractContextManager[HasConnection]:
        """Open a reading transaction."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a submission for a while.

    `attempt` counts from 1, at the claim, so that a death counts. `fence` grows with every claim: only the
    latest holder's result is stored. `is_exhausted`: the submission has had its attempts; do not touch the
    recording again, decide that the screening is incomplete. `cancelled` is set when the work should end.
    """

    submission_id: str
    worker: str
    attempt: int
    fence: int
    is_exhausted: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event, compare=False)

    def check(self) -> None:
        """Raise `Cancelled` when the work should end."""
        if self.cancelled.is_set():
            raise Cancelled("The work on this submission was called off; another worker takes it up.")


Handler = Callable[[Lease], None]


class Engine(Protocol):
    """A queue of submissions, at least once in trying, exactly once in deciding."""

    def enqueue(self, tx: HasConnection, submission_id: str) -> None:
        """Add a job inside the caller's transaction."""

    def finish(self, tx: HasConnection, lease: Lease) -> None:
        """End the job inside the caller's transaction. Raises `LeaseLost` when the lease is another's."""

    def claim(self, worker: str) -> Lease | None:
        """Take the job that has waited longest, or `None`."""

    def heartbeat(self, lease: Lease) -> bool:
        """Prolong the lease. Return `False` when it is lost."""

    def release(self, lease: Lease, *, delay_s: float, is_counted: bool) -> None:
        """Give the job back, to be taken after `delay_s`; uncounted when the recording was not to blame."""

    def run(self, handler: Handler, *, worker: str, stop: threading.Event) -> None:
        """Claim and handle jobs until `stop` is set."""

    def queue_depth(self) -> int:
        """Return how many jobs are not ended."""

    def has_live_worker(self) -> bool:
        """Return whether any worker was seen lately."""
