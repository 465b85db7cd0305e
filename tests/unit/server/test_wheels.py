"""The folder of the operator's own wheels: what is listed, and what is refused with advice."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from prelisten.errors import ConfigError
from prelisten.wheels import MAX_WHEEL_BYTES, MAX_WHEELS, listed_wheels


def put(folder: Path, name: str, size: int = 0) -> Path:
    """Write a wheel with one member of so many bytes."""
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("module.py", b"#" * size)
    return folder / name


def test_no_folder_lists_nothing() -> None:
    """The default."""
    assert listed_wheels(None) == ()


def test_a_wheel_is_listed_by_name_version_and_digest(tmp_path: Path) -> None:
    """The digest is that of the bytes that are served."""
    path = put(tmp_path, "Acme_Peak-1.2.0-py3-none-any.whl")
    (wheel,) = listed_wheels(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert wheel.to_dict() == {
        "name": "acme-peak",
        "version": "1.2.0",
        "sha256": digest,
        "file": path.name,
    }


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("acme-1.0-cp311-cp311-linux_x86_64.whl", 0),
        ("acme.whl", 0),
        ("acme-1.0-py3-none-any.whl", MAX_WHEEL_BYTES),
    ],
)
def test_what_no_browser_could_use_is_refused(tmp_path: Path, name: str, size: int) -> None:
    """Compiled, nameless, too large."""
    put(tmp_path, name, size)
    with pytest.raises(ConfigError, match="pip wheel"):
        listed_wheels(tmp_path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A file that only bears the name."""
    (tmp_path / "acme-1.0-py3-none-any.whl").write_bytes(b"none")
    with pytest.raises(ConfigError):
        listed_wheels(tmp_path)


def test_two_versions_of_one_are_refused(tmp_path: Path) -> None:
    """Nobody could tell which one is meant."""
    put(tmp_path, "acme-1.0-py3-none-any.whl")
    put(tmp_path, "acme-2.0-py3-none-any.whl")
    with pytest.raises(ConfigError):
        listed_wheels(tmp_path)


def test_too_many_are_refused(tmp_path: Path) -> None:
    """A visitor loads them all."""
    for number in range(MAX_WHEELS + 1):
        put(tmp_path, f"acme{number}-1.0-py3-none-any.whl")
    with pytest.raises(ConfigError):
        listed_wheels(tmp_path)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """A typing error does not mean: none."""
    with pytest.raises(ConfigError, match="no folder"):
        listed_wheels(tmp_path / "wheel")
