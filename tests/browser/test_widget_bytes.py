"""What a visitor downloads: little before intent, and never a heavy package."""

from __future__ import annotations

import _imp
import gzip
import zipfile
from pathlib import Path

import pytest

from prelisten.assets import manifest, web_root

BEFORE_INTENT_BYTES = 14_000
MAGIC = (3627).to_bytes(2, "little") + b"\r\n"  # CPython 3.14, as Pyodide has it.
FIRST_LOAD_BYTES = 5_000_000


@pytest.fixture(scope="module")
def files() -> dict[str, dict[str, int]]:
    """The manifest's files, with their sizes."""
    return manifest()["files"]


def test_script_before_intent_is_small(files: dict[str, dict[str, int]]) -> None:
    """The element, its style and its first sentences in English: one script."""
    assert files["widget.js"]["gz"] <= BEFORE_INTENT_BYTES


def test_first_load_over_the_wire(files: dict[str, dict[str, int]]) -> None:
    """Everything up to the first band, as brotli, detector and model included."""
    loaded = [files[name] for name in manifest()["first_load"]]
    assert sum(entry["br"] or entry["bytes"] for entry in loaded) <= FIRST_LOAD_BYTES


def test_compressed_siblings_hold_the_same_bytes() -> None:
    """What is negotiated is what lies there."""
    script = web_root() / "widget.js"
    assert gzip.decompress(Path(f"{script}.gz").read_bytes()) == script.read_bytes()


def test_no_scipy_and_one_detector(files: dict[str, dict[str, int]]) -> None:
    """numpy and our own wheel, nothing else; what installs an operator's own wheels lies apart."""
    wheels = {name: Path(name).name.split("-")[0] for name in files if name.endswith(".whl")}
    assert sorted(wheels[name] for name in wheels if name.startswith("b/")) == ["numpy", "wasm_detector"]
    assert sorted(wheels[name] for name in wheels if name.startswith("x/")) == ["micropip", "packaging"]


def test_the_wheel_holds_the_code_that_the_server_runs(files: dict[str, dict[str, int]]) -> None:
    """The modules, by the hash of the source that each one's bytecode carries; data byte for byte."""
    wheel = next(name for name in files if "wasm_detector-" in name)
    source = Path(__file__).resolve().parents[2] / "wasm_detector"
    with zipfile.ZipFile(web_root() / wheel) as archive:
        shipped = {
            Path(n).name: archive.read(n) for n in archive.namelist() if n.startswith("wasm_detector/")
        }
    data = {name: content for name, content in shipped.items() if not name.endswith(".pyc")}
    assert data == {
        path.name: path.read_bytes() for path in source.iterdir() if path.suffix in {".json", ".safetensors"}
    }
    modules = {name: content for name, content in shipped.items() if name.endswith(".pyc")}
    assert {name: (content[:4], content[8:16]) for name, content in modules.items()} == {
        f"{path.stem}.pyc": (MAGIC, _imp.source_hash(int.from_bytes(MAGIC, "little"), path.read_bytes()))
        for path in source.glob("*.py")
    }
