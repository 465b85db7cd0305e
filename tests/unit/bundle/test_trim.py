"""Splitting bytecode: what a screening imports comes first, everything else is to be had, and found by its name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from bundling.trim import LEFT_OUT, module_of, put_libraries, put_trimmed, split

LAPACK = "numpy/linalg/_umath_linalg.cpython-314-wasm32-emscripten.so"
STAND_IN = "numpy/linalg/_umath_linalg.pyc"


@pytest.mark.parametrize(
    ("member", "module"),
    [
        ("abc.pyc", "abc"),
        ("email/mime/text.pyc", "email.mime.text"),
        ("email/__init__.pyc", "email"),
        (LAPACK, "numpy.linalg._umath_linalg"),
        ("numpy-2.4.3.dist-info/METADATA", None),
    ],
)
def test_a_member_is_a_module_or_none(member: str, module: str | None) -> None:
    """Packages, modules and shared objects by their dotted name."""
    assert module_of(member) == module


def make(path: Path, *names: str) -> Path:
    """Write an archive whose members hold their own names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_every_member_is_in_one_of_the_two(tmp_path: Path) -> None:
    """Licences are shipped with the rest, a package's metadata with the first load."""
    names = {
        "abc.pyc",
        "email/__init__.pyc",
        "email/mime/text.pyc",
        "p.dist-info/METADATA",
        "p.dist-info/LICENSE",
    }
    source = make(tmp_path / "all.zip", *names)
    left_out = split(source, tmp_path / "first.zip", tmp_path / "rest.zip", {"abc", "email"})
    first, rest = (set(zipfile.ZipFile(tmp_path / f"{part}.zip").namelist()) for part in ("first", "rest"))
    assert first == {"abc.pyc", "email/__init__.pyc", "p.dist-info/METADATA"}
    assert rest == names - first
    assert left_out == {"email.mime.text"}


def test_a_stand_in_comes_first_and_the_shared_object_on_demand(tmp_path: Path) -> None:
    """LAPACK is imported by numpy, and used by nobody who screens."""
    source = make(tmp_path / "all.zip", LAPACK, STAND_IN)
    loaded = {"numpy.linalg._umath_linalg"}
    assert split(source, tmp_path / "first.zip", tmp_path / "rest.zip", loaded) == loaded
    assert zipfile.ZipFile(tmp_path / "first.zip").namelist() == [STAND_IN]
    assert zipfile.ZipFile(tmp_path / "rest.zip").namelist() == [LAPACK]


def test_the_standard_library_has_the_table_of_what_was_left_out(tmp_path: Path) -> None:
    """By archive: its sum, and its modules."""
    bytecode = {
        tmp_path / "python_stdlib.zip": make(tmp_path / "1", "abc.pyc", "cgi.pyc"),
        tmp_path / "ours.whl": make(tmp_path / "2", "ours.pyc"),
    }
    out = tmp_path / "out"
    out.mkdir()
    put_trimmed(bytecode, out, loaded={"abc"}, rests={"python_stdlib.zip": "stdlib-rest.zip"})
    table = json.loads(zipfile.ZipFile(out / "python_stdlib.zip").read(LEFT_OUT))
    assert table["stdlib-rest.zip"]["modules"] == ["cgi"]
    assert len(table["stdlib-rest.zip"]["sha256"]) == 64
    assert zipfile.ZipFile(out / "ours.whl").namelist() == ["ours.pyc"]


def test_shared_objects_become_files(tmp_path: Path) -> None:
    """Each is a `.wasm` of its own; its empty member tells Python that it is there."""
    wheel = make(tmp_path / "numpy.whl", "numpy/core.pyc", LAPACK)
    assert put_libraries(wheel, tmp_path) == {"numpy.linalg._umath_linalg.wasm": LAPACK}
    assert (tmp_path / "numpy.linalg._umath_linalg.wasm").read_text() == LAPACK
    with zipfile.ZipFile(wheel) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "numpy/core.pyc": b"numpy/core.pyc",
            LAPACK: b"",
        }
