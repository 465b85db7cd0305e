#!/usr/bin/env python3
"""The one task runner of this tree. Standard library only; everything else is installed into ./.venv.

python3 build.py serve    set everything up and run the server on http://127.0.0.1:8000
python3 build.py test     set everything up and run every check and test (--full: at the sizes that figures are for)
python3 build.py bundle   make web/dist, what a browser downloads (--full: with nothing left out)
python3 build.py bench    measure bytes and seconds of the bundle in a real browser
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
STAMP = VENV / ".prelisten-installed"
OLDEST_PYTHON = (3, 11)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class StepError(Exception):
    """A step failed; the message says what to do."""


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a step and, when it is done, how long it took."""
    say(f"-> {what}")
    start = time.monotonic()
    yield
    say(f"   done in {time.monotonic() - start:.1f} s")


def run(command: Sequence[str | Path], *, quiet: bool = False, env: dict[str, str] | None = None) -> None:
    """Run a command in the tree's root. Raises `StepError` with its output when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if done.returncode:
        output = f"\n{done.stdout[-6000:]}" if quiet else ""
        raise StepError(
            f"`{' '.join(str(part) for part in command)}` failed (exit {done.returncode}).{output}"
        )


def make_venv() -> None:
    """Make ./.venv unless a working one is there."""
    works = (
        PYTHON.exists()
        and not subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode
    )
    if works:
        return
    with step("Making a virtual environment in .venv"):
        shutil.rmtree(VENV, ignore_errors=True)
        try:
            run([sys.executable, "-m", "venv", VENV], quiet=True)
        except StepError as error:
            raise StepError(f"{error}\nOn Debian and Ubuntu: apt-get install python3-venv") from error


def install(extras: set[str]) -> None:
    """Install this tree, editable, with its extras into ./.venv; nothing when they are there already."""
    make_venv()
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp, *there = STAMP.read_text().split() if STAMP.exists() else [""]
    if stamp == wanted and extras <= set(there):
        return
    extras |= set(there)
    target = f".[{','.join(sorted(extras))}]" if extras else "."
    with step("Installing Python packages into .venv (20 to 90 s the first time)"):
        run(
            [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", target],
            quiet=True,
        )
    STAMP.write_text(" ".join([wanted, *sorted(extras)]))


def bundle(*, full: bool = False, builder: str = "pip") -> None:
    """Make web/dist: Pyodide, numpy and the detector for the browser, and the widget. Fast when nothing changed."""
    install({"bundle"})
    sys.path.insert(0, str(ROOT / "web"))
    import bundle as browser_bundle

    with step("Assembling the browser bundle"):
        try:
            browser_bundle.build(
                ROOT, python=PYTHON, say=lambda line: say(f"   {line}"), full=full, builder=builder
            )
        except browser_bundle.BundleError as error:
            raise StepError(str(error)) from error


def find_browser() -> str:
    """Return the path of a Chromium: an installed one, else Playwright's, else Debian's package."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    with step("Installing Chromium for the browser tests"):
        for attempt in (install_playwright_chromium, install_debian_chromium):
            if found := attempt():
                return found
    raise StepError("No Chromium could be had. Install Chromium or Google Chrome, then run this again.")


def find_service(program: str, package: str) -> str:
    """Return the path of a service's program, Debian's package installed where we may; empty where it is not to be had.

    The tests that need the real service then say in the summary that nothing was tested.
    """
    postgres = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *postgres])
    found = shutil.which(program, path=path)
    if found is None and may_install():
        with step(f"Installing {package} for the tests"):
            try:
                install_debian(package)
            except StepError as error:
                say(f"   {error}")
        path = os.pathsep.join([path, *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
        found = shutil.which(program, path=path)
    return found or ""


def may_install() -> bool:
    """Tell whether this machine's packages are ours to install (root and apt-get)."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install_debian(package: str) -> None:
    """Install a package of Debian or Ubuntu, without starting a service that it brings."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run(["apt-get", "-q", "update"], quiet=True, env=env)
    run(["apt-get", "-q", "install", "-y", "--no-install-recommends", package], quiet=True, env=env)


def install_playwright_chromium() -> str | None:
    """Let Playwright fetch its own browser; `None` where its server cannot be reached."""
    fetch = subprocess.run(
        [PYTHON, "-m", "playwright", "install", "chromium"], capture_output=True, timeout=600
    )
    if fetch.returncode:
        say("   Playwright's own download cannot be reached here.")
        return None
    ask = (
        "from playwright.sync_api import sync_playwright as s\n"
        "with s() as p: print(p.chromium.executable_path)"
    )
    path = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    return path if Path(path).exists() else None


def install_debian_chromium() -> str | None:
    """Install Debian's package where we may (root and apt-get); `None` elsewhere."""
    if not may_install():
        return None
    install_debian("chromium")
    return shutil.which("chromium")


def serve(arguments: argparse.Namespace) -> None:
    """Set everything up and become the server."""
    bundle()
    say("-> Starting the server")
    os.chdir(ROOT)
    os.execv(BIN / "prelisten", ["prelisten", "serve", *arguments.rest])


def test(arguments: argparse.Namespace) -> None:
    """Set everything up, then run every check and every test; all run, also after one has failed."""
    install({"bundle", "test", "train", *(["bench"] if arguments.full else [])})
    bundle()
    env = os.environ | {
        "TEST_CHROMIUM": find_browser(),
        "TEST_FIREFOX": shutil.which("firefox") or find_service("firefox-esr", "firefox-esr"),
        "TEST_NGINX": find_service("nginx", "nginx-light"),
        "TEST_POSTGRES": find_service("initdb", "postgresql"),
        "TEST_REDIS": find_service("redis-server", "redis-server"),
        "TEST_SIZE": "full" if arguments.full else "small",
    }
    checks: list[tuple[str, list[str | Path]]] = [
        ("Style (ruff)", [BIN / "ruff", "check", "."]),
        ("Format (ruff)", [BIN / "ruff", "format", "--check", "."]),
        ("Types (mypy)", [BIN / "mypy"]),
        ("Imports (import-linter)", [BIN / "lint-imports", "--no-cache"]),
        ("Types of the browser's code (tsc)", [PYTHON, "web/bundle.py", "--check"]),
        ("Tests (pytest)", [PYTHON, "-m", "pytest", *arguments.rest]),
    ]
    failed = []
    for name, command in checks:
        try:
            with step(name):
                run(command, env=env)
        except StepError as error:
            say(f"   FAILED: {error}")
            failed.append(name)
    if failed:
        raise StepError(f"Failed: {', '.join(failed)}.")
    say("Every check and every test passed.")


def bench(arguments: argparse.Namespace) -> None:
    """Measure the bundle in a real browser beside what people would use instead; ratios first."""
    install({"bench", "bundle", "test", "train"})
    bundle()
    env = os.environ | {"TEST_CHROMIUM": find_browser()}
    run([PYTHON, "-m", "tests.bench.bench_browser", *arguments.rest], env=env)


def main() -> int:
    """Run the chosen task; return its exit status."""
    if sys.version_info < OLDEST_PYTHON:
        say(
            f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed; this is {sys.version.split()[0]}."
        )
        return 2
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(required=True, metavar="TASK")
    for name, task in {"serve": serve, "test": test, "bundle": None, "bench": bench}.items():
        sub = tasks.add_parser(name)
        sub.set_defaults(task=task)
        if name == "test":
            sub.add_argument("--full", action="store_true", help="heavy properties at their full size")
        if name == "bundle":
            sub.add_argument("--full", action="store_true", help="Pyodide and numpy as they are shipped")
            sub.add_argument(
                "--builder", choices=("pip", "pyodide"), default="pip", help="makes the detector's wheel"
            )
    arguments, arguments_rest = parser.parse_known_args()
    arguments.rest = [part for part in arguments_rest if part != "--"]
    try:
        if arguments.task is None:
            bundle(full=arguments.full, builder=arguments.builder)
        else:
            arguments.task(arguments)
    except StepError as error:
        say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
