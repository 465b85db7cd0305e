"""Split an archive of bytecode into what a screening imports and the rest, which is fetched on demand."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

from .archives import stored
from .runtime import sha256_of

HERE = Path(__file__).parent / "shipped"
SHIPPED_STDLIB = {name: HERE / name for name in ("_on_demand.py", "sitecustomize.py")}
SHIPPED_NUMPY = {"numpy/linalg/_umath_linalg.py": HERE / "_umath_linalg.py"}
RESTS = ("stdlib-rest.zip", "numpy-rest.zip")
LEFT_OUT = "_left_out.json"
INITS = ("/__init__.pyc", "/__init__.py")
SOURCES = (".pyc", ".py")
# Not seen by the workload, and needed where something goes wrong or a name is not plain ASCII.
ALWAYS = frozenset(
    {
        "_on_demand",
        "sitecustomize",
        "encodings.ascii",
        "encodings.idna",
        "encodings.latin_1",
        "encodings.utf_16_le",
        "encodings.utf_8_sig",
        "stringprep",
    }
)
# A shared object that lies in the rest, where a module of the same name stands in its place until it is asked for.
STANDS_IN = frozenset({"numpy.linalg._umath_linalg"})


def module_of(member: str) -> str | None:
    """Return the dotted name of the module that this member of an archive is, None for any other file."""
    for init in INITS:
        if member.endswith(init):
            return member.removesuffix(init).replace("/", ".")
    for suffix in SOURCES:
        if member.endswith(suffix):
            return member.removesuffix(suffix).replace("/", ".")
    if member.endswith(".so"):
        folder, _, name = member.rpartition("/")
        return f"{folder}/{name.partition('.')[0]}".lstrip("/").replace("/", ".")
    return None


def is_first(member: str, loaded: Collection[str]) -> bool:
    """Tell whether this member belongs to the first load. Of files that are no modules, only a package's name does."""
    module = module_of(member)
    if module is None:
        return member.endswith((".dist-info/METADATA", ".json"))
    if module in STANDS_IN and member.endswith(".so"):
        return False
    return module in loaded or module in ALWAYS


def split(source: Path, first: Path, rest: Path, loaded: Collection[str]) -> set[str]:
    """Write the members of `source` to `first` or `rest`; return the modules that are in `rest`."""
    left_out = set()
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(first, "w") as kept,
        zipfile.ZipFile(rest, "w") as other,
    ):
        for name in old.namelist():
            here = is_first(name, loaded)
            (kept if here else other).writestr(stored(name), old.read(name))
            if not here and (module := module_of(name)):
                left_out.add(module)
    return left_out


def put_libraries(wheel: Path, folder: Path) -> dict[str, str]:
    """Put each shared object of the wheel into `folder` as a file of its own, empty members in their place.

    A browser keeps what it compiled of a `.wasm` that it fetched, never of an archive's member. Returns the names of
    the files, with the members that they were.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    found = {f"{module_of(name)}.wasm": name for name in members if name.endswith(".so")}
    for name, member in found.items():
        (folder / name).write_bytes(members[member])
        members[member] = b""
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(stored(name), content)
    return found


def put_trimmed(
    bytecode: Mapping[Path, Path], folder: Path, *, loaded: Collection[str], rests: Mapping[str, str]
) -> None:
    """Put the archives of `bytecode` (by their source's path) into `folder`; those in `rests` split in two.

    The standard library gets the table by which `_on_demand` finds what was left out.
    """
    left_out: dict[str, dict[str, object]] = {}
    for source, archive in bytecode.items():
        rest = rests.get(source.name)
        if rest is None:
            (folder / source.name).write_bytes(archive.read_bytes())
            continue
        modules = split(archive, folder / source.name, folder / rest, loaded)
        left_out[rest] = {"sha256": sha256_of(folder / rest), "modules": sorted(modules)}
    with zipfile.ZipFile(folder / "python_stdlib.zip", "a") as stdlib:
        stdlib.writestr(stored(LEFT_OUT), json.dumps(left_out, sort_keys=True, separators=(",", ":")))
