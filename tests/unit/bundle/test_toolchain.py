"""Finding Node and running programs: what is said when they are missing or fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bundling.errors import ToolError
from bundling.toolchain import find_node, node_major, run


def make_node(folder: Path, version: str) -> Path:
    """Write programs `node` and `npm` that only tell a version."""
    for name in ("node", "npm"):
        (folder / name).write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder / "node"


def test_version_of_node_is_read(tmp_path: Path) -> None:
    """`v20.1.0` is 20; what does not run is nothing."""
    assert node_major(make_node(tmp_path, "v20.1.0")) == 20
    assert node_major(tmp_path / "absent") is None


def test_old_node_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Node 18 does not do; the one beside Python does."""
    old, beside = tmp_path / "old", tmp_path / "venv"
    old.mkdir()
    beside.mkdir()
    make_node(old, "v18.0.0")
    expected = make_node(beside, "v24.0.0")
    monkeypatch.setenv("PATH", f"{old}:/usr/bin:/bin")
    monkeypatch.setattr("bundling.toolchain.NODE_MAJOR", 23)
    assert find_node(beside / "python", [].append).node == expected


def test_failure_tells_the_last_lines() -> None:
    """What the program wrote is in the error, not a bare exit status."""
    with pytest.raises(ToolError, match=r"counting failed[\s\S]*no more numbers"):
        run([sys.executable, "-c", "raise SystemExit('no more numbers')"], doing="counting", say=print)


def test_long_work_says_that_it_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is never longer than the interval."""
    monkeypatch.setattr("bundling.toolchain.STILL_RUNNING_S", 0.05)
    said: list[str] = []
    run([sys.executable, "-c", "import time; time.sleep(0.4)"], doing="waiting", say=said.append)
    assert said
    assert all("still waiting" in line for line in said)
