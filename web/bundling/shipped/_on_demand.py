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
LEFT_OUT = f"{STDLIB}/_left_out.json"

_here: set[str] = set()


class Finder:
    """The last of Python's own finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Fetch the archive with that module, if there is one, and look again."""
        return PathFinder.find_spec(name, path, target) if fetch_module(name) else None


def fetch_module(name: str) -> bool:
    """Fetch the archive with that module and tell True; False where none has it, or it is here already.

    Raises ImportError when the archive does not come, or is not the one that was built; the next import retries.
    """
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
    """Add the members to the archive of the standard library, or put them beside the other packages.

    A package that was imported already looks for its modules in the place it came from; so they must go there.
    """
    from io import BytesIO
    from zipfile import ZipFile

    with ZipFile(BytesIO(content)) as fetched:
        if archive.startswith("stdlib"):
            with ZipFile(STDLIB, "a") as whole:
                for member in fetched.infolist():
                    whole.writestr(member, fetched.read(member))
        else:
            fetched.extractall(SITE)
    importlib.invalidate_caches()
