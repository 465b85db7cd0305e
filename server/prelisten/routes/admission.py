"""Who may send a recording now: decided before its body is read, so that a refusal costs the server nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flask import Request

from prelisten.access import ApiKey, ApiKeys
from prelisten.config import Config
from prelisten.engine.interface import Engine
from prelisten.errors import BadRequestError, OverloadedError, PrelistenError
from prelisten.pressure import Pressure, retry_after_s
from prelisten.routes.client import client_address, leave_unread
from prelisten.routes.rates import Rates, most_at_once
from prelisten.storage.space import Space

# The depth of the queue is counted in the database; under load many ask in the same moment.
DEPTH_KEPT_S = 0.25


class Admission:
    """The gate in front of an upload's body."""

    def __init__(
        self, config: Config, engine: Engine, pressure: Pressure, api_keys: ApiKeys, rates: Rates
    ) -> None:
        self._config = config
        self._engine = engine
        self._pressure = pressure
        self._api_keys = api_keys
        self._space = Space(config)
        self.rates = rates
        self._depth, self._counted_at = 0, float("-inf")

    @contextmanager
    def place(self, request: Request, api_key: ApiKey | None = None) -> Iterator[None]:
        """Hold a place for this request's body.

        1. Nobody sends more than a client's share; less of it while the queue is more than half full.
        2. The queue has room, and so has the disk.
        3. The process has a place for one more body, and this client is not holding all that one may have.
        4. The API key has uploads left today; one is spent, and given back when this one fails.

        Raises `RateLimitedError`, `OverloadedError`, `DiskFullError` or `QuotaError`, all with `retry_after_s`; the
        body is then left unread.
        """
        client = f"key:{api_key.id}" if api_key else client_address(request)
        with ExitStack() as held:
            try:
                depth = self.queue_depth()
                self._check_rate(client, depth, api_key)  # 1
                if depth >= self._config.max_queue:  # 2
                    raise OverloadedError(retry_after_s())
                self._space.require(request.content_length or 0)
                held.enter_context(self._pressure.receiving(client))  # 3
                if api_key is not None:
                    held.enter_context(self._upload_of(api_key))  # 4
            except PrelistenError:
                leave_unread(request)
                raise
            yield

    def count_more(self, request: Request, count: int) -> None:
        """Count the recordings of a form beyond its first, once they are known: each as an upload of its own.

        Raises `RateLimitedError`, `OverloadedError` where the queue has no room for all of them, `BadRequestError`
        where the client's share never would.
        """
        if count == 0:
            return
        most = most_at_once(self._config.upload_rate_limit)
        if count >= most:
            raise BadRequestError(f"This site takes {most} recordings at a time; send fewer in one form.")
        depth = self.queue_depth()
        if depth + count >= self._config.max_queue:
            raise OverloadedError(retry_after_s())
        self._hit_rates(client_address(request), depth, count)

    def hit_key(self, api_key: ApiKey) -> None:
        """Count one request of an API key. Raises `RateLimitedError`."""
        self.rates.hit(self._config.api_rate_limit, "api", f"key:{api_key.id}")

    @contextmanager
    def share(self, api_key: ApiKey) -> Iterator[None]:
        """Count one upload of a key that came with the body itself; its quota is given back when this one fails.

        Raises `RateLimitedError` or `QuotaError`.
        """
        self.hit_key(api_key)
        with self._upload_of(api_key):
            yield

    @contextmanager
    def _upload_of(self, api_key: ApiKey) -> Iterator[None]:
        self._api_keys.spend_upload(api_key)
        try:
            yield
        except BaseException:
            self._api_keys.give_upload_back(api_key)
            raise

    def queue_depth(self) -> int:
        """Return how many recordings wait or are being screened, as of a moment ago."""
        now = time.monotonic()
        if now - self._counted_at > DEPTH_KEPT_S:
            self._depth, self._counted_at = self._engine.queue_depth(), now
        return self._depth

    def _check_rate(self, client: str, depth: int, api_key: ApiKey | None) -> None:
        if api_key is not None:
            self.hit_key(api_key)
            return
        self._hit_rates(client, depth, 1)

    def _hit_rates(self, client: str, depth: int, count: int) -> None:
        self.rates.hit(self._config.upload_rate_limit, "upload", client, count=count)
        if depth * 2 > self._config.max_queue:
            self.rates.hit(self._config.busy_upload_rate_limit, "busy", client, count=count)
