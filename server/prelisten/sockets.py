"""Connections that wait for slow people, but not for ever, and that end without losing the answer.

A thread that reads from a sender who brings a byte every 19 seconds is lost to everybody else. What counts here is
the time that a thread was blocked by the other side, never the time that we took ourselves.
"""

from __future__ import annotations

import errno
import re
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A sender that says nothing at all for this long is gone.
SILENCE_S = 20
# The whole head of a request: a browser sends it in one piece.
HEAD_S = 10.0
# The rate is looked at over windows: a phone in a tunnel stands still for some seconds.
WINDOW_S = 30.0
# A reader that takes less than this holds a thread on purpose; event streams send little, but never block.
MIN_READ_RATE = 1_000
# What a refused sender still sends is read and dropped so long, or the answer would be lost on the way.
LINGER_S = 30.0
LINGER_SILENCE_S = 5.0
MAX_LINGERING = 256
# The longest that an answer may be on its way: the bundle over a slow phone, and no thread held for hours.
SEND_LONGEST_S = 900.0
# A request with so small a body gets a thread when all of it is here; larger ones are uploads, which are counted.
MAX_SMALL_BODY_BYTES = 16_000
MAX_PEEKED_BYTES = 1 << 16
# Many programs send head and body apart, a moment later; who takes longer than that is looked at less often.
ARRIVAL_SOON_S, ARRIVAL_EVERY_S = 0.005, 0.1
SOON_S = 0.5
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*(?:\r\n|$)", re.IGNORECASE)
BLOCK_BYTES = 1 << 16


class TooSlow(TimeoutError):  # noqa: N818 - an event, not a fault
    """The other side was silent, too slow, or took too long.

    Its number says "reset by the peer": that is what becomes of the connection, and web servers say nothing of it.
    """

    def __init__(self, message: str) -> None:
        """Keep what was too slow, for a log."""
        super().__init__(errno.ECONNRESET, message)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a thread may be blocked: `min_rate` in bytes per second of blocked time, `longest_s` in all."""

    min_rate: float
    longest_s: float


class Pace:
    """Adds up how long the other side blocked us in one direction of one request, and what it brought."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._blocked_s = self._window_s = 0.0
        self._window_bytes = 0

    def count(self, n_bytes: int, blocked_s: float) -> None:
        """Add one call's bytes and seconds. Raises `TooSlow` when that was too slow, or took too long."""
        self._blocked_s += blocked_s
        self._window_s += blocked_s
        self._window_bytes += n_bytes
        if self._blocked_s > self._patience.longest_s:
            raise TooSlow(f"the other side took more than {self._patience.longest_s:g} s")
        if self._window_s >= WINDOW_S:
            if self._window_bytes < self._patience.min_rate * self._window_s:
                raise TooSlow(f"fewer than {self._patience.min_rate:g} bytes per second")
            self._window_s, self._window_bytes = 0.0, 0


class PatientSocket(socket.socket):
    """A connected socket whose blocking calls raise `TooSlow` instead of waiting for ever."""

    def __init__(self, connected: socket.socket, body: Patience) -> None:
        """Take the connection over; `connected` is unusable from now on."""
        super().__init__(fileno=connected.detach())
        self._body = body
        self._request: Any = None
        wait = struct.pack("ll", SILENCE_S, 0)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        self.begin_head()

    def begin_head(self) -> None:
        """Start to count for a new request: its head comes first."""
        self._request = None
        self._received = Pace(Patience(0, HEAD_S))
        self._sent = Pace(Patience(MIN_READ_RATE, SEND_LONGEST_S))

    def begin_body(self, request: Any) -> None:
        """The head is there; the body may take longer. `request` is gunicorn's."""
        self._request = request
        self._received = Pace(self._body)

    def close_after_answer(self) -> None:
        """Promise not to read the rest of this request: the answer says so, then the connection ends."""
        if self._request is not None:
            self._request.force_close()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive; raises `TooSlow` when the other side is silent or too slow."""
        start = time.monotonic()
        try:
            block = super().recv(size, flags)
        except BlockingIOError as error:
            raise TooSlow(f"nothing came for {SILENCE_S} s") from error
        self._received.count(len(block), time.monotonic() - start)
        return block

    def sendall(self, content: Any, flags: int = 0) -> None:
        """Send everything, piece by piece; raises `TooSlow` when the other side does not take it."""
        rest = memoryview(content).cast("B")
        while rest:
            rest = rest[self.send(rest[:BLOCK_BYTES], flags) :]

    def send(self, content: Any, flags: int = 0) -> int:
        """Send a piece; raises `TooSlow` like `sendall`."""
        start = time.monotonic()
        try:
            n_bytes = super().send(content, flags)
        except BlockingIOError as error:
            raise TooSlow(f"nothing was taken for {SILENCE_S} s") from error
        self._sent.count(n_bytes, time.monotonic() - start)
        return n_bytes

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file through `send`: the system's own call would wait for a slow reader for ever."""
        file.seek(offset)
        left, sent = float("inf") if count is None else count, 0
        while left > 0 and (block := file.read(int(min(left, BLOCK_BYTES)))):
            self.sendall(block)
            sent += len(block)
            left -= len(block)
        return sent


def is_whole(connection: socket.socket) -> bool:
    """Tell, without taking a byte, whether a thread that read the next request would not have to wait.

    True for a whole head with its body when that is small, for the head of a large body, and for whatever can only
    be refused (closed, broken, an endless head).
    """
    try:
        there = socket.socket.recv(connection, MAX_PEEKED_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    head, end, body = there.partition(b"\r\n\r\n")
    if not there or len(there) >= MAX_PEEKED_BYTES:
        return True
    if not end:
        return False
    stated = _CONTENT_LENGTH.search(head)
    n_bytes = int(stated[1]) if stated else 0
    return n_bytes > MAX_SMALL_BODY_BYTES or len(body) >= n_bytes


class Arrivals:
    """One thread that watches requests of which only a part is here, so that they hold no other thread.

    `arrived(x)` and `given_up(x)` are called from that thread, the second after `HEAD_S` seconds.
    """

    def __init__(self, arrived: Callable[[Any], None], given_up: Callable[[Any], None]) -> None:
        self._arrived = arrived
        self._given_up = given_up
        self._waiting: dict[socket.socket, tuple[Any, float]] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="arrivals", daemon=True).start()

    def watch(self, connection: socket.socket, whose: Any) -> None:
        """Watch a connection until its next request is here."""
        with self._changed:
            self._waiting[connection] = whose, time.monotonic() + HEAD_S
            self._changed.notify()

    def give_up_all(self) -> None:
        """Wait for none of them any longer: the process has been told to stop. Safe in a signal's handler."""
        for connection, (whose, _) in list(self._waiting.items()):
            self._waiting[connection] = whose, 0.0

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                watched = list(self._waiting.items())
            now = time.monotonic()
            for connection, (whose, deadline) in watched:
                is_here = is_whole(connection)
                if is_here or now > deadline:
                    with self._changed:
                        del self._waiting[connection]
                    (self._arrived if is_here else self._given_up)(whose)
            is_new = any(deadline - now > HEAD_S - SOON_S for _, (_, deadline) in watched)
            time.sleep(ARRIVAL_SOON_S if is_new else ARRIVAL_EVERY_S)


class Lingerer:
    """One thread that ends connections politely: our side first, then whatever still comes is read and dropped.

    Closing a socket that has unread bytes resets the connection, and the other side may never see the answer
    (RFC 9112, section 9.6). At most `MAX_LINGERING` at once; past that a connection is just closed.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._deadlines: dict[socket.socket, tuple[float, float]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def end(self, connection: socket.socket) -> None:
        """Send what is left and end our side; returns at once."""
        try:
            connection.shutdown(socket.SHUT_WR)
            connection.setblocking(False)
            with self._lock:
                if len(self._deadlines) >= MAX_LINGERING:
                    connection.close()
                    return
                now = time.monotonic()
                self._deadlines[connection] = (now + LINGER_S, now + LINGER_SILENCE_S)
                self._selector.register(connection, selectors.EVENT_READ)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="lingerer", daemon=True)
                    self._thread.start()
        except (OSError, ValueError):
            connection.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select(0.2):
                self._drop_bytes(key.fileobj)  # type: ignore[arg-type]  # Sockets alone are registered.
            now = time.monotonic()
            with self._lock:
                late = [conn for conn, deadlines in self._deadlines.items() if now > min(deadlines)]
            for connection in late:
                self._close(connection)

    def _drop_bytes(self, connection: socket.socket) -> None:
        try:
            block = socket.socket.recv(connection, BLOCK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        if not block:
            self._close(connection)
            return
        with self._lock:
            last, _ = self._deadlines[connection]
            self._deadlines[connection] = (last, time.monotonic() + LINGER_SILENCE_S)

    def _close(self, connection: socket.socket) -> None:
        with self._lock:
            self._deadlines.pop(connection, None)
            self._selector.unregister(connection)
        connection.close()
