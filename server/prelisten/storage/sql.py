"""The storage on SQLAlchemy. SQLite is the embedded default; nothing here is SQLite's alone but its set-up."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    Table,
    create_engine,
    delete,
    event,
    false,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from prelisten.errors import StorageError
from prelisten.records import (
    Decision,
    Finding,
    HintCheck,
    Outcome,
    ReviewCase,
    ShadowScore,
    Submission,
    SubmissionState,
    TokenState,
)
from prelisten.storage import rows, tables
from prelisten.storage.interface import Evidence, TokenSpent, is_same_sending
from wasm_detector.hint import Band

# A writer waits this long for the others. Writing takes milliseconds; past this something is stuck.
BUSY_TIMEOUT_MS = 10_000
# Emptying the journal waits for readers no longer than this; the next time will do.
SCRUB_TIMEOUT_MS = 2_000
# Any number does, as long as nothing else of a PostgreSQL database locks the same one.
MIGRATION_LOCK = 7_310_018_332
# The web server has 32 threads, and a read may be open beside a write.
POOL_SIZE, POOL_OVERFLOW = 8, 56


class SqlTransaction:
    """One unit of work on one connection; see `interface.Transaction` for what each method promises."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def _first(self, statement: Executable) -> Mapping[str, Any] | None:
        row = self.connection.execute(statement).mappings().first()
        return None if row is None else dict(row)

    def add_submission(self, submission: Submission) -> None:
        """Store a new upload."""
        self.connection.execute(insert(tables.submissions).values(rows.submission_to_row(submission)))

    def submission(self, submission_id: str) -> Submission | None:
        """Return the submission, or `None`."""
        row = self._first(select(tables.submissions).where(tables.submissions.c.id == submission_id))
        return None if row is None else rows.submission_from_row(row)

    def submission_by_key(self, idempotency_key: str, sha256: str, action: str) -> Submission | None:
        """Return what the same file was stored as under the same key and action, or `None`."""
        table = tables.submissions.c
        row = self._first(
            select(tables.submissions).where(
                table.idempotency_key == idempotency_key, table.sha256 == sha256, table.action == action
            )
        )
        return None if row is None else rows.submission_from_row(row)

    def is_stored(self, sha256: str) -> bool:
        """Return whether any submission needs these bytes, as its recording or as what was scored of it."""
        sent, scored = tables.submissions.c, tables.evidence.c
        is_kept = sent.recording_removed_at.is_(None)
        as_sent = select(sent.id).where(sent.sha256 == sha256, is_kept)
        as_scored = select(sent.id).join(tables.evidence, scored.submission_id == sent.id)
        as_scored = as_scored.where(scored.pcm_sha256 == sha256, is_kept)
        return any(self._first(statement.limit(1)) is not None for statement in (as_sent, as_scored))

    def stored_blobs(self, prefix: str) -> set[str]:
        """Return the names of all needed bytes that begin so (two hexadecimal digits)."""
        sent, scored = tables.submissions.c, tables.evidence.c
        end = (
            f"{int(prefix, 16) + 1:02x}" if prefix != "ff" else "g"
        )  # A range can use the index, LIKE may not.
        is_kept = sent.recording_removed_at.is_(None)
        as_sent = select(sent.sha256).where(sent.sha256 >= prefix, sent.sha256 < end, is_kept)
        as_scored = select(scored.pcm_sha256).join(tables.submissions, scored.submission_id == sent.id)
        as_scored = as_scored.where(scored.pcm_sha256 >= prefix, scored.pcm_sha256 < end, is_kept)
        return {*self.connection.execute(as_sent).scalars(), *self.connection.execute(as_scored).scalars()}

    def lock_blob(self, sha256: str) -> None:
        """Keep every other transaction from storing or removing these bytes until this one has ended."""
        if (
            self.connection.dialect.name == "postgresql"
        ):  # SQLite's writing transactions stand in line anyway.
            self.connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(sha256, 0))))

    def set_state(self, submission_id: str, state: SubmissionState) -> None:
        """Move the submission along the main path."""
        self._update_submission(submission_id, state=state)

    def set_hint_check(self, submission_id: str, hint_check: HintCheck) -> None:
        """Replace what is known about the hint."""
        self._update_submission(submission_id, hint_check=rows.hint_check_to_json(hint_check))

    def _update_submission(self, submission_id: str, **values: Any) -> None:
        statement = update(tables.submissions).where(tables.submissions.c.id == submission_id)
        self.connection.execute(statement.values(values))

    def spend_token(
        self,
        cid: str,
        *,
        sha256: str,
        idempotency_key: str | None,
        sid: str | None,
        submission_id: str,
        expires_at: int,
    ) -> str | None:
        """Spend the token by one `INSERT ... ON CONFLICT DO NOTHING`; the loser reads who won."""
        values = {
            "cid": cid,
            "sha256": sha256,
            "idempotency_key": idempotency_key,
            "sid": sid,
            "submission_id": submission_id,
            "expires_at": expires_at,
        }
        if self._insert_once(tables.spent_tokens, values):
            return None
        spent = self._first(select(tables.spent_tokens).where(tables.spent_tokens.c.cid == cid))
        if spent is None:  # Forgotten just now, so expired long ago.
            raise TokenSpent(cid)
        if not is_same_sending(spent, values):
            raise TokenSpent(cid, spent_for=spent["submission_id"] if spent["sha256"] == sha256 else None)
        return str(spent["submission_id"])

    def _insert_once(self, table: Table, values: Mapping[str, Any]) -> bool:
        on_sqlite = self.connection.dialect.name == "sqlite"
        insert_into = sqlite_insert if on_sqlite else postgresql_insert
        statement = insert_into(table).values(values).on_conflict_do_nothing()
        # Not every driver's count survives an INSERT unless it is asked for.
        done = self.connection.execute(statement.execution_options(preserve_rowcount=True))
        return done.rowcount == 1

    def add_verification(self, verification_id: str, answer: Mapping[str, Any], *, expires_at: int) -> bool:
        """Store what `POST verify` answered, until the token expires; `False`: there is an answer already."""
        values = {"id": verification_id, "answer": dict(answer), "expires_at": expires_at}
        return self._insert_once(tables.verifications, values)

    def verification(self, verification_id: str) -> dict[str, Any] | None:
        """Return the stored answer, or `None`."""
        table = tables.verifications.c
        row = self._first(select(table.answer).where(table.id == verification_id))
        return None if row is None else dict(row["answer"])

    def add_findings(self, submission_id: str, findings: tuple[Finding, ...]) -> None:
        """Store the checks' words, in order."""
        for position, finding in enumerate(findings):
            self.connection.execute(
                insert(tables.findings).values(rows.finding_to_row(submission_id, position, finding))
            )

    def findings(self, submission_id: str) -> tuple[Finding, ...]:
        """Return the checks' words, in order."""
        statement = (
            select(tables.findings)
            .where(tables.findings.c.submission_id == submission_id)
            .order_by(tables.findings.c.position)
        )
        return tuple(
            rows.finding_from_row(dict(row)) for row in self.connection.execute(statement).mappings()
        )

    def set_decision(self, submission_id: str, decision: Decision) -> None:
        """Store the last decision; a second one for the same submission is an error of the database."""
        self.connection.execute(
            insert(tables.decisions).values(rows.decision_to_row(submission_id, decision))
        )

    def decision(self, submission_id: str) -> Decision | None:
        """Return the last decision, or `None`."""
        row = self._first(select(tables.decisions).where(tables.decisions.c.submission_id == submission_id))
        return None if row is None else rows.decision_from_row(row)

    def keep_policy(self, version: str, text: str, *, at: datetime) -> None:
        """Store what a policy's version says, when it is used for the first time."""
        self._insert_once(tables.policies, {"version": version, "text": text, "first_used_at": at})

    def policy_text(self, version: str) -> str | None:
        """Return what a policy's version says, or `None` when it was never stored."""
        row = self._first(select(tables.policies.c.text).where(tables.policies.c.version == version))
        return None if row is None else str(row["text"])

    def add_shadow_decision(self, submission_id: str, decision: Decision) -> None:
        """Store what a policy that is being tried would have decided."""
        values = rows.decision_to_row(submission_id, decision)
        self.connection.execute(insert(tables.shadow_decisions).values(values))

    def shadow_decisions(self, submission_id: str) -> tuple[Decision, ...]:
        """Return what policies that are being tried would have decided, in the order of their versions."""
        table = tables.shadow_decisions.c
        statement = select(tables.shadow_decisions).where(table.submission_id == submission_id)
        found = self.connection.execute(statement.order_by(table.policy_version)).mappings()
        return tuple(rows.decision_from_row(dict(row)) for row in found)

    def add_shadow_score(self, submission_id: str, score: ShadowScore) -> None:
        """Store what a model that is being tried says."""
        values = {name: getattr(score, name) for name in score.__slots__}
        self.connection.execute(insert(tables.shadow_scores).values(submission_id=submission_id, **values))

    def shadow_scores(self, submission_id: str) -> tuple[ShadowScore, ...]:
        """Return what models that are being tried say, in the order of their names."""
        table = tables.shadow_scores.c
        statement = select(tables.shadow_scores).where(table.submission_id == submission_id)
        found = self.connection.execute(statement.order_by(table.detector)).mappings()
        return tuple(ShadowScore(row["detector"], row["spoof_score"], Band(row["band"])) for row in found)

    def decided(self) -> Iterator[tuple[Submission, Decision]]:
        """Yield every submission that has a decision, in the order in which they were decided, a few at a time."""
        made = tables.decisions.c
        statement = (
            select(tables.decisions)
            .order_by(made.decided_at, made.submission_id)
            .execution_options(yield_per=200)
        )
        with self.connection.execute(statement) as found:  # Closed also when nobody reads to the end.
            for row in found.mappings():
                submission = self.submission(row["submission_id"])
                if submission is not None:
                    yield submission, rows.decision_from_row(dict(row))

    def set_evidence(self, submission_id: str, evidence: Evidence) -> None:
        """Store what was scored."""
        values = {name: getattr(evidence, name) for name in evidence.__slots__}
        self.connection.execute(insert(tables.evidence).values(submission_id=submission_id, **values))

    def evidence(self, submission_id: str) -> Evidence | None:
        """Return what was scored, or `None`."""
        row = self._first(select(tables.evidence).where(tables.evidence.c.submission_id == submission_id))
        return None if row is None else rows.evidence_from_row(row)

    def open_case(self, case: ReviewCase) -> None:
        """Put a case into the reviewers' queue."""
        values = {name: getattr(case, name) for name in case.__slots__}
        self.connection.execute(insert(tables.cases).values(values))

    def case(self, case_id: str) -> ReviewCase | None:
        """Return the case, or `None`."""
        row = self._first(select(tables.cases).where(tables.cases.c.id == case_id))
        return None if row is None else rows.case_from_row(row)

    def case_for(self, submission_id: str) -> ReviewCase | None:
        """Return the submission's case, or `None`."""
        row = self._first(select(tables.cases).where(tables.cases.c.submission_id == submission_id))
        return None if row is None else rows.case_from_row(row)

    def cases(self, *, is_open: bool, limit: int = 50, offset: int = 0) -> list[ReviewCase]:
        """Return open cases, those within the reviewers' budget first and the oldest of them, or resolved ones."""
        table, made = tables.cases.c, tables.decisions.c
        both = tables.cases.outerjoin(tables.decisions, made.submission_id == table.submission_id)
        is_extra = func.coalesce(made.is_over_budget, false())
        order = (is_extra, table.opened_at) if is_open else (table.resolved_at.desc(),)
        statement = select(tables.cases).select_from(both)
        statement = statement.where(table.outcome.is_(None) if is_open else table.outcome.is_not(None))
        found = self.connection.execute(statement.order_by(*order, table.id).limit(limit).offset(offset))
        return [rows.case_from_row(dict(row)) for row in found.mappings()]

    def count_cases(self, *, is_open: bool) -> int:
        """Return how many cases are open, or resolved."""
        outcome = tables.cases.c.outcome
        statement = select(func.count()).where(outcome.is_(None) if is_open else outcome.is_not(None))
        return int(self.connection.execute(statement).scalar_one())

    def count_cases_since(self, at: datetime) -> int:
        """Return how many cases within the reviewers' budget were opened at that time or later."""
        made, case = tables.decisions.c, tables.cases.c
        both = tables.cases.join(tables.decisions, made.submission_id == case.submission_id)
        statement = select(func.count()).select_from(both)
        statement = statement.where(case.opened_at >= at, made.is_over_budget.is_(False))
        return int(self.connection.execute(statement).scalar_one())

    def resolve_case(self, case_id: str, *, outcome: Outcome, note: str, reviewer: str, at: datetime) -> bool:
        """Store a reviewer's word, once: the second of two reviewers gets `False`."""
        statement = (
            update(tables.cases)
            .where(tables.cases.c.id == case_id, tables.cases.c.outcome.is_(None))
            .values(outcome=outcome, note=note, reviewer=reviewer, resolved_at=at)
        )
        return self.connection.execute(statement).rowcount == 1

    def submissions_of(self, sid: str) -> list[str]:
        """Return the ids of what was sent under a session's digest, oldest first."""
        table = tables.submissions.c
        found = select(table.id).where(table.sid == sid).order_by(table.received_at, table.id)
        return list(self.connection.execute(found).scalars())

    def everything_about(self, submission_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return every row that is about the submission, by the name of its table."""
        is_this = {tables.submissions: tables.submissions.c.id == submission_id}
        for table in (tables.spent_tokens, *_about_submissions()):
            is_this[table] = table.c.submission_id == submission_id
        return {
            table.name: [
                dict(row) for row in self.connection.execute(select(table).where(condition)).mappings()
            ]
            for table, condition in is_this.items()
        }

    def bury_submission(self, submission_id: str, at: datetime) -> frozenset[str]:
        """Turn the submission into a tombstone; return the names of the blobs that it was about."""
        blobs = self._blobs_of([submission_id])
        for table in _about_submissions():
            self.connection.execute(delete(table).where(table.c.submission_id == submission_id))
        # The token stays spent until nobody could use it again, and says nothing more of what it was spent for.
        of_this = update(tables.spent_tokens).where(tables.spent_tokens.c.submission_id == submission_id)
        self.connection.execute(of_this.values(sha256="", idempotency_key=None, sid=None))
        row: dict[str, Any] = {column.name: None for column in tables.submissions.columns if column.nullable}
        row |= {"sha256": "", "size_bytes": 0, "file_name": "", "media_type": "", "declared": False}
        row |= {"hint_check": rows.hint_check_to_json(HintCheck(TokenState.ABSENT))}
        row |= {"state": SubmissionState.ERASED, "erased_at": at, "recording_removed_at": at}
        self._update_submission(submission_id, **row)
        return blobs

    def _blobs_of(self, submission_ids: Collection[str]) -> frozenset[str]:
        sent, scored = tables.submissions.c, tables.evidence.c
        as_sent = select(sent.sha256).where(sent.id.in_(submission_ids))
        as_scored = select(scored.pcm_sha256).where(scored.submission_id.in_(submission_ids))
        names = (name for found in (as_sent, as_scored) for name in self.connection.execute(found).scalars())
        return frozenset(filter(None, names))

    def old_submissions(self, before: datetime, *, limit: int, with_recording: bool = False) -> list[str]:
        """Return closed submissions (decided, no case open, not erased) from before that time, oldest first."""
        table, case = tables.submissions.c, tables.cases.c
        has_open_case = select(case.id).where(case.submission_id == table.id, case.outcome.is_(None)).exists()
        old = select(table.id).where(
            table.received_at < before, table.state == SubmissionState.DECIDED, ~has_open_case
        )
        if with_recording:
            old = old.where(table.recording_removed_at.is_(None))
        return list(self.connection.execute(old.order_by(table.received_at, table.id).limit(limit)).scalars())

    def let_recordings_go(self, submission_ids: Collection[str], at: datetime) -> frozenset[str]:
        """Note that the submissions' recordings are no longer kept; return the names of their blobs."""
        blobs = self._blobs_of(submission_ids)
        chosen = update(tables.submissions).where(tables.submissions.c.id.in_(submission_ids))
        self.connection.execute(chosen.values(recording_removed_at=at))
        return blobs

    def forget_tokens(self, expired_before: int) -> int:
        """Remove the records of tokens that expired before that time (seconds since 1970); return how many.

        What was answered about them goes with them.
        """
        answers = delete(tables.verifications).where(tables.verifications.c.expires_at < expired_before)
        self.connection.execute(answers)
        old = delete(tables.spent_tokens).where(tables.spent_tokens.c.expires_at < expired_before)
        return self.connection.execute(old).rowcount

    def take_chore(self, name: str, now: datetime, *, every: timedelta) -> bool:
        """Return whether the chore is due, and make it due again after `every`: one taker gets it."""
        chores = tables.chores
        row = self._first(select(chores).where(chores.c.name == name))
        if row is None:
            return self._insert_once(chores, {"name": name, "due_at": now + every})
        # The condition on the old time: of two processes that read it at once, one changes it.
        mine = update(chores).where(chores.c.name == name, chores.c.due_at == row["due_at"])
        return row["due_at"] <= now and bool(
            self.connection.execute(mine.values(due_at=now + every)).rowcount
        )


def _about_submissions() -> list[Table]:
    """Return every table with rows about one submission, also those that came later."""
    return [
        table
        for table in tables.metadata.sorted_tables
        if any(key.column.table is tables.submissions for key in table.foreign_keys)
    ]


class SqlStorage:
    """A database at the head of its migrations. Safe for threads; a forked child gets its own connections."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(writing=True)
        # SQLite's reading transactions are one picture anyway; others make a new one for each question.
        is_sqlite = engine.dialect.name == "sqlite"
        self._reading = engine if is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        # SQLite has one writer. Threads of this process queue here, fairly, instead of polling the file's lock.
        self._write_lock = threading.Lock() if is_sqlite else None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(engine.dispose, close=False))

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Open a writing transaction; any failure of the database is a `StorageError` and stores nothing."""
        if self._write_lock is None:
            with _as_storage_error(), self._writing.begin() as connection:
                yield SqlTransaction(connection)
            return
        with self._write_lock, _as_storage_error(), self._writing.begin() as connection:
            yield SqlTransaction(connection)

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """Open a reading transaction: one consistent picture."""
        with _as_storage_error(), self._reading.connect() as connection:
            yield SqlTransaction(connection)

    def scrub(self) -> None:
        """Take what was erased out of the database's journal too, as far as nobody is reading it just now.

        SQLite's write-ahead log keeps earlier pages until it is written over. Elsewhere there is nothing to do.
        """
        if self.engine.dialect.name != "sqlite":
            return
        with (
            _as_storage_error(),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as line,
        ):
            raw = line.connection.driver_connection
            if raw is None:
                return
            raw.execute(f"PRAGMA busy_timeout={SCRUB_TIMEOUT_MS}").close()
            try:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}").close()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_storage(url: str) -> SqlStorage:
    """Open the database at `url` (SQLAlchemy's form) and bring it to the head of its migrations.

    Raises `StorageError` when it cannot be opened, made or upgraded.
    """
    with _as_storage_error():
        engine = _make_engine(url)
        upgrade(engine)
        return SqlStorage(engine)


def open_existing(url: str) -> SqlStorage:
    """Open the database at `url` as it is: nothing is made and nothing is migrated.

    Raises `StorageError` when there is none, or when it is not at the head of this version's migrations.
    """
    path = make_url(url).database
    if url.startswith("sqlite") and not Path(path or "").is_file():
        raise StorageError(f"There is no database at {path}. Name the site's data folder with --data.")
    with _as_storage_error():
        engine = _make_engine(url)
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        head = ScriptDirectory.from_config(_migrations()).get_current_head()
        with engine.connect() as connection:
            there = MigrationContext.configure(connection).get_current_revision()
    if there != head:
        engine.dispose()
        raise StorageError(
            f"The database is at revision {there}, and this version of prelisten works with {head}. "
            "Starting the server of this version once brings an older one up to date."
        )
    return SqlStorage(engine)


def known_revisions() -> frozenset[str]:
    """Return every revision of the database that this version can open or upgrade."""
    from alembic.script import ScriptDirectory

    return frozenset(step.revision for step in ScriptDirectory.from_config(_migrations()).walk_revisions())


def revision_of(storage: SqlStorage) -> str:
    """Return the revision that an open database is at."""
    with storage.read() as tx:
        return str(tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())


def _migrations() -> Any:
    """Return Alembic's configuration for the one tree of migrations."""
    # Alembic is only needed here, and importing it takes a third of a second of a `scan` that stores nothing.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(engine: Engine) -> None:
    """Run the migrations in one transaction; a second process that starts meanwhile waits and finds them done."""
    from alembic import command
    from alembic.util import CommandError

    config = _migrations()
    with engine.execution_options(writing=True).begin() as connection:
        if connection.dialect.name == "postgresql":  # SQLite's writing transactions stand in line anyway.
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StorageError(
                f"The database was made by a newer version of prelisten, or is none of ours ({error}). Nothing was "
                "changed; start that version, or restore a backup."
            ) from error


def _make_engine(url: str) -> Engine:
    """Return an engine; for SQLite the folder is made and every connection is set up for durability."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        json_serializer=partial(json.dumps, allow_nan=False, ensure_ascii=False),
        # A server that was restarted meanwhile costs one more question, not one failed request.
        pool_pre_ping=parsed.get_backend_name() != "sqlite",
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Make SQLite wait, survive a power cut and keep foreign keys; the driver itself must not begin anything."""
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",  # First: the next line may already meet a lock.
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # What is erased is overwritten, not only unlinked.
    ):
        _run_patiently(connection, f"PRAGMA {pragma}")


def _run_patiently(connection: Any, statement: str) -> None:
    """Run a statement, waiting for a lock: of several that make a new database's log, SQLite refuses some at once."""
    end = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute(statement).close()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= end:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where writing is meant: a reader that upgrades later would fail, not wait."""
    is_writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


@contextmanager
def _as_storage_error() -> Iterator[None]:
    """Turn what the database or its disk says into a `StorageError` that keeps the cause."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StorageError(
            f"The database failed ({cause}). Nothing was stored; try again in a while."
        ) from error
