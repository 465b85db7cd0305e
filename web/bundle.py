#!/usr/bin/env python3
"""Make `web/dist`, everything that a browser downloads, and say each step. Standard library only.

    python3 web/bundle.py            make what is not up to date
    python3 web/bundle.py --check    check the scripts' types (tsc)

1. the Pyodide core and the official numpy wheel, each with the sha256 that Pyodide's lockfile names;
2. the pure wheel of `wasm_detector`; numpy trimmed to what it imports;
3. our scripts, bundled by esbuild;
4. all of it in a folder named by its hash, with `.br` and `.gz` siblings and a manifest of sums.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bundling import archives, installer, locales, output, runtime
from bundling.errors import BundleError
from bundling.toolchain import Node, Say, find_node, pip, run

# Any fixed date makes hatchling's wheel the same bytes each time; this is the earliest that a zip can hold.
SOURCE_DATE_EPOCH = "315532800"
IGNORED = {"dist", "node_modules", "__pycache__", ".ruff_cache", ".mypy_cache"}


@dataclass
class Bundle:
    """One build: where things lie, and how to speak."""

    root: Path
    python: Path
    say: Say
    _node: list[Node] = field(default_factory=list)

    @property
    def web(self) -> Path:
        """The folder of the browser's sources."""
        return self.root / "web"

    @property
    def cache(self) -> Path:
        """The folder of verified downloads and finished compressions."""
        return self.root / ".cache"

    def node(self) -> Node:
        """Return Node, found (or installed) at the first need."""
        if not self._node:
            self._node.append(find_node(self.python, self.say))
        return self._node[0]

    def inputs(self) -> str:
        """Return the hash of everything the result depends on."""
        folders = [self.web / "src", self.web / "bundling", self.root / "wasm_detector"]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        files += [self.web / name for name in ("bundle.py", "runtime.lock.json", "package-lock.json")]
        return output.inputs_hash([f for f in files if not IGNORED & set(f.parts)], self.root)


def build(root: Path, *, python: Path | None = None, say: Say = print) -> Path:
    """Make `root/web/dist` when something changed and return it. Raises BundleError with what to do."""
    bundle = _bundle(root, python, say)
    dist = bundle.web / "dist"
    inputs = bundle.inputs()
    if output.is_current(dist, inputs):
        say("  The browser bundle is up to date")
        return dist
    with tempfile.TemporaryDirectory(dir=bundle.web, prefix=".dist-") as work:
        made = Path(work) / "dist"
        _assemble(bundle, made, inputs)
        output.replace_folder(made, dist)
    _summarise(dist, say)
    return dist


def _bundle(root: Path, python: Path | None, say: Say) -> Bundle:
    """Find the Python of the checkout's own environment when none is given."""
    own = root / ".venv" / "bin" / "python"
    return Bundle(root.resolve(), python or (own if own.is_file() else Path(sys.executable)), say)


def _assemble(bundle: Bundle, made: Path, inputs: str) -> None:
    """Write everything into `made`, the widget last: it names the hash of all the rest."""
    folder = made / "b" / "new"
    folder.mkdir(parents=True)
    packages = _python_part(bundle, folder)
    _install_scripts(bundle)
    sentences = locales.put_locales(bundle.web / "src/locales", folder / "locales")
    detector = _script_part(bundle, folder, packages)
    named = folder.rename(folder.parent / output.tree_hash(folder))
    define = {"BUNDLE": f"b/{named.name}/", "DETECTOR": detector, **sentences}
    _script(bundle, "define.js", made / "widget.js", define)
    for served in ("locales", "pages"):
        shutil.copytree(bundle.web / "src" / served, made / served)
    lock, cache = bundle.web / "runtime.lock.json", bundle.cache / "installer"
    put = installer.put_installer(lock, made, cache=cache, python=bundle.python, say=bundle.say)
    output.precompress(made, node=bundle.node(), cache=bundle.cache / "brotli", say=bundle.say)
    manifest = {
        "version": json.loads((bundle.web / "package.json").read_text(encoding="utf-8"))["version"],
        "inputs": inputs,
        "detector": detector,
        "installer": put,
        "worker": f"b/{named.name}/worker.js",
        "files": output.describe(made),
    }
    _write_json(made / output.MANIFEST, manifest)


def _python_part(bundle: Bundle, folder: Path) -> dict[str, Any]:
    """Put Pyodide, the trimmed numpy and the detector's wheel into `folder`; return the browser's lockfile."""
    lock = runtime.RuntimeLock.read(bundle.web / "runtime.lock.json")
    core, wheels = _fetch(bundle, lock)
    for name, path in core.items():
        if name == "python_stdlib.zip":
            archives.repack(path, folder / name, archives.keeps_stdlib)
        elif name != runtime.LOCKFILE:
            shutil.copyfile(path, folder / name)
    official = json.loads(core[runtime.LOCKFILE].read_text(encoding="utf-8"))
    packages = {}
    for name in lock.wheels:
        entry = official["packages"][name]
        archives.repack(wheels[entry["file_name"]], folder / entry["file_name"], archives.keeps_numpy)
        packages[name] = entry | {"sha256": runtime.sha256_of(folder / entry["file_name"])}
    packages["wasm-detector"] = _detector(bundle, folder)
    return {"info": official["info"], "packages": packages}


def _fetch(bundle: Bundle, lock: runtime.RuntimeLock) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return the verified files of the core, and the verified wheels that the official lockfile names."""
    say = bundle.say
    cache = runtime.Cache(bundle.cache / f"pyodide-{lock.version}", say)
    cdn = runtime.Cdn(lock.version, say)
    npm = runtime.Npm(lock.version, bundle.node, say)
    carriers = [runtime.Carrier(requirement, bundle.python, say) for requirement in lock.carriers]
    core = runtime.fetch(lock.core, cache, [cdn, npm, *carriers], say)
    official = json.loads(core[runtime.LOCKFILE].read_text(encoding="utf-8"))
    pins = runtime.official_wheels(official, lock.wheels)
    return core, runtime.fetch(pins, cache, [cdn, *carriers], say)


def _detector(bundle: Bundle, folder: Path) -> dict[str, Any]:
    """Build the pure wheel of `wasm_detector` into `folder`; return its entry for the lockfile."""
    bundle.say("  Building the detector's wheel")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH}
    with tempfile.TemporaryDirectory() as work:
        pip(
            bundle.python,
            ["wheel", "--quiet", "--no-deps", "--wheel-dir", work, str(bundle.root / "wasm_detector")],
            doing="building the detector's wheel",
            say=bundle.say,
            env=environment,
        )
        wheel = next(Path(work).glob("*.whl"))
        archives.repack(wheel, folder / wheel.name, archives.keeps_wheel)
    return {
        "name": "wasm-detector",
        "version": wheel.name.split("-")[1],
        "file_name": wheel.name,
        "sha256": runtime.sha256_of(folder / wheel.name),
        "install_dir": "site",
        "package_type": "package",
        "imports": ["wasm_detector"],
        "depends": ["numpy"],
        "unvendored_tests": False,
    }


def check(root: Path, *, python: Path | None = None, say: Say = print) -> None:
    """Check the types of the scripts. Raises BundleError with what the compiler says."""
    bundle = _bundle(root, python, say)
    _install_scripts(bundle)
    node = bundle.node()
    run(
        [str(node.npm), "run", "--silent", "check"],
        doing="tsc",
        say=say,
        cwd=bundle.web,
        env=node.environment(),
    )


def _install_scripts(bundle: Bundle) -> None:
    """Run `npm ci` unless `node_modules` was made from this very lockfile."""
    lock = runtime.sha256_of(bundle.web / "package-lock.json")
    stamp = bundle.web / "node_modules" / ".made-from"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == lock:
        return
    bundle.say("  Installing the script tools (npm ci)")
    node = bundle.node()
    # No install scripts: esbuild's only swaps its launcher for the program, which we do not call.
    command = [str(node.npm), "ci", "--ignore-scripts"]
    run(command, doing="npm ci", say=bundle.say, cwd=bundle.web, env=node.environment())
    stamp.write_text(lock, encoding="utf-8")


def _script_part(bundle: Bundle, folder: Path, lockfile: Mapping[str, Any]) -> dict[str, str]:
    """Bundle the scripts that load on intent; return what a claim says about the detector."""
    checked = [path for path in folder.iterdir() if path.suffix in {".whl", ".zip", ".wasm"}]
    files = {path.name: {"sha256": runtime.sha256_of(path), "bytes": path.stat().st_size} for path in checked}
    entry = lockfile["packages"]["wasm-detector"]
    detector = {"id": _detector_id(bundle, folder / entry["file_name"]), "sha256": entry["sha256"]}
    bundle.say("  Bundling the scripts")
    _script(bundle, "worker.js", folder / "worker.js", {"FILES": files, "LOCKFILE": lockfile})
    _script(bundle, "client.js", folder / "client.js", {"DETECTOR": detector})
    _script(bundle, "panel.js", folder / "panel.js", {})
    _script(bundle, "waveform.js", folder / "waveform.js", {})
    return detector


def _detector_id(bundle: Bundle, wheel: Path) -> str:
    """Ask the very wheel that the browser loads for its id, by a Python that has numpy."""
    question = "from wasm_detector.model import detector_id; print(detector_id())"
    return run(
        [str(bundle.python), "-c", question],
        doing="asking the detector its id",
        say=bundle.say,
        cwd=wheel.parent,
        env={**os.environ, "PYTHONPATH": str(wheel)},
    ).strip()


def _script(bundle: Bundle, entry: str, target: Path, define: Mapping[str, Any]) -> None:
    """Bundle `src/<entry>`; each name of `define` becomes the constant `__NAME__` of the source."""
    order = {
        "entry": str(bundle.web / "src" / entry),
        "outfile": str(target),
        "define": {f"__{name}__": json.dumps(value) for name, value in define.items()},
    }
    node = bundle.node()
    command = [str(node.node), str(bundle.web / "bundling/scripts.mjs"), json.dumps(order)]
    run(command, doing=f"bundling {entry}", say=bundle.say, cwd=bundle.web, env=node.environment())


def _write_json(path: Path, value: object) -> None:
    path.write_text(
        json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )


def _summarise(dist: Path, say: Say) -> None:
    files = json.loads((dist / output.MANIFEST).read_text(encoding="utf-8"))["files"].values()
    raw = sum(entry["bytes"] for entry in files) / 1e6
    brotli = sum(entry["br"] or entry["bytes"] for entry in files) / 1e6
    say(f"  The browser bundle is ready: {raw:.1f} MB, {brotli:.1f} MB as brotli")


def main(arguments: list[str]) -> int:
    """Build, or check, the checkout that this file lies in."""
    action = check if arguments == ["--check"] else build
    try:
        action(Path(__file__).resolve().parent.parent)
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
