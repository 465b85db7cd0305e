"""What goes by age: each thing that is stored has a time after which nobody needs it.

Every screening process asks now and then whether a sweep is due; one of them gets it. A sweep does a little at a
time, so that it never holds the database for long, and ends in the middle when it is told to.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prelisten.errors import StorageError
from prelisten.hints.store import RECORD_GRACE_S
from prelisten.outbox import messages
from prelisten.pipeline import Services
from prelisten.privacy import erase, remove_unneeded
from prelisten.storage.blobs import remove_leftovers

log = logging.getLogger(__name__)

# Ended jobs say nothing that the decision does not; the day is for whoever looks into one.
ENDED_JOB_AGE_S = 86_400.0
# Longer than the longest upload or decoding: a younger file may still be in somebody's hands.
LEFTOVER_AGE_S = 3_600.0
LEFTOVER_FOLDERS = ("quarantine", "blobs/unfinished")
BATCH = 100
ASK_EVERY_S = 30.0
SWEEP_EVERY_S, ORPHANS_EVERY_S = 3_600.0, 86_400.0


def sweep(
    services: Services,
    *,
    now: datetime | None = None,
    stop: threading.Event | None = None,
    with_orphans: bool = True,
) -> Counter[str]:
    """Remove everything that is past its age; return how many of each kind.

    1. Recordings of closed submissions (decided, and no case open) past `keep_recordings_days`; their rows stay.
    2. Closed submissions past `erase_after_days`: all of them, as by request.
    3. Tokens that nobody could use again, ended jobs, events past `keep_events_days`.
    4. Half-written files, and blobs that no submission names.

    Raises `StorageError`; what was removed until then stays removed.
    """
    now, stop, config, gone = (
        now or datetime.now(UTC),
        stop or threading.Event(),
        services.config,
        Counter[str](),
    )
    if config.keep_recordings_days:  # 1
        before = now - timedelta(days=config.keep_recordings_days)
        gone["recordings"] = _remove_recordings(services, before, now, stop)
    if config.erase_after_days:  # 2
        before = now - timedelta(days=config.erase_after_days)
        gone["submissions"] = _erase_old(services, before, stop)
        if gone["submissions"]:
            services.storage.scrub()
    with services.storage.transaction() as tx:  # 3
        gone["tokens"] = tx.forget_tokens(int(now.timestamp()) - RECORD_GRACE_S)
        gone["jobs"] = services.engine.forget_ended(tx, now - timedelta(seconds=ENDED_JOB_AGE_S))
        gone["events"] = messages.forget(tx, now - timedelta(days=config.keep_events_days))
    for folder in LEFTOVER_FOLDERS:  # 4
        gone["leftovers"] += remove_leftovers(config.data / folder, older_than_s=LEFTOVER_AGE_S)
    if with_orphans:
        gone["orphans"] = _remove_orphans(services, stop)
    return gone


def _remove_recordings(services: Services, before: datetime, now: datetime, stop: threading.Event) -> int:
    """Remove the bytes of old recordings, batch by batch; the submissions stay, and say when that was."""
    count = 0
    while not stop.is_set():
        with services.storage.transaction() as tx:
            old = tx.old_submissions(before, limit=BATCH, with_recording=True)
            blobs = tx.let_recordings_go(old, now)
        remove_unneeded(blobs, services)
        count += len(old)
        if len(old) < BATCH:
            break
    return count


def _erase_old(services: Services, before: datetime, stop: threading.Event) -> int:
    count = 0
    while not stop.is_set():
        with services.storage.read() as tx:
            old = tx.old_submissions(before, limit=BATCH)
        for submission_id in old:
            if stop.is_set():
                return count
            count += erase(submission_id, services, because="age", is_last=False)
        if len(old) < BATCH:
            break
    return count


def _remove_orphans(services: Services, stop: threading.Event) -> int:
    """Remove blobs that no submission names: left by a process that died between the disk and the database."""
    oldest, count = time.time() - LEFTOVER_AGE_S, 0
    for first in sorted(services.blobs.root.glob("[0-9a-f][0-9a-f]")):
        if stop.is_set():
            break
        with services.storage.read() as tx:
            needed = tx.stored_blobs(first.name)
        count += remove_unneeded(
            (path.name for path in first.glob("*/*") if path.name not in needed and _is_older(path, oldest)),
            services,
        )
    return count


def _is_older(path: Path, oldest: float) -> bool:
    """Tell whether the file came to its place before `oldest`; the rename there changes its inode, not its content."""
    with contextlib.suppress(OSError):
        return path.stat().st_ctime < oldest
    return False


class Sweeper:
    """Sweeps when it is due, for all processes of a site together."""

    def __init__(
        self, services: Services, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._services = services
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Sweep now and then until `stop` is set. A failing disk or database delays it."""
        while not stop.wait(ASK_EVERY_S):
            try:
                self.sweep_when_due(stop)
            except StorageError as error:
                log.warning("the sweep waits for the storage: %s", error)
            except Exception:
                # The last line of defence: a fault here must not leave everything stored for ever.
                log.exception("the sweep failed")

    def sweep_when_due(self, stop: threading.Event) -> Counter[str]:
        """Sweep when it is this process's turn; return what was removed."""
        now = self._clock()
        with self._services.storage.transaction() as tx:
            is_due = tx.take_chore("sweep", now, every=timedelta(seconds=SWEEP_EVERY_S))
            with_orphans = is_due and tx.take_chore("orphans", now, every=timedelta(seconds=ORPHANS_EVERY_S))
        if not is_due:
            return Counter()
        gone = sweep(self._services, now=now, stop=stop, with_orphans=with_orphans)
        if any(gone.values()):
            log.info("swept: %s", ", ".join(f"{count} {kind}" for kind, count in gone.items() if count))
        return gone
