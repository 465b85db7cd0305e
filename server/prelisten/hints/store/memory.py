"""Spent tokens in this process's memory: for tests, and for who tries something. A restart forgets them all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from prelisten.hints.store.interface import RECORD_GRACE_S
from prelisten.storage.interface import TokenSpent, is_same_sending

# Old records are looked for this often, counted in new ones.
PRUNE_EVERY = 1000


class MemorySingleUse:
    """See `SingleUse`. One process only: another one knows nothing of these records."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: dict[str, dict[str, Any]] = {}

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
        """Spend the token under a lock."""
        now = {"sha256": sha256, "idempotency_key": idempotency_key, "sid": sid}
        with self._lock:
            first = self._spent.get(cid)
            if first is None:
                self._spent[cid] = now | {"submission_id": submission_id, "expires_at": expires_at}
                if len(self._spent) % PRUNE_EVERY == 0:
                    self._prune()
                return None
        spent_for = str(first["submission_id"])
        if not is_same_sending(first, now):
            raise TokenSpent(cid, spent_for=spent_for if first["sha256"] == sha256 else None)
        return spent_for

    def _prune(self) -> None:
        oldest = self._clock() - RECORD_GRACE_S
        self._spent = {cid: spent for cid, spent in self._spent.items() if spent["expires_at"] >= oldest}
