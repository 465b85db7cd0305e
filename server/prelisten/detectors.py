"""Which browser detectors are accepted: the bundle's own, and those that were served here not long ago.

A page that stays open across a deployment still runs the detector that it loaded. Its claim is sealed and its token
counts for `detector_days` after that detector was last served; later it is `unknown_detector`, and the recording is
screened as one without a hint. What was served is remembered in a small file of the data folder, which every process
of the site reads again when another one has changed it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prelisten.logs import logger

FILE_NAME = "detectors.json"
DAY_S = 86_400.0
# A challenge lists them all, and has room for so many; the ones that were served last are kept.
MAX_REMEMBERED = 8
_NAME, _SHA256 = re.compile(r"[A-Za-z0-9_.:+-]{1,64}"), re.compile(r"[0-9a-f]{64}")

Detector = tuple[str, str]
log = logger(__name__)


class AcceptedDetectors(Collection[Detector]):
    """The accepted detectors as (id, SHA-256 of the archive), the bundle's own first. Safe for threads."""

    def __init__(
        self, own: Detector, folder: Path, *, days: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Write down that `own` is served from now on, and that another one was served until now.

        A folder that takes no file keeps nobody from starting: the log says what that means.
        """
        self.own = own
        self._path = folder / FILE_NAME
        self._days = days
        self._clock = clock
        self._lock = threading.Lock()
        self._read_as: tuple[int, int] | None = None
        self._current: Detector | None = None
        self._served: dict[Detector, float] = {}
        try:
            with self._alone():
                self._begin_to_serve()
        except OSError as error:
            log.warning("the next release will not know this detector", path=FILE_NAME, problem=str(error))

    def __contains__(self, detector: object) -> bool:
        return detector in self._accepted()

    def __iter__(self) -> Iterator[Detector]:
        return iter(self._accepted())

    def __len__(self) -> int:
        return len(self._accepted())

    def _accepted(self) -> list[Detector]:
        """Return what is accepted now; a file that cannot be read any more changes nothing."""
        with self._lock:
            self._look_again()
            oldest = self._clock() - self._days * DAY_S
            others = [
                one
                for one, last in _latest_first(self._served)
                if one != self.own and (last >= oldest or one == self._current)
            ]
        return [self.own, *others[: MAX_REMEMBERED - 1]]

    def _look_again(self) -> None:
        with suppress(OSError):
            now = self._path.stat()
            if (now.st_mtime_ns, now.st_ino) != self._read_as:
                self._current, self._served = _read(self._path)
                self._read_as = (now.st_mtime_ns, now.st_ino)

    def _begin_to_serve(self) -> None:
        """Note the change of a deployment: what was served before this process began, was served until now."""
        now = self._clock()
        current, served = _read(self._path)
        if current is not None and current != self.own:
            served[current] = now
        served[self.own] = now
        kept = dict(_latest_first(served)[:MAX_REMEMBERED])
        entries = [{"id": name, "sha256": sum_, "served_at": at} for (name, sum_), at in kept.items()]
        text = json.dumps({"current": list(self.own), "served": entries}, indent=1) + "\n"
        temporary = self._path.with_name(f".{FILE_NAME}.{secrets.token_hex(4)}")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes that start now from writing at the same time."""
        descriptor = os.open(self._path.with_name(f".{FILE_NAME}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _latest_first(served: dict[Detector, float]) -> list[tuple[Detector, float]]:
    return sorted(served.items(), key=lambda entry: -entry[1])


def _read(path: Path) -> tuple[Detector | None, dict[Detector, float]]:
    """Return what is served and when each was served last; a file that is none of ours counts as empty."""
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        served = {(str(one["id"]), str(one["sha256"])): float(one["served_at"]) for one in stored["served"]}
        name, sum_ = stored["current"]
        current = (str(name), str(sum_))
    except FileNotFoundError:
        return None, {}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("a file is none of ours and was not used", path=path.name, problem=repr(error)[:200])
        return None, {}
    return current, {one: at for one, at in served.items() if _is_detector(one) and at == at}


def _is_detector(detector: Detector) -> bool:
    return bool(_NAME.fullmatch(detector[0]) and _SHA256.fullmatch(detector[1]))
