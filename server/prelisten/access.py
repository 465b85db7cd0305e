"""API keys for back ends: made once, stored as a digest, bound to scopes, counted by the day.

A key is 256 random bits, so nobody finds it by trying; a slow hash (bcrypt, argon2) protects words that people
choose, and would here only make every request dearer. What is stored is HMAC-SHA256 under a key of the key file:
who reads the database alone can neither use an entry nor make one.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from prelisten import audit
from prelisten.errors import BadRequestError, NotFoundError, PrelistenError, StorageError
from prelisten.keys import Keys
from prelisten.storage.interface import Storage, Transaction
from prelisten.storage.tables import api_keys, api_usage

Env = Literal["production", "development", "test"]
SECRET_BYTES = 32
MAX_NAME_CHARACTERS = 80
# "When was it last used" is for people who clean up; a write for every request would be too dear for that.
SEEN_EVERY = timedelta(minutes=1)
_SECRET = re.compile(r"prelisten_(live|test)_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


class Scope(StrEnum):
    """What a key may do."""

    UPLOAD = "upload"
    VERIFY = "verify"
    READ = "read"


class UnauthorizedError(PrelistenError):
    """No key, or one that is unknown, revoked, or for tests where no tests are run."""

    code = "bad_api_key"
    http_status = 401


class ForbiddenError(PrelistenError):
    """The key is good, and not for this."""

    code = "missing_scope"
    http_status = 403


class QuotaError(PrelistenError):
    """The key has had its uploads of today."""

    code = "quota_exceeded"
    http_status = 429

    def __init__(self, uploads_per_day: int, retry_after_s: int) -> None:
        """Keep until when it lasts."""
        super().__init__(
            f"This key has had its {uploads_per_day} uploads of today (UTC). The next ones are taken in "
            f"{retry_after_s} s; whoever runs the server can give a larger quota."
        )
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known about a key; never the key itself. `uploads_per_day` is `None` without a limit."""

    id: str
    name: str
    scopes: frozenset[Scope]
    uploads_per_day: int | None
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def require(self, scope: Scope) -> None:
        """Raise `ForbiddenError` unless the key has the scope."""
        if scope not in self.scopes:
            raise ForbiddenError(
                f"The key {self.id} ({self.name}) may not do this: it lacks the scope `{scope}`. "
                f"Make one with `prelisten keys api new --scope {scope}`."
            )


class ApiKeys:
    """The API keys of one site."""

    def __init__(
        self,
        storage: Storage,
        keys: Keys,
        *,
        env: Env,
        uploads_per_day: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`uploads_per_day` counts for keys without a quota of their own; 0 is no limit."""
        self._storage = storage
        self._keys = keys
        self._env = env
        self._uploads_per_day = uploads_per_day
        self._clock = clock

    def new(
        self, name: str, scopes: Collection[Scope], *, uploads_per_day: int | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key; return what is stored about it, and the key itself, which cannot be had again.

        Outside production it is a test key, which production refuses. Raises `BadRequestError`.
        """
        if not 1 <= len(name.strip()) <= MAX_NAME_CHARACTERS or not name.isprintable():
            raise BadRequestError(
                f"Give the key a name of 1 to {MAX_NAME_CHARACTERS} characters, for example who uses it."
            )
        if not scopes:
            raise BadRequestError(f"A key without a scope can do nothing; choose among {', '.join(Scope)}.")
        if uploads_per_day is not None and uploads_per_day < 0:
            raise BadRequestError("A quota is a number of uploads per day; 0 is no limit.")
        kind = "live" if self._env == "production" else "test"
        key_id = secrets.token_hex(4)
        secret = f"prelisten_{kind}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        row = {
            "id": key_id,
            "digest": self._digest(secret),
            "name": name.strip(),
            "scopes": sorted(scopes),
            "uploads_per_day": uploads_per_day,
            "created_at": self._clock(),
        }
        with self._storage.transaction() as tx:
            tx.connection.execute(insert(api_keys).values(row))
            audit.append(tx, audit.Kind.KEY_MADE, key_id, {"scopes": sorted(scopes), "use": "api"})
        return self._key(row), secret

    def all(self) -> list[ApiKey]:
        """Return every key, oldest first, revoked ones included."""
        with self._storage.read() as tx:
            found = tx.connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))
            return [self._key(dict(row)) for row in found.mappings()]

    def revoke(self, key_id: str) -> None:
        """End a key, now and for good. Raises `NotFoundError`; a second time changes nothing."""
        with self._storage.transaction() as tx:
            row = _row(tx, key_id)
            if row is None:
                raise NotFoundError(f"There is no API key {key_id}; `prelisten keys api list` shows them.")
            if row["revoked_at"] is None:
                tx.connection.execute(
                    update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=self._clock())
                )
                audit.append(tx, audit.Kind.KEY_REVOKED, key_id, {"use": "api"})

    def authenticate(self, secret: str) -> ApiKey:
        """Return the key that `secret` is, and remember that it was used. Raises `UnauthorizedError`.

        1. It has the form of a key, and is no test key in production.
        2. Its digest is the stored one, compared in constant time.
        3. It was not revoked.
        """
        found = _SECRET.fullmatch(secret)
        if found is None:  # 1
            raise UnauthorizedError("This is no API key; send `Authorization: Bearer prelisten_...`.")
        if found[1] == "test" and self._env == "production":
            raise UnauthorizedError("A test key works only where PRELISTEN_ENV is `test` or `development`.")
        with self._storage.read() as tx:
            row = _row(tx, found[2])
        if row is None or not hmac.compare_digest(row["digest"], self._digest(secret)):  # 2
            raise UnauthorizedError("This API key is not known here.")
        if row["revoked_at"] is not None:  # 3
            raise UnauthorizedError(f"The API key {row['id']} was revoked.")
        self._see(row)
        return self._key(row)

    def spend_upload(self, key: ApiKey) -> None:
        """Count one upload of today, atomically. Raises `QuotaError` when the key has had its share."""
        now, limit = self._clock(), key.uploads_per_day
        with self._storage.transaction() as tx:
            is_sqlite = tx.connection.dialect.name == "sqlite"
            insert_into = sqlite_insert if is_sqlite else postgresql_insert
            once_more = insert_into(api_usage).values(key_id=key.id, day=_day(now), uploads=1)
            once_more = once_more.on_conflict_do_update(
                index_elements=[api_usage.c.key_id, api_usage.c.day],
                set_={"uploads": api_usage.c.uploads + 1},
                where=None if limit is None else api_usage.c.uploads < limit,
            )
            if tx.connection.execute(once_more.execution_options(preserve_rowcount=True)).rowcount != 1:
                tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
                raise QuotaError(limit or 0, int((tomorrow - now).total_seconds()) + 1)

    def give_upload_back(self, key: ApiKey) -> None:
        """Uncount an upload that was not taken."""
        today = (api_usage.c.key_id == key.id) & (api_usage.c.day == _day(self._clock()))
        with self._storage.transaction() as tx:
            tx.connection.execute(
                update(api_usage)
                .where(today & (api_usage.c.uploads > 0))
                .values(uploads=api_usage.c.uploads - 1)
            )

    def uploads_today(self, key_id: str) -> int:
        """Return how many uploads are counted for today."""
        today = (api_usage.c.key_id == key_id) & (api_usage.c.day == _day(self._clock()))
        with self._storage.read() as tx:
            return int(tx.connection.execute(select(api_usage.c.uploads).where(today)).scalar() or 0)

    def _digest(self, secret: str) -> str:
        return self._keys.digest("api-key", secret)

    def _see(self, row: Mapping[str, Any]) -> None:
        now, seen = self._clock(), row["last_used_at"]
        if seen is None or now - seen >= SEEN_EVERY:
            # A disk that is full must not keep a back end from asking how its recordings fare.
            with suppress(StorageError), self._storage.transaction() as tx:
                tx.connection.execute(
                    update(api_keys).where(api_keys.c.id == row["id"]).values(last_used_at=now)
                )

    def _key(self, row: Mapping[str, Any]) -> ApiKey:
        own = row["uploads_per_day"]
        return ApiKey(
            id=row["id"],
            name=row["name"],
            scopes=frozenset(map(Scope, row["scopes"])),
            uploads_per_day=(self._uploads_per_day if own is None else own) or None,
            created_at=row["created_at"],
            last_used_at=row.get("last_used_at"),
            revoked_at=row.get("revoked_at"),
        )


def _row(tx: Transaction, key_id: str) -> Mapping[str, Any] | None:
    row = tx.connection.execute(select(api_keys).where(api_keys.c.id == key_id)).mappings().first()
    return None if row is None else dict(row)


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()
