"""A database as the first release left it, upgraded: everything in it still reads, and the site works on.

`first_release.sql` was dumped from a site that the first release's own code ran: a hint, decisions of several kinds,
cases open and resolved, a job in its worker's hands and one that waits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command

from prelisten.errors import StorageError
from prelisten.pipeline import Services, receive, screen_submission
from prelisten.privacy import erase, export
from prelisten.records import Action, Outcome, SubmissionState, TokenState
from prelisten.retention import sweep
from prelisten.storage.sql import _migrations, known_revisions, open_storage, revision_of
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined

DUMP = Path(__file__).with_name("first_release.sql").read_text(encoding="utf-8")


def make_old(data: Path) -> Path:
    """Make the first release's database in a folder."""
    data.mkdir()
    with closing(sqlite3.connect(data / "prelisten.sqlite3")) as database:
        database.executescript(DUMP)
        database.execute("PRAGMA journal_mode=WAL")
    return data


@pytest.fixture
def old(tmp_path: Path) -> dict[str, list[tuple]]:
    """What the first release's tables hold, before any upgrade."""
    with closing(sqlite3.connect(make_old(tmp_path / "before") / "prelisten.sqlite3")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in names}


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(make_old(tmp_path / "data"))
    yield made
    made.storage.close()


def test_fixture_is_the_first_release(old: dict) -> None:
    """Nothing of a later migration is in it, and there is something of every kind."""
    assert old["alembic_version"] == [("0001",)]
    assert set(old) == {
        *("alembic_version", "submissions", "spent_tokens", "findings", "evidence"),
        *("decisions", "cases", "jobs", "workers"),
    }
    assert all(old[name] for name in old if name != "workers")


def test_upgrade_keeps_every_value(services: Services, old: dict) -> None:
    """Each old column of each old row is what it was; later columns are empty or have their default."""
    with services.storage.read() as tx:
        for name, rows in old.items():
            assert name in ("alembic_version", "workers") or same_by_name(tx, name, rows), name


def same_by_name(tx, table: str, rows: list[tuple]) -> bool:
    """Compare by the old columns' names: a later release adds columns, and may change their order."""
    with closing(sqlite3.connect(":memory:")) as first:
        first.executescript(DUMP)
        columns = [row[1] for row in first.execute(f"PRAGMA table_info({table})")]
    listed = ", ".join(f'"{column}"' for column in columns)
    found = tx.connection.exec_driver_sql(f'SELECT {listed} FROM "{table}" ORDER BY 1').fetchall()
    return [tuple(row) for row in found] == rows


def test_everything_old_still_reads(services: Services, old: dict) -> None:
    """Through the storage's own interface: submissions, findings, evidence, decisions, cases."""
    with services.storage.read() as tx:
        submissions = [tx.submission(row[0]) for row in old["submissions"]]
        decided = [one for one in submissions if one.state is SubmissionState.DECIDED]
        assert len(decided) == 4
        assert {tx.decision(one.id).action for one in decided} >= {Action.REVIEW, Action.REJECT}
        assert all(tx.findings(one.id) for one in decided)
        assert sum(tx.evidence(one.id).hint is not None for one in decided) == 3
        hinted = [one for one in submissions if one.hint_check.token is TokenState.OK]
        assert [(one.file_name, one.sid) for one in hinted] == [("mine.wav", None)]
        (resolved,), (waiting,) = tx.cases(is_open=False), tx.cases(is_open=True)
    assert (resolved.outcome, resolved.note, resolved.reviewer) == (
        Outcome.NOT_SYNTHETIC,
        "A cough, and a real one.",
        "Ada",
    )
    assert waiting.outcome is None


def test_old_jobs_go_on(services: Services, old: dict) -> None:
    """The one whose worker is gone and the one that waited; their recordings are not in the dump, which is told."""
    open_jobs = {row[0] for row in old["jobs"] if row[1] != "done"}
    taken = set()
    services.blobs.root.mkdir()  # The recordings are not in the dump: lost, and not a disk that is away.
    while lease := services.engine.claim("w"):
        screen_submission(lease.submission_id, services, lease=lease)
        taken.add(lease.submission_id)
    assert (len(open_jobs), taken) == (2, open_jobs)
    with services.storage.read() as tx:
        codes = {reason.code for job in taken for reason in tx.decision(job).reasons}
    assert codes == {"SCREENING_INCOMPLETE", "RECORDING_MISSING"}


def test_old_rows_can_be_exported_erased_and_swept(services: Services, old: dict, tmp_path: Path) -> None:
    """What came later works on what was there before."""
    first, *others = [row[0] for row in old["submissions"]]
    export([first], services, tmp_path / "x.zip")
    assert erase(first, services)
    later = datetime.now(UTC) + timedelta(days=400)
    assert sweep(services, now=later)["tokens"] == 1
    with services.storage.read() as tx:
        assert all(tx.submission(name) for name in others)


def test_old_database_takes_new_uploads(services: Services) -> None:
    """The upgraded site works on."""
    submission, _ = receive(quarantined(services, wav_bytes(speech_like(1.5)), session="me"), services)
    assert submission.sid


def test_newer_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """An older version started by mistake says so in a sentence, and changes nothing."""
    path = make_old(tmp_path / "data") / "prelisten.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="newer version"):
        open_storage(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM submissions").fetchone() == (6,)


def test_way_back_and_forth_loses_nothing_old(tmp_path: Path, old: dict) -> None:
    """Every migration can be taken back down to the first release, whose rows are then as they were."""
    url = f"sqlite:///{make_old(tmp_path / 'data')}/prelisten.sqlite3"
    storage = open_storage(url)
    assert revision_of(storage) == max(known_revisions())
    config = _migrations()
    with storage.engine.execution_options(writing=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    with storage.read() as tx:
        for name, rows in old.items():
            if name != "alembic_version":
                assert same_by_name(tx, name, rows), name
    storage.close()
