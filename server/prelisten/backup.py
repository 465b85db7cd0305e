"""Back a site up while it runs, and restore it somewhere else: one folder, every byte of it checked by its sum.

The database is copied first, by SQLite's own online copy: one consistent moment, and no writer waits. Then the blobs
that this copy names are copied: they were on the disk before the rows that name them, so all of them are there, but
for those that were erased meanwhile. The manifest is written last: a folder without one is no backup.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from prelisten.config import Config
from prelisten.errors import BadRequestError, NotFoundError, StorageError
from prelisten.keys import FILE_NAME as KEY_FILE
from prelisten.keys import Keys, key_file
from prelisten.storage.blobs import Blobs, DamagedBlobError, flush_to_disk
from prelisten.storage.sql import SqlStorage, known_revisions, open_existing, open_storage, revision_of

MANIFEST = "manifest.json"
DATABASE = "prelisten.sqlite3"
FORMAT = 1
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, and which blobs that its database names it does not hold.

    `gone`: erased, or past their age, while the backup was made. `lost`: damaged or missing on the site itself.
    """

    made_at: str
    revision: str
    database_sha256: str
    blobs: int
    blob_bytes: int
    gone: tuple[str, ...]
    lost: tuple[str, ...]
    has_keys: bool
    format: int = FORMAT

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a backup's manifest. Raises `BadRequestError` for what is no whole backup of a format known here."""
        try:
            fields: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            manifest = cls(**{**fields, "gone": tuple(fields["gone"]), "lost": tuple(fields["lost"])})
        except FileNotFoundError as error:
            raise BadRequestError(
                f"{folder} holds no {MANIFEST}: it is no backup, or one that was not finished."
            ) from error
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise BadRequestError(f"The {MANIFEST} in {folder} cannot be read ({error!r}).") from error
        if manifest.format != FORMAT:
            raise BadRequestError(
                f"The backup has format {manifest.format!r}; this version reads {FORMAT}. Use a newer one."
            )
        return manifest


def back_up(config: Config, target: Path, *, with_keys: bool = False) -> Manifest:
    """Write a backup of a running site into `target`, a folder that is not there yet or empty.

    The signing keys go along only when asked: who has them can sign hints and sessions. Raises `StorageError` when the
    disk does not take it (what was written is removed) and `BadRequestError` for a folder that holds something.
    """
    _require_empty(target)
    was_there = target.is_dir()
    try:
        with _disk_errors(target):
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            target.chmod(0o700)
            return _write(config, target, with_keys=with_keys)
    except BaseException:
        _clear(target, keep_folder=was_there)
        raise


def _write(config: Config, target: Path, *, with_keys: bool) -> Manifest:
    source, copy = _database_of(config), target / DATABASE
    live = open_existing(config.database_url)
    try:
        with (
            contextlib.closing(sqlite3.connect(source)) as reading,
            contextlib.closing(sqlite3.connect(copy)) as writing,
        ):
            reading.backup(writing)
        copied = open_existing(f"sqlite:///{copy}")
        try:
            revision = revision_of(copied)
            count, size, gone, lost = _copy_blobs(
                copied, live, Blobs(config.data / "blobs"), Blobs(target / "blobs")
            )
        finally:
            copied.close()
    finally:
        live.close()
    _make_one_file(copy)
    if with_keys:
        _copy_keys(config, target / KEY_FILE)
    manifest = Manifest(
        made_at=datetime.now(UTC).isoformat(),
        revision=revision,
        database_sha256=_sha256(copy),
        blobs=count,
        blob_bytes=size,
        gone=gone,
        lost=lost,
        has_keys=with_keys,
    )
    os.sync()  # Everything but the manifest is on the disk before the manifest says so.
    _write_private(target / MANIFEST, json.dumps(asdict(manifest), indent=2) + "\n")
    flush_to_disk(target)
    return manifest


def _copy_blobs(
    copied: SqlStorage, live: SqlStorage, source: Blobs, target: Blobs
) -> tuple[int, int, tuple[str, ...], tuple[str, ...]]:
    """Copy every blob that the copied database needs; return their number, bytes, what went meanwhile and was lost."""
    count, size = 0, 0
    gone: list[str] = []
    lost: list[str] = []
    for sha256 in _needed(copied):
        try:
            size += _copy_blob(source, target, sha256)
            count += 1
        except (NotFoundError, DamagedBlobError):
            with live.read() as tx:
                (lost if tx.is_stored(sha256) else gone).append(sha256)
    return count, size, tuple(gone), tuple(lost)


def _copy_blob(source: Blobs, target: Blobs, sha256: str) -> int:
    """Copy one blob and return its size. Raises `NotFoundError`, `DamagedBlobError`."""
    digest, size = hashlib.sha256(), 0
    with source.open(sha256) as reading, target.new_file() as path:
        with path.open("wb") as writing:
            while block := reading.read(BLOCK_BYTES):
                digest.update(block)
                size += writing.write(block)
        if digest.hexdigest() != sha256:
            raise DamagedBlobError(sha256)
        place = target.path(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    return size


def restore(source: Path, data: Path) -> Manifest:
    """Restore a backup into the data folder, which is not there yet or empty; return what it held.

    1. The manifest is there, and this version knows the database's revision.
    2. Everything is copied beside the folder, each file compared with its sum, the database brought to this version.
    3. Every blob that the database needs is there.
    4. Only then does the folder get its name: a restore that fails leaves nothing.

    Raises `BadRequestError` for a folder that is in use or what is no whole backup, `StorageError` for the disk.
    """
    _require_empty(data)
    manifest = Manifest.read(source)  # 1
    if manifest.revision not in known_revisions():
        raise BadRequestError(
            f"The backup's database is at revision {manifest.revision}, which this version does not know. "
            "Restore it with the version that made it, or a newer one."
        )
    unfinished = data.with_name(f".{data.name}.{secrets.token_hex(4)}")
    try:
        with _disk_errors(data):
            unfinished.mkdir(parents=True, mode=0o700)
            _read_back(source, unfinished, manifest)
            os.sync()
            if data.is_dir():
                data.rmdir()
            os.replace(unfinished, data)  # 4
            flush_to_disk(data.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _read_back(source: Path, target: Path, manifest: Manifest) -> None:
    """Copy and check everything (steps 2 and 3)."""
    database, copy = source / DATABASE, target / DATABASE
    shutil.copyfile(database, copy)
    copy.chmod(0o600)
    if _sha256(copy) != manifest.database_sha256:
        raise BadRequestError(f"{database} is not the database that was backed up: its sum differs.")
    if manifest.has_keys:
        _restore_keys(source / KEY_FILE, target / KEY_FILE)
    storage = open_storage(f"sqlite:///{copy}")
    try:
        absent = {*manifest.gone, *manifest.lost}
        for sha256 in _needed(storage):
            if sha256 not in absent:
                _copy_back(Blobs(source / "blobs"), Blobs(target / "blobs"), sha256)
    finally:
        storage.close()


def _copy_back(source: Blobs, target: Blobs, sha256: str) -> None:
    """Copy one blob back. Raises `BadRequestError` when the backup does not hold it whole."""
    try:
        _copy_blob(source, target, sha256)
    except DamagedBlobError as error:
        raise BadRequestError(f"{source.path(sha256)} is damaged: its bytes have another sum.") from error
    except NotFoundError as error:
        raise BadRequestError(f"{source.path(sha256)} is missing from the backup.") from error


def _needed(storage: SqlStorage) -> Iterator[str]:
    """Yield the names of all blobs that a database needs, a small part of them in memory at a time."""
    for first in range(256):
        with storage.read() as tx:
            names = tx.stored_blobs(f"{first:02x}")
        yield from sorted(names)


def _make_one_file(database: Path) -> None:
    """Bring the copy out of its journal, so that the one file is all of it, and let SQLite look it through."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        (word,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if word != "ok":
        raise StorageError(f"The copy of the database is not sound ({word}).")
    database.chmod(0o600)


def _database_of(config: Config) -> Path:
    url = make_url(config.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise BadRequestError("This backs SQLite up; a database server has its own tool (`pg_dump`).")
    return Path(url.database)


def _copy_keys(config: Config, target: Path) -> None:
    """Write the keys in use, from the setting or the file."""
    text = config.keys or key_file(config).read_text(encoding="utf-8")
    _write_private(target, Keys.from_json(text, source="The site's keys").to_json())


def _restore_keys(source: Path, target: Path) -> None:
    text = source.read_text(encoding="utf-8")
    _write_private(target, Keys.from_json(text, source=str(source)).to_json())


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_empty(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BadRequestError(f"{folder} is there and not empty; nothing was changed. Name a new folder.")


def _clear(folder: Path, *, keep_folder: bool) -> None:
    """Take away what a failed backup wrote into a folder that was empty before."""
    if not keep_folder:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{folder} cannot be written, or its source read ({error}).") from error
