"""Keep screening processes running: one set for each data folder, by a lock that ends with its holder."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from prelisten.config import Config

STOP_S = 5.0
# Names the process that a child must not outlive. No setting of ours: it is about one start, not about a site.
SUPERVISOR = "SUPERVISOR_PID"
# A process that dies at once is not started in a circle: the pause doubles up to this many seconds.
MAX_PAUSE_S = 30.0


class Child:
    """One child process that is started again when it ends, with growing pauses."""

    def __init__(self, arguments: Sequence[str], environ: dict[str, str]) -> None:
        self.arguments = list(arguments)
        self._environ = environ
        self._pause_s = 0.5
        self._start_at = 0.0
        self.running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process in a session of its own, so that a Ctrl-C reaches it through us alone."""
        self.running = subprocess.Popen(self.arguments, env=self._environ, start_new_session=True)
        self._started_at = time.monotonic()

    def keep(self) -> None:
        """Start it when it has ended and its pause is over."""
        if self.running is not None and self.running.poll() is None:
            return
        now = time.monotonic()
        if self.running is not None:
            lived_s = now - self._started_at
            self._pause_s = 0.5 if lived_s > 60 else min(self._pause_s * 2, MAX_PAUSE_S)
            self.running, self._start_at = None, now + self._pause_s
        if now >= self._start_at:
            self.start()


def stop(children: Sequence[Child], *, within_s: float = STOP_S) -> None:
    """Ask every child to end (TERM), wait for all of them together, then end those that did not."""
    running = [child.running for child in children if child.running is not None]
    for process in running:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + within_s
    for process in running:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environ_for(config: Config) -> dict[str, str]:
    """Return this process's environment with every setting spelt out, for a child to read."""
    return dict(os.environ) | config.to_environ() | {SUPERVISOR: str(os.getpid())}


class WorkerSet:
    """The screening processes of one data folder."""

    def __init__(self, config: Config) -> None:
        self._lock_path = Path(config.data) / "workers.lock"
        self._lock: IO[str] | None = None
        command = [sys.executable, "-m", "prelisten.cli", "worker"]
        self.children = [Child(command, environ_for(config)) for _ in range(config.workers)]

    def keep(self) -> bool:
        """Start what is missing. Returns `False` when another process of this data folder does so already."""
        if not self._acquire():
            return False
        for child in self.children:
            child.keep()
        return True

    def stop(self) -> None:
        """End the processes and give the lock back."""
        stop(self.children)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _acquire(self) -> bool:
        if self._lock is not None:
            return True
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock_path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True


def end_with_parent(ended: threading.Event) -> None:
    """Set `ended` when the process that started this one is gone, so that no orphan goes on working.

    The starter has left its number in the environment, since it may be gone before this line is reached. Watched
    by polling: the kernel's own notice (`PR_SET_PDEATHSIG`) is tied to the thread that started us. Without a
    number (`prelisten worker`, typed by hand) nothing is watched.
    """
    parent = os.environ.get(SUPERVISOR)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent) and not ended.wait(1.0):
            pass
        ended.set()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
