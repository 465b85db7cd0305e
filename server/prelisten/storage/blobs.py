"""Bytes by their SHA-256, in a local folder: `ab/cd/<sha256>`. A name is only ever there with all its bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from prelisten.errors import NotFoundError, PrelistenError, StorageError

_SHA256 = re.compile(r"[0-9a-f]{64}")


class DamagedBlobError(PrelistenError):
    """What lies under a name is not what was stored: a disk that fails, or somebody changed it."""

    code = "blob_damaged"

    def __init__(self, sha256: str) -> None:
        """Keep the name."""
        super().__init__(f"The blob {sha256} is damaged: its bytes are not those that were stored.")
        self.sha256 = sha256


class Blobs:
    """A folder of blobs. Every write goes to a temporary file, is flushed to the disk, and is then renamed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._unfinished = root / "unfinished"

    def path(self, sha256: str) -> Path:
        """Return where the blob lies or would lie. Raises `NotFoundError` for what is no SHA-256."""
        if not _SHA256.fullmatch(sha256):
            raise NotFoundError(f"got the blob name {sha256[:80]!r}, expected 64 hexadecimal digits")
        return self.root / sha256[:2] / sha256[2:4] / sha256

    def exists(self, sha256: str) -> bool:
        """Return whether the blob is there, whole."""
        return self.path(sha256).is_file()

    def open(self, sha256: str) -> BinaryIO:
        """Open the blob for reading. Raises `NotFoundError` when it is not there."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"The blob {sha256} is not stored.") from error

    def check(self, sha256: str) -> None:
        """Read the blob through and compare it with its name.

        Raises `NotFoundError` when it is not there, `DamagedBlobError` when it holds other bytes or cannot be read
        any more, `StorageError` when the folder of blobs is not there at all: then it is away, not this blob.
        """
        try:
            with self.path(sha256).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            if not self.root.is_dir():
                raise StorageError(f"The folder {self.root} is not there; is its disk mounted?") from error
            raise NotFoundError(f"The blob {sha256} is not stored.") from error
        except OSError as error:
            if error.errno == errno.EIO:
                raise DamagedBlobError(sha256) from error
            raise StorageError(f"The blob {sha256} cannot be read ({error}).") from error
        if found != sha256:
            raise DamagedBlobError(sha256)

    def put_file(self, path: Path, sha256: str) -> None:
        """Move the file at `path`, whose SHA-256 the caller has computed, to its place.

        The file must lie on the same file system (quarantine and blobs share the data folder). Raises
        `StorageError`; then `path` is as it was.
        """
        with _as_storage_error():
            target = self.path(sha256)
            flush_to_disk(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
            for folder in (target.parent, target.parent.parent, self.root):
                flush_to_disk(folder)

    def put_bytes(self, content: bytes) -> str:
        """Store `content` and return its SHA-256. Raises `StorageError`."""
        with self.new_file() as path:
            path.write_bytes(content)
            return self.put_hashed(path)

    def put_hashed(self, path: Path) -> str:
        """Move the file at `path` to its place, by the SHA-256 computed here, and return that."""
        with _as_storage_error(), path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.put_file(path, sha256)
        return sha256

    def remove(self, sha256: str) -> None:
        """Remove the blob if it is there; the caller knows that nothing refers to it."""
        with _as_storage_error():
            self.path(sha256).unlink(missing_ok=True)

    @contextlib.contextmanager
    def new_file(self) -> Iterator[Path]:
        """Give the path of a new file on the blobs' file system; what is left of it at the end is removed."""
        path = self._unfinished / secrets.token_hex(16)
        try:
            with _as_storage_error():
                self._unfinished.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600, exist_ok=False)
                yield path
        finally:
            with contextlib.suppress(OSError):  # The failure that led here matters more than this one.
                path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, *, older_than_s: float) -> int:
    """Remove what a killed process left half-written; what is younger may still be in somebody's hands."""
    oldest, count = time.time() - older_than_s, 0
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
                count += 1
    return count


def flush_to_disk(path: Path) -> None:
    """Wait until the file or folder is on the disk: a rename alone does not survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _as_storage_error() -> Iterator[None]:
    """Turn what the disk says (full, read-only, gone) into a `StorageError` that keeps the cause."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"The disk failed ({error}). Nothing was stored; try again in a while.") from error
