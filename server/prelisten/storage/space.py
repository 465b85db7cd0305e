"""Room on the disk: an upload that would not fit is refused before its body is read."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from prelisten.config import Config
from prelisten.errors import DiskFullError, StorageError

# Counting every blob takes seconds on a large site. Between two counts, what is admitted is added up.
COUNTED_EVERY_S = 60.0


class Space:
    """The room that one data folder has. Safe for threads; several processes each count for themselves."""

    def __init__(self, config: Config) -> None:
        self._folder = config.data
        self._max_bytes = config.max_data_bytes
        self._min_free_bytes = config.min_free_bytes
        self._lock = threading.Lock()
        self._used = 0
        self._counted_at = float("-inf")

    def require(self, size_bytes: int) -> None:
        """Return when an upload of this size may come. Raises `DiskFullError`.

        The limit on the folder is kept to within what is decoded, and what other processes admit, in a minute.
        Raises `StorageError` when the folder is away.
        """
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise StorageError(
                f"The data folder cannot be reached ({error}); try again in a while."
            ) from error
        if free - size_bytes < self._min_free_bytes:
            raise DiskFullError
        if not self._max_bytes:
            return
        self._count_in_time()
        with self._lock:
            if self._used + size_bytes > self._max_bytes:
                raise DiskFullError
            self._used += size_bytes

    def _count_in_time(self) -> None:
        """Count at the first time; afterwards beside the requests, of which none has to wait for it."""
        with self._lock:
            now, is_first = time.monotonic(), self._counted_at == float("-inf")
            if now - self._counted_at < COUNTED_EVERY_S:
                return
            self._counted_at = now
            if is_first:
                self._used = folder_bytes(self._folder)
                return
        threading.Thread(target=self._count, name="prelisten-space", daemon=True).start()

    def _count(self) -> None:
        used = folder_bytes(self._folder)
        with self._lock:
            self._used = used


def folder_bytes(folder: Path) -> int:
    """Return how many bytes the files in and below the folder take; what vanishes meanwhile takes none."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total
