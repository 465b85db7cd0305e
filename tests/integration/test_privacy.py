"""What is stored about a person: handed out whole, erased for good, and gone by its age."""

from __future__ import annotations

import io
import json
import os
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prelisten import audit
from prelisten.audit import read_entries, verify
from prelisten.checks import recompute
from prelisten.cli import main
from prelisten.engine.interface import LeaseLost
from prelisten.errors import DiskFullError, GoneError, NotFoundError, StorageError
from prelisten.pipeline import Services, receive, screen_submission
from prelisten.policy.document import parse_policy
from prelisten.privacy import erase, export, submissions_of_session
from prelisten.records import Outcome, Submission, SubmissionState, TokenState
from prelisten.retention import Sweeper, sweep
from prelisten.storage.space import Space
from prelisten.storage.sql import _about_submissions
from tests.integration.conftest import Site
from tests.integration.test_pipeline import ORIGIN, token_for
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined, screened

CONTENT = wav_bytes(speech_like(3.0, seed=7))
OTHER = wav_bytes(speech_like(3.0, seed=8))
NAME = "my secret diary.wav"
SESSION = "ada@example.org"
NOTE = "She says her name is Ada."
REVIEW_ALL = parse_policy("name: suspicious\ndefault: {thresholds: {review: 0.0}, inconclusive: review}")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path / "data")
    yield replace(made, policy=REVIEW_ALL)
    made.storage.close()


def sent(services: Services, content: bytes = CONTENT, **fields) -> Submission:
    """Send with everything that a person leaves behind: a name, a session, a hint; screen, review, take notes."""
    fields = {
        "file_name": NAME,
        "session": SESSION,
        "idempotency_key": "k",
        "origin": ORIGIN,
    } | fields
    submission, _ = screened(services, content, **fields)
    return submission


def reviewed(services: Services, submission: Submission) -> None:
    with services.storage.transaction() as tx:
        case = tx.case_for(submission.id)
        done = {"outcome": Outcome.INCONCLUSIVE, "note": NOTE, "reviewer": "Bea", "at": datetime.now(UTC)}
        assert tx.resolve_case(case.id, **done)


def aged(services: Services, days: float) -> None:
    """Make everything older."""
    with services.storage.transaction() as tx:
        old = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")
        tx.connection.exec_driver_sql("UPDATE submissions SET received_at = ?", (old,))
        tx.connection.exec_driver_sql("UPDATE jobs SET due_at = ?", (old,))
        tx.connection.exec_driver_sql("UPDATE outbox SET ended_at = ?", (old,))


def row_count(services: Services, table: str) -> int:
    with services.storage.read() as tx:
        return tx.connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def blob_names(services: Services) -> set[str]:
    return {path.name for path in services.blobs.root.rglob("*") if path.is_file()}


def stored_text(services: Services) -> bytes:
    """Return every byte of the database as it lies on the disk, its journal included."""
    return b"".join(path.read_bytes() for path in services.config.data.glob("prelisten.sqlite3*"))


def test_erased_submission_leaves_a_tombstone_and_nothing_else(services: Services) -> None:
    """No name, no sum, no claim, no note, no recording, in no table and no file; the row says when, the log that."""
    submission = sent(services, token=token_for(services, CONTENT, session=SESSION))
    reviewed(services, submission)
    before = stored_text(services)
    traces = [NAME.encode(), NOTE.encode(), submission.sha256.encode(), b"Bea", submission.sid.encode()]
    assert all(trace in before for trace in traces)
    assert erase(submission.id, services)
    left = stored_text(services)
    assert [trace for trace in traces if trace in left] == []
    assert blob_names(services) == set()
    with services.storage.read() as tx:
        tombstone = tx.submission(submission.id)
        about = tx.everything_about(submission.id)
        (event,) = about.pop("outbox")
    assert (tombstone.state, tombstone.hint_check.token) == (SubmissionState.ERASED, TokenState.ABSENT)
    assert tombstone.erased_at is not None
    assert json.loads(event["body"])["type"] == "submission.erased"
    assert {name for name, rows in about.items() if rows} == {"submissions", "spent_tokens"}


def test_audit_log_still_verifies_and_tells_of_the_erasure(services: Services) -> None:
    """The chain holds; its last entry is the erasure; nothing in it was a person's."""
    submission = sent(services)
    erase(submission.id, services)
    with services.storage.read() as tx:
        found = list(read_entries(tx.connection))
        assert audit.last_about(tx, submission.id, audit.Kind.ERASURE) == found[-1]
    assert verify(found).problem is None
    assert NAME not in "".join(entry.body for entry in found)


def test_every_table_about_submissions_is_known(services: Services) -> None:
    """A table that names submissions without a foreign key would be forgotten by erasure and export."""
    with services.storage.read() as tx:
        found = tx.connection.exec_driver_sql(
            "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c"
            " WHERE m.type = 'table' AND c.name = 'submission_id'"
        )
        named = set(found.scalars())
    assert named == {table.name for table in _about_submissions()} | {"jobs", "spent_tokens"}


def test_erasing_again_changes_nothing(services: Services) -> None:
    """The second time there is nothing left to do, and nobody is told twice."""
    submission = sent(services)
    assert [erase(submission.id, services), erase(submission.id, services)] == [True, False]
    assert row_count(services, "outbox") == 1
    with pytest.raises(NotFoundError):
        erase("nobody", services)


def test_shared_bytes_stay_until_the_last_one_goes(services: Services) -> None:
    """Two people sent the same file: the recording and its samples belong to both."""
    first, second = sent(services), sent(services, idempotency_key="another", session="bob")
    erase(first.id, services)
    assert services.blobs.exists(second.sha256)
    assert len(blob_names(services)) == 2
    erase(second.id, services)
    assert blob_names(services) == set()


def test_erasing_while_it_waits_takes_the_job_away(services: Services) -> None:
    """It is never screened."""
    submission, _ = receive(quarantined(services, CONTENT), services)
    erase(submission.id, services)
    assert services.engine.claim("w") is None


def test_erasing_while_it_is_screened_stores_nothing_afterwards(services: Services, monkeypatch) -> None:
    """The worker finds its lease lost; what it had kept of the recording goes with the next sweep."""
    submission, _ = receive(quarantined(services, CONTENT), services)
    lease = services.engine.claim("w")

    def erase_and_run(heard):
        erase(submission.id, services)
        return recompute.run(heard)

    erase_and_run.__module__ = recompute.__name__
    monkeypatch.setattr("prelisten.pipeline.CHECKS", (erase_and_run,))
    with pytest.raises(LeaseLost):
        screen_submission(submission.id, services, lease=lease)
    with services.storage.read() as tx:
        assert (tx.decision(submission.id), tx.findings(submission.id), tx.evidence(submission.id)) == (
            None,
            (),
            None,
        )
    for path in services.blobs.root.rglob("*"):
        os.utime(path)
    monkeypatch.setattr("prelisten.retention.LEFTOVER_AGE_S", -1.0)
    sweep(services)
    assert blob_names(services) == set()


def test_token_of_an_erased_submission_stays_spent(services: Services) -> None:
    """Erasure must not make a used hint usable again."""
    token = token_for(services, CONTENT)
    submission, _ = receive(quarantined(services, CONTENT, token=token, origin=ORIGIN), services)
    assert submission.hint_check.token is TokenState.OK
    erase(submission.id, services)
    again, _ = receive(quarantined(services, CONTENT, token=token, origin=ORIGIN), services)
    assert (again.hint_check.token, again.id == submission.id) == (TokenState.DUPLICATE, False)


def test_erased_page_and_status_say_so(site: Site) -> None:
    """410, in JSON and on the page; never `hold` for ever."""
    form = {"file": (io.BytesIO(CONTENT), NAME)}
    status_url = site.client().post("/prelisten/v1/uploads", data=form).json["status_url"]
    submission_id = status_url.rpartition("/")[2]
    erase(submission_id, site.services)
    answer = site.client().get(status_url)
    assert (answer.status_code, answer.json["error"]["code"]) == (410, "erased")
    page = site.client().get(f"/submissions/{submission_id}")
    assert page.status_code == 410
    assert "This was erased" in page.text
    assert site.client().get(f"{status_url}/events").status_code == 410


def test_export_holds_everything(services: Services, tmp_path: Path) -> None:
    """JSON of every row and entry, the recording as it was sent, the samples that were scored; private; whole."""
    submission = sent(services, token=token_for(services, CONTENT, session=SESSION))
    reviewed(services, submission)
    out = tmp_path / "ada.zip"
    export([submission.id], services, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        names = sorted(name.partition("/")[2] for name in archive.namelist())
        content = json.loads(archive.read(f"{submission.id}/submission.json"))
        assert archive.read(f"{submission.id}/recording.wav") == CONTENT
    assert names == ["recording.wav", "scored.wav", "submission.json"]
    stored = content["stored"]
    assert stored["submissions"][0]["file_name"] == NAME
    assert stored["cases"][0]["note"] == NOTE
    assert {"findings", "decisions", "evidence", "outbox", "spent_tokens"} <= {
        k for k, rows in stored.items() if rows
    }
    assert content["audit"]


@pytest.mark.parametrize("name", ["../../x.sh/../y", "x.tar.gz/..", "..", "a.%s" % ("b" * 99), "a.w\x00v"])
def test_odd_file_name_is_no_path_in_the_export(services: Services, tmp_path: Path, name: str) -> None:
    """What the sender called the file never becomes a path of the archive."""
    submission = sent(services, file_name=name)
    export([submission.id], services, tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        for member in archive.namelist():
            assert member.count("/") == 1
            assert ".." not in member


def test_commands_work_by_session_and_by_id(services: Services, tmp_path: Path, capsys) -> None:
    """All of a person's recordings, by the session that the host page gave; another person's stay."""
    mine = [sent(services), sent(services, OTHER, idempotency_key="k2")]
    others = sent(services, OTHER, session="bob", idempotency_key="k3")
    assert submissions_of_session(SESSION, services) == [one.id for one in mine]
    data, out = ["--data", str(services.config.data)], tmp_path / "ada.zip"
    assert main(["privacy", "export", *data, "--session", SESSION, "--out", str(out)]) == 0
    with zipfile.ZipFile(out) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {one.id for one in mine}
    assert main(["privacy", "erase", *data, "--session", SESSION]) == 0
    assert main(["privacy", "erase", *data, "--session", SESSION]) == 2
    assert main(["privacy", "erase", *data]) == 2
    assert main(["privacy", "export", *data, mine[0].id, "--out", str(tmp_path / "y.zip")]) == 2
    with services.storage.read() as tx:
        assert tx.submission(others.id).state is SubmissionState.DECIDED
    assert not (tmp_path / "y.zip").exists()
    assert "erased" in capsys.readouterr().err


def test_export_leaves_no_half_file(services: Services, tmp_path: Path) -> None:
    """Unknown, erased, there already: nothing is written, nothing is overwritten."""
    with pytest.raises(NotFoundError):
        export(["nobody"], services, tmp_path / "x.zip")
    submission = sent(services)
    erase(submission.id, services)
    with pytest.raises(GoneError):
        export([submission.id], services, tmp_path / "x.zip")
    (tmp_path / "there.zip").write_text("mine")
    with pytest.raises(StorageError, match="already"):
        export([submission.id], services, tmp_path / "there.zip")
    assert sorted(path.name for path in tmp_path.glob("*.zip")) == ["there.zip"]


def test_old_recording_goes_and_its_decision_stays(services: Services) -> None:
    """Past the age: no bytes, everything else; the case's page says that there is nothing to play."""
    submission = sent(services)
    reviewed(services, submission)
    aged(services, 31)
    gone = sweep(services)
    assert (gone["recordings"], blob_names(services)) == (1, set())
    with services.storage.read() as tx:
        assert tx.decision(submission.id) is not None
        assert tx.submission(submission.id).recording_removed_at is not None
    assert sweep(services)["recordings"] == 0


def test_recording_with_an_open_case_or_without_a_decision_stays(services: Services) -> None:
    """A reviewer still needs it; so does a worker."""
    sent(services)
    receive(quarantined(services, OTHER), services)
    aged(services, 400)
    assert sweep(services)["recordings"] == 0
    assert len(blob_names(services)) == 3


def test_young_recording_of_the_same_bytes_keeps_them(services: Services) -> None:
    """An old submission and a new one about the same file."""
    old = sent(services)
    reviewed(services, old)
    aged(services, 31)
    new = sent(services, idempotency_key="again")
    assert sweep(services)["recordings"] == 1
    assert services.blobs.exists(new.sha256)
    assert len(blob_names(services)) == 2


def test_submissions_are_erased_by_age_when_the_operator_says_so(services: Services) -> None:
    """As by request; the log says why."""
    config = services.config.model_copy(update={"erase_after_days": 365.0})
    submission = sent(services)
    reviewed(services, submission)
    aged(services, 366)
    gone = sweep(replace(services, config=config))
    assert gone["submissions"] == 1
    with services.storage.read() as tx:
        entry = audit.last_about(tx, submission.id, audit.Kind.ERASURE)
    assert '"age"' in entry.body


def test_what_nobody_needs_any_more_is_forgotten(services: Services) -> None:
    """Tokens past expiry and 120 s, ended jobs, old events; not a moment sooner."""
    submission = sent(services, token=token_for(services, CONTENT, session=SESSION))
    reviewed(services, submission)
    with services.storage.read() as tx:
        expires_at = tx.connection.exec_driver_sql("SELECT expires_at FROM spent_tokens").scalar_one()
    at_expiry = datetime.fromtimestamp(expires_at + 119, UTC)
    assert sweep(services, now=at_expiry)["tokens"] == 0
    assert sweep(services, now=at_expiry + timedelta(seconds=2))["tokens"] == 1
    aged(services, 20)
    gone = sweep(services)
    assert (gone["jobs"], gone["events"]) == (1, 1)


def test_leftovers_and_orphans_go_and_what_is_young_stays(services: Services, monkeypatch) -> None:
    """Half-written files and blobs that nothing names; the named ones stay, and so does what may be on its way."""
    sent(services)
    named = blob_names(services)
    quarantine = services.config.data / "quarantine"
    (quarantine / "half").write_bytes(b"x")
    orphan = services.blobs.put_bytes(b"nobody's")
    os.utime(quarantine / "half", (1, 1))
    assert sweep(services)["orphans"] == 0
    assert orphan in blob_names(services)
    monkeypatch.setattr("prelisten.retention.LEFTOVER_AGE_S", -1.0)
    gone = sweep(services)
    assert gone["orphans"] == 1
    assert blob_names(services) == named
    assert list(quarantine.iterdir()) == []


def test_sweep_is_one_processs_turn(services: Services) -> None:
    """Of several that ask, one sweeps, an hour long; and never while it is told to stop."""
    now = datetime.now(UTC)
    sweepers, stop = [Sweeper(services, clock=lambda: now) for _ in range(3)], threading.Event()
    swept = [bool(one.sweep_when_due(stop)) for one in sweepers]
    assert swept == [True, False, False]
    late = Sweeper(services, clock=lambda: now + timedelta(hours=1, seconds=1))
    assert late.sweep_when_due(stop)


def test_sweep_command_says_what_went(services: Services, capsys) -> None:
    """By hand, now."""
    assert main(["privacy", "sweep", "--data", str(services.config.data)]) == 0
    assert "recordings: 0" in capsys.readouterr().out


def test_upload_that_would_pass_the_limit_is_refused_before_its_body(site: Site, monkeypatch) -> None:
    """507 with a code and when to come back; nothing is stored; the limit counts what is there."""
    config = site.config.model_copy(update={"max_data_bytes": 1})
    monkeypatch.setattr(site.app.extensions["prelisten"].admission, "_space", Space(config))
    answer = site.client().post("/prelisten/v1/uploads", data={"file": (io.BytesIO(CONTENT), NAME)})
    assert (answer.status_code, answer.json["error"]["code"]) == (507, "disk_full")
    assert int(answer.headers["Retry-After"]) > 0
    page = site.client().post("/", data={"voice": (io.BytesIO(CONTENT), NAME)})
    assert page.status_code == 507
    assert site.services.engine.queue_depth() == 0


def test_space_counts_what_is_there_and_what_comes(tmp_path: Path, services: Services) -> None:
    """The folder's bytes and the admitted ones, together, up to the limit; a free disk's floor besides."""
    (services.config.data / "there").write_bytes(b"x" * 5_000)
    used = sum(path.stat().st_size for path in services.config.data.rglob("*") if path.is_file())
    config = services.config.model_copy(update={"max_data_bytes": used + 1_000})
    space = Space(config)
    space.require(600)
    with pytest.raises(DiskFullError):
        space.require(600)
    space.require(400)
    with pytest.raises(DiskFullError):
        Space(services.config.model_copy(update={"min_free_bytes": 10**18})).require(1)


def test_stopped_sweep_ends_in_its_middle(services: Services) -> None:
    """A worker that is told to stop does not first clean up a year."""
    reviewed(services, sent(services))
    aged(services, 31)
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    assert sweep(services, stop=stop)["recordings"] == 0
    assert time.monotonic() - began < 5
