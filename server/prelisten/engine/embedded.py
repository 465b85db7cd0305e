"""The embedded engine: a lease table in the server's own database, no service to start.

A claim counts the attempt and raises the fence in one writing transaction, before the recording is touched: a
recording that kills its worker is counted too. A worker that dies stops its heartbeat, so its lease runs out
and the next claim takes the job. A worker that was only slow finds its fence outdated and stores nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from prelisten.engine.interface import Database, Handler, HasConnection, JobStatus, Lease, LeaseLost
from prelisten.errors import Cancelled, StorageError
from prelisten.times import UtcDateTime

log = logging.getLogger(__name__)

# Three deaths: one may be an accident, two bad luck, the third is the recording's doing.
MAX_ATTEMPTS = 3
# Long against a heartbeat (a third of it), short against a person's patience.
LEASE_S = 30.0
POLL_S = 0.15
# A worker is alive when it was seen this lately; it says so every `SEEN_EVERY_S`.
SEEN_EVERY_S, ALIVE_S = 3.0, 15.0
# How often whoever waits may see that something moves.
PROGRESS_S = 1.0
# A clock that ticks a little early must not make every second beat a missed one.
NEARLY = 0.9
# After the disk or the database failed; a recording is not to blame, so this is no attempt. Doubled at each
# failure of the same job: a disk that is full for hours must not have every recording decoded every five seconds.
STORAGE_DELAY_S, LONGEST_STORAGE_DELAY_S = 5.0, 80.0
ERROR_DELAY_S = 2.0

metadata = MetaData()
QUEUED, LEASED, DONE = "queued", "leased", "done"

jobs = Table(
    "jobs",
    metadata,
    Column("submission_id", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", String(64)),
    Column("enqueued_at", UtcDateTime, nullable=False),
    # When a queued job may be taken, and when a leased one may be taken over.
    Column("due_at", UtcDateTime, nullable=False),
    # How often the storage failed under it; the pause before the next try grows with it.
    Column("deferrals", Integer, nullable=False, server_default="0"),
    # What its worker said last: the phase and how much of it is done, 0 to 1.
    Column("phase", String(16)),
    Column("fraction", Float),
    Index("ix_jobs_state_due_at", "state", "due_at"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
)


class EmbeddedEngine:
    """See `interface.Engine` for what each method promises."""

    def __init__(
        self,
        database: Database,
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_s)
        self._clock = clock

    def enqueue(self, tx: HasConnection, submission_id: str) -> None:
        """Add a job inside the caller's transaction."""
        now = self._clock()
        tx.connection.execute(
            insert(jobs).values(
                submission_id=submission_id, state=QUEUED, attempts=0, fence=0, enqueued_at=now, due_at=now
            )
        )

    def finish(self, tx: HasConnection, lease: Lease) -> None:
        """End the job inside the caller's transaction. Raises `LeaseLost`, which rolls that back."""
        ended = tx.connection.execute(update(jobs).where(_held_by(lease)).values(state=DONE))
        if ended.rowcount != 1:
            raise LeaseLost(f"The job of submission {lease.submission_id} was taken over by another worker.")

    def remove(self, tx: HasConnection, submission_id: str) -> None:
        """Take a job away inside the caller's transaction; who works on it finds the lease lost."""
        tx.connection.execute(delete(jobs).where(jobs.c.submission_id == submission_id))

    def forget_ended(self, tx: HasConnection, before: datetime) -> int:
        """Remove the jobs that ended before that time, and workers not seen since; return how many jobs."""
        tx.connection.execute(delete(workers).where(workers.c.seen_at < before))
        # A job's `due_at` is the end of its last lease: a little later than the job's own.
        ended = delete(jobs).where(jobs.c.state == DONE, jobs.c.due_at < before)
        return tx.connection.execute(ended).rowcount

    def status(self, tx: HasConnection, submission_id: str) -> JobStatus | None:
        """Return where a job is, or `None` when it has ended or there is none."""
        found = tx.connection.execute(select(jobs).where(jobs.c.submission_id == submission_id))
        job = found.mappings().first()
        if job is None or job["state"] == DONE:
            return None
        if job["state"] == LEASED:
            return JobStatus(None, job["phase"], job["fraction"])
        is_before = (jobs.c.enqueued_at < job["enqueued_at"]) | (
            (jobs.c.enqueued_at == job["enqueued_at"]) & (jobs.c.submission_id < submission_id)
        )
        ahead = select(func.count()).where(jobs.c.state == QUEUED, is_before)
        return JobStatus(int(tx.connection.execute(ahead).scalar_one()))

    def claim(self, worker: str) -> Lease | None:
        """Take the job that has waited longest, or `None`. Looks without a lock, takes with one."""
        with self._database.read() as tx:
            if tx.connection.execute(self._next_due()).first() is None:
                return None
        with self._database.transaction() as tx:
            next_due = self._next_due().with_for_update(skip_locked=True)
            job = tx.connection.execute(next_due).mappings().first()
            if job is None:
                return None
            attempt, fence = job["attempts"] + 1, job["fence"] + 1
            tx.connection.execute(
                update(jobs)
                .where(jobs.c.submission_id == job["submission_id"])
                .values(
                    state=LEASED,
                    attempts=attempt,
                    fence=fence,
                    worker=worker,
                    due_at=self._clock() + self._lease,
                    phase=None,
                    fraction=None,
                )
            )
        is_exhausted = attempt > MAX_ATTEMPTS
        return Lease(job["submission_id"], worker, attempt, fence, is_exhausted, job["deferrals"])

    def _next_due(self) -> Any:
        due = jobs.c.state.in_((QUEUED, LEASED)) & (jobs.c.due_at <= self._clock())
        return select(jobs).where(due).order_by(jobs.c.enqueued_at, jobs.c.submission_id).limit(1)

    def heartbeat(self, lease: Lease) -> bool:
        """Prolong the lease and store what its holder says of its progress. Return `False` when it is lost."""
        phase, fraction = lease.progress.read()
        with self._database.transaction() as tx:
            held = update(jobs).where(_held_by(lease))
            alive = {"due_at": self._clock() + self._lease, "phase": phase, "fraction": fraction}
            return tx.connection.execute(held.values(alive)).rowcount == 1

    def release(self, lease: Lease, *, delay_s: float, is_counted: bool) -> None:
        """Give the job back, to be taken after `delay_s`. A lost lease is left to its new holder."""
        is_deferred = not is_counted and delay_s > 0
        with self._database.transaction() as tx:
            tx.connection.execute(
                update(jobs)
                .where(_held_by(lease))
                .values(
                    state=QUEUED,
                    attempts=lease.attempt if is_counted else lease.attempt - 1,
                    due_at=self._clock() + timedelta(seconds=delay_s),
                    deferrals=lease.deferrals + is_deferred,
                )
            )

    def queue_depth(self) -> int:
        """Return how many jobs are not ended."""
        with self._database.read() as tx:
            # Named states, and not "all but done": the index then leads to the few among many ended ones.
            waiting = select(func.count()).where(jobs.c.state.in_((QUEUED, LEASED)))
            return int(tx.connection.execute(waiting).scalar_one())

    def has_live_worker(self) -> bool:
        """Return whether any worker was seen lately."""
        since = self._clock() - timedelta(seconds=ALIVE_S)
        with self._database.read() as tx:
            alive = select(func.count()).select_from(workers).where(workers.c.seen_at >= since)
            return bool(tx.connection.execute(alive).scalar_one())

    def run(self, handler: Handler, *, worker: str, stop: threading.Event) -> None:
        """Claim and handle jobs until `stop` is set; the job at hand is given back, not lost.

        A failing database makes the loop wait and try again: a worker must outlive a full disk.
        """
        with self._beating(worker, stop) as holding:
            while not stop.is_set():
                try:
                    lease = self.claim(worker)
                except StorageError as error:
                    log.warning("cannot claim a job: %s", error)
                    stop.wait(STORAGE_DELAY_S)
                    continue
                if lease is None:
                    stop.wait(POLL_S)
                    continue
                holding(lease)
                self._handle(handler, lease)
                holding(None)

    def _handle(self, handler: Handler, lease: Lease) -> None:
        """Run the handler once, and give the job back when it could not end it."""
        try:
            handler(lease)
        except LeaseLost:
            log.warning("submission %s was taken over; nothing stored", lease.submission_id)
        except Cancelled:
            self._give_back(lease, delay_s=0.0, is_counted=False)
        except StorageError as error:
            log.warning("submission %s waits for the storage: %s", lease.submission_id, error)
            delay_s = min(STORAGE_DELAY_S * 2 ** min(lease.deferrals, 10), LONGEST_STORAGE_DELAY_S)
            self._give_back(lease, delay_s=delay_s, is_counted=False)
        except Exception:
            # The last line of defence: a fault in a check costs an attempt, never the worker.
            log.exception("submission %s failed in attempt %d", lease.submission_id, lease.attempt)
            self._give_back(lease, delay_s=ERROR_DELAY_S * lease.attempt, is_counted=True)

    def _give_back(self, lease: Lease, *, delay_s: float, is_counted: bool) -> None:
        try:
            self.release(lease, delay_s=delay_s, is_counted=is_counted)
        except StorageError as error:
            # The lease runs out by itself, and the job is taken up then.
            log.warning("cannot give submission %s back: %s", lease.submission_id, error)

    @contextmanager
    def _beating(self, worker: str, stop: threading.Event) -> Iterator[Callable[[Lease | None], None]]:
        """Keep the worker's row and its lease fresh from a thread of their own; yield the setter of the lease."""
        heart = _Heart(self, worker, stop)
        thread = threading.Thread(target=heart.beat, name="prelisten-heartbeat", daemon=True)
        thread.start()
        try:
            yield heart.hold
        finally:
            heart.ended.set()
            thread.join()
            heart.say_goodbye()

    def _see(self, worker: str, *, is_alive: bool) -> None:
        with self._database.transaction() as tx:
            tx.connection.execute(delete(workers).where(workers.c.id == worker))
            if is_alive:
                tx.connection.execute(insert(workers).values(id=worker, seen_at=self._clock()))


class _Heart:
    """The thread beside a worker's loop: says that it lives, prolongs its lease, calls off what is lost."""

    def __init__(self, engine: EmbeddedEngine, worker: str, stop: threading.Event) -> None:
        self.ended = threading.Event()
        self._engine = engine
        self._worker = worker
        self._stop = stop
        self._lease: Lease | None = None
        self._every_s = min(SEEN_EVERY_S, engine._lease.total_seconds() / 3)
        self._seen_at = self._beaten_at = float("-inf")
        self._told: tuple[str | None, float | None] = (None, None)

    def hold(self, lease: Lease | None) -> None:
        """Set the lease to prolong."""
        self._lease = lease

    def beat(self) -> None:
        """Beat until `stop` is set; then call the job at hand off until the loop has ended."""
        self._beat_once()
        while not self._stop.wait(min(PROGRESS_S, self._every_s)) and not self.ended.is_set():
            self._beat_once()
        while not self.ended.wait(0.05):
            if (lease := self._lease) is not None:
                lease.cancelled.set()

    def _beat_once(self) -> None:
        lease, now = self._lease, time.monotonic()
        try:
            if now - self._seen_at >= NEARLY * self._every_s:
                self._engine._see(self._worker, is_alive=True)
                self._seen_at = now
            if lease is not None and (
                self._has_moved(lease) or now - self._beaten_at >= NEARLY * self._every_s
            ):
                self._beaten_at = now
                if not self._engine.heartbeat(lease):
                    lease.cancelled.set()
        except StorageError as error:
            log.warning("no heartbeat: %s", error)
        except Exception:
            # Without this thread every lease would run out under its holder, and nobody would know why.
            log.exception("the heartbeat failed")

    def _has_moved(self, lease: Lease) -> bool:
        before, self._told = self._told, lease.progress.read()
        return before != self._told

    def say_goodbye(self) -> None:
        """Take the worker's row away, so that `health` does not count it for a while longer."""
        try:
            self._engine._see(self._worker, is_alive=False)
        except StorageError as error:
            log.warning("the worker's row stays until it is outdated: %s", error)


def _held_by(lease: Lease) -> ColumnElement[bool]:
    is_this_job = jobs.c.submission_id == lease.submission_id
    return is_this_job & (jobs.c.state == LEASED) & (jobs.c.fence == lease.fence)
