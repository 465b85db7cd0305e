"""micropip and what it depends on: what a browser loads before an operator's own wheel, and never otherwise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import runtime
from .errors import BundleError, SourceError
from .toolchain import Say, pip


@dataclass
class Pypi:
    """Pure wheels as PyPI has them, by pip; the Python that runs the build may be older than they ask for."""

    python: Path
    say: Say
    name: str = "PyPI"

    def offer(self, names: Iterable[str], folder: Path) -> None:
        """Download the wheels of these file names."""
        wanted = ["==".join(name.split("-")[:2]) for name in names]
        flags = [
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--python-version",
            "3.14",
            "--dest",
            str(folder),
        ]
        try:
            pip(self.python, ["download", *flags, *wanted], doing="pip download", say=self.say)
        except BundleError as error:
            raise SourceError(str(error)) from error


def put_installer(lock: Path, made: Path, *, cache: Path, python: Path, say: Say) -> list[dict[str, str]]:
    """Put the wheels that `lock` pins under `made/x/<sha256>/`, and return each one's file name and digest."""
    pins = json.loads(lock.read_text(encoding="utf-8"))["installer"]
    found = runtime.fetch(pins, runtime.Cache(cache, say), [Pypi(python, say)], say)
    for name, sha256 in pins.items():
        (made / "x" / sha256).mkdir(parents=True)
        shutil.copyfile(found[name], made / "x" / sha256 / name)
    return [{"file": name, "sha256": pins[name]} for name in pins]
