"""What the pipeline and the workers may ask of an engine, and what they are given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
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


def _unknown() -> float | None:
    return None


class Progress:
    """What a handler says about its work, for the person who waits. The handler writes it, the heartbeat reads it."""

    def __init__(self) -> None:
        self._said: tuple[str | None, Callable[[], float | None]] = (None, _unknown)

    def enter(self, phase: str, fraction: Callable[[], float | None] = _unknown) -> None:
        """Begin a phase; `fraction()` is asked now and then, from another thread, how much of it is done (0 to 1)."""
        self._said = (phase, fraction)

    def read(self) -> tuple[str | None, float | None]:
        """Return the phase and its fraction; `None` for what is not known."""
        phase, fraction = self._said
        done = fraction()
        return phase, None if done is None else min(max(done, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where a job is. `ahead`: how many were queued before it, `None` once it is worked on."""

    ahead: int | None
    phase: str | None = None
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a submission for a while.

    `attempt` counts from 1, at the claim, so that a death counts. `fence` grows with every claim: only the
    latest holder's result is stored. `is_exhausted`: the submission has had its attempts; do not touch the
    recording again, decide that the screening is incomplete. `deferrals` is how often the storage failed under
    this job. `cancelled` is set when the work should end; `progress` is for whoever waits.
    """

    submission_id: str
    worker: str
    attempt: int
    fence: int
    is_exhausted: bool = False
    deferrals: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event, compare=False)
    progress: Progress = field(default_factory=Progress, compare=False)

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

    def remove(self, tx: HasConnection, submission_id: str) -> None:
        """Take a job away inside the caller's transaction; who works on it finds the lease lost."""

    def forget_ended(self, tx: HasConnection, before: datetime) -> int:
        """Remove the jobs that ended before that time, and workers not seen since; return how many jobs."""

    def status(self, tx: HasConnection, submission_id: str) -> JobStatus | None:
        """Return where a job is, or `None` when it has ended or there is none."""

    def claim(self, worker: str) -> Lease | None:
        """Take the job that has waited longest, or `None`."""

    def heartbeat(self, lease: Lease) -> bool:
        """Prolong the lease. Return `False` when it is lost."""

    def release(self, lease: Lease, *, delay_s: float, is_counted: bool) -> None:
        """Give the job back, to be taken after `delay_s`; uncounted when the recording was not to blame.

        An uncounted release with a delay is a deferral: the next lease tells how many there were.
        """

    def run(self, handler: Handler, *, worker: str, stop: threading.Event) -> None:
        """Claim and handle jobs until `stop` is set."""

    def queue_depth(self) -> int:
        """Return how many jobs are not ended."""

    def has_live_worker(self) -> bool:
        """Return whether any worker was seen lately."""
