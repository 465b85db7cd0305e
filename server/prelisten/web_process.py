"""What gunicorn reads (`--config python:prelisten.web_process`): how the web process waits, and when it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from prelisten.config import load_config
from prelisten.routes.events import end_streams
from prelisten.sockets import Arrivals, Lingerer, Patience, PatientSocket, is_whole
from prelisten.supervisor import end_with_parent

_config = load_config()
BODY = Patience(_config.min_upload_rate, _config.upload_timeout_s)

# What is left of a body that nobody read is read so long; past that the connection ends.
UNREAD_S = 0.2

threads = _config.web_threads
timeout = 60
# A connection without a request holds no thread; browsers open some in advance.
keepalive = 15
# From TERM to the end of requests in flight; the parent kills what is left a second later.
graceful_timeout = 4
loglevel = "warning"
# Headers that a proxy may set are believed in one place alone, `prelisten.proxy`; by default gunicorn itself would
# believe anybody on this machine.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
worker_class = "prelisten.web_process.PatientWorker"


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types.
    """Threads that wait for a slow sender, but not for ever; idle and ending connections hold none."""

    def init_process(self) -> None:
        """Make the threads beside the loop; they must not be shared with the parent."""
        self._lingerer = Lingerer()
        self._arrivals = Arrivals(
            arrived=lambda conn: self.method_queue.defer(self._dispatch, conn),
            given_up=lambda conn: self.method_queue.defer(self._end, conn),
        )
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection whose next request is here to a thread; let others wait for that without one."""
        if not isinstance(conn.sock, PatientSocket):
            conn.sock = PatientSocket(conn.sock, BODY)
        if not conn.initialized and not conn.data_ready:
            conn.sock.setblocking(False)
            conn.set_timeout()
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))
            return
        has_read_ahead = conn.parser is not None and conn.parser.unreader.buf.getvalue()
        if has_read_ahead or is_whole(conn.sock):
            self._dispatch(conn)
        else:
            self._arrivals.watch(conn.sock, conn)

    def _dispatch(self, conn: Any) -> None:
        conn.sock.begin_head()
        super().enqueue_req(conn)

    def _end(self, conn: Any) -> None:
        self.nr_conns -= 1
        self._lingerer.end(conn.sock)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Tell whether the connection goes on; a body that was left unread ends it rather than holding this thread."""
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + UNREAD_S))

    def handle_request(self, request: Any, conn: Any) -> Any:
        """Answer one request, whose head has been read."""
        conn.sock.begin_body(request)
        return super().handle_request(request, conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End with the requests in flight; a stream of events would go on for a minute."""
        end_streams()
        self._arrivals.give_up_all()
        for conn in self.pending_conns:
            conn.timeout = 0.0
        super().handle_exit(sig, frame)

    def finish_request(self, conn: Any, future: Any) -> None:
        """End a connection beside the loop that accepts others: gunicorn's own way may hold that up for 2 s each."""
        if future.cancelled() or future.exception() is not None or not future.result():
            self._end(conn)
            return
        super().finish_request(conn, future)


def on_starting(server: Any) -> None:
    """End with the process that started us: an orphan would keep the port and screen nothing."""
    ended = threading.Event()
    end_with_parent(ended)

    def stop() -> None:
        ended.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, name="end-with-parent", daemon=True).start()


def worker_exit(server: Any, worker: Any) -> None:
    """Store what this process counted since the last time."""
    if worker.wsgi is not None:
        worker.wsgi.extensions["prelisten"].totals.flush()
