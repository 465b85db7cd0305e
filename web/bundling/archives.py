"""Trim and repack wheels and the standard library for the browser.

Members are stored, not deflated: the whole archive then travels as brotli or gzip, which is smaller than deflate
inside (measured) and spares the browser a second decompression. Repacking is reproducible: sorted names, one date.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Callable
from pathlib import Path

# The earliest date that a zip can hold: a build date would change the sha256.
EPOCH = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o644 << 16

NUMPY_DROPPED_FOLDERS = (
    "numpy/random/",
    "numpy/f2py/",
    "numpy/testing/",
    "numpy/ctypeslib/",
    "numpy/distutils/",
    "numpy/doc/",
    "numpy/_core/include/",
    "numpy/_core/lib/",
    "numpy/_pyinstaller/",
)
NUMPY_DROPPED_FILES = ("numpy/conftest.py", "numpy/matlib.py", "numpy/_configtool.py")
# Shared objects that the detector loads; any other one of numpy's (test modules, generators) is left out.
NUMPY_SHARED_OBJECTS = ("_core/_multiarray_umath", "fft/_pocketfft_umath", "linalg/_umath_linalg")
# numpy imports these two for the docstrings they attach; an empty module does as well.
NUMPY_EMPTIED = ("numpy/_core/_add_newdocs.py", "numpy/_core/_add_newdocs_scalars.py")
DROPPED_SUFFIXES = (".pyi", ".pxd", ".h", ".a", ".ini", ".pc", ".npymath", ".md", ".txt.in")


def keeps_numpy(name: str) -> bool:
    """Tell whether the browser needs this member of numpy's wheel."""
    if name.startswith(NUMPY_DROPPED_FOLDERS) or name in NUMPY_DROPPED_FILES or "/tests/" in name:
        return False
    if name.endswith(".so"):
        return any(f"numpy/{wanted}." in name for wanted in NUMPY_SHARED_OBJECTS)
    return not name.endswith(DROPPED_SUFFIXES) and not name.endswith("/RECORD")


def keeps_stdlib(name: str) -> bool:
    """Tell whether the browser gets this member of the standard library: all of it, for now."""
    return not name.endswith("/")


def keeps_wheel(name: str) -> bool:
    """Tell whether the browser gets this member of our own wheel: all but RECORD, whose names we may change."""
    return not name.endswith(("/", "/RECORD"))


def repack(source: Path, target: Path, keeps: Callable[[str], bool]) -> None:
    """Write those members of `source` that `keeps` accepts, stored, sorted and with one date."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in sorted(filter(keeps, old.namelist())):
            # Some build backends write "package/./module.py", which no zip importer finds.
            entry = zipfile.ZipInfo(posixpath.normpath(name), EPOCH)
            entry.external_attr = FILE_MODE
            new.writestr(entry, b"" if name in NUMPY_EMPTIED else old.read(name))
