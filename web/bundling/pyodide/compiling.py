"""Runs in Pyodide: archives of sources to archives of the bytecode that the very same Python will load."""

from __future__ import annotations

import io
import zipfile
from importlib._bootstrap_external import _code_to_hash_pyc
from importlib.util import source_hash
from typing import Any

EPOCH = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o644 << 16


def bytecode(source: bytes, name: str) -> bytes:
    """Return a `.pyc` without docstrings and assertions, of the kind that is never compared with a source."""
    code = compile(source, name, "exec", dont_inherit=True, optimize=2)
    return bytes(_code_to_hash_pyc(code, source_hash(source), False))


def compile_archive(content: Any) -> bytes:
    """Return the archive with `name.pyc` in the place of each `name.py`; stored, sorted, with one date."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content.to_bytes())) as old, zipfile.ZipFile(made, "w") as new:
        for info in sorted(old.infolist(), key=lambda info: info.filename):
            name, member = info.filename, old.read(info)
            if name.endswith(".py"):
                member = bytecode(member, name)
                name += "c"
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = FILE_MODE
            new.writestr(entry, member)
    return made.getvalue()
