"""The application's own database: who may sign in, and what was posted. Python's sqlite3, one file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, password_hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS posts (
  id INTEGER PRIMARY KEY,
  author TEXT NOT NULL REFERENCES people (name),
  title TEXT NOT NULL,
  submission_id TEXT NOT NULL UNIQUE,
  decision TEXT NOT NULL,
  reasons TEXT NOT NULL,
  posted_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
"""
PUBLISHED = {"accept", "label"}
MAX_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Post:
    """A post and what became of its recording. `reasons` are (title, sentence)."""

    id: int
    author: str
    title: str
    submission_id: str
    decision: str
    reasons: list[tuple[str, str]]
    posted_at: str

    def is_seen_by(self, name: str | None) -> bool:
        """Tell whether this person may see it: everybody what is published, its author the rest."""
        return self.decision in PUBLISHED or self.author == name


class Database:
    """The database in one file; a connection for each use, so that threads share none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._connected() as connection:
            connection.executescript(SCHEMA)

    def password_hash(self, name: str) -> str | None:
        """Return what is stored for a name, `None` for a name that nobody has."""
        with self._connected() as connection:
            row = connection.execute("SELECT password_hash FROM people WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def add_person(self, name: str, password_hash: str) -> bool:
        """Add a person; tell whether the name was free."""
        with self._connected() as connection:
            added = connection.execute("INSERT OR IGNORE INTO people VALUES (?, ?)", (name, password_hash))
        return added.rowcount == 1

    def add_post(
        self, *, author: str, title: str, submission_id: str, decision: str, reasons: list[tuple[str, str]]
    ) -> Post:
        """Add a post and return it. The same submission, sent again, is the post that is there."""
        with self._connected() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO posts (author, title, submission_id, decision, reasons)"
                " VALUES (?, ?, ?, ?, ?)",
                (author, title, submission_id, decision, json.dumps(reasons)),
            )
            return self._posts(connection, "WHERE submission_id = ?", submission_id)[0]

    def decide(self, post: Post, decision: str, reasons: list[tuple[str, str]]) -> Post:
        """Keep what a `hold` has become."""
        with self._connected() as connection:
            connection.execute(
                "UPDATE posts SET decision = ?, reasons = ? WHERE id = ?",
                (decision, json.dumps(reasons), post.id),
            )
        return replace(post, decision=decision, reasons=reasons)

    def post(self, post_id: int) -> Post | None:
        """Return a post, `None` when there is none."""
        with self._connected() as connection:
            return next(iter(self._posts(connection, "WHERE id = ?", post_id)), None)

    def posts(self) -> list[Post]:
        """Return the newest posts, newest first."""
        with self._connected() as connection:
            return self._posts(connection, "ORDER BY id DESC LIMIT ?", MAX_SHOWN)

    @staticmethod
    def _posts(connection: sqlite3.Connection, which: str, value: object) -> list[Post]:
        columns = "id, author, title, submission_id, decision, reasons, posted_at"
        rows = connection.execute(f"SELECT {columns} FROM posts {which}", (value,))  # noqa: S608 - our own text.
        return [Post(*row[:5], [tuple(reason) for reason in json.loads(row[5])], row[6]) for row in rows]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            yield connection
