"""What is SQLite's own: durability, migrations, several processes, and a disk that fails."""

from __future__ import annotations

import multiprocessing
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import StatementError

from prelisten import audit
from prelisten.engine import embedded
from prelisten.errors import StorageError
from prelisten.storage import tables
from prelisten.storage.sql import SqlStorage, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> SqlStorage:
    opened = open_storage(f"sqlite:///{tmp_path}/a.sqlite3")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)],
)
def test_connections_are_set_up_for_durability(storage: SqlStorage, pragma: str, value: object) -> None:
    """WAL, full synchronisation, foreign keys and patience on every connection."""
    with storage.read() as tx:
        assert tx.connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_migrations_make_exactly_the_tables_of_the_code(storage: SqlStorage) -> None:
    """What Alembic made and what SQLAlchemy expects do not differ, the engine's tables included."""
    with storage.read() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_type": True})
        assert compare_metadata(context, [tables.metadata, embedded.metadata, audit.metadata]) == []


def test_several_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    """Four that start together migrate once; none fails."""
    url = f"sqlite:///{tmp_path}/b.sqlite3"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(open_and_count, [url] * 4) == [1] * 4


def open_and_count(url: str) -> int:
    opened = open_storage(url)
    with opened.read() as tx:
        count = tx.connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar_one()
    opened.close()
    return count


def test_what_is_no_database_is_refused_with_a_reason(tmp_path: Path) -> None:
    """A damaged file, or a folder in its place, stops the start."""
    (tmp_path / "c.sqlite3").write_bytes(b"this is no database, and long enough to see that" * 99)
    (tmp_path / "d.sqlite3").mkdir()
    for name in ("c", "d"):
        with pytest.raises(StorageError, match="database"):
            open_storage(f"sqlite:///{tmp_path}/{name}.sqlite3")


def test_full_disk_is_a_storage_error_and_stores_nothing(storage: SqlStorage) -> None:
    """A database that may not grow refuses the transaction as a whole, and works again afterwards."""
    with storage.read() as tx:
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    fill = "INSERT INTO spent_tokens VALUES (?, ?, NULL, NULL, 's', 1)"
    with pytest.raises(StorageError, match="full"), storage.transaction() as tx:  # noqa: PT012
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        for number in range(1000):
            tx.connection.exec_driver_sql(fill, (str(number), "x" * 64))
    with storage.transaction() as tx:
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1000}")
        assert tx.connection.exec_driver_sql("SELECT count(*) FROM spent_tokens").scalar() == 0
        tx.connection.exec_driver_sql(fill, ("1", "x"))


def test_another_writer_makes_a_writer_wait_not_fail_halfway(storage: SqlStorage, tmp_path: Path) -> None:
    """The lock is taken at the beginning: past the patience nothing of the transaction has happened."""
    other = sqlite3.connect(tmp_path / "a.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with storage.read() as tx:
        tx.connection.exec_driver_sql("PRAGMA busy_timeout=50")
    with pytest.raises(StorageError, match="locked"), storage.transaction():
        pytest.fail("the transaction began beside another writer")
    other.close()


def test_time_without_a_zone_is_refused(storage: SqlStorage) -> None:
    """Nobody could say later what such a time meant."""
    with pytest.raises((StorageError, StatementError), match="without a zone"), storage.transaction() as tx:  # noqa: PT012
        naive = datetime(2026, 11, 21)  # noqa: DTZ001 - the mistake itself
        tx.connection.execute(embedded.workers.insert().values(id="w", seen_at=naive))
