"""Blobs: whole or not there, and a failing disk says so."""

from __future__ import annotations

import hashlib
import resource
import signal
from pathlib import Path

import pytest

from prelisten.errors import NotFoundError, StorageError
from prelisten.storage.blobs import Blobs

CONTENT = b"a recording"
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def test_file_is_moved_to_its_hash(blobs: Blobs, tmp_path: Path) -> None:
    """The file leaves where it was and lies under the first four digits of its hash."""
    source = tmp_path / "quarantined"
    source.write_bytes(CONTENT)
    blobs.put_file(source, SHA)
    assert blobs.path(SHA) == tmp_path / "blobs" / SHA[:2] / SHA[2:4] / SHA
    with blobs.open(SHA) as file:
        assert (file.read(), source.exists()) == (CONTENT, False)


def test_same_bytes_are_stored_once(blobs: Blobs) -> None:
    """Storing again changes nothing."""
    assert (blobs.put_bytes(CONTENT), blobs.put_bytes(CONTENT)) == (SHA, SHA)
    assert [path.name for path in blobs.root.rglob("*") if path.is_file()] == [SHA]


def test_missing_blob_is_named(blobs: Blobs) -> None:
    """What is not stored is not found; nothing is made on the way."""
    assert not blobs.exists(SHA)
    with pytest.raises(NotFoundError, match=SHA):
        blobs.open(SHA)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "a" * 63, "", "a" * 64 + "\n", "/" * 64])
def test_only_a_hash_names_a_blob(blobs: Blobs, name: str) -> None:
    """No text from outside can lead out of the folder."""
    with pytest.raises(NotFoundError):
        blobs.path(name)


def test_unwritable_folder_is_a_storage_error_and_keeps_the_source(tmp_path: Path) -> None:
    """Where the folder cannot be made, the quarantined file stays as it was."""
    (tmp_path / "blobs").write_text("a file where the folder should be")
    source = tmp_path / "quarantined"
    source.write_bytes(CONTENT)
    with pytest.raises(StorageError, match="disk"):
        Blobs(tmp_path / "blobs").put_file(source, SHA)
    assert source.read_bytes() == CONTENT


def test_full_disk_leaves_no_half_blob(blobs: Blobs) -> None:
    """A file that may not grow is a storage error, and nothing of it is left."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StorageError, match="disk"):
            blobs.put_bytes(b"x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path for path in blobs.root.rglob("*") if path.is_file()] == []


def test_removed_blob_is_gone_and_may_be_removed_again(blobs: Blobs) -> None:
    """Removing is idempotent."""
    blobs.put_bytes(CONTENT)
    blobs.remove(SHA)
    blobs.remove(SHA)
    assert not blobs.exists(SHA)
