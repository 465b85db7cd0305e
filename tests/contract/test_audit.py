"""What the audit log must keep on every database: SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from prelisten import audit
from prelisten.errors import StorageError
from prelisten.storage.sql import SqlStorage, open_storage

IS_FULL = os.environ.get("TEST_SIZE") == "full"
FIELDS = ("seq", "at", "kind", "subject", "body", "previous", "sha256")


@pytest.fixture
def storage(database_url: str) -> Iterator[SqlStorage]:
    opened = open_storage(database_url)
    yield opened
    opened.close()


def write(storage: SqlStorage, count: int = 5) -> None:
    for number in range(count):
        with storage.transaction() as tx:
            body = {"action": "label", "n": number, "more": {"x": [True, None]}}
            audit.append(tx, "decision", f"s{number}", body)


def found(storage: SqlStorage, **options) -> audit.Verification:
    with storage.read() as tx:
        return audit.verify(audit.read_entries(tx.connection), **options)


def without_guards(tx) -> None:
    """Do what somebody with the database in their hands can do."""
    names = ("audit_update", "audit_delete" if is_sqlite(tx) else "audit_truncate", "audit_insert")
    for name in names:
        on_table = "" if is_sqlite(tx) else " ON audit"
        tx.connection.exec_driver_sql(f"DROP TRIGGER {name}{on_table}")


def is_sqlite(tx) -> bool:
    return tx.connection.dialect.name == "sqlite"


def test_chain_grows_without_gaps_and_verifies(storage: SqlStorage) -> None:
    """Numbers from 1, each entry names the hash of the one before."""
    assert found(storage) == audit.Verification(0, audit.FIRST_PREVIOUS)
    write(storage)
    with storage.read() as tx:
        entries = list(audit.read_entries(tx.connection))
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in entries[1:]] == [entry.sha256 for entry in entries[:-1]]
    assert json.loads(entries[2].body) == {"action": "label", "n": 2, "more": {"x": [True, None]}}
    assert found(storage) == audit.Verification(5, entries[-1].sha256)


def test_entry_is_stored_with_what_it_tells_or_not_at_all(storage: SqlStorage) -> None:
    """A transaction that fails leaves no entry and no gap."""
    write(storage, 1)
    with pytest.raises(KeyError), storage.transaction() as tx:  # noqa: PT012
        audit.append(tx, "decision", "s9", {})
        raise KeyError("anything")
    write(storage, 1)
    assert found(storage).entries == 2
    assert found(storage).problem is None


def test_writers_at_once_leave_no_gap_and_no_fork(storage: SqlStorage) -> None:
    """Sixteen threads, one chain, several entries in one transaction too."""

    def add(number: int) -> None:
        with storage.transaction() as tx:
            for part in range(3):
                audit.append(tx, "received", f"s{number}", {"part": part})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(64)))
    assert (found(storage).entries, found(storage).problem) == (192, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = '{}' WHERE seq = 3",
        "UPDATE audit SET seq = 99 WHERE seq = 5",
        "DELETE FROM audit WHERE seq = 5",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 7, at, kind, subject, body, sha256, sha256 FROM audit WHERE seq = 5",
        "INSERT INTO audit SELECT 6, at, kind, subject, body, previous, sha256 FROM audit WHERE seq = 5",
        "INSERT INTO audit SELECT -1, at, kind, subject, body, previous, sha256 FROM audit WHERE seq = 1",
        "INSERT INTO audit SELECT NULL, at, kind, subject, body, sha256, sha256 FROM audit WHERE seq = 5",
    ],
)
def test_database_refuses_everything_but_the_next_entry(storage: SqlStorage, statement: str) -> None:
    """Changing, deleting, replacing, putting in: all refused by the database, whoever asks."""
    write(storage)
    with pytest.raises(StorageError, match="only grows"), storage.transaction() as tx:
        tx.connection.exec_driver_sql(statement)
    assert (found(storage).entries, found(storage).problem) == (5, None)


def test_what_a_database_has_of_its_own_is_refused_too(storage: SqlStorage) -> None:
    """SQLite replaces without a deletion; PostgreSQL empties a table without one."""
    write(storage)
    changed = "SELECT seq, at, kind, subject, '{}', previous, sha256 FROM audit"
    own = {
        "sqlite": [
            f"INSERT OR REPLACE INTO audit {changed} WHERE seq = 5",
            f"REPLACE INTO audit {changed}",
        ],
        "postgresql": [
            f"INSERT INTO audit {changed} ON CONFLICT (seq) DO UPDATE SET body = '{{}}'",
            "TRUNCATE audit",
        ],
    }
    for statement in own[storage.engine.dialect.name]:
        with pytest.raises(StorageError, match="only grows"), storage.transaction() as tx:
            tx.connection.exec_driver_sql(statement)
    assert (found(storage).entries, found(storage).problem) == (5, None)


def test_every_changed_byte_is_found(storage: SqlStorage) -> None:
    """Each byte of each stored field changed by itself: verification names that entry, or the one after it."""
    write(storage)
    random_bytes = random.Random(7)
    tried = 0
    with storage.transaction() as tx:
        without_guards(tx)
        entries = list(audit.read_entries(tx.connection))
        for entry in entries:
            for field in FIELDS[1:]:
                original = getattr(entry, field).encode()
                for place in range(len(original)) if IS_FULL else _some(random_bytes, len(original)):
                    for byte in range(256) if IS_FULL else _some(random_bytes, 256):
                        if byte == original[place]:
                            continue
                        changed = original[:place] + bytes([byte]) + original[place + 1 :]
                        if not is_sqlite(tx) and not _is_text(changed):
                            continue
                        _set(tx, entry.seq, field, changed)
                        problem = audit.verify(audit.read_entries(tx.connection)).problem
                        assert problem is not None, (entry.seq, field, place, byte)
                        assert problem.seq == entry.seq
                        tried += 1
                _set(tx, entry.seq, field, original)
        assert audit.verify(audit.read_entries(tx.connection)).problem is None
    share = 1.0 if is_sqlite(tx) else 0.4
    assert tried > share * (100_000 if IS_FULL else 400)


def _some(source: random.Random, size: int) -> list[int]:
    """Return the ends and a few places between."""
    return sorted({0, size - 1, *source.sample(range(size), min(size, 3))})


def _is_text(value: bytes) -> bool:
    """PostgreSQL itself takes nothing else into a column of text."""
    try:
        return "\0" not in value.decode()
    except UnicodeDecodeError:
        return False


def _set(tx, seq: int, field: str, value: bytes) -> None:
    statement = text(f"UPDATE audit SET {field} = CAST(:value AS TEXT) WHERE seq = :seq")
    tx.connection.execute(statement, {"value": value if is_sqlite(tx) else value.decode(), "seq": seq})


@pytest.mark.parametrize("number", [-5, 0, 4, 6, 259, 2**40])
@pytest.mark.parametrize("seq", [1, 3, 5])
def test_changed_number_is_found(storage: SqlStorage, seq: int, number: int) -> None:
    """The number is a field too; the first place that does not fit is named."""
    write(storage)
    with storage.transaction() as tx:
        without_guards(tx)
        number = number if is_sqlite(tx) else min(number, 2**31 - 1)  # An INTEGER there has 32 bits.
        tx.connection.execute(text("DELETE FROM audit WHERE seq = :n AND seq <> :s"), {"n": number, "s": seq})
        tx.connection.execute(text("UPDATE audit SET seq = :n WHERE seq = :s"), {"n": number, "s": seq})
    assert found(storage).problem is not None


def test_missing_entry_is_named(storage: SqlStorage) -> None:
    """An entry taken out of the middle is missing by its number."""
    write(storage)
    with storage.transaction() as tx:
        without_guards(tx)
        tx.connection.exec_driver_sql("DELETE FROM audit WHERE seq = 3")
    problem = found(storage).problem
    assert problem.seq == 3
    assert "missing" in problem.why


@pytest.mark.parametrize(
    "body",
    [
        {"name": "my voice.wav"},
        {"note": "heard it, sure"},
        {"score": 0.5},
        {"x": float("nan")},
        {"x": {"y": {"z": {"a": {"b": 1}}}}},
        {"a b": 1},
        {"x": b"bytes"},
        {"x": "y" * 129},
        {"x": 2**60},
        {f"k{n}": "v" * 100 for n in range(60)},
    ],
)
def test_what_could_be_a_persons_words_is_refused(storage: SqlStorage, body: dict) -> None:
    """Nothing gets in that would have to be erased one day."""
    with pytest.raises(ValueError, match="got"), storage.transaction() as tx:
        audit.append(tx, "decision", "s1", body)
    assert found(storage).entries == 0


@pytest.mark.parametrize(("kind", "subject"), [("Two Words", "s1"), ("", "s1"), ("decision", "Ada Lovelace")])
def test_kind_and_subject_are_words_too(storage: SqlStorage, kind: str, subject: str) -> None:
    """They are no place for a name either."""
    with pytest.raises(ValueError, match="got"), storage.transaction() as tx:
        audit.append(tx, kind, subject, {})
