"""Workers that are killed in the middle of their work: nothing is lost, nothing is decided twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from prelisten.pipeline import Services, receive
from prelisten.records import Action
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined

LEASE_S = 1.0
N_RECORDINGS, N_KILLS = (300, 60) if os.environ.get("TEST_SIZE") == "full" else (20, 6)
WORKER = f"""
import signal, sys, threading
from pathlib import Path
from tests.services import make_services
from prelisten.worker import run_worker
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
run_worker(make_services(Path(sys.argv[1]), lease_s={LEASE_S}), stop=stop)
"""
# The detector is replaced by one that hangs: a recording that kills whoever touches it.
HANGING_WORKER = "import prelisten.pipeline as p, time\np._listen = lambda *_: time.sleep(60)\n" + WORKER


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path, lease_s=LEASE_S)
    yield made
    made.storage.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a screening process on the folder; all are gone at the end."""
    started: list[subprocess.Popen] = []

    def begin(script: str = WORKER) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], *, within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail("what was waited for did not happen")
        time.sleep(0.02)


def count(services: Services, sql: str) -> int:
    with services.storage.read() as tx:
        return tx.connection.exec_driver_sql(sql).scalar_one()


def test_nothing_is_lost_or_doubled_when_workers_are_killed(services: Services, start) -> None:
    """Two workers, killed at arbitrary moments: for each recording one decision, one event, one job that ended.

    The recordings are real and so is the decoder, which a killed worker leaves behind.
    """
    rng = np.random.default_rng(11)
    for seed in range(N_RECORDINGS):
        receive(quarantined(services, wav_bytes(speech_like(3.0, seed=seed))), services)
    running = [start(), start()]
    for _ in range(N_KILLS):
        until(lambda: count(services, "SELECT count(*) FROM jobs WHERE state = 'leased'") > 0)
        time.sleep(rng.uniform(0, 0.3))
        victim = int(rng.integers(2))
        running[victim].send_signal(signal.SIGKILL)
        running[victim].wait()
        running[victim] = start()
    until(lambda: services.engine.queue_depth() == 0, within_s=60 + 3 * N_RECORDINGS)
    assert count(services, "SELECT count(*) FROM decisions") == N_RECORDINGS
    assert count(services, "SELECT count(*) FROM outbox") == N_RECORDINGS
    assert count(services, "SELECT count(DISTINCT submission_id) FROM outbox") == N_RECORDINGS
    assert count(services, "SELECT count(*) FROM jobs WHERE state = 'done'") == N_RECORDINGS
    unheard = "NOT EXISTS (SELECT 1 FROM findings WHERE findings.submission_id = decisions.submission_id)"
    assert count(services, f"SELECT count(*) FROM decisions WHERE action <> 'review' AND {unheard}") == 0
    assert count(services, "SELECT count(*) FROM submissions WHERE state <> 'decided'") == 0


def test_recording_that_kills_three_workers_goes_to_a_person(services: Services, start) -> None:
    """Each death counts, since the attempt was counted at the claim; the fourth worker only decides."""
    submission, _ = receive(quarantined(services, wav_bytes(speech_like(2.0))), services)
    for attempt in (1, 2, 3):
        worker = start(HANGING_WORKER)
        until(lambda n=attempt: count(services, "SELECT attempts FROM jobs") == n)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    start(HANGING_WORKER)
    until(lambda: services.engine.queue_depth() == 0)
    with services.storage.read() as tx:
        decision, case = tx.decision(submission.id), tx.case_for(submission.id)
    assert (decision.action, decision.reasons[0].code) == (Action.REVIEW, "SCREENING_INCOMPLETE")
    assert case is not None


def test_worker_that_is_told_to_stop_gives_its_job_back(services: Services, start) -> None:
    """On TERM it ends soon, leaves no decoder behind, and the next one takes the job up at once."""
    long = wav_bytes(np.tile(speech_like(60.0), 2))
    submission, _ = receive(quarantined(services, long), services)
    worker = start()
    until(lambda: count(services, "SELECT count(*) FROM jobs WHERE state = 'leased'") == 1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
    job = "SELECT state || attempts FROM jobs"
    assert count(services, job) in ("queued0", "done1")
    assert not services.engine.has_live_worker()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
    start()
    until(lambda: services.engine.queue_depth() == 0)
    with services.storage.read() as tx:
        assert tx.decision(submission.id) is not None
