"""How often each client may do something: counted in Redis where there is one, for all processes together.

Where there is none, or while it cannot be asked, each process counts for itself: nobody is refused, and nobody is let
through without a limit, because a counter is away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from limits import RateLimitItem, parse_many
from limits.errors import StorageError as CounterError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from prelisten.errors import RateLimitedError

MEMORY = "memory://"
TIMEOUT_S = 1.0
# After a failure Redis is left alone for so long: each request would wait for its time-out.
AWAY_S = 10.0


def counter_address(redis_url: str) -> str:
    """Return a Redis as `limits` writes its address, or this process's memory without one."""
    return redis_url.replace("unix://", "redis+unix://", 1) if redis_url else MEMORY


def counter_options(redis_url: str) -> dict[str, Any]:
    """Return how long a request waits for the counter."""
    return {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S} if redis_url else {}


class Rates:
    """Counts requests. `digest` turns a client's address into what may stand in somebody else's memory."""

    def __init__(
        self,
        redis_url: str = "",
        *,
        digest: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._shared = MovingWindowRateLimiter(_open(redis_url)) if redis_url else None
        self._digest = digest
        self._clock = clock
        self._away_until = float("-inf")

    def hit(self, rate: str, what: str, client: str, *, count: int = 1) -> None:
        """Count `count` requests of `client` for `what`: all of them, or none where they are too many.

        Raises `RateLimitedError` with when the next has a chance.
        """
        names = (what, self._digest(client))
        for item in parse_many(rate):
            self._hit(item, names, count)

    def _hit(self, item: RateLimitItem, names: tuple[str, ...], count: int) -> None:
        if self._shared is not None and self._clock() >= self._away_until:
            try:
                _count(self._shared, item, names, count)
                return
            except CounterError:
                self._away_until = self._clock() + AWAY_S
        _count(self._own, item, names, count)


def _open(redis_url: str) -> Storage:
    options = {"wrap_exceptions": True, "key_prefix": "prelisten:rate", **counter_options(redis_url)}
    storage: Storage = storage_from_string(counter_address(redis_url), **options)  # type: ignore[assignment]
    return storage


def most_at_once(rate: str) -> int:
    """Return how many requests a rate allows at the same time."""
    return min(item.amount for item in parse_many(rate))


def _count(
    strategy: MovingWindowRateLimiter, item: RateLimitItem, names: tuple[str, ...], count: int
) -> None:
    if not strategy.hit(item, *names, cost=count):
        again_at = strategy.get_window_stats(item, *names).reset_time
        raise RateLimitedError(max(1, math.ceil(again_at - time.time())))
