"""Emscripten's glue: what is not wanted goes from its list of exports, and from nowhere else."""

from __future__ import annotations

import pytest
from bundling.errors import BundleError
from bundling.glue import compiled_at_once, names_used, variable_of, without_names

GLUE = (
    "async function _createPyodideModule(moduleArg={}){var wasmTable;var _a,_b,___c,_d;"
    'function assignWasmExports(wasmExports){_a=Module["_a"]=wasmExports["a"];'
    '_b=Module["_b"]=wasmTable=Module["table"]=wasmExports["b"];___c=Module["___c"]=wasmExports["__c"].value>>>0;'
    '_d=Module["_d"]=wasmExports["d"]}_a(1);return Module["e"]}export default _createPyodideModule;'
)


def test_the_list_itself_is_no_use() -> None:
    """Whoever is called, or named as a string, is used; other scripts count too."""
    used = names_used(GLUE, "other(_d)")
    assert {"_a", "_d", "e"} <= used
    assert not {"_b", "___c", "b", "__c"} & used
    assert variable_of("__c") == "___c"


def test_what_is_not_wanted_goes() -> None:
    """Its declaration and its assignment; the rest stays as it was written."""
    made = without_names(GLUE, {"a", "b"})
    assert "var _a,_b;function" in made
    assert (
        '{_a=Module["_a"]=wasmExports["a"];_b=Module["_b"]=wasmTable=Module["table"]=wasmExports["b"]}_a(1)'
        in made
    )


def test_the_factory_is_in_parentheses() -> None:
    """The script still exports it."""
    made = compiled_at_once(GLUE)
    assert made.startswith("export default (async function _createPyodideModule(")
    assert made.endswith('return Module["e"]});')


@pytest.mark.parametrize(
    "glue",
    [
        GLUE.replace("assignWasmExports", "assign"),
        GLUE.replace('_d=Module["_d"]=wasmExports["d"]', "_d=wasmExports.d"),
        GLUE.replace("var _a,", "let _a,"),
    ],
)
def test_another_glue_is_not_guessed_at(glue: str) -> None:
    """A Pyodide of another kind stops the build, with a way out."""
    with pytest.raises(BundleError, match="--full"):
        without_names(glue, {"a"})
    with pytest.raises(BundleError, match="--full"):
        compiled_at_once(f"'use strict';{glue}")
