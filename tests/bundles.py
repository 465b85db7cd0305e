"""Bundles built apart from the checkout's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("wasm_detector", "web/src", "web/bundling")
FILES = ("bundle.py", "runtime.lock.json", "package.json", "package-lock.json")
DOWNLOADED = ("pyodide-*", "installer", "brotli")


def built_apart(folder: Path, *options: str) -> Path:
    """Build from a copy of the sources and return its `web/dist`.

    Of the checkout's cache it has what was downloaded and what brotli made, which is kept by content; so all of
    Python's files are made anew.
    """
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copyfile(ROOT / "web" / name, folder / "web" / name)
    (folder / "web/node_modules").symlink_to(ROOT / "web/node_modules")
    (folder / ".cache").mkdir()
    for pattern in DOWNLOADED:
        for kept in (ROOT / ".cache").glob(pattern):
            (folder / ".cache" / kept.name).symlink_to(kept)
    subprocess.run([sys.executable, str(folder / "web/bundle.py"), *options], check=True)
    return folder / "web/dist"


def manifest_of(dist: Path) -> dict[str, Any]:
    """Return what a build wrote about its files."""
    return dict(json.loads((dist / "manifest.json").read_text(encoding="utf-8")))
