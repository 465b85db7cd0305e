"""Where the built widget lies: inside the installed package, or in the checkout's `web/dist`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from prelisten.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


@cache
def web_root() -> Path:
    """Return the folder with `manifest.json`; raises `ConfigError` that says how to build it."""
    for folder in (_PACKAGE / "_web", _CHECKOUT / "web" / "dist"):
        if (folder / "manifest.json").is_file():
            return folder
    raise ConfigError("The widget is not built: run `python3 build.py bundle`, then start again.")


@cache
def manifest() -> dict[str, Any]:
    """Return the bundle's manifest: its version, the detector that the browser loads, a SHA-256 for each file."""
    text = (web_root() / "manifest.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def bundled_detector() -> tuple[str, str]:
    """Return (id, SHA-256 of the archive) of the detector that the browser loads."""
    detector = manifest()["detector"]
    return detector["id"], detector["sha256"]


def docs_folder() -> Path:
    """Return the folder of the documentation's pages."""
    packed = _PACKAGE / "_docs"
    return packed if packed.is_dir() else _CHECKOUT / "web" / "docs"


def locale_folder() -> Path:
    """Return the folder of the catalogues; in a checkout without a bundle, their source."""
    built = _PACKAGE / "_web" / "locales"
    return built if built.is_dir() else _CHECKOUT / "web" / "src" / "locales"
