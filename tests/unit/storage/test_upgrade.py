"""A database that the first release made, with rows in it, comes up to date and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from prelisten import audit
from prelisten.errors import StorageError
from prelisten.records import Action, Context
from prelisten.storage.sql import SqlStorage, _migrations, open_existing, open_storage

AT = "2026-11-01 12:00:00.000000"
HINT_CHECK = (
    '{"token":"absent","able":true,"claim":null,"cid":null,"expires_at":null,'
    '"recomputed":"not_run","floor":"accept","codes":[]}'
)
OLD_ROWS = (
    f"""INSERT INTO submissions (id, sha256, size_bytes, file_name, media_type, action, declared, state, received_at,
        hint_check)
        VALUES ('s1', '{"a" * 64}', 7, 'x.wav', 'audio/wav', 'voice', 0, 'decided', '{AT}', '{HINT_CHECK}')""",
    "INSERT INTO findings VALUES ('s1', 0, 'recompute', '1', 'done', 0.9, '[]', '{}')",
    f"""INSERT INTO decisions (submission_id, action, reasons, policy_version, evidence_sha256, decided_at)
        VALUES ('s1', 'review', '[]', 'default-0', '{"e" * 64}', '{AT}')""",
    f"INSERT INTO cases (id, submission_id, opened_at, note) VALUES ('c1', 's1', '{AT}', '')",
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database at the first revision, with one of everything."""
    url = f"sqlite:///{tmp_path}/old.sqlite3"
    engine, config = create_engine(url), _migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in OLD_ROWS:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return url


@pytest.fixture
def upgraded(url: str) -> Iterator[SqlStorage]:
    storage = open_storage(url)
    yield storage
    storage.close()


def test_old_rows_are_read_as_they_were_meant(upgraded: SqlStorage) -> None:
    """There was one context, no budget and no common score."""
    with upgraded.read() as tx:
        submission, decision, case = tx.submission("s1"), tx.decision("s1"), tx.case_for("s1")
    assert (submission.context, decision.context, decision.action) == (
        Context.FEED,
        Context.FEED,
        Action.REVIEW,
    )
    assert (decision.spoof_score, decision.is_over_budget, case.id) == (None, False, "c1")


def test_log_and_guards_work_on_an_upgraded_database(upgraded: SqlStorage) -> None:
    """The chain begins at 1, and nobody changes it."""
    with upgraded.transaction() as tx:
        audit.append(tx, audit.Kind.ERASURE, "s1", {})
    with pytest.raises(StorageError, match="only grows"), upgraded.transaction() as tx:
        tx.connection.exec_driver_sql("DELETE FROM audit")
    with upgraded.read() as tx:
        assert audit.verify(audit.read_entries(tx.connection)).entries == 1


def test_shadow_decisions_go_with_their_submission(upgraded: SqlStorage) -> None:
    """What hangs on a submission does not keep it from being erased."""
    with upgraded.transaction() as tx:
        tx.add_shadow_decision("s1", tx.decision("s1"))
        assert len(tx.shadow_decisions("s1")) == 1
        for table in ("findings", "decisions", "cases", "submissions"):
            tx.connection.exec_driver_sql(f"DELETE FROM {table}")
        assert tx.shadow_decisions("s1") == ()


def test_policy_text_is_kept_from_its_first_use(upgraded: SqlStorage) -> None:
    """Storing it again changes nothing."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    with upgraded.transaction() as tx:
        tx.keep_policy("a-1", "first", at=at)
        tx.keep_policy("a-1", "second", at=at)
        assert (tx.policy_text("a-1"), tx.policy_text("b-1")) == ("first", None)


def test_commands_do_not_upgrade_behind_a_servers_back(url: str) -> None:
    """A database of another version is named as that, and left as it is."""
    with pytest.raises(StorageError, match="revision 0001"):
        open_existing(url)
    open_storage(url).close()
    open_existing(url).close()
