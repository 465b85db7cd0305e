"""Write `web/dist`: a hash-named folder, precompressed siblings, a manifest with sha256 sums; all or nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .runtime import sha256_of
from .toolchain import Node, Say, run

MANIFEST = "manifest.json"
HASH_LENGTH = 12
# Below this a compressed sibling saves less than one packet.
COMPRESS_FROM_BYTES = 400
HERE = Path(__file__).parent


def tree_hash(folder: Path) -> str:
    """Return a hash of all names and contents under `folder`: the name under which it is immutable."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()[:HASH_LENGTH]


def inputs_hash(paths: Iterable[Path], root: Path) -> str:
    """Return a hash of the names and contents of everything the bundle is made from."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def is_current(dist: Path, inputs: str) -> bool:
    """Tell whether `dist` was made from these inputs and all its files are there, with their sizes."""
    try:
        manifest = json.loads((dist / MANIFEST).read_text(encoding="utf-8"))
        sizes = [(dist / name, entry) for name, entry in manifest["files"].items()]
        return manifest["inputs"] == inputs and all(_is_whole(path, entry) for path, entry in sizes)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_whole(path: Path, entry: Mapping[str, Any]) -> bool:
    siblings = ((path, "bytes"), (Path(f"{path}.br"), "br"), (Path(f"{path}.gz"), "gz"))
    return all(entry[key] is None or file.stat().st_size == entry[key] for file, key in siblings)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def precompress(folder: Path, *, node: Node, cache: Path, say: Say) -> None:
    """Put `.br` (quality 11) and `.gz` beside every file worth it; brotli's results are kept by content."""
    cache.mkdir(parents=True, exist_ok=True)
    work: dict[Path, Path] = {}
    kept: list[tuple[Path, Path]] = []
    for path in _files(folder):
        if path.stat().st_size < COMPRESS_FROM_BYTES:
            continue
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        packed = cache / f"{sha256_of(path)}.br"
        kept.append((packed, Path(f"{path}.br")))
        if not packed.is_file():
            work[packed] = path
    _brotli([(source, packed) for packed, source in work.items()], node=node, say=say)
    for packed, target in kept:
        shutil.copyfile(packed, target)


def _brotli(work: list[tuple[Path, Path]], *, node: Node, say: Say) -> None:
    """Compress each (source, target), the target appearing only when it is whole."""
    if not work:
        return
    say(f"  Compressing {len(work)} files with brotli at its best (about half a minute the first time)")
    with tempfile.TemporaryDirectory(dir=work[0][1].parent) as folder:
        pairs = [
            (str(source), f"{folder}/{target.name}")
            for source, target in sorted(work, key=lambda pair: -pair[0].stat().st_size)
        ]
        run([str(node.node), str(HERE / "compress.mjs"), json.dumps(pairs)], doing="compressing", say=say)
        for _, target in work:
            (Path(folder) / target.name).replace(target)


def describe(folder: Path) -> dict[str, dict[str, Any]]:
    """Return, for each file under `folder`, its sha256 and its sizes as sent raw, by brotli and by gzip."""
    names = [path for path in _files(folder) if path.suffix not in {".br", ".gz"}]
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
            "br": _size(f"{path}.br"),
            "gz": _size(f"{path}.gz"),
        }
        for path in names
    }


def table(manifest: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table: bytes as they are, by brotli and by gzip, of each file of the first load."""
    first, files = manifest["first_load"], manifest["files"]
    sizes = {name: _sizes(files[name]) for name in files}
    by_size = sorted(first, key=lambda name: -sizes[name][1])
    later = [sizes[name] for name in files if name not in first]
    return [
        f"{'bytes':>12}{'brotli':>11}{'gzip':>11}",
        *(_line(sizes[name], name.rpartition("/")[2]) for name in by_size),
        _line(_sum(sizes[name] for name in first), "= up to the first band"),
        _line(_sum(later), f"= {len(later)} other files: on demand, other languages, other pages"),
    ]


def _sizes(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    raw = entry["bytes"]
    return raw, entry["br"] or raw, entry["gz"] or raw


def _sum(sizes: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    raw, brotli, gz = (sum(column) for column in zip((0, 0, 0), *sizes, strict=True))
    return raw, brotli, gz


def _line(sizes: tuple[int, int, int], name: str) -> str:
    raw, brotli, gz = sizes
    return f"{raw:>12,}{brotli:>11,}{gz:>11,}  {name}"


def _size(name: str) -> int | None:
    path = Path(name)
    return path.stat().st_size if path.is_file() else None


def replace_folder(made: Path, target: Path) -> None:
    """Put `made` in the place of `target`; whoever reads sees the old one or the new one."""
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=".dist-old-"))
    if target.exists():
        os.replace(target, old / "dist")
    os.replace(made, target)
    shutil.rmtree(old, ignore_errors=True)
