"""The builds that are measured, side by side in one folder: ours, Pyodide as it is shipped, onnxruntime-web.

- *ours* is a copy of `web/dist`.
- *as shipped* is the Pyodide core and numpy's wheel with the bytes of their release, the detector's wheel as `pip`
  makes it, and the product's own worker, whose loader is replaced by the documented `loadPyodide` and `loadPackage`.
- *onnxruntime-web* is its WebAssembly build with a model made from a seed.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bundle.onnx_model import onnx_model

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
PAGES = HERE / "pages"
WEB = ROOT / "web"
CACHE = ROOT / ".cache"
RUNTIME = HERE / "onnxruntime"
ORT_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
OURS, SHIPPED, ONNX = "ours", "as shipped", "onnxruntime-web"
BUILDS = (OURS, SHIPPED, ONNX)

sys.path.insert(0, str(WEB))
from bundling import output, runtime  # noqa: E402 The build's own modules lie in `web/`, which is no package.
from bundling.toolchain import Node, find_node, pip, run  # noqa: E402

Say = Callable[[str], None]


@dataclass(frozen=True)
class Build:
    """One of the builds: the module whose `Client` screens, its worker, and that worker with the memory's spy."""

    name: str
    client: str
    worker: str
    spied: str

    def page(self, *, is_spied: bool = False) -> str:
        """Return the path of the bench's page for this build."""
        worker = f"{self.spied}&spied" if is_spied else self.worker
        return f"/page.html?client={self.client}&worker={worker}"


def make_builds(folder: Path, say: Say) -> dict[str, Build]:
    """Put every build into `folder`, compressed; return them by name."""
    node = find_node(Path(sys.executable), say)
    shutil.copytree(PAGES, folder / "pages")
    (folder / "page.html").write_text(
        '<!doctype html><title>bench</title><link rel="icon" href="data:,"><input type="file">'
        '<script type="module" src="/pages/measure.js"></script>'
    )
    workers = {
        OURS: _ours(folder / "ours"),
        SHIPPED: _shipped(folder / "shipped", node, say),
        ONNX: _onnx(folder / "onnx", node, say),
    }
    builds = {}
    for name, (client, worker) in workers.items():
        paths = [f"/{path.relative_to(folder).as_posix()}" for path in (client, worker)]
        spied = folder / "pages" / f"spied-{worker.relative_to(folder).parts[0]}.js"
        spied.write_text(f'import "/pages/memory-spy.js";\nimport "{paths[1]}";\n')
        builds[name] = Build(name, *paths, f"/pages/{spied.name}")
    for made in (folder / "shipped", folder / "onnx"):
        output.precompress(made, node=node, cache=CACHE / "brotli", say=say)
    return builds


def _ours(folder: Path) -> tuple[Path, Path]:
    """Copy what the server serves; a bundle made anew meanwhile changes nothing of this run."""
    shutil.copytree(WEB / "dist", folder)
    worker = folder / json.loads((folder / output.MANIFEST).read_text(encoding="utf-8"))["worker"]
    return worker.with_name("client.js"), worker


def _shipped(folder: Path, node: Node, say: Say) -> tuple[Path, Path]:
    """Lay out Pyodide's release, verified; the product's client and worker with another loader."""
    folder.mkdir()
    lock = runtime.RuntimeLock.read(WEB / "runtime.lock.json")
    released = CACHE / f"pyodide-{lock.version}"
    official = json.loads((released / runtime.LOCKFILE).read_text(encoding="utf-8"))
    wheels = [official["packages"][name] for name in lock.wheels]
    pins = {**dict(lock.core), **{entry["file_name"]: entry["sha256"] for entry in wheels}}
    for name, sha256 in pins.items():
        shutil.copyfile(released / name, folder / name)
        if runtime.sha256_of(folder / name) != sha256:
            raise RuntimeError(f"{name} in {released} is not the released file: remove it, bundle again.")
    arguments = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT / "wasm_detector")]
    pip(Path(sys.executable), arguments, doing="building the detector's wheel", say=say)
    wheel = next(folder.glob("wasm_detector-*.whl")).name
    with tempfile.TemporaryDirectory(dir=WEB, prefix=".bench-") as work:
        sources = Path(work)
        shutil.copytree(WEB / "src", sources, dirs_exist_ok=True)
        shutil.copyfile(PAGES / "shipped-runtime.js", sources / "worker/runtime.js")
        for name in ("worker", "client"):
            order = {
                "entry": str(sources / f"{name}/{name}.js"),
                "outfile": str(folder / f"{name}.js"),
                "define": {"__WHEEL__": json.dumps(wheel), "__DETECTOR__": "{}"},
            }
            command = [str(node.node), str(WEB / "bundling/scripts.mjs"), json.dumps(order)]
            run(command, doing=f"bundling {name}", say=say, cwd=WEB, env=node.environment())
    return folder / "client.js", folder / "worker.js"


def _onnx(folder: Path, node: Node, say: Say) -> tuple[Path, Path]:
    """Install onnxruntime-web once, for the bench alone, and make the model."""
    installed = CACHE / "onnxruntime"
    stamp, lock = installed / ".made-from", runtime.sha256_of(RUNTIME / "package-lock.json")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != lock:
        say("  Installing onnxruntime-web (npm ci)")
        shutil.rmtree(installed, ignore_errors=True)
        shutil.copytree(RUNTIME, installed, ignore=shutil.ignore_patterns("node_modules"))
        command = [str(node.npm), "ci", "--ignore-scripts"]
        run(command, doing="npm ci", say=say, cwd=installed, env=node.environment())
        stamp.write_text(lock, encoding="utf-8")
    folder.mkdir()
    for name in ORT_FILES:
        shutil.copyfile(installed / "node_modules/onnxruntime-web/dist" / name, folder / name)
    for name in ("onnx-worker.js", "onnx-client.js"):
        shutil.copyfile(PAGES / name, folder / name)
    (folder / "model.onnx").write_bytes(onnx_model())
    return folder / "onnx-client.js", folder / "onnx-worker.js"
