"""Spent tokens in Redis, for sites that keep such records there.

Redis cannot join the database's transaction. So a token is *reserved* just before it, under the id that the upload is
to have. Whoever sends the same file with the same token again is told that id: where nothing was stored under it (the
process died in between, the database failed), the sending is stored under that very id, and the database's primary key
sees to it that one is. The records must outlive a token: `maxmemory-policy noeviction`, and a file (`appendonly yes`)
where a restart must not forget the last hour.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from prelisten.errors import StorageError
from prelisten.hints.store.interface import RECORD_GRACE_S
from prelisten.storage.interface import TokenSpent, is_same_sending

KEY = "prelisten:spent:"
# An upload waits for the answer; past this the token does not count, and the recording is screened as without one.
TIMEOUT_S = 1.0
# As many as the web server may have threads.
MAX_CONNECTIONS = 1000
# A record that expires between the two questions leaves nothing to read; then its place is free.
ATTEMPTS = 3


def connect(url: str) -> redis.Redis:
    """Return a client of `url` (`redis://`, `rediss://` or `unix://`); it connects at its first question.

    Raises `ValueError` for an address that is none.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        # One more try, for a connection that was closed while nobody used it; the id tells our own record.
        retry=Retry(NoBackoff(), 1),
        max_connections=MAX_CONNECTIONS,
    )


class RedisSingleUse:
    """See `SingleUse`. Safe for threads and across processes and machines."""

    def __init__(self, client: redis.Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock

    def consume(
        self,
        cid: str,
        *,
        sha256: str,
        idempotency_key: str | None,
        sid: str | None,
        submission_id: str,
        expires_at: int,
    ) -> str | None:
        """Reserve the token by one `SET ... NX PX`; the loser reads who won."""
        now = {"sha256": sha256, "idempotency_key": idempotency_key, "sid": sid}
        first = self._reserve(KEY + cid, now | {"submission_id": submission_id}, expires_at)
        spent_for = first["submission_id"]
        if spent_for == submission_id:  # Ours, also where the answer to a first attempt was lost on its way.
            return None
        if not is_same_sending(first, now):
            raise TokenSpent(cid, spent_for=spent_for if first["sha256"] == sha256 else None)
        return str(spent_for)

    def ping(self) -> None:
        """Ask whether the store is there. Raises `StorageError`."""
        try:
            self._client.ping()
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def forgets_by(self) -> str | None:
        """Return the policy by which records may be thrown away before their time; `None`: none is.

        Raises `StorageError`.
        """
        try:
            told: Any = self._client.info("memory")
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error
        policy = str(told.get("maxmemory_policy", "noeviction"))
        return None if policy == "noeviction" or not told.get("maxmemory") else policy

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _reserve(self, key: str, record: dict[str, Any], expires_at: int) -> dict[str, Any]:
        """Store the record unless there is one; return the one that is stored then."""
        lives_ms = max(1, int((expires_at + RECORD_GRACE_S - self._clock()) * 1000))
        try:
            for _ in range(ATTEMPTS):
                if self._client.set(key, json.dumps(record), nx=True, px=lives_ms):
                    return record
                found = self._client.get(key)
                if found is not None:
                    return _read(found)
        except (redis.RedisError, OSError, ValueError) as error:
            raise _unavailable(error) from error
        raise StorageError("The record of the token expired while it was read. Ask again.")


def _read(found: Any) -> dict[str, Any]:
    """Return a stored record. Raises `ValueError` for what no store of ours has written."""
    record = json.loads(found)
    if not isinstance(record, dict) or not {"sha256", "idempotency_key", "sid", "submission_id"} <= set(
        record
    ):
        raise ValueError("the record is none of ours")
    return record


def _unavailable(error: Exception) -> StorageError:
    return StorageError(
        f"The store of spent tokens cannot be asked ({error}). See that Redis runs at PRELISTEN_REDIS_URL."
    )
