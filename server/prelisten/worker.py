"""A screening process: takes jobs from the engine and screens them, until it is told to stop."""

from __future__ import annotations

import os
import secrets
import socket
import threading

from prelisten.engine.interface import Lease
from prelisten.pipeline import Services, screen_submission


def run_worker(services: Services, *, stop: threading.Event) -> None:
    """Screen submissions until `stop` is set; then end within a second or two.

    The decoding at hand is killed and its job given back uncounted. While it runs, `services.engine.has_live_worker()`
    holds.
    """

    def handle(lease: Lease) -> None:
        screen_submission(lease.submission_id, services, lease=lease)

    services.engine.run(handle, worker=worker_id(), stop=stop)


def worker_id() -> str:
    """Return a name that no other worker has: machine, process, and four random bytes against reused numbers."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"
