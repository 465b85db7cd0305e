"""A screening process: takes jobs from the engine and screens them, until it is told to stop."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prelisten.engine.interface import Lease
from prelisten.metrics import Totals
from prelisten.outbox.courier import Courier
from prelisten.pipeline import Services, screen_submission
from prelisten.retention import Sweeper

# What runs beside the screening is told to stop with it, and may hang in a name server: it is not waited for longer.
SIDE_STOP_S = 2.0


def run_worker(services: Services, *, stop: threading.Event) -> None:
    """Screen submissions until `stop` is set; then end within a second or two.

    The decoding at hand is killed and its job given back uncounted. Beside it, events are sent, counts stored,
    and what is past its age is removed. While it runs, `services.engine.has_live_worker()` holds.
    """

    def handle(lease: Lease) -> None:
        screen_submission(lease.submission_id, services, lease=lease)

    totals = Totals(services.meter, services.storage)
    with _beside(stop, Courier(services.storage, services.config).run, totals.run, Sweeper(services).run):
        services.engine.run(handle, worker=worker_id(), stop=stop)


@contextmanager
def _beside(stop: threading.Event, *loops: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run loops in threads of their own, and end them with the block."""
    threads = [threading.Thread(target=loop, args=(stop,), daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        end = time.monotonic() + SIDE_STOP_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def worker_id() -> str:
    """Return a name that no other worker has: machine, process, and four random bytes against reused numbers."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"
