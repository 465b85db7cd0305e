"""What every engine must keep; today there is one, on the storage's own database: SQLite or PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from prelisten.engine.embedded import MAX_ATTEMPTS, EmbeddedEngine
from prelisten.engine.interface import Engine, JobStatus, Lease, LeaseLost
from prelisten.errors import Cancelled, StorageError
from prelisten.storage.sql import SqlStorage, open_storage


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def storage(database_url: str) -> Iterator[SqlStorage]:
    opened = open_storage(database_url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(storage: SqlStorage, clock: Clock) -> Engine:
    return EmbeddedEngine(storage, lease_s=30, clock=clock)


def add(storage: SqlStorage, engine: Engine, *names: str) -> None:
    with storage.transaction() as tx:
        for name in names:
            engine.enqueue(tx, name)


def finish(storage: SqlStorage, engine: Engine, lease: Lease) -> None:
    with storage.transaction() as tx:
        engine.finish(tx, lease)


def test_job_is_given_once_and_ends(storage: SqlStorage, engine: Engine) -> None:
    """While it is leased nobody else gets it; when it has ended nobody at all."""
    add(storage, engine, "s1")
    lease = engine.claim("w1")
    assert (lease.submission_id, lease.attempt, engine.claim("w2"), engine.queue_depth()) == (
        "s1",
        1,
        None,
        1,
    )
    finish(storage, engine, lease)
    assert (engine.claim("w2"), engine.queue_depth()) == (None, 0)


def test_job_exists_only_with_its_transaction(storage: SqlStorage, engine: Engine) -> None:
    """What is rolled back was never queued."""
    with pytest.raises(KeyError), storage.transaction() as tx:  # noqa: PT012
        engine.enqueue(tx, "s1")
        raise KeyError
    assert engine.claim("w1") is None


def test_jobs_come_in_the_order_of_their_arrival(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """Who has waited longest is next."""
    for name in ("b", "c", "a"):
        add(storage, engine, name)
        clock.pass_s(1)
    assert [engine.claim("w").submission_id for _ in range(3)] == ["b", "c", "a"]


def test_outdated_holder_cannot_end_the_job(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """A slow worker whose lease ran out stores nothing, even when its result comes first."""
    add(storage, engine, "s1")
    slow = engine.claim("slow")
    clock.pass_s(31)
    quick = engine.claim("quick")
    with pytest.raises(LeaseLost):
        finish(storage, engine, slow)
    assert (engine.heartbeat(slow), engine.heartbeat(quick)) == (False, True)
    finish(storage, engine, quick)


def test_ended_job_cannot_be_ended_again(storage: SqlStorage, engine: Engine) -> None:
    """The same lease used twice is refused: a decision is stored once."""
    add(storage, engine, "s1")
    lease = engine.claim("w")
    finish(storage, engine, lease)
    with pytest.raises(LeaseLost):
        finish(storage, engine, lease)


def test_heartbeat_keeps_the_lease(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """A worker that beats may work longer than one lease."""
    add(storage, engine, "s1")
    lease = engine.claim("w1")
    for _ in range(5):
        clock.pass_s(20)
        assert engine.heartbeat(lease)
    assert engine.claim("w2") is None


def test_deaths_are_counted_at_the_claim(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """After three claims without an end the next one says that the attempts are used up."""
    add(storage, engine, "s1")
    leases = []
    for _ in range(MAX_ATTEMPTS + 1):
        leases.append(engine.claim("w"))
        clock.pass_s(31)
    assert [lease.attempt for lease in leases] == [1, 2, 3, 4]
    assert [lease.is_exhausted for lease in leases] == [False, False, False, True]


def test_uncounted_release_costs_no_attempt(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """A full disk or a stopped worker is not the recording's fault."""
    add(storage, engine, "s1")
    for _ in range(10):
        engine.release(engine.claim("w"), delay_s=5, is_counted=False)
        assert engine.claim("w") is None
        clock.pass_s(5)
    assert engine.claim("w").attempt == 1


def test_release_of_a_lost_lease_changes_nothing(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """The new holder keeps the job."""
    add(storage, engine, "s1")
    lost = engine.claim("w1")
    clock.pass_s(31)
    held = engine.claim("w2")
    engine.release(lost, delay_s=0, is_counted=False)
    assert (engine.claim("w3"), engine.heartbeat(held)) == (None, True)


def test_every_job_goes_to_one_of_many_claimants(storage: SqlStorage, engine: Engine) -> None:
    """Eight threads that claim at once share forty jobs without a double."""
    names = [f"s{number:02d}" for number in range(40)]
    add(storage, engine, *names)

    def claim_all(worker: int) -> list[str]:
        leases = iter(lambda: engine.claim(f"w{worker}"), None)
        return [lease.submission_id for lease in leases]

    with ThreadPoolExecutor(8) as pool:
        claimed = [name for part in pool.map(claim_all, range(8)) for name in part]
    assert sorted(claimed) == names


def test_status_tells_the_place_then_the_progress(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """Waiting: how many are before it. At work: what its holder said last. Ended: nothing."""
    for name in ("s1", "s2"):
        add(storage, engine, name)
        clock.pass_s(1)
    assert [status_of(storage, engine, name).ahead for name in ("s1", "s2")] == [0, 1]
    lease = engine.claim("w")
    assert status_of(storage, engine, "s2") == JobStatus(0)
    lease.progress.enter("listening", lambda: 1.7)
    assert engine.heartbeat(lease)
    assert status_of(storage, engine, "s1") == JobStatus(None, "listening", 1.0)
    finish(storage, engine, lease)
    assert (status_of(storage, engine, "s1"), status_of(storage, engine, "nobody")) == (None, None)


def status_of(storage: SqlStorage, engine: Engine, name: str) -> JobStatus | None:
    with storage.read() as tx:
        return engine.status(tx, name)


def test_next_holder_starts_with_no_progress(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """What a dead worker said last is not true of the one after it."""
    add(storage, engine, "s1")
    first = engine.claim("w1")
    first.progress.enter("checking")
    engine.heartbeat(first)
    clock.pass_s(31)
    engine.claim("w2")
    assert status_of(storage, engine, "s1") == JobStatus(None)


def test_removed_job_is_lost_to_its_holder(storage: SqlStorage, engine: Engine) -> None:
    """Who works on it can neither end it nor give it back, and nobody gets it again."""
    add(storage, engine, "s1")
    lease = engine.claim("w1")
    with storage.transaction() as tx:
        engine.remove(tx, "s1")
    assert not engine.heartbeat(lease)
    with pytest.raises(LeaseLost):
        finish(storage, engine, lease)
    engine.release(lease, delay_s=0, is_counted=False)
    assert (engine.claim("w2"), engine.queue_depth()) == (None, 0)


def test_deferrals_are_told_and_cost_no_attempt(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """The next holder knows how often the storage failed; a stop is no deferral."""
    add(storage, engine, "s1")
    engine.release(engine.claim("w"), delay_s=5, is_counted=False)
    clock.pass_s(5)
    lease = engine.claim("w")
    assert (lease.deferrals, lease.attempt) == (1, 1)
    engine.release(lease, delay_s=0, is_counted=False)
    assert engine.claim("w").deferrals == 1


def test_only_what_ended_long_ago_is_forgotten(storage: SqlStorage, engine: Engine, clock: Clock) -> None:
    """A job that waits is never forgotten, however old it is."""
    add(storage, engine, "s1", "s2")
    finish(storage, engine, engine.claim("w"))
    clock.pass_s(100)
    with storage.transaction() as tx:
        assert engine.forget_ended(tx, clock.now - timedelta(seconds=100)) == 0
        assert engine.forget_ended(tx, clock.now) == 1
    assert engine.queue_depth() == 1


class Loop:
    """An engine's loop in a thread, with a handler that the test gives."""

    def __init__(self, engine: Engine, handler) -> None:
        self.stop = threading.Event()
        run = {"worker": "w", "stop": self.stop}
        self.thread = threading.Thread(target=engine.run, args=(handler,), kwargs=run)

    def __enter__(self) -> Loop:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(10)
        if self.thread.is_alive():
            pytest.fail("the loop did not end")


def test_loop_handles_what_comes_and_says_that_it_lives(storage: SqlStorage) -> None:
    """While the loop runs a worker lives; afterwards none does."""
    engine, handled = EmbeddedEngine(storage), threading.Event()

    def handle(lease: Lease) -> None:
        finish(storage, engine, lease)
        handled.set()

    with Loop(engine, handle):
        add(storage, engine, "s1")
        assert handled.wait(10)
        assert engine.has_live_worker()
    assert not engine.has_live_worker()


@pytest.mark.parametrize(
    ("error", "attempt"), [(StorageError("full"), 1), (Cancelled("stopped"), 1), (ZeroDivisionError(), 2)]
)
def test_failed_job_is_tried_again(storage: SqlStorage, monkeypatch, error: Exception, attempt: int) -> None:
    """Only a fault of the screening itself costs an attempt; the loop outlives all of them."""
    monkeypatch.setattr("prelisten.engine.embedded.STORAGE_DELAY_S", 0.01)
    monkeypatch.setattr("prelisten.engine.embedded.ERROR_DELAY_S", 0.01)
    engine, leases, done = EmbeddedEngine(storage), [], threading.Event()

    def handle(lease: Lease) -> None:
        leases.append(lease)
        if len(leases) == 1:
            raise error
        finish(storage, engine, lease)
        done.set()

    add(storage, engine, "s1")
    with Loop(engine, handle):
        assert done.wait(10)
    assert [lease.attempt for lease in leases] == [1, attempt]


def test_stop_calls_the_job_at_hand_off(storage: SqlStorage) -> None:
    """A long job sees that it is cancelled, and is given back uncounted, at once."""
    engine, started = EmbeddedEngine(storage), threading.Event()

    def handle(lease: Lease) -> None:
        started.set()
        lease.cancelled.wait(10)
        lease.check()

    add(storage, engine, "s1")
    with Loop(engine, handle):
        assert started.wait(10)
    assert engine.claim("next").attempt == 1


def test_lost_lease_calls_the_job_off(storage: SqlStorage) -> None:
    """A worker whose job was taken over is told by its heartbeat."""
    engine, cancelled, started = EmbeddedEngine(storage, lease_s=0.6), threading.Event(), threading.Event()

    def handle(lease: Lease) -> None:
        started.set()
        if lease.cancelled.wait(10):
            cancelled.set()

    add(storage, engine, "s1")
    with Loop(engine, handle):
        assert started.wait(10)
        with storage.transaction() as tx:
            tx.connection.exec_driver_sql("UPDATE jobs SET fence = fence + 1")
        assert cancelled.wait(10)
