"""What fails underneath: a recording that vanished, a database connection that was cut, a disk without room."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prelisten.engine.interface import LeaseLost
from prelisten.errors import StorageError
from prelisten.pipeline import Services, receive, screen_submission, wait_for_decision
from prelisten.records import Action, Decision, Submission
from prelisten.worker import run_worker
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined, screened

CONTENT = wav_bytes(speech_like(3.0, seed=1))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    yield made
    made.storage.close()


def sent(services: Services, content: bytes = CONTENT) -> Submission:
    return receive(quarantined(services, content), services)[0]


def decided_by_a_worker(services: Services, submission: Submission) -> Decision:
    """Run the real loop until there is a decision."""
    stop = threading.Event()
    worker = threading.Thread(target=run_worker, args=(services,), kwargs={"stop": stop})
    worker.start()
    try:
        decision = wait_for_decision(submission.id, services, 30)
    finally:
        stop.set()
        worker.join()
    assert decision is not None
    return decision


def vanish(path: Path) -> None:
    path.unlink()


def cut_in_half(path: Path) -> None:
    """As after a power cut on a file system that does not keep its promises."""
    path.write_bytes(path.read_bytes()[: len(CONTENT) // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("happen", "code"),
    [(vanish, "RECORDING_MISSING"), (cut_in_half, "RECORDING_DAMAGED"), (flip_a_bit, "RECORDING_DAMAGED")],
)
def test_lost_recording_goes_to_a_person_and_not_round_for_ever(services: Services, happen, code) -> None:
    """One attempt, a finding that says what happened, `on_incomplete`; never a decision about other bytes."""
    submission = sent(services)
    happen(services.blobs.path(submission.sha256))
    decision = decided_by_a_worker(services, submission)
    with services.storage.read() as tx:
        (finding, *_), case = tx.findings(submission.id), tx.case_for(submission.id)
    assert [reason.code for reason in decision.reasons] == ["SCREENING_INCOMPLETE", code]
    assert (decision.action, finding.state, finding.spoof_score) == (Action.REVIEW, "error", None)
    assert case is not None
    assert services.engine.queue_depth() == 0


def test_sending_the_same_file_again_heals_a_damaged_copy(services: Services) -> None:
    """The name stands for the bytes: what is stored under it next is whole."""
    submission = sent(services)
    cut_in_half(services.blobs.path(submission.sha256))
    sent(services)
    assert decided_by_a_worker(services, submission).action is not Action.REVIEW


def test_folder_that_is_away_is_waited_for(services: Services) -> None:
    """A disk that is not mounted is no lost recording: the job waits, and costs no attempt."""
    submission = sent(services)
    away = services.blobs.root.rename(services.config.data / "away")
    lease = services.engine.claim("w")
    with pytest.raises(StorageError, match="mounted"):
        screen_submission(submission.id, services, lease=lease)
    shutil.rmtree(services.blobs.root, ignore_errors=True)
    away.rename(services.blobs.root)
    screen_submission(submission.id, services, lease=lease)
    assert wait_for_decision(submission.id, services, 0) is not None


def test_job_of_nothing_ends(services: Services) -> None:
    """A job without a submission (a restored backup, a hand in the database) does not come back for ever."""
    with services.storage.transaction() as tx:
        services.engine.enqueue(tx, "nobody")
    lease = services.engine.claim("w")
    with pytest.raises(LeaseLost):
        screen_submission("nobody", services, lease=lease)
    assert services.engine.queue_depth() == 0


def test_samples_taken_away_meanwhile_are_heard_again(services: Services, monkeypatch) -> None:
    """Nothing is decided on samples that nobody can play; the next attempt keeps them."""
    _, first = screened(services, CONTENT)
    submission = sent(services)
    with services.storage.read() as tx:
        pcm = services.blobs.path(tx.evidence(first_id(tx)).pcm_sha256)
    checks = (lambda heard, run=check: (pcm.unlink(missing_ok=True), run(heard))[1] for check in checks_of())
    lease = services.engine.claim("w")
    with monkeypatch.context() as patched:
        patched.setattr("prelisten.pipeline.CHECKS", tuple(checks))
        with pytest.raises(StorageError, match="heard again"):
            screen_submission(submission.id, services, lease=lease)
    screen_submission(submission.id, services, lease=lease)
    assert wait_for_decision(submission.id, services, 0).action == first.action
    assert pcm.exists()


def checks_of():
    from prelisten.pipeline import CHECKS

    return CHECKS


def first_id(tx) -> str:
    return tx.connection.exec_driver_sql("SELECT submission_id FROM evidence").scalar_one()


def cut_the_connection(tx) -> None:
    """Close the driver's own connection under SQLAlchemy, as a database server that goes away would."""
    tx.connection.connection.driver_connection.close()


def test_connection_cut_while_receiving_refuses_the_upload(services: Services, monkeypatch) -> None:
    """The sender is told; nothing is left behind; the next one finds a working database."""
    spied = services.engine.enqueue
    enqueue = lambda tx, name: (spied(tx, name), cut_the_connection(tx))  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(services.engine, "enqueue", enqueue)
        with pytest.raises(StorageError, match="try again"):
            sent(services)
    assert (services.engine.queue_depth(), blob_files(services)) == (0, [])
    assert sent(services).state == "queued"


def test_connection_cut_while_deciding_is_done_later(services: Services, monkeypatch) -> None:
    """Findings, decision, event: none or all. The job comes back and costs no attempt."""
    submission, cuts, finish = sent(services), [], services.engine.finish

    def cut_once(tx, lease) -> None:
        finish(tx, lease)
        if not cuts:
            cuts.append(lease.attempt)
            cut_the_connection(tx)

    monkeypatch.setattr(services.engine, "finish", cut_once)
    monkeypatch.setattr("prelisten.engine.embedded.STORAGE_DELAY_S", 0.05)
    decided_by_a_worker(services, submission)
    with services.storage.read() as tx:
        attempts = tx.connection.exec_driver_sql("SELECT attempts, deferrals FROM jobs").one()
        events = tx.connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar_one()
    assert (cuts, tuple(attempts), events) == ([1], (1, 1), 1)


def blob_files(services: Services) -> list[Path]:
    return [path for path in services.blobs.root.rglob("*") if path.is_file()]


def test_disk_that_stays_full_is_asked_less_and_less_often(services: Services) -> None:
    """Each failure of the storage under one job doubles its pause, up to a bound."""
    submission, pauses = sent(services), []
    for _ in range(7):
        lease = services.engine.claim("w")
        services.engine._handle(fail_to_store, lease)
        with services.storage.transaction() as tx:
            due, now = tx.connection.exec_driver_sql(
                "SELECT strftime('%s', due_at), strftime('%s', 'now') FROM jobs"
            ).one()
            pauses.append(int(due) - int(now))
            tx.connection.exec_driver_sql("UPDATE jobs SET due_at = '2026-01-01 00:00:00.000000'")
    assert [round(pause / 5) for pause in pauses] == [1, 2, 4, 8, 16, 16, 16]
    assert services.engine.claim("w").attempt == 1
    assert submission.state == "queued"


def fail_to_store(_lease) -> None:
    raise StorageError("full")


FULL_DISK = ROOT / "tests" / "chaos" / "full_disk.py"


def mounts_a_small_disk() -> bool:
    """Tell whether this machine lets a child mount a file system of its own."""
    tried = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, timeout=30, check=False
    )
    return tried.returncode == 0


UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


@pytest.mark.skipif(
    shutil.which("unshare") is None or not mounts_a_small_disk(),
    reason="this machine lets nobody mount a small disk; the limits on file sizes are tested elsewhere",
)
def test_disk_without_room_refuses_uploads_and_loses_none(tmp_path: Path) -> None:
    """A real file system of a few megabytes, filled to the last byte, then freed.

    Uploads are refused with a reason while it is full; what was accepted before is decided afterwards; the sums
    of every stored byte are right.
    """
    script = (
        f'mount -t tmpfs -o size=6m none "{tmp_path}" && exec "{sys.executable}" "{FULL_DISK}" "{tmp_path}"'
    )
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused" in done.stdout
