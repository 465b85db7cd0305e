"""Trim and repack wheels and the standard library for the browser.

Members are stored, not deflated: the whole archive then travels as brotli or gzip, which is smaller than deflate
inside (measured) and spares the browser a second decompression. Repacking is reproducible: sorted names, one date.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

# The earliest date that a zip can hold: a build date would change the sha256.
EPOCH = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o644 << 16

# What no browser can use, or only a test of numpy itself. The rest is split by what the detector imports.
NUMPY_DROPPED_FOLDERS = (
    "numpy/f2py/",
    "numpy/distutils/",
    "numpy/doc/",
    "numpy/_core/include/",
    "numpy/_core/lib/",
    "numpy/_pyinstaller/",
)
NUMPY_DROPPED_FILES = ("numpy/conftest.py", "numpy/_configtool.py")
# numpy imports these two for the docstrings they attach; an empty module does as well.
NUMPY_EMPTIED = ("numpy/_core/_add_newdocs.py", "numpy/_core/_add_newdocs_scalars.py")
DROPPED_SUFFIXES = (".pyi", ".pxd", ".h", ".a", ".ini", ".pc", ".npymath", ".txt.in")


def keeps_numpy(name: str) -> bool:
    """Tell whether a browser may ever need this member of numpy's wheel."""
    if name.startswith(NUMPY_DROPPED_FOLDERS) or name in NUMPY_DROPPED_FILES or "/tests/" in name:
        return False
    return not name.endswith(DROPPED_SUFFIXES) and not name.endswith(("/", "/RECORD", "/py.typed"))


def keeps_stdlib(name: str) -> bool:
    """Tell whether a browser may ever need this member of the standard library."""
    return not name.endswith("/")


def keeps_wheel(name: str) -> bool:
    """Tell whether the browser gets this member of our own wheel: all but RECORD, whose names we may change."""
    return not name.endswith(("/", "/RECORD"))


def stored(name: str) -> zipfile.ZipInfo:
    """Return the entry of a member that is stored and has the one date."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = FILE_MODE
    return entry


def repack(
    source: Path, target: Path, keeps: Callable[[str], bool], *, added: Mapping[str, Path] | None = None
) -> None:
    """Write those members of `source` that `keeps` accepts, and the files of `added`; sorted and with one date."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        # Some build backends write "package/./module.py", which no zip importer finds.
        members = {posixpath.normpath(name): _content(old, name) for name in filter(keeps, old.namelist())}
        members |= {name: path.read_bytes() for name, path in (added or {}).items()}
        for name in sorted(members):
            new.writestr(stored(name), members[name])


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    if name in NUMPY_EMPTIED:
        return b""
    content = archive.read(name)
    if name.endswith(".dist-info/METADATA"):
        return content.partition(b"\n\n")[0] + b"\n"  # The rest is the package's own page.
    return content
