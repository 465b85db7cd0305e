"""The pure wheel of `wasm_detector`, by pip or by pyodide-build: the same contents either way."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from . import archives
from .errors import BundleError
from .toolchain import Say, pip, run

PIP, PYODIDE = BUILDERS = ("pip", "pyodide")
# Any fixed date makes hatchling's wheel the same bytes each time; this is the earliest that a zip can hold.
SOURCE_DATE_EPOCH = "315532800"
LEAST_PYTHON, LEAST_PYODIDE_BUILD = (3, 12), (0, 39)
PROBE = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {"python": sys.version_info[:2], "pyodide_build": None, "environment": None}
try:
    found["pyodide_build"] = [int(part) for part in version("pyodide-build").split(".")[:2]]
    from pyodide_build.common import default_xbuildenv_path
    from pyodide_build.xbuildenv import CrossBuildEnvManager
    found["environment"] = CrossBuildEnvManager(default_xbuildenv_path()).current_version()
except (PackageNotFoundError, ImportError):
    pass
print(json.dumps(found))
"""


def lacking(python: Path) -> str:
    """Return, in one sentence, what `--builder pyodide` misses in the environment of `python`; empty when nothing."""
    found = json.loads(
        run([str(python), "-c", PROBE], doing="looking for pyodide-build", say=lambda line: None)
    )
    if tuple(found["python"]) < LEAST_PYTHON:
        here = ".".join(map(str, found["python"]))
        return f"`--builder pyodide` needs Python 3.12 or newer, and {python} is {here}."
    if not found["pyodide_build"] or tuple(found["pyodide_build"]) < LEAST_PYODIDE_BUILD:
        return (
            f"`--builder pyodide` needs pyodide-build: run `{python} -m pip install 'pyodide-build>=0.39'`."
        )
    if not found["environment"]:
        return (
            "`--builder pyodide` needs Pyodide's cross-build environment: "
            f"run `{python.parent / 'pyodide'} xbuildenv install`, which downloads it from GitHub."
        )
    return ""


def build_wheel(source: Path, folder: Path, *, builder: str, python: Path, say: Say) -> str:
    """Build the wheel of `source` into `folder` and return its name. Raises BundleError with what to do."""
    say("  Building the detector's wheel")
    doing = "building the detector's wheel"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH}
    with tempfile.TemporaryDirectory() as work:
        if builder == PYODIDE:
            if sentence := lacking(python):
                raise BundleError(sentence)
            command = [str(python.parent / "pyodide"), "build", str(source), "--outdir", work]
            run(command, doing=doing, say=say, env=environment)
        else:
            arguments = ["wheel", "--quiet", "--no-deps", "--wheel-dir", work, str(source)]
            pip(python, arguments, doing=doing, say=say, env=environment)
        wheel = next(Path(work).glob("*.whl"))
        archives.repack(wheel, folder / wheel.name, archives.keeps_wheel)
    return wheel.name
