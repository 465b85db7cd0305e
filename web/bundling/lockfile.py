"""Write the browser's lockfile by `pyodide-lock`, run by a Python that has it:

    python lockfile.py OFFICIAL.json VERSION TARGET.json '{"name": {"file_name": ..., "sha256": ...}}'

What the official lockfile says of a package stands, but for these changes; a package that it does not have is new.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyodide_lock import PyodideLockSpec
from pyodide_lock.spec import PackageSpec


def main(official: str, version: str, target: str, changes: str) -> None:
    """Write the lockfile with these packages and no others."""
    data = json.loads(Path(official).read_text(encoding="utf-8"))
    data["info"].setdefault("version", version)  # Pyodide 314 names only the ABI, and the format wants both.
    spec = PyodideLockSpec(**data)
    known = spec.packages
    spec.packages = {
        name: known[name].model_copy(update=change) if name in known else PackageSpec(name=name, **change)
        for name, change in json.loads(changes).items()
    }
    spec.to_json(Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
