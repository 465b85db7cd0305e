"""`kill -9` at random moments, on the engine alone: every job is done, and done once.

The handler is as small as can be (one row, in the transaction that ends the job), so that kills fall everywhere:
between claim and work, in the middle of the writing transaction, between its commit and the next claim.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from prelisten.engine.embedded import EmbeddedEngine
from prelisten.engine.interface import Lease
from prelisten.storage.sql import SqlStorage, open_existing, open_storage

IS_FULL = os.environ.get("TEST_SIZE") == "full"
N_JOBS, N_KILLS = (10_000, 200) if IS_FULL else (200, 10)
N_WORKERS = 4
# So many kills on, a worker is frozen for longer than its lease: it comes back to a job that is another's by then.
FREEZE_EVERY = 5
THAW_S = 0.5
LEASE_S = 0.8
LIMIT_S = 600 if IS_FULL else 120
# Forked from a process that has imported everything: a new worker works after milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["prelisten.engine.embedded", "prelisten.storage.sql", "alembic.script"])


def work(url: str, number: int) -> None:
    """Be a worker: write one row for each job, in the transaction that ends it."""
    storage = open_existing(url)
    engine = EmbeddedEngine(storage, lease_s=LEASE_S)
    dice = random.Random(number)

    def handle(lease: Lease) -> None:
        time.sleep(dice.uniform(0, 0.012))
        with storage.transaction() as tx:
            engine.finish(tx, lease)
            row = (lease.submission_id, lease.attempt, lease.worker)
            tx.connection.exec_driver_sql("INSERT INTO done VALUES (?, ?, ?)", row)
            time.sleep(dice.uniform(0, 0.002))

    engine.run(handle, worker=f"w{number}", stop=threading.Event())


class Crew:
    """Workers that are killed and replaced."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._count = 0
        self._thaws: list[threading.Timer] = []
        self.running: list[BaseProcess] = [self._start() for _ in range(N_WORKERS)]

    def _start(self) -> BaseProcess:
        self._count += 1
        worker = PROCESSES.Process(target=work, args=(self._url, self._count), daemon=True)
        worker.start()
        return worker

    def kill_one(self, dice: random.Random) -> None:
        """End one without warning and start another."""
        place = dice.randrange(len(self.running))
        self.running[place].kill()
        self.running[place].join()
        self.running[place] = self._start()

    def freeze_one(self, dice: random.Random) -> None:
        """Stop one for longer than its lease, as a machine that swaps does; then let it go on where it was."""
        worker = dice.choice(self.running)

        def thaw() -> None:
            if worker.exitcode is None:
                os.kill(worker.pid, signal.SIGCONT)

        os.kill(worker.pid, signal.SIGSTOP)
        self._thaws.append(threading.Timer(1.5 * LEASE_S, thaw))
        self._thaws[-1].start()

    def end(self) -> None:
        """Let the frozen ones try to store what they had begun; then end all."""
        for timer in self._thaws:
            timer.join()
        time.sleep(THAW_S)
        for worker in self.running:
            worker.kill()
            worker.join()


@pytest.fixture
def storage(tmp_path: Path) -> SqlStorage:
    opened = open_storage(f"sqlite:///{tmp_path}/jobs.sqlite3")
    with opened.transaction() as tx:
        # No key and no uniqueness: a job that is done twice must be seen, not prevented by the table.
        tx.connection.exec_driver_sql("CREATE TABLE done (job TEXT, attempt INTEGER, worker TEXT)")
    yield opened
    opened.close()


def test_no_job_is_lost_or_doubled_under_kills(storage: SqlStorage, tmp_path: Path, record_property) -> None:
    """Four workers, killed at random while they work, and frozen; each at an arbitrary moment, an arbitrary one."""
    engine, dice = EmbeddedEngine(storage, lease_s=LEASE_S), random.Random(6)
    names = [f"job{number:05d}" for number in range(N_JOBS)]
    with storage.transaction() as tx:
        for name in names:
            engine.enqueue(tx, name)
    began, kills, kills_at_work = time.monotonic(), 0, 0
    crew = Crew(f"sqlite:///{tmp_path}/jobs.sqlite3")
    try:
        while engine.queue_depth():
            assert time.monotonic() - began < LIMIT_S, f"{engine.queue_depth()} jobs are left"
            # Spread over the work: a share of the jobs is done before each kill.
            if kills < N_KILLS and N_JOBS - engine.queue_depth() >= kills * N_JOBS / (N_KILLS + 1):
                time.sleep(dice.uniform(0, 0.02))
                kills_at_work += engine.queue_depth() > 0
                crew.kill_one(dice)
                kills += 1
                if kills % FREEZE_EVERY == 0:
                    crew.freeze_one(dice)
            else:
                time.sleep(0.005)
    finally:
        crew.end()
    with storage.read() as tx:
        done = Counter(tx.connection.exec_driver_sql("SELECT job FROM done").scalars())
        retried = tx.connection.exec_driver_sql("SELECT count(*) FROM jobs WHERE attempts > 1").scalar_one()
    record_property("seconds", round(time.monotonic() - began, 1))
    print(f"{N_JOBS} jobs, {kills} kills, {retried} jobs claimed again, {time.monotonic() - began:.1f} s")
    assert (kills, kills_at_work) == (N_KILLS, N_KILLS)
    assert sorted(set(names) - set(done)) == [], "lost"
    assert {name: count for name, count in done.items() if count != 1} == {}, "doubled"
    # Kills that never met a job at work would prove nothing.
    assert retried > 0


def test_kill_in_the_middle_of_ending_a_job_leaves_it_whole(storage: SqlStorage, tmp_path: Path) -> None:
    """The process dies after the rows are written and before the commit: nothing of it is there."""
    engine = EmbeddedEngine(storage, lease_s=LEASE_S)
    with storage.transaction() as tx:
        engine.enqueue(tx, "s1")
    died = PROCESSES.Process(target=die_before_the_commit, args=(f"sqlite:///{tmp_path}/jobs.sqlite3",))
    died.start()
    died.join(30)
    assert died.exitcode == -signal.SIGKILL
    with storage.read() as tx:
        assert tx.connection.exec_driver_sql("SELECT count(*) FROM done").scalar_one() == 0
    time.sleep(LEASE_S)
    assert engine.claim("next").attempt == 2


def die_before_the_commit(url: str) -> None:
    """Claim, end the job, and be killed before the transaction is committed."""
    storage = open_existing(url)
    engine = EmbeddedEngine(storage, lease_s=LEASE_S)
    lease = engine.claim("w")
    with storage.transaction() as tx:
        engine.finish(tx, lease)
        tx.connection.exec_driver_sql("INSERT INTO done VALUES ('s1', 1, 'w')")
        os.kill(os.getpid(), signal.SIGKILL)
