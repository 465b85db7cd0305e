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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
STAMP = VENV / ".prelisten-installed"
OLDEST_PYTHON = (3, 11)
# How many processes run tests unless `--processes` says otherwise. Each has a browser, servers and a PostgreSQL of its
# own: up to 1.5 GB. One more than there are cores is right, because many tests wait.
TEST_PROCESSES = 1
# What tests need beside Python: the variable that names it, the program, Debian's package.
SERVICES = {
    "TEST_FIREFOX": ("firefox-esr", "firefox-esr"),
    "TEST_NGINX": ("nginx", "nginx-light"),
    "TEST_POSTGRES": ("initdb", "postgresql"),
    "TEST_REDIS": ("redis-server", "redis-server"),
}
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
    child = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    )
    try:
        said, _ = child.communicate()
    except KeyboardInterrupt:
        child.wait()  # It was interrupted as well, and puts away what it started.
        raise
    if child.returncode:
        output = f"\n{said[-6000:]}" if quiet else ""
        raise StepError(
            f"`{' '.join(str(part) for part in command)}` failed (exit {child.returncode}).{output}"
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


def find_services() -> tuple[dict[str, str], str]:
    """Return the paths of the services' programs, Debian's packages installed where we may, and what went wrong.

    A path is empty where the program is not to be had: the tests that need it say that nothing was tested.
    """
    found = {variable: find_program(program) for variable, (program, _) in SERVICES.items()}
    found["TEST_FIREFOX"] = shutil.which("firefox") or found["TEST_FIREFOX"]
    missing = [SERVICES[variable][1] for variable, path in found.items() if not path]
    problem = ""
    if missing and may_install():
        try:
            install_debian(*missing)
        except StepError as error:
            problem = str(error)
        found |= {variable: path or find_program(SERVICES[variable][0]) for variable, path in found.items()}
    return found, problem


def find_program(name: str) -> str:
    """Return the path of a program, also of one that lies where only root or PostgreSQL looks; else nothing."""
    postgres = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *postgres]
    return shutil.which(name, path=os.pathsep.join(places)) or ""


def may_install() -> bool:
    """Tell whether this machine's packages are ours to install (root and apt-get)."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install_debian(*packages: str) -> None:
    """Install packages of Debian or Ubuntu, without starting a service that they bring; those that exist."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run(["apt-get", "-q", "update"], quiet=True, env=env)
    known = [
        name
        for name in packages
        if not subprocess.run(["apt-cache", "show", name], capture_output=True).returncode
    ]
    run(["apt-get", "-q", "install", "-y", "--no-install-recommends", *known], quiet=True, env=env)


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


CHECKS: dict[str, list[str | Path]] = {
    "Style (ruff)": [BIN / "ruff", "check", "."],
    "Format (ruff)": [BIN / "ruff", "format", "--check", "."],
    "Types (mypy)": [BIN / "mypy"],
    "Imports (import-linter)": [BIN / "lint-imports", "--no-cache"],
    "Types of the browser's code (tsc)": [PYTHON, "web/bundle.py", "--check"],
}
NEEDS_NODE = "Types of the browser's code (tsc)"


def checked(command: Sequence[str | Path]) -> tuple[int, str]:
    """Run a check in the tree's root; return its exit status, and what it wrote with its seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    took = f"   {'FAILED' if done.returncode else 'done'} in {time.monotonic() - start:.1f} s"
    return done.returncode, f"{done.stdout.rstrip()}\n{took}".lstrip("\n")


def test(arguments: argparse.Namespace) -> None:
    """Set everything up, then run every check and every test; all run, also after one has failed.

    Debian's packages are fetched while pip installs, and the checks run while the bundle is assembled.
    """
    with ThreadPoolExecutor() as pool:
        services = pool.submit(find_services)
        install({"bundle", "test", "train", *(["bench"] if arguments.full else [])})
        checks = {name: pool.submit(checked, CHECKS[name]) for name in CHECKS if name != NEEDS_NODE}
        bundle()
        checks[NEEDS_NODE] = pool.submit(checked, CHECKS[NEEDS_NODE])
        failed = []
        for name, check in checks.items():
            status, output = check.result()
            say(f"-> {name}\n{output}")
            failed += [name] if status else []
        found, problem = services.result()
        if problem:
            say(f"   {problem}")
    env = os.environ | found | {"TEST_CHROMIUM": find_browser()}
    env |= {"TEST_SIZE": "full" if arguments.full else "small"}
    spread = []
    if arguments.processes > 1:
        # The tests of a module stay together, as their fixtures do; the folders' order has the long modules first.
        spread = ["-n", str(arguments.processes), "--dist", "loadfile", "--no-loadscope-reorder"]
        spread += ["--max-worker-restart", "2"]
    try:
        with step("Tests (pytest)"):
            run([PYTHON, "-m", "pytest", *spread, *arguments.rest], env=env)
    except StepError as error:
        say(f"   FAILED: {error}")
        failed.append("Tests (pytest)")
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
            sub.add_argument("--processes", type=int, default=TEST_PROCESSES, help="how many run tests")
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
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
