"""Trimming and repacking: what goes, what stays, and that the bytes are the same every time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from bundling.archives import keeps_numpy, keeps_stdlib, keeps_wheel, repack


@pytest.mark.parametrize(
    "name",
    [
        "numpy/f2py/crackfortran.py",
        "numpy/lib/tests/test_io.py",
        "numpy/__init__.pyi",
        "numpy/_core/include/numpy/ndarrayobject.h",
    ],
)
def test_numpy_loses_what_no_browser_can_use(name: str) -> None:
    """Tests, compilers' tools, headers and stubs stay at home."""
    assert not keeps_numpy(name)


@pytest.mark.parametrize(
    "name",
    [
        "numpy/__init__.py",
        "numpy/fft/_pocketfft_umath.cpython-314-wasm32-emscripten.so",
        "numpy/random/_generator.cpython-314-wasm32-emscripten.so",
        "numpy/linalg/_umath_linalg.cpython-314-wasm32-emscripten.so",
        "numpy/typing/__init__.py",
        "numpy-2.4.3.dist-info/METADATA",
        "numpy-2.4.3.dist-info/licenses/LICENSE.txt",
    ],
)
def test_numpy_keeps_what_runs_and_its_licence(name: str) -> None:
    """The shared objects, the modules and the licence are shipped."""
    assert keeps_numpy(name)


def make_zip(path: Path, *, date: tuple[int, int, int, int, int, int]) -> Path:
    """Write a small deflated archive, its members in the wrong order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("b.py", "a.py", "sub/"):
            archive.writestr(zipfile.ZipInfo(name, date), "" if name.endswith("/") else name)
    return path


def test_repacking_is_reproducible(tmp_path: Path) -> None:
    """Dates and order of the source leave no trace."""
    targets = []
    for year in (1999, 2024):
        source = make_zip(tmp_path / f"{year}.zip", date=(year, 5, 5, 5, 5, 4))
        targets.append(tmp_path / f"{year}.out")
        repack(source, targets[-1], keeps_stdlib)
    assert targets[0].read_bytes() == targets[1].read_bytes()


def test_names_are_plain(tmp_path: Path) -> None:
    """Modules can be imported from the repacked archive itself, whatever the build backend wrote."""
    with zipfile.ZipFile(tmp_path / "in.whl", "w") as archive:
        archive.writestr("package/./module.py", "")
        archive.writestr("package-1.dist-info/RECORD", "package/./module.py,,")
    repack(tmp_path / "in.whl", tmp_path / "out.whl", keeps_wheel)
    assert zipfile.ZipFile(tmp_path / "out.whl").namelist() == ["package/module.py"]


def test_repacked_members_are_stored(tmp_path: Path) -> None:
    """Nothing is deflated inside, because brotli comes outside."""
    repack(make_zip(tmp_path / "in.zip", date=(2020, 1, 1, 0, 0, 0)), tmp_path / "out.zip", keeps_stdlib)
    members = zipfile.ZipFile(tmp_path / "out.zip").infolist()
    assert [(m.filename, m.compress_type) for m in members] == [("a.py", 0), ("b.py", 0)]


def test_a_page_of_a_package_is_no_metadata(tmp_path: Path) -> None:
    """Name and version are kept; the text for the index is not."""
    with zipfile.ZipFile(tmp_path / "in.whl", "w") as archive:
        archive.writestr("p-1.dist-info/METADATA", "Name: p\nVersion: 1\n\nA long text\n\nof words")
    repack(tmp_path / "in.whl", tmp_path / "out.whl", keeps_wheel)
    assert zipfile.ZipFile(tmp_path / "out.whl").read("p-1.dist-info/METADATA") == b"Name: p\nVersion: 1\n"


def test_files_of_ours_are_added(tmp_path: Path) -> None:
    """They stand in order among the members."""
    (tmp_path / "ours.py").write_text("1", encoding="utf-8")
    source = make_zip(tmp_path / "in.zip", date=(2020, 1, 1, 0, 0, 0))
    repack(source, tmp_path / "out.zip", keeps_stdlib, added={"ab.py": tmp_path / "ours.py"})
    assert zipfile.ZipFile(tmp_path / "out.zip").namelist() == ["a.py", "ab.py", "b.py"]
