"""Take out of Pyodide's main module, and of its glue, what no page of ours can reach.

1. Exports that neither the glue nor a shared object of numpy asks for: only other shared objects could. Then the code
   that nothing refers to any more; Binaryen's wasm-opt finds it.
2. The glue's own list of those exports.
3. The tables of the Chinese, Japanese and Korean codecs, made zero. Pyodide itself tells where they lie, and the
   modules that read them cannot be imported any more (`shipped/sitecustomize.py`), so nothing reads wrong.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import glue, wasm
from .output import sha256_of
from .toolchain import Node, Say, run

MAIN_MODULE, GLUE, LOADER = "pyodide.asm.wasm", "pyodide.asm.mjs", "pyodide.mjs"
OPTIMISER = "node_modules/binaryen/bin/wasm-opt"
# What Pyodide is compiled with, no more: what is not named is neither read nor written.
FEATURES = (
    *("mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "bulk-memory-opt"),
    *("exception-handling", "reference-types", "multivalue"),
)
PASSES = ("--mvp-features", *(f"--enable-{name}" for name in FEATURES), "--remove-unused-module-elements")


def put_slim(
    core: Mapping[str, Path],
    folder: Path,
    *,
    wheel: Path,
    tables: Iterable[tuple[int, int]],
    web: Path,
    cache: Path,
    node: Node,
    say: Say,
) -> None:
    """Write the main module and its glue, with what they, `LOADER` and the shared objects of `wheel` need.

    `tables` are (address, bytes) of what is made zero; `web` is the folder with npm's packages.
    """
    script = core[GLUE].read_text(encoding="utf-8")
    used = glue.names_used(script, core[LOADER].read_text(encoding="utf-8"))
    module = core[MAIN_MODULE].read_bytes()
    wanted = {name for name in wasm.exported(module) if name in used or glue.variable_of(name) in used}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                wanted |= wasm.imported(archive.read(name))
    slim = wasm.zeroed(wasm.without_exports(module, wanted), tables)
    (folder / MAIN_MODULE).write_bytes(_reachable(slim, web=web, cache=cache, node=node, say=say))
    (folder / GLUE).write_text(glue.compiled_at_once(glue.without_names(script, wanted)), encoding="utf-8")


def _reachable(module: bytes, *, web: Path, cache: Path, node: Node, say: Say) -> bytes:
    """Return the module without functions and imports that nothing refers to; kept by all that it was made from."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        source, made = Path(work) / "source.wasm", Path(work) / "made.wasm"
        source.write_bytes(module)
        inputs = [sha256_of(source), sha256_of(web / OPTIMISER), *PASSES]
        kept = cache / f"{hashlib.sha256(' '.join(inputs).encode()).hexdigest()}.wasm"
        if not kept.is_file():
            command = [str(node.node), str(web / OPTIMISER), str(source), *PASSES, "-o", str(made)]
            run(command, doing="taking out unused code", say=say, env=node.environment())
            made.replace(kept)
        return kept.read_bytes()
