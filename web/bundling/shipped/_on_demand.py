"""Finds modules that the first load left out: the first import of one fetches the archive that has it.

Nothing of a screening comes here (a test sees to it). What an operator's own extension imports does, and micropip.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

SITE = "/lib/python{}.{}/site-packages".format(*sys.version_info)
STDLIB = "/lib/python{}{}.zip".format(*sys.version_info)
STDLIB_ZIP = "python_stdlib.zip"
LEFT_OUT = f"{STDLIB}/_left_out.json"

_here: set[str] = set()


class Finder:
    """The last of Python's own finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Fetch the archive with that module, if there is one, and look again."""
        return PathFinder.find_spec(name, path, target) if fetch_module(name) else None


class First:
    """The first of all finders after a start from a snapshot, which fetches no archive: what it has is in memory."""

    def __init__(self, archives: dict[str, str]) -> None:
        self.archives = archives
        self.is_busy = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        """Fetch what the start left out; then the other finders look for the module."""
        self.catch_up(name)

    def catch_up(self, name: str) -> None:
        """Fetch the archives that are not here yet; what this imports itself is found without.

        Raises ImportError as `fetch_module` does; the next import retries.
        """
        if self.is_busy or not self.archives:
            return
        tracing = sys.gettrace()
        sys.settrace(None)  # The lines of an extension are counted; these are not its own.
        self.is_busy = True
        try:
            for archive, sha256 in list(self.archives.items()):
                _mount(_fetch(archive, sha256, name), archive)
                del self.archives[archive]
        finally:
            self.is_busy = False
            sys.settrace(tracing)


_first = First({})


def leave_out(archives: str) -> None:
    """Know that these archives of the first load (JSON, name to sha256) are not here: the next import fetches them."""
    import json

    _first.archives = json.loads(archives)
    sys.meta_path.insert(0, _first)


def fetch_module(name: str) -> bool:
    """Fetch the archive with that module and tell True; False where none has it, or it is here already.

    Raises ImportError when the archive does not come, or is not the one that was built; the next import retries.
    """
    _first.catch_up(name)
    if STDLIB_ZIP in _first.archives:
        return False  # It is being fetched, and what has just been imported for that is in none of ours.
    for archive, entry in _left_out().items():
        if name in entry["modules"] and archive not in _here:
            tracing = sys.gettrace()
            sys.settrace(None)  # The lines of an extension are counted; these are not its own.
            _here.add(archive)
            try:
                _mount(_fetch(archive, entry["sha256"], name), archive)
            except BaseException:
                _here.discard(archive)
                raise
            finally:
                sys.settrace(tracing)
            return True
    return False


def _left_out() -> dict[str, dict[str, Any]]:
    """Return what the build wrote: each archive's sha256 and the modules that it has."""
    import json
    from zipimport import zipimporter

    found: dict[str, dict[str, Any]] = json.loads(zipimporter(STDLIB).get_data(LEFT_OUT))
    return found


def _fetch(archive: str, sha256: str, name: str) -> bytes:
    """Return the bytes of an archive that lies beside the worker; blocks, as an import does. `name` is only told."""
    from hashlib import sha256 as digest

    from js import URL, XMLHttpRequest, console, location

    console.debug(f"{archive} is fetched for {name}")
    request = XMLHttpRequest.new()
    request.open("GET", URL.new(archive, location.href).href, False)
    request.responseType = "arraybuffer"
    try:
        request.send()
    except Exception as error:
        raise ImportError(f"{archive} could not be fetched: {error}") from None
    if request.status != 200:
        raise ImportError(f"{archive} could not be fetched: HTTP {request.status}")
    content: bytes = request.response.to_bytes()
    if digest(content).hexdigest() != sha256:
        raise ImportError(f"{archive} is not the file that this bundle was built with")
    return content


def _mount(content: bytes, archive: str) -> None:
    """Put the archive of the standard library in its place, add members to it, or put them beside the other packages.

    A package that was imported already looks for its modules in the place it came from; so they must go there.
    """
    from io import BytesIO
    from zipfile import ZipFile

    if archive == STDLIB_ZIP:
        with open(STDLIB, "wb") as whole:
            whole.write(content)
        return
    with ZipFile(BytesIO(content)) as fetched:
        if archive.startswith("stdlib"):
            with ZipFile(STDLIB, "a") as whole:
                for member in fetched.infolist():
                    whole.writestr(member, fetched.read(member))
        else:
            fetched.extractall(SITE)
    importlib.invalidate_caches()
