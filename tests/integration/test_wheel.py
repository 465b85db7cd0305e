"""The wheel, installed far from this checkout, serves the widget to a three-line application."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Asks for everything that a page would: the script that it names, the worker, and each file of the bundle.
ASK = """
import hashlib, prelisten, pathlib
from prelisten.assets import manifest
assert {checkout!r} not in prelisten.__file__, prelisten.__file__
client = app.test_client()
assert client.get("/prelisten/v1/widget.js").status_code == 200
assert client.get("/prelisten/v1/" + manifest()["worker"]).status_code == 200
for name, entry in manifest()["files"].items():
    body = client.get("/prelisten/v1/" + name).data
    assert hashlib.sha256(body).hexdigest() == entry["sha256"], name
print("served", len(manifest()["files"]), "files")
"""


def call(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed; fails with its output."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_of_the_tree(target: Path) -> Path:
    """Copy what a wheel is made from, so that building leaves no trace in the checkout."""
    for name in ("server", "wasm_detector", "web/docs"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    return target


def pip_wheel(tree: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run `pip wheel .` in a tree."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), "."]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `pip wheel .` makes it after `build.py bundle`."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(ROOT / "web" / "dist", tree / "web" / "dist")
    out = tmp_path_factory.mktemp("wheel")
    built = pip_wheel(tree, out)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob("prelisten-*.whl"))


def test_wheel_without_a_bundle_is_refused(tmp_path):
    """A wheel that could serve nothing is not made, and the error names the command that is missing."""
    built = pip_wheel(copy_of_the_tree(tmp_path / "tree"), tmp_path / "out")
    assert built.returncode != 0
    assert "build.py bundle" in built.stdout + built.stderr


def test_three_line_application_serves_everything(wheel, tmp_path):
    """In an empty environment, outside the checkout, the README's application serves widget, worker and bundle."""
    python = tmp_path / "venv" / "bin" / "python"
    call(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    call(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=tmp_path)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PRELISTEN_DATA": str(tmp_path / "data")}
    call(tmp_path / "venv" / "bin" / "prelisten", "keys", "new", cwd=tmp_path, env=env)
    readme = (ROOT / "README.md").read_text()
    application = next(
        block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "Prelisten(app)" in block
    )
    (tmp_path / "site.txt").write_text(application + ASK.format(checkout=str(ROOT)))
    printed = call(python, tmp_path / "site.txt", cwd=tmp_path, env=env)
    assert re.fullmatch(r"served \d+ files\n", printed)


def test_wheel_carries_what_the_server_reads(wheel):
    """Templates, the policy, migrations, the weights and the catalogue are inside."""
    names = call(sys.executable, "-m", "zipfile", "-l", wheel, cwd=ROOT)
    for part in (
        "prelisten/templates/form.html",
        "prelisten/policy/default.yaml",
        "prelisten/policy/default.cases.yaml",
        "prelisten/policy/schema.json",
        "prelisten/storage/migrations/",
        "prelisten/_web/manifest.json",
        "prelisten/_web/locales/en.json",
        "prelisten/_web/locales/ur.json",
        "prelisten/_docs/widget.md",
        "wasm_detector/model.safetensors",
        "wasm_detector/reasons.json",
    ):
        assert part in names, part
