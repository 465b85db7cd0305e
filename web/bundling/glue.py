"""Emscripten's glue: Pyodide's script that starts the main module and knows each of its exports by name.

It declares and assigns a variable for every one of them, some thousands, and uses a hundred. Left out here are those
that it does not use itself and no shared object imports; what it uses is found by name anywhere else in it, so that a
name built at run time is the only one that can be missed (`ctypes` looks C functions up so; `--full` has them all).
"""

from __future__ import annotations

import re
from collections.abc import Collection

from .errors import BundleError

ASSIGNER = re.compile(r"function assignWasmExports\(wasmExports\)\{(?P<body>[^{}]*)\}")
ASSIGNED = re.compile(
    r'(?P<as>[\w$]+)=Module\["[\w$]+"\]=.*wasmExports\["(?P<name>[\w$]+)"\](?:\.value>>>0)?'
)
FACTORY = "async function _createPyodideModule("
EXPORTED = "export default _createPyodideModule;"
UNKNOWN = "Pyodide's glue is written otherwise than is known here; build with --full."


def names_used(glue: str, *others: str) -> set[str]:
    """Return every name in the glue and the other scripts but for the list of exports itself."""
    body, assigned = _assigned(glue)
    rest = glue.replace(body, "").replace(_declaration(glue, assigned), "")
    return {name for script in (rest, *others) for name in re.findall(r"[\w$]+", script)}


def without_names(glue: str, wanted: Collection[str]) -> str:
    """Return the glue without declarations and assignments of exports that are not wanted."""
    body, assigned = _assigned(glue)
    declaration = _declaration(glue, assigned)
    dropped = {one["as"] for one in assigned if one["name"] not in wanted}
    declared = [
        name for name in declaration.removeprefix("var ").removesuffix(";").split(",") if name not in dropped
    ]
    kept = [one.group() for one in assigned if one["as"] not in dropped]
    return glue.replace(body, ";".join(kept)).replace(declaration, f"var {','.join(declared)};")


def variable_of(export: str) -> str:
    """Return the name of the glue's variable for an export."""
    return f"_{export}"


def compiled_at_once(glue: str) -> str:
    """Return the glue with its factory, which is nearly all of it, in parentheses.

    V8 takes them as a word that the function will be called at once, and does not parse it twice:
    https://v8.dev/blog/preparser#pife
    """
    if not glue.startswith(FACTORY) or glue.count(EXPORTED) != 1:
        raise BundleError(UNKNOWN)
    factory, after = glue.split(EXPORTED)
    return f"export default ({factory.rstrip().rstrip(';')});{after}"


def _assigned(glue: str) -> tuple[str, list[re.Match[str]]]:
    """Return the text of the assignments, and each of them."""
    listed = ASSIGNER.search(glue)
    if not listed:
        raise BundleError(UNKNOWN)
    found = [ASSIGNED.fullmatch(statement) for statement in listed["body"].split(";")]
    assigned = [one for one in found if one]
    if len(assigned) != len(found):
        raise BundleError(UNKNOWN)
    return listed["body"], assigned


def _declaration(glue: str, assigned: list[re.Match[str]]) -> str:
    """Return the statement that declares what is assigned."""
    found = re.search(rf"var (?:[\w$]+,)*{re.escape(assigned[0]['as'])}(?:,[\w$]+)*;", glue)
    if not found:
        raise BundleError(UNKNOWN)
    return found.group()
