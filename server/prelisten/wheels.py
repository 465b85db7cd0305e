"""The operator's own signals: the wheels that `PRELISTEN_EXTENSIONS` lists, read without running anything of theirs."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prelisten.assets import manifest
from prelisten.config import Config
from prelisten.errors import ConfigError

MAX_WHEELS = 8
MAX_WHEEL_BYTES = 1_000_000
"""A visitor's browser loads them all: what is larger is no signal of a hundred lines."""

WHEEL = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)-(?:py2\.)?py3-none-any\.whl")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One listed wheel: its distribution's name and version, its bytes' digest, and where it lies."""

    name: str
    version: str
    sha256: str
    path: Path

    def to_dict(self) -> dict[str, str]:
        """Return what a challenge tells a page: what to load, and by which digest to know it."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256, "file": self.path.name}


@cache
def listed_wheels(folder: Path | None) -> tuple[Wheel, ...]:
    """Return the wheels of the folder, read once; raises `ConfigError` for one that no browser could use."""
    if folder is None:
        return ()
    if not folder.is_dir():
        raise ConfigError(f"PRELISTEN_EXTENSIONS: {folder} is no folder. Make it and put the wheels there.")
    found = tuple(_read(path) for path in sorted(folder.glob("*.whl")))
    if len(found) > MAX_WHEELS or len({wheel.name for wheel in found}) < len(found):
        raise ConfigError(
            f"PRELISTEN_EXTENSIONS: {len(found)} wheels; at most {MAX_WHEELS}, one of each name, are served."
        )
    return found


def _read(path: Path) -> Wheel:
    named = WHEEL.fullmatch(path.name)
    if named is None or path.stat().st_size > MAX_WHEEL_BYTES or not zipfile.is_zipfile(path):
        raise ConfigError(
            f"PRELISTEN_EXTENSIONS: {path.name} is no pure wheel (NAME-VERSION-py3-none-any.whl) of at most "
            f"{MAX_WHEEL_BYTES // 1000} kB. Build it with `pip wheel --no-deps`."
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(named[1].replace("_", "-").lower(), named[2], digest, path)


def for_page(config: Config) -> dict[str, Any]:
    """Return what a challenge's answer says of extensions; nothing where none is listed."""
    wheels = listed_wheels(config.extensions)
    if not wheels:
        return {}
    return {
        "extensions": {"installer": manifest()["installer"], "wheels": [wheel.to_dict() for wheel in wheels]}
    }
