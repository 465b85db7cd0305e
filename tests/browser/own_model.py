"""A checkout in which the browser's model weighs an operator's own signal: a model, and the bundle with it in place."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np

from prelisten.lab.modelfile import pack
from wasm_detector.model import EXPERTS, FILE_NAME, MESSENGER, Requirement, parse_model, unpack
from wasm_detector.signals import TOGETHER

ROOT = Path(__file__).resolve().parents[2]
DETECTOR = ROOT / "wasm_detector"
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", ".*", "node_modules", "*.br", "*.gz")


def weighing(required: Requirement, *, at: float, width: float, weight: float) -> bytes:
    """Return the package's model with one more signal, heaviest where that signal is near `at`.

    Every score is `high`, so that the reasons are told; what sums up all signals at once is left out, and with it the
    experts and what is done about messengers.
    """
    stored, arrays = unpack((DETECTOR / FILE_NAME).read_bytes())
    kept = [part for part in stored["parts"] if part["name"] != TOGETHER]
    del stored["experts"], stored[MESSENGER]
    left_out = tuple(f"{part}." for part in (TOGETHER, *EXPERTS, MESSENGER))
    arrays = {name: array for name, array in arrays.items() if not name.startswith(left_out)}
    name = required.name
    arrays |= {
        f"{name}.centre": np.array([at], np.float32),
        f"{name}.scale": np.array([width], np.float32),
        f"{name}.landmarks": np.zeros((1, 1), np.int8),
        f"{name}.weights": np.array([[weight], [0.0]], arrays[f"{kept[0]['name']}.weights"].dtype),
    }
    part = kept[0] | {"name": name, "landmark_step": 0.1, "offset": [0.0, 0.0], "gamma": 1.0}
    bands = {"elevated": 1e-9, "high": 1e-8, "extensions": [asdict(required)]}
    return pack(stored | {"parts": [*kept, part]} | bands, arrays)


def checkout(folder: Path, model: bytes) -> Path:
    """Return a checkout in `folder` with this model, and with a bundle as a build would make it, but for size.

    The detector's archive has the model; Python's has all modules, for those that run an extension are wanted at first.
    """
    for part in ("server", "wasm_detector", "web"):
        shutil.copytree(ROOT / part, folder / part, ignore=LEFT_BEHIND)
    (folder / "wasm_detector" / FILE_NAME).write_bytes(model)
    dist = folder / "web/dist"
    manifest = json.loads((dist / "manifest.json").read_text())
    bundle = (dist / manifest["worker"]).parent
    (detector,) = bundle.glob("wasm_detector-*.whl")
    changes = _rewrite(detector, {f"wasm_detector/{FILE_NAME}": model})
    with zipfile.ZipFile(bundle / "stdlib-rest.zip") as rest:
        changes |= _rewrite(bundle / "python_stdlib.zip", {name: rest.read(name) for name in rest.namelist()})
    parsed, old = parse_model(model), manifest["detector"]
    required = [asdict(one) for one in parsed.requires]
    manifest["detector"] = {"id": parsed.detector, "sha256": changes[old["sha256"]], "requires": required}
    (dist / "manifest.json").write_text(json.dumps(manifest))
    changes |= {old["id"]: parsed.detector, "requires:[]": f"requires:{json.dumps(required)}"}
    for script in ("worker.js", "client.js"):
        text = (bundle / script).read_text()
        for was, becomes in changes.items():
            text = text.replace(was, becomes)
        (bundle / script).write_text(text)
    assert f"requires:{json.dumps(required)}" in (bundle / "client.js").read_text()
    return folder


def _rewrite(archive: Path, members: dict[str, bytes]) -> dict[str, str]:
    """Replace or add members; return what a script says of the archive, and what it must say now."""
    was = archive.read_bytes()
    with zipfile.ZipFile(archive) as old:
        kept = {info: old.read(info) for info in old.infolist() if info.filename not in members}
    with zipfile.ZipFile(archive, "w") as made:
        for info, content in kept.items():
            made.writestr(info, content)
        for name, content in members.items():
            made.writestr(name, content)
    now = archive.read_bytes()
    sums = {sha256(was).hexdigest(): sha256(now).hexdigest()}
    return sums | {f"bytes:{len(was)}": f"bytes:{len(now)}"}
