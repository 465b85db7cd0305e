"""What only the browser's own Python can tell or make: Pyodide under Node finds modules and compiles to bytecode.

Both take some seconds and depend on their inputs alone, so the results are kept by content.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .runtime import sha256_of
from .toolchain import Node, Say, run

HERE = Path(__file__).parent
KEY_LENGTH = 32


@dataclass
class Inside:
    """A Pyodide of these core files, with results kept in `cache`."""

    core: Mapping[str, Path]
    cache: Path
    node: Node
    say: Say

    def screening(self, wheels: list[Path]) -> dict[str, Any]:
        """Screen sounds of every kind with these wheels.

        Returns {"modules": the names of all that was imported, "detector": its description}.
        """
        target = self._kept([*wheels, HERE / "pyodide/workload.py"], ".json")
        if not target.is_file():
            self.say("  Screening in Pyodide, to see which modules that takes")
            self._run("modules", {"wheels": [str(wheel.resolve()) for wheel in wheels]}, [target])
        return dict(json.loads(target.read_text(encoding="utf-8")))

    def compiled(self, archives: Iterable[Path]) -> dict[Path, Path]:
        """Return for each archive of sources one with bytecode in their place."""
        made = {path: self._kept([path, HERE / "pyodide/compiling.py"], ".zip") for path in archives}
        missing = {path: target for path, target in made.items() if not target.is_file()}
        if missing:
            self.say("  Compiling the Python sources to bytecode in Pyodide")
            sources = [str(path.resolve()) for path in missing]
            self._run("compile", {"sources": sources}, list(missing.values()))
        return made

    def tables(self) -> list[tuple[int, int]]:
        """Return (address, bytes) of the tables of codecs that no page of ours uses."""
        target = self._kept([HERE / "pyodide/tables.py"], ".tables.json")
        if not target.is_file():
            self._run("tables", {}, [target])
        return [(address, size) for address, size in json.loads(target.read_text(encoding="utf-8"))]

    def _kept(self, inputs: Iterable[Path], suffix: str) -> Path:
        """Return where the result of these inputs is kept."""
        parts = [HERE / "inside.mjs", *(self.core[name] for name in sorted(self.core)), *inputs]
        key = hashlib.sha256("".join(map(sha256_of, parts)).encode()).hexdigest()
        return self.cache / f"{key[:KEY_LENGTH]}{suffix}"

    def _run(self, task: str, order: Mapping[str, Any], targets: list[Path]) -> None:
        """Run one task; a target appears only when all are whole."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache) as work:
            whole = {
                "core": str(self.core["pyodide.mjs"].resolve().parent),
                "targets": [f"{work}/{target.name}" for target in targets],
            }
            command = [str(self.node.node), str(HERE / "inside.mjs"), task, json.dumps({**whole, **order})]
            run(command, doing=f"{task} in Pyodide", say=self.say, env=self.node.environment())
            for target in targets:
                (Path(work) / target.name).replace(target)
