"""The courier: sends what lies in the outbox, signed, again and again with growing pauses, and then gives up aloud."""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from prelisten.config import Config
from prelisten.errors import StorageError
from prelisten.outbox import messages
from prelisten.outbox.messages import Database, Message, MessageState
from prelisten.outbox.post import TOTAL_S, Answer, post

log = logging.getLogger(__name__)

# 5 s, 20 s, 80 s, ... up to 6 hours: sixteen attempts reach over a weekend.
MAX_ATTEMPTS = 16
FIRST_PAUSE_S, GROWTH, LONGEST_PAUSE_S = 5.0, 4.0, 6 * 3600.0
# Each pause is between this share of itself and all of it, so that a thousand events do not come back at once.
LEAST_SHARE = 0.5
IDLE_S = 1.0
STORAGE_PAUSE_S = 5.0
GONE = 410


class Courier:
    """Sends the messages of one database to the receiver that the settings name.

    Any number of them may run beside each other: a message is claimed before it is sent. It is sent at least
    once; a courier that dies between the receiver's answer and writing it down leaves it to be sent again.
    """

    def __init__(
        self,
        database: Database,
        config: Config,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tls: ssl.SSLContext | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        self._database = database
        self._url = config.webhook_url
        self._secrets = config.webhook_secret.split()
        # The operator's own words may lead inside the operator's network; nothing else's may.
        self._named_hosts = frozenset(filter(None, (urlsplit(config.webhook_url).hostname,)))
        self._clock = clock
        self._tls = tls
        self._total_s = total_s

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set. A failing database makes it wait, a failing receiver does not end it."""
        while not stop.is_set():
            try:
                was_busy = self.deliver_next(stop)
            except StorageError as error:
                log.warning("the outbox waits for the storage: %s", error)
                stop.wait(STORAGE_PAUSE_S)
                continue
            except Exception:
                # The last line of defence: a fault here must not end the sending for good.
                log.exception("sending a message failed")
                stop.wait(STORAGE_PAUSE_S)
                continue
            if not was_busy:
                stop.wait(IDLE_S)

    def deliver_next(self, stop: threading.Event | None = None) -> bool:
        """Send the message that is due longest. Return `False` when there is none. Raises `StorageError`."""
        if not self._url:
            messages.set_aside(self._database, self._clock(), result="no webhook is configured")
            return False
        message = messages.claim(self._database, self._clock())
        if message is None:
            return False
        answer = self._send(message, stop)
        if stop is not None and stop.is_set() and not answer.is_success:
            messages.give_back(self._database, message, self._clock())
        else:
            self._write_down(message, answer)
        return True

    def _send(self, message: Message, stop: threading.Event | None) -> Answer:
        now = self._clock()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "prelisten",
            "Connection": "close",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            # The id and the time are signed with the body: a recorded request cannot be sent again later.
            "webhook-signature": " ".join(
                Webhook(secret).sign(message.id, now, message.body) for secret in self._secrets
            ),
        }
        return post(
            self._url,
            message.body.encode(),
            headers,
            named_hosts=self._named_hosts,
            stop=stop,
            tls=self._tls,
            total_s=self._total_s,
        )

    def _write_down(self, message: Message, answer: Answer) -> None:
        now, result = self._clock(), str(answer)
        if answer.is_success:
            messages.settle(self._database, message, state=MessageState.DELIVERED, at=now, result=result)
        elif answer.status == GONE or message.attempts >= MAX_ATTEMPTS:
            log.error("event %s is given up after %d attempts: %s", message.id, message.attempts, result)
            messages.settle(self._database, message, state=MessageState.DEAD, at=now, result=result)
        else:
            wait = timedelta(seconds=pause_s(message.attempts, answer.retry_after_s))
            log.warning("event %s was not taken (%s); again in %s", message.id, result, wait)
            messages.postpone(self._database, message, due_at=now + wait, result=result)


def pause_s(attempts: int, retry_after_s: float | None = None) -> float:
    """Return how long to wait after so many failed attempts, in seconds; at least what the receiver asked for."""
    grown = min(FIRST_PAUSE_S * GROWTH ** (attempts - 1), LONGEST_PAUSE_S)
    jittered = grown * random.uniform(LEAST_SHARE, 1.0)  # noqa: S311 - spreads load; hides nothing
    return max(jittered, min(retry_after_s or 0.0, LONGEST_PAUSE_S))
