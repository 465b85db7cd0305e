#!/usr/bin/env python3
"""Make `web/dist`, everything that a browser downloads, and say each step. Standard library only.

    python3 web/bundle.py            make what is not up to date
    python3 web/bundle.py --full     the same with Pyodide and numpy as they are shipped
    python3 web/bundle.py --sizes    what it weighs, file by file
    python3 web/bundle.py --check    check the scripts' types (tsc)

1. the Pyodide core and the official numpy wheel, each with the sha256 that Pyodide's lockfile names;
2. the pure wheel of `wasm_detector`;
3. the modules that a screening imports, found by screening, as bytecode; the others in archives fetched on demand;
4. our scripts, bundled by esbuild;
5. all of it in a folder named by its hash, with `.br` and `.gz` siblings and a manifest of sums.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bundling import archives, installer, locales, output, runtime, slim, trim
from bundling.errors import BundleError
from bundling.inside import Inside
from bundling.toolchain import Node, Say, find_node, run
from bundling.wheel import PIP, build_wheel

STDLIB = "python_stdlib.zip"
ON_DEMAND = ("worker/media.js", "client/microphone.js")  # Scripts beside the worker, not for every recording.
IGNORED = {"dist", "node_modules", "__pycache__", ".ruff_cache", ".mypy_cache"}


@dataclass
class Bundle:
    """One build: where things lie, and how to speak."""

    root: Path
    python: Path
    say: Say
    full: bool = False
    builder: str = PIP
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
        hashed = output.inputs_hash([f for f in files if not IGNORED & set(f.parts)], self.root)
        return " ".join(
            [hashed, *(["full"] if self.full else []), *([self.builder] if self.builder != PIP else [])]
        )


def build(
    root: Path, *, python: Path | None = None, say: Say = print, full: bool = False, builder: str = PIP
) -> Path:
    """Make `root/web/dist` when something changed and return it. Raises BundleError with what to do.

    `full` leaves nothing out and compiles nothing: Pyodide and numpy as they are shipped. `builder` makes the
    detector's wheel.
    """
    bundle = _bundle(root, python, say, full=full, builder=builder)
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


def _bundle(root: Path, python: Path | None, say: Say, *, full: bool = False, builder: str = PIP) -> Bundle:
    """Find the Python of the checkout's own environment when none is given."""
    own = root / ".venv" / "bin" / "python"
    found = python or (own if own.is_file() else Path(sys.executable))
    return Bundle(root.resolve(), found, say, full, builder)


def _assemble(bundle: Bundle, made: Path, inputs: str) -> None:
    """Write everything into `made`, the widget last: it names the hash of all the rest."""
    folder = made / "b" / "new"
    folder.mkdir(parents=True)
    _install_scripts(bundle)
    python = _python_part(bundle, folder)
    sentences = locales.put_locales(bundle.web / "src/locales", folder / "locales")
    _script_part(bundle, folder, python)
    named = folder.rename(folder.parent / output.tree_hash(folder))
    define = {"BUNDLE": f"b/{named.name}/", "DETECTOR": python.detector, **sentences}
    _script(bundle, "element/define.js", made / "widget.js", define)
    for served in ("locales", "pages"):
        shutil.copytree(bundle.web / "src" / served, made / served)
    lock, cache = bundle.web / "runtime.lock.json", bundle.cache / "installer"
    put = installer.put_installer(lock, made, cache=cache, python=bundle.python, say=bundle.say)
    output.precompress(made, node=bundle.node(), cache=bundle.cache / "brotli", say=bundle.say)
    files = output.describe(made)
    manifest = {
        "version": json.loads((bundle.web / "package.json").read_text(encoding="utf-8"))["version"],
        "inputs": inputs,
        "detector": python.detector,
        "full": bundle.full,
        "installer": put,
        "worker": f"b/{named.name}/worker.js",
        "files": files,
        "first_load": _first_load(f"b/{named.name}/", files),
    }
    _write_json(made / output.MANIFEST, manifest)


@dataclass(frozen=True, slots=True)
class PythonPart:
    """What the loader has to know of Python's files: the lockfile, the shared objects, and what the detector is."""

    lockfile: dict[str, Any]
    libraries: dict[str, str]
    detector: dict[str, Any]


def _python_part(bundle: Bundle, folder: Path) -> PythonPart:
    """Put Pyodide, numpy and the detector into `folder`, trimmed to what a screening imports."""
    lock = runtime.RuntimeLock.read(bundle.web / "runtime.lock.json")
    core, wheels = _fetch(bundle, lock)
    official = json.loads(core[runtime.LOCKFILE].read_text(encoding="utf-8"))
    inside = Inside(core, bundle.cache / "inside", bundle.node(), bundle.say)
    numpy = str(official["packages"]["numpy"]["file_name"])
    with tempfile.TemporaryDirectory() as folder_of_sources:
        sources = Path(folder_of_sources)
        archives.repack(core[STDLIB], sources / STDLIB, archives.keeps_stdlib, added=trim.SHIPPED_STDLIB)
        archives.repack(wheels[numpy], sources / numpy, archives.keeps_numpy, added=trim.SHIPPED_NUMPY)
        wheel = build_wheel(
            bundle.root / "wasm_detector",
            sources,
            builder=bundle.builder,
            python=bundle.python,
            say=bundle.say,
        )
        found = inside.screening([sources / numpy, sources / wheel])
        if bundle.full:
            for path in (core[STDLIB], sources / wheel):
                shutil.copyfile(path, folder / path.name)
            # The loader reads stored members only.
            archives.repack(wheels[numpy], folder / numpy, archives.keeps_numpy)
        else:
            bytecode = inside.compiled([sources / name for name in (STDLIB, numpy, wheel)])
            rests = {STDLIB: "stdlib-rest.zip", numpy: "numpy-rest.zip"}
            trim.put_trimmed(bytecode, folder, loaded=found["modules"], rests=rests)
            slim.put_slim(
                core,
                folder,
                wheel=sources / numpy,
                tables=inside.tables(),
                web=bundle.web,
                cache=bundle.cache / "slim",
                node=bundle.node(),
                say=bundle.say,
            )
    libraries = trim.put_libraries(folder / numpy, folder)
    if not bundle.full:
        _minify(bundle, [folder / slim.GLUE, core[slim.LOADER]], folder)
    for name, path in core.items():
        if name != runtime.LOCKFILE and not (folder / name).exists():
            shutil.copyfile(path, folder / name)
    lockfile = _lockfile(
        bundle, lock.version, core[runtime.LOCKFILE], numpy=folder / numpy, wheel=folder / wheel
    )
    detector = {
        "id": found["detector"]["id"],
        "sha256": runtime.sha256_of(folder / wheel),
        "requires": found["detector"]["requires"],
    }
    return PythonPart(lockfile, libraries, detector)


def _minify(bundle: Bundle, modules: list[Path], folder: Path) -> None:
    """Write these modules into `folder`, in fewer bytes."""
    pairs = json.dumps([(str(path.resolve()), str((folder / path.name).resolve())) for path in modules])
    node = bundle.node()
    command = [str(node.node), str(bundle.web / "bundling/minify.mjs"), pairs]
    run(command, doing="minifying Pyodide's scripts", say=bundle.say, cwd=bundle.web, env=node.environment())


def _lockfile(bundle: Bundle, version: str, official: Path, *, numpy: Path, wheel: Path) -> dict[str, Any]:
    """Return what Pyodide has to know of the two packages."""
    changes = {
        "numpy": {"sha256": runtime.sha256_of(numpy)},
        "wasm-detector": {
            "version": wheel.name.split("-")[1],
            "file_name": wheel.name,
            "sha256": runtime.sha256_of(wheel),
            "install_dir": "site",
            "imports": ["wasm_detector"],
            "depends": ["numpy"],
        },
    }
    with tempfile.TemporaryDirectory() as work:
        target = Path(work) / runtime.LOCKFILE
        script = bundle.web / "bundling/lockfile.py"
        command = [str(bundle.python), str(script), str(official), version, str(target), json.dumps(changes)]
        run(command, doing="writing the browser's lockfile (pyodide-lock)", say=bundle.say)
        return dict(json.loads(target.read_text(encoding="utf-8")))


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


def _script_part(bundle: Bundle, folder: Path, python: PythonPart) -> None:
    """Bundle the scripts that load on intent; the worker gets the sum of every file that it loads at its start."""
    first = [path for path in folder.iterdir() if path.is_file() and path.name not in trim.RESTS]
    files = {path.name: {"sha256": runtime.sha256_of(path), "bytes": path.stat().st_size} for path in first}
    bundle.say("  Bundling the scripts")
    _script(
        bundle,
        "worker/worker.js",
        folder / "worker.js",
        {"FILES": files, "LIBRARIES": python.libraries, "LOCKFILE": python.lockfile},
    )
    _script(bundle, "client/client.js", folder / "client.js", {"DETECTOR": python.detector})
    for entry in ("panel/panel.js", "panel/waveform.js", *ON_DEMAND):
        _script(bundle, entry, folder / Path(entry).name, {})


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


def _first_load(named: str, files: Mapping[str, Any]) -> list[str]:
    """Return the files that an English page loads up to the first band: all beside the worker but what is on demand."""
    beside = [name for name in files if name.startswith(named) and "/" not in name.removeprefix(named)]
    later = {*trim.RESTS, *(Path(entry).name for entry in ON_DEMAND)}
    wanted = [name for name in beside if name.removeprefix(named) not in later]
    return ["widget.js", f"{named}locales/en.json", *wanted]


def _summarise(dist: Path, say: Say) -> None:
    manifest = json.loads((dist / output.MANIFEST).read_text(encoding="utf-8"))
    for line in output.table(manifest):
        say(f"  {line}")
    for one in manifest["detector"]["requires"]:
        say(
            f"  The detector weighs {one['name']}: list {one['package']} {one['version']} in PRELISTEN_EXTENSIONS"
        )


def main(arguments: list[str]) -> int:
    """Build, or check, the checkout that this file lies in."""
    root = Path(__file__).resolve().parent.parent
    try:
        if arguments == ["--check"]:
            check(root)
        elif arguments == ["--sizes"]:
            _summarise(root / "web/dist", print)
        else:
            build(root, full="--full" in arguments)
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
