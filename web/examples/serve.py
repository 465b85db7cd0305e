#!/usr/bin/env python3
"""Bundle the pages of the examples and serve them, with their back end, on http://127.0.0.1:8010.

    python3 build.py bundle                # Once: what browsers download.
    .venv/bin/python web/examples/serve.py

The libraries are installed once, with the versions of package-lock.json, into `.cache/examples`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "examples"
STAMP = ".made-from"
PORT = 8010
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bundling.toolchain import find_node, run  # noqa: E402  # Ours lies beside this file, not in a package.


def install(say: Callable[[str], None] = print) -> Path:
    """Install the pinned libraries unless they are there, and return their `node_modules`."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if not _is_made_from(wanted):
        say("  Installing the libraries of the examples (npm ci)")
        CACHE.parent.mkdir(exist_ok=True)
        # Two processes may install at once: each in a folder of its own, which is then moved to its place.
        with tempfile.TemporaryDirectory(prefix=".examples-", dir=CACHE.parent) as folder:
            made = Path(folder) / "made"
            _install_into(made, say)
            (made / STAMP).write_text(wanted)
            if not _is_made_from(wanted):
                shutil.rmtree(CACHE, ignore_errors=True)
            with contextlib.suppress(OSError):  # The other process was first.
                made.rename(CACHE)
    return CACHE / "node_modules"


def _is_made_from(wanted: str) -> bool:
    stamp = CACHE / STAMP
    return stamp.is_file() and stamp.read_text() == wanted


def _install_into(folder: Path, say: Callable[[str], None]) -> None:
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, folder / name)
    node = find_node(Path(sys.executable), say)
    command = [str(node.npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run(command, doing="npm ci", say=say, cwd=folder, env=node.environment())
    own = folder / "node_modules" / "@prelisten" / "widget"
    own.parent.mkdir()
    own.symlink_to(HERE.parent, target_is_directory=True)


def bundle(out: Path, say: Callable[[str], None] = print) -> Path:
    """Bundle the pages of all examples into `out`, and return it."""
    order = {"modules": str(install(say)), "out": str(out)}
    node = find_node(Path(sys.executable), say)
    command = [str(node.node), str(HERE / "build.mjs"), json.dumps(order)]
    run(command, doing="bundling the examples", say=say, cwd=HERE, env=node.environment())
    return out


def main() -> None:
    """Serve the examples; their recordings lie in `data/examples`."""
    from back_end import create_app

    from prelisten.config import load_config
    from prelisten.keys import ensure_keys

    config = load_config(data=ROOT / "data" / "examples")
    ensure_keys(config)
    app = create_app(bundle(CACHE / "built"), config)
    print(f"http://127.0.0.1:{PORT}/")
    app.run(port=PORT, threaded=True)


if __name__ == "__main__":
    main()
