"""The same sources give the same bundle: whoever builds it anew can compare."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bundles import built_apart, manifest_of

if os.environ.get("TEST_SIZE") != "full":
    pytest.skip("two more bundles are built at TEST_SIZE=full", allow_module_level=True)


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    """Modules are found, bytecode is compiled and wheels are made twice, in folders of different names."""
    first, second = (manifest_of(built_apart(tmp_path / name)) for name in ("first", "in/another/place"))
    assert len(first["files"]) > 100
    assert first == second
