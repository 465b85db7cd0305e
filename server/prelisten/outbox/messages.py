"""The stored events: put one in, take one to send, write down how that went."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, insert, select, update

from prelisten.storage.tables import outbox

# An event is a few ids and codes; what is larger than this is a mistake of ours.
MAX_BODY_BYTES = 64_000
# How long a message is nobody else's while it is sent: longer than the longest delivery.
CLAIM_S = 60.0


class MessageState(StrEnum):
    """Where a message is. `unsent`: no webhook was configured when its turn came."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    UNSENT = "unsent"


class HasConnection(Protocol):
    """A transaction of the storage, seen from here."""

    @property
    def connection(self) -> Connection:
        """The database connection of the transaction."""


class Database(Protocol):
    """The storage, seen from here."""

    def transaction(self) -> AbstractContextManager[HasConnection]:
        """Open a writing transaction."""

    def read(self) -> AbstractContextManager[HasConnection]:
        """Open a reading transaction."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event. `id` and `body` are the same at every attempt; `attempts` counts from 1 at the first claim."""

    id: str
    event: str
    submission_id: str
    body: str
    created_at: datetime
    state: MessageState
    attempts: int
    due_at: datetime
    ended_at: datetime | None
    last_result: str


def put(tx: HasConnection, event: str, submission_id: str, body: Mapping[str, Any]) -> str:
    """Store an event inside the caller's transaction, to be sent afterwards; return its id.

    `event` is a full-stop name such as `submission.decided`; `body` is JSON-ready data, sent as `data` together
    with the submission's id. It holds ids, codes and times, never a file name. Raises `ValueError` for a body
    that is no JSON or too large.
    """
    now = datetime.now(UTC)
    content = {
        "type": event,
        "timestamp": now.isoformat(),
        "data": {"submission_id": submission_id, **body},
    }
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_BODY_BYTES:
        raise ValueError(f"got an event of {len(text.encode())} bytes, expected at most {MAX_BODY_BYTES}")
    message_id = f"msg_{secrets.token_hex(16)}"
    tx.connection.execute(
        insert(outbox).values(
            id=message_id,
            event=event,
            submission_id=submission_id,
            body=text,
            created_at=now,
            state=MessageState.PENDING,
            attempts=0,
            due_at=now,
            last_result="",
        )
    )
    return message_id


def claim(database: Database, now: datetime) -> Message | None:
    """Take the message that is due longest, or `None`. Until `CLAIM_S` later nobody else gets it."""
    with database.read() as tx:  # Looking takes no lock; mostly there is nothing.
        if tx.connection.execute(_next_due(now)).first() is None:
            return None
    with database.transaction() as tx:
        row = tx.connection.execute(_next_due(now).with_for_update(skip_locked=True)).mappings().first()
        if row is None:
            return None
        taken = {"attempts": row["attempts"] + 1, "due_at": now + timedelta(seconds=CLAIM_S)}
        tx.connection.execute(update(outbox).where(outbox.c.id == row["id"]).values(taken))
        return _message({**row, **taken})


def _next_due(now: datetime) -> Select[Any]:
    due = (outbox.c.state == MessageState.PENDING) & (outbox.c.due_at <= now)
    return select(outbox).where(due).order_by(outbox.c.due_at, outbox.c.id).limit(1)


def settle(database: Database, message: Message, *, state: MessageState, at: datetime, result: str) -> None:
    """End a claimed message as delivered or dead."""
    _write_down(database, message, state=state, ended_at=at, last_result=result)


def postpone(database: Database, message: Message, *, due_at: datetime, result: str) -> None:
    """Give a claimed message back, to be sent again at `due_at`."""
    _write_down(database, message, due_at=due_at, last_result=result)


def give_back(database: Database, message: Message, now: datetime) -> None:
    """Give a claimed message back as if it had not been taken: the sender is told to stop."""
    _write_down(database, message, due_at=now, attempts=message.attempts - 1)


def _write_down(database: Database, message: Message, **values: Any) -> None:
    """Store how it went, unless somebody has taken the message over, or replayed it, meanwhile."""
    is_mine = (
        (outbox.c.id == message.id)
        & (outbox.c.attempts == message.attempts)
        & (outbox.c.state == MessageState.PENDING)
    )
    with database.transaction() as tx:
        tx.connection.execute(update(outbox).where(is_mine).values(values))


def set_aside(database: Database, at: datetime, *, result: str) -> None:
    """End every message that is due as `unsent`, since there is nobody to send it to."""
    with database.read() as tx:
        if tx.connection.execute(_next_due(at)).first() is None:
            return
    due = (outbox.c.state == MessageState.PENDING) & (outbox.c.due_at <= at)
    with database.transaction() as tx:
        tx.connection.execute(
            update(outbox).where(due).values(state=MessageState.UNSENT, ended_at=at, last_result=result)
        )


def messages(
    tx: HasConnection, *, states: Collection[MessageState] = tuple(MessageState), limit: int = 50
) -> list[Message]:
    """Return the latest messages in one of these states, latest first."""
    wanted = (
        select(outbox).where(outbox.c.state.in_(states)).order_by(outbox.c.created_at.desc(), outbox.c.id)
    )
    return [_message(row) for row in tx.connection.execute(wanted.limit(limit)).mappings()]


def replay(
    tx: HasConnection, now: datetime, *, ids: Sequence[str] = (), states: Collection[MessageState] = ()
) -> int:
    """Make messages pending again, by id or by state, under their old ids; return how many."""
    chosen: ColumnElement[bool] = outbox.c.id.in_(ids) | outbox.c.state.in_(states)
    fresh = {"state": MessageState.PENDING, "attempts": 0, "due_at": now, "ended_at": None}
    return tx.connection.execute(update(outbox).where(chosen).values(fresh)).rowcount


def forget(tx: HasConnection, before: datetime) -> int:
    """Remove the messages that ended before that time; return how many."""
    return tx.connection.execute(delete(outbox).where(outbox.c.ended_at < before)).rowcount


def _message(row: RowMapping | Mapping[str, Any]) -> Message:
    return Message(**{**row, "state": MessageState(row["state"])})
