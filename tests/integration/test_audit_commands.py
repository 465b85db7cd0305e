"""`prelisten audit`: what an operator learns about a log that somebody had in their hands."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from prelisten import audit
from prelisten.cli import main
from prelisten.config import load_config
from prelisten.keys import Key, Keys, ensure_keys, key_file, load_keys, write_keys
from prelisten.storage.sql import open_storage


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder with keys and a log of five entries."""
    config = load_config({}, data=tmp_path)
    ensure_keys(config)
    add_entries(tmp_path, 5)
    return tmp_path


def add_entries(data: Path, count: int, *, word: str = "a") -> None:
    storage = open_storage(load_config({}, data=data).database_url)
    for number in range(count):
        with storage.transaction() as tx:
            audit.append(tx, audit.Kind.DECISION, f"s{number}", {"action": "label", "word": word})
    storage.close()


def tamper(data: Path, *statements: str) -> None:
    """Write to the database past every guard, as its owner can."""
    with sqlite3.connect(data / "prelisten.sqlite3") as connection:
        for trigger in ("audit_update", "audit_delete", "audit_insert"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def verified(capsys: pytest.CaptureFixture[str], data: Path, *options: str) -> tuple[int, str]:
    """Return the exit status and what was said, of a log or of what hinders."""
    capsys.readouterr()
    status = main(["audit", "verify", "--data", str(data), *options])
    said = capsys.readouterr()
    return status, said.out + said.err


def keep_head(capsys: pytest.CaptureFixture[str], data: Path, file: Path) -> Path:
    capsys.readouterr()
    assert main(["audit", "head", "--data", str(data)]) == 0
    with file.open("a") as kept:
        kept.write(capsys.readouterr().out)
    return file


def test_sound_log_holds_through_every_kept_head(data: Path, capsys, tmp_path: Path) -> None:
    """Heads of several days, one a line; the log has grown since."""
    file = keep_head(capsys, data, tmp_path / "heads")
    add_entries(data, 2)
    keep_head(capsys, data, file)
    add_entries(data, 1)
    status, said = verified(capsys, data, "--head", str(file))
    assert status == 0
    assert "8 entries, through 2 kept heads" in said


def test_first_broken_entry_is_named(data: Path, capsys) -> None:
    """Its number and why, for people and as JSON."""
    tamper(data, "UPDATE audit SET subject = 'sX' WHERE seq = 3", "UPDATE audit SET kind = 'x' WHERE seq = 4")
    status, said = verified(capsys, data)
    assert status == 1
    assert "broken at entry 3: its content is not what was written" in said
    status, said = verified(capsys, data, "--json")
    assert (status, json.loads(said)["problem"]["seq"], json.loads(said)["ok"]) == (1, 3, False)


def test_cut_tail_is_found_against_a_kept_head(data: Path, capsys, tmp_path: Path) -> None:
    """What is left holds by itself; the head knows that there was more."""
    file = keep_head(capsys, data, tmp_path / "heads")
    tamper(data, "DELETE FROM audit WHERE seq > 3")
    assert verified(capsys, data)[0] == 0
    status, said = verified(capsys, data, "--head", str(file))
    assert status == 1
    assert "broken at entry 4: the tail was cut" in said


def test_emptied_log_is_found_against_a_kept_head(data: Path, capsys, tmp_path: Path) -> None:
    """Nothing left is the longest cut."""
    file = keep_head(capsys, data, tmp_path / "heads")
    tamper(data, "DELETE FROM audit")
    assert "entry 1: the tail was cut" in verified(capsys, data, "--head", str(file))[1]


def test_rewritten_whole_is_found_against_a_kept_head(data: Path, capsys, tmp_path: Path) -> None:
    """A new chain of the same length, sound in itself; of two heads the older one narrows the place down."""
    file = keep_head(capsys, data, tmp_path / "heads")
    tamper(data, "DELETE FROM audit")
    add_entries(data, 7, word="b")
    assert verified(capsys, data)[0] == 0
    status, said = verified(capsys, data, "--head", str(file))
    assert status == 1
    assert "broken at entry 5" in said
    assert "rewritten" in said


def test_rewritten_tail_is_found_between_two_heads(data: Path, capsys, tmp_path: Path) -> None:
    """Up to the first head all is as it was; the second one is missed."""
    file = keep_head(capsys, data, tmp_path / "heads")
    add_entries(data, 2)
    keep_head(capsys, data, file)
    tamper(data, "DELETE FROM audit WHERE seq > 5")
    add_entries(data, 4, word="b")
    assert "broken at entry 7" in verified(capsys, data, "--head", str(file))[1]


def changed(line: str, **fields: object) -> str:
    return json.dumps(json.loads(line) | fields)


@pytest.mark.parametrize(
    "change",
    [
        {"entries": 3},
        {"entries": 4.0},
        {"sha256": "0" * 64},
        {"at": "2020-01-01"},
        {"signature": "0" * 64},
        {"signature": "\ud800"},
        {"key": "00000000"},
        {"v": 2},
        {"more": 1},
    ],
)
def test_changed_head_is_no_witness(data: Path, capsys, tmp_path: Path, change: dict) -> None:
    """A head that somebody shortened to fit a shortened log is refused: exit 2, not "holds"."""
    file = keep_head(capsys, data, tmp_path / "heads")
    file.write_text(changed(file.read_text(), **change))
    assert verified(capsys, data, "--head", str(file))[0] == 2


@pytest.mark.parametrize("text", ["", "\n\n", "no head", "[]", "{}", "null", '{"v":1}'])
def test_file_without_a_head_proves_nothing(data: Path, capsys, tmp_path: Path, text: str) -> None:
    """An empty file must not read as "verified"."""
    (tmp_path / "heads").write_text(text)
    assert verified(capsys, data, "--head", str(tmp_path / "heads"))[0] == 2


def test_head_survives_a_new_signing_key(data: Path, capsys, tmp_path: Path, monkeypatch) -> None:
    """After a rotation the old key still verifies; a head may come from standard input."""
    file = keep_head(capsys, data, tmp_path / "heads")
    config = load_config({}, data=data)
    write_keys(key_file(config), Keys((Key.generate(), *load_keys(config).ring)), replace=True)
    monkeypatch.setattr("sys.stdin", io.StringIO(file.read_text()))
    assert verified(capsys, data, "--head", "-")[0] == 0


def test_broken_log_gets_no_signature(data: Path, capsys) -> None:
    """Signing a broken chain would make it look whole tomorrow."""
    tamper(data, "UPDATE audit SET body = '{}' WHERE seq = 2")
    assert main(["audit", "head", "--data", str(data)]) == 2
    assert "Entry 2" in capsys.readouterr().err


def test_folder_without_a_site_is_left_as_it_is(tmp_path: Path, capsys) -> None:
    """A typing error in `--data` makes no database that would then verify."""
    assert verified(capsys, tmp_path / "nowhere")[0] == 2
    assert not (tmp_path / "nowhere").exists()
