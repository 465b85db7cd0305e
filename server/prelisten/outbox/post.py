"""Send one request to one receiver: to an address that was looked at, within a time, and never any further."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from prelisten.outbox.address import Address, AddressRefused, Target, resolve

# For connecting, and for everything together. A receiver is to take the event and do its work afterwards.
CONNECT_S = 5.0
TOTAL_S = 15.0
TICK_S = 0.1
# An answer's body says nothing to us; a little is read so that a polite receiver sees an orderly end.
MAX_ANSWER_BYTES = 4_096
MAX_ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: an HTTP status, or `None` and why there is none.

    `retry_after_s` is what the receiver asked for. Nothing that the receiver wrote is kept: it may be anything.
    """

    status: int | None
    problem: str = ""
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver took the event. A redirection is none: it is not followed."""
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        if self.status is None:
            return self.problem
        is_redirection = 300 <= self.status < 400
        return f"HTTP {self.status}" + (" (redirections are not followed)" if is_redirection else "")


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    named_hosts: Collection[str] = (),
    stop: threading.Event | None = None,
    tls: ssl.SSLContext | None = None,
    total_s: float = TOTAL_S,
) -> Answer:
    """POST `body` to `url` and return the answer; never raises for what a receiver or a network does.

    The host is resolved once, its addresses are looked at, and one of those is connected to; the certificate is
    checked against the host's name. `stop` ends it early. Proxies of the environment are not used: they would
    resolve the name again.
    """
    try:
        target = Target.of(url)
        addresses = resolve(target, named_hosts=named_hosts)
    except AddressRefused as error:
        return Answer(None, f"refused: {error}")
    except (OSError, UnicodeError) as error:
        return Answer(None, f"the name cannot be resolved ({error})")
    end = time.monotonic() + total_s
    try:
        with _connected(addresses, target.port, end) as plain, _ended_in_time(plain, end, stop) as is_cut:
            answer = _exchange(plain, target, body, headers, tls or ssl.create_default_context())
            # Headers that we cut short look like headers that have ended.
            if not is_cut.is_set():
                return answer
            raise TimeoutError
    except (OSError, http.client.HTTPException, ValueError) as error:
        if stop is not None and stop.is_set():
            return Answer(None, "stopped")
        if time.monotonic() >= end - TICK_S:
            return Answer(None, f"no answer within {total_s:g} s")
        return Answer(None, f"{type(error).__name__}: {error}"[:200])


@contextmanager
def _connected(addresses: list[Address], port: int, end: float) -> Iterator[socket.socket]:
    """Connect to the first address that answers."""
    problem: OSError = OSError("there is no address")
    for address in addresses[:MAX_ADDRESSES]:
        try:
            timeout_s = max(TICK_S, min(CONNECT_S, end - time.monotonic()))
            plain = socket.create_connection((str(address), port), timeout=timeout_s)
        except OSError as error:
            problem = error
            continue
        with plain:
            yield plain
        return
    raise problem


@contextmanager
def _ended_in_time(
    plain: socket.socket, end: float, stop: threading.Event | None
) -> Iterator[threading.Event]:
    """Cut the connection at the end of the time: a byte now and then keeps a socket's own timeout away for ever.

    Yields an event that tells whether it was cut.
    """
    line, is_over, is_cut = plain.dup(), threading.Event(), threading.Event()

    def watch() -> None:
        while not is_over.wait(TICK_S):
            if time.monotonic() > end or (stop is not None and stop.is_set()):
                is_cut.set()
                try:
                    line.shutdown(socket.SHUT_RDWR)
                except OSError:  # The receiver was first.
                    return

    watcher = threading.Thread(target=watch, name="webhook-clock", daemon=True)
    watcher.start()
    try:
        yield is_cut
    finally:
        is_over.set()
        watcher.join()
        line.close()


def _exchange(
    plain: socket.socket, target: Target, body: bytes, headers: Mapping[str, str], tls: ssl.SSLContext
) -> Answer:
    """Speak HTTP on a connection that stands."""
    kind = http.client.HTTPSConnection if target.is_tls else http.client.HTTPConnection
    connection = kind(target.host, target.port)
    connection.sock = tls.wrap_socket(plain, server_hostname=target.host) if target.is_tls else plain
    try:
        connection.request("POST", target.path, body, dict(headers))
        response = connection.getresponse()
        response.read(MAX_ANSWER_BYTES)
        return Answer(response.status, retry_after_s=_seconds(response.getheader("Retry-After")))
    finally:
        connection.close()


def _seconds(text: str | None) -> float | None:
    """Return a `Retry-After` in seconds; a date there, or nonsense, is left to our own pauses."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
