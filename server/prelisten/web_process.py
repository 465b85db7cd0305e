"""What gunicorn reads (`--config python:prelisten.web_process`): how the web process waits, and when it ends."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from prelisten.config import load_config
from prelisten.routes.events import end_streams
from prelisten.sockets import Lingerer, Patience, PatientSocket
from prelisten.supervisor import end_with_parent

_config = load_config()
BODY = Patience(_config.min_upload_rate, _config.upload_timeout_s)

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
        """Make what ends connections; it must not be shared with the parent."""
        self._lingerer = Lingerer()
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection with something to read to a thread; let a new one wait for that without a thread."""
        if not isinstance(conn.sock, PatientSocket):
            conn.sock = PatientSocket(conn.sock, BODY)
        if not conn.initialized and not conn.data_ready:
            conn.sock.setblocking(False)
            conn.set_timeout()
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))
            return
        conn.sock.begin_head()
        super().enqueue_req(conn)

    def handle_request(self, request: Any, conn: Any) -> Any:
        """Answer one request, whose head has been read."""
        conn.sock.begin_body(request)
        return super().handle_request(request, conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End with the requests in flight; a stream of events would go on for a minute."""
        end_streams()
        super().handle_exit(sig, frame)

    def finish_request(self, conn: Any, future: Any) -> None:
        """End a connection beside the loop that accepts others: gunicorn's own way may hold that up for 2 s each."""
        if future.cancelled() or future.exception() is not None or not future.result():
            self.nr_conns -= 1
            self._lingerer.end(conn.sock)
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
