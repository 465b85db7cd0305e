"""Bytes by their SHA-256, in a local folder: `ab/cd/<sha256>`. A name is only ever there with all its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from prelisten.errors import NotFoundError, StorageError

_SHA256 = re.compile(r"[0-9a-f]{64}")


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
