"""What gunicorn reads (`--config python:prelisten.web_process`): how the web process waits, and when it ends."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from prelisten.supervisor import end_with_parent

# A sender that says nothing for this long is gone, or holds one of our few threads on purpose.
SILENCE_S = 20

threads = 32
timeout = 60
# From TERM to the end of requests in flight; the parent kills what is left a second later.
graceful_timeout = 4
loglevel = "warning"
# Headers that a proxy may set; none is believed until an operator names a proxy.
forwarder_headers = ""
worker_class = "prelisten.web_process.PatientWorker"


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types.
    """Threads that wait for a slow sender, but not for ever."""

    def enqueue_req(self, conn: Any) -> None:
        """Let the kernel end a read that brings nothing; gunicorn's own blocking reads have no time limit."""
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_S, 0))
        super().enqueue_req(conn)


def on_starting(server: Any) -> None:
    """End with the process that started us: an orphan would keep the port and screen nothing."""
    ended = threading.Event()
    end_with_parent(ended)

    def stop() -> None:
        ended.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, name="end-with-parent", daemon=True).start()
