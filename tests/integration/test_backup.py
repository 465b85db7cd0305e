"""Back up while uploads run, restore elsewhere, and never half: every byte is what it was."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prelisten import backup
from prelisten.backup import MANIFEST, Manifest, back_up, restore
from prelisten.cli import main
from prelisten.errors import BadRequestError, PrelistenError, StorageError
from prelisten.pipeline import Services, receive, wait_for_decision
from prelisten.privacy import erase
from prelisten.storage.blobs import Blobs
from prelisten.worker import run_worker
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined, screened

CONTENTS = [wav_bytes(speech_like(2.0, seed=seed)) for seed in range(6)]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path / "site")
    yield made
    made.storage.close()


def tables_of(folder: Path) -> dict[str, list]:
    """Return every row of a data folder's database, but for what changes by itself."""
    with sqlite3.connect(f"file:{folder}/prelisten.sqlite3?mode=ro", uri=True) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: sorted(map(repr, database.execute(f'SELECT * FROM "{name}"'))) for name in names}
    database.close()
    return {name: found for name, found in rows.items() if name not in ("workers", "chores", "metrics")}


def blobs_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "blobs").rglob("*") if path.is_file()}


def test_backup_comes_back_as_it_was(services: Services, tmp_path: Path) -> None:
    """Rows and bytes are equal, nothing else is there, nobody else may read it, and it works on."""
    for content in CONTENTS[:3]:
        screened(services, content)
    waiting, _ = receive(quarantined(services, CONTENTS[3]), services)
    manifest = back_up(services.config, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again")
    assert tables_of(tmp_path / "again") == tables_of(services.config.data)
    assert blobs_of(tmp_path / "again") == blobs_of(services.config.data)
    assert (manifest.blobs, manifest.lost, manifest.gone) == (7, (), ())
    assert not list((tmp_path / "backup").glob("*.sqlite3-*"))
    for path in (tmp_path / "backup", tmp_path / "again"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    (tmp_path / "again" / "keys.json").write_bytes((services.config.data / "keys.json").read_bytes())
    again = make_services(tmp_path / "again")
    lease = again.engine.claim("w")
    assert lease.submission_id == waiting.id
    again.storage.close()


def test_backup_while_uploads_and_screening_run_is_of_one_moment(services: Services, tmp_path: Path) -> None:
    """Five backups beside four senders and a worker: each restores whole, with every recording that it names."""
    stop = threading.Event()

    def keep_sending(number: int) -> None:
        while not stop.is_set():
            receive(quarantined(services, CONTENTS[number]), services)
            stop.wait(0.02)

    worker = threading.Thread(target=run_worker, args=(services,), kwargs={"stop": stop})
    worker.start()
    with ThreadPoolExecutor(4) as senders:
        running = [senders.submit(keep_sending, number) for number in range(4)]
        try:
            manifests = [back_up(services.config, tmp_path / f"backup{number}") for number in range(5)]
        finally:
            stop.set()
    worker.join()
    assert [one.exception() for one in running] == [None] * 4
    counts = []
    for number, manifest in enumerate(manifests):
        folder = tmp_path / f"again{number}"
        restore(tmp_path / f"backup{number}", folder)
        rows = tables_of(folder)
        counts.append(len(rows["submissions"]))
        assert len(rows["submissions"]) == len(rows["jobs"])
        assert len(rows["decisions"]) == len([row for row in rows["jobs"] if "'done'" in row])
        assert manifest.lost == ()
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_erased_while_the_backup_runs_is_no_loss(services: Services, tmp_path: Path, monkeypatch) -> None:
    """Its row is in the copy, its bytes are not; the backup says so and restores."""
    submission, _ = screened(services, CONTENTS[0])
    real = backup._copy_blobs

    def erase_first(*arguments):
        erase(submission.id, services)
        return real(*arguments)

    monkeypatch.setattr(backup, "_copy_blobs", erase_first)
    manifest = back_up(services.config, tmp_path / "backup")
    assert (len(manifest.gone), manifest.lost, manifest.blobs) == (2, (), 0)
    restore(tmp_path / "backup", tmp_path / "again")
    assert blobs_of(tmp_path / "again") == {}


def test_recording_that_the_site_lost_is_named(services: Services, tmp_path: Path, capsys) -> None:
    """Nothing worse is hidden by a backup that seems whole: exit status 1, and which one it is."""
    submission, _ = screened(services, CONTENTS[0])
    path = services.blobs.path(submission.sha256)
    path.write_bytes(path.read_bytes()[:-1])
    data = ["--data", str(services.config.data)]
    assert main(["backup", *data, str(tmp_path / "backup")]) == 1
    assert submission.sha256 in capsys.readouterr().out
    assert main(["restore", "--data", str(tmp_path / "again"), str(tmp_path / "backup")]) == 1
    assert submission.sha256 in capsys.readouterr().out


def test_keys_go_along_only_when_asked(services: Services, tmp_path: Path, capsys) -> None:
    """Who has them can sign; the command says what to do without."""
    data = ["--data", str(services.config.data)]
    assert main(["backup", *data, str(tmp_path / "without")]) == 0
    assert "not in it" in capsys.readouterr().out
    assert not (tmp_path / "without" / "keys.json").exists()
    assert main(["backup", *data, "--with-keys", str(tmp_path / "with")]) == 0
    assert main(["restore", "--data", str(tmp_path / "again"), str(tmp_path / "with")]) == 0
    restored = tmp_path / "again" / "keys.json"
    assert restored.read_bytes() == (services.config.data / "keys.json").read_bytes()
    assert stat.S_IMODE(restored.stat().st_mode) == 0o600


def in_use(backup: Path, target: Path) -> None:
    target.mkdir()
    (target / "mine").write_text("x")


def without_manifest(backup: Path, target: Path) -> None:
    (backup / MANIFEST).unlink()


def unreadable_manifest(backup: Path, target: Path) -> None:
    (backup / MANIFEST).write_text("{")


def of_a_later_format(backup: Path, target: Path) -> None:
    change_manifest(backup, format=2)


def of_a_later_version(backup: Path, target: Path) -> None:
    change_manifest(backup, revision="9999")


def change_manifest(backup: Path, **fields) -> None:
    path = backup / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def changed_database(backup: Path, target: Path) -> None:
    flip(backup / "prelisten.sqlite3")


def changed_blob(backup: Path, target: Path) -> None:
    flip(next(path for path in (backup / "blobs").rglob("*") if path.is_file()))


def missing_blob(backup: Path, target: Path) -> None:
    next(path for path in (backup / "blobs").rglob("*") if path.is_file()).unlink()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (in_use, "not empty"),
        (without_manifest, "not finished"),
        (unreadable_manifest, "cannot be read"),
        (of_a_later_format, "format 2"),
        (of_a_later_version, "newer one"),
        (changed_database, "sum differs"),
        (changed_blob, "damaged"),
        (missing_blob, "missing"),
    ],
)
def test_backup_that_is_not_whole_restores_nothing(
    services: Services, tmp_path: Path, spoil, said: str
) -> None:
    """The reason is said, and no half site is left that somebody might start."""
    screened(services, CONTENTS[0])
    back_up(services.config, tmp_path / "backup")
    spoil(tmp_path / "backup", tmp_path / "again")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(BadRequestError, match=said):
        restore(tmp_path / "backup", tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_failed_backup_leaves_nothing(services: Services, tmp_path: Path, monkeypatch) -> None:
    """A disk that fills up in the middle: no folder that looks like a backup."""
    screened(services, CONTENTS[0])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prelisten.backup._copy_blob", full)
    with pytest.raises(StorageError, match="No space"):
        back_up(services.config, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_backup_never_writes_into_a_folder_in_use(services: Services, tmp_path: Path) -> None:
    """Neither somebody's files nor an earlier backup are touched."""
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "mine").write_text("x")
    with pytest.raises(PrelistenError, match="not empty"):
        back_up(services.config, tmp_path / "backup")
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["mine"]


def test_backup_of_no_site_makes_none(tmp_path: Path) -> None:
    """A typing error in the data folder's name is one sentence."""
    assert main(["backup", "--data", str(tmp_path / "nowhere"), str(tmp_path / "backup")]) == 2
    assert not (tmp_path / "backup").exists()
    assert not (tmp_path / "nowhere").exists()


def test_restored_site_goes_on_screening(services: Services, tmp_path: Path) -> None:
    """What waited when the backup was made is decided where it is restored."""
    waiting, _ = receive(quarantined(services, CONTENTS[4]), services)
    back_up(services.config, tmp_path / "backup", with_keys=True)
    restore(tmp_path / "backup", tmp_path / "again")
    again, stop = make_services(tmp_path / "again"), threading.Event()
    worker = threading.Thread(target=run_worker, args=(again,), kwargs={"stop": stop})
    worker.start()
    try:
        assert wait_for_decision(waiting.id, again, 30) is not None
    finally:
        stop.set()
        worker.join()
        again.storage.close()
    assert Blobs(tmp_path / "again" / "blobs").exists(waiting.sha256)
    assert Manifest.read(tmp_path / "backup").has_keys
