"""The main module of the bundle as built: every shared object finds in it, or in its glue, what it imports."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO

from bundling.wasm import exported, imported

from prelisten.assets import manifest, web_root

GLUE, MAIN = "pyodide.asm.mjs", "pyodide.asm.wasm"
# What the linker itself gives to each: https://github.com/WebAssembly/tool-conventions/blob/main/DynamicLinking.md
LINKED = {"memory", "__indirect_function_table", "__stack_pointer", "__memory_base", "__table_base"}


def shared_objects() -> dict[str, bytes]:
    """Return those of the first load, which are files, and those on demand, which lie in archives."""
    folder = (web_root() / manifest()["worker"]).parent
    found = {path.name: path.read_bytes() for path in folder.glob("*.wasm") if path.name != MAIN}
    for path in (*folder.glob("*.zip"), *folder.glob("*.whl")):
        with zipfile.ZipFile(BytesIO(path.read_bytes())) as archive:
            found |= {name: archive.read(name) for name in archive.namelist() if name.endswith(".so")}
    return found


def test_every_shared_object_finds_what_it_imports() -> None:
    """numpy's, also those that a screening never loads."""
    folder = (web_root() / manifest()["worker"]).parent
    given = exported((folder / MAIN).read_bytes())
    named = set(re.findall(r"[\w$]+", (folder / GLUE).read_text(encoding="utf-8")))
    found = shared_objects()
    assert len(found) > 5
    for name, content in found.items():
        own = exported(content)
        assert imported(content) <= given | own | LINKED | named | {f"_{one}" for one in named}, name
