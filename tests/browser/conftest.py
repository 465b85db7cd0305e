"""A real server on a free port, and a real Chromium that lets nothing out of this machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.form_page import FormPage
from tests.browser.own_app import OwnApp, own_app

CHROMIUM = next(
    filter(
        None,
        (
            os.environ.get("TEST_CHROMIUM"),
            *map(shutil.which, ("chromium", "chromium-browser", "google-chrome")),
        ),
    ),
    None,
)
# Root needs `--no-sandbox`; on a machine without a network the rest keeps Chromium from waiting for one.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
START_S = 60
PORTS = range(12_000, 32_000)
PRELISTEN = Path(sys.executable).parent / "prelisten"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """Start the Chromium that the task runner found, never one that Playwright would fetch."""
    assert CHROMIUM, "no Chromium: `python3 build.py test` installs one"
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": CHROMIUM_FLAGS}


@pytest.fixture(scope="session")
def base_url() -> str:
    """Stand in for the plugin's own fixture, whose form pytest 9.2 warns about."""
    return ""


@dataclass
class Server:
    """A running `prelisten serve`: its address, its data folder, and the reviewer's link that it printed."""

    url: str
    data: Path
    log: Path
    process: subprocess.Popen

    def new_review_link(self) -> str:
        """Make a link that signs a reviewer in, once, as an operator would."""
        command = [PRELISTEN, "review-link", "--data", str(self.data), "--address", self.url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def stop(self) -> None:
        """End it as an operator would."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_S)


def free_port() -> int:
    """Return a port that nothing listens on, outside of those that the system hands out by itself.

    One of these could be a connection's of another test before the server that it is meant for takes it.
    """
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", secrets.choice(PORTS)))
            return probe.getsockname()[1]


def start_server(data: Path, *, port: int | None = None, **settings: str) -> Server:
    """Start `prelisten serve` and wait until it has printed its links; fails with its log when it dies."""
    port, log = port or free_port(), data.parent / f"{data.name}.log"
    command = [PRELISTEN, "serve", "--port", str(port), "--data", str(data)]
    environ = {**os.environ, "PRELISTEN_RATE_LIMIT": "100000/minute"}
    environ |= {f"PRELISTEN_{name.upper()}": value for name, value in settings.items()}
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environ)
    server = Server(f"http://127.0.0.1:{port}", data, log, process)
    for _ in range(START_S * 10):
        if "works once" in log.read_text():
            urllib.request.urlopen(f"{server.url}/prelisten/v1/health", timeout=10).close()
            return server
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all browser tests; its log is printed when a test run ends badly."""
    started = start_server(tmp_path_factory.mktemp("server") / "data")
    yield started
    died = started.process.poll()
    started.stop()
    assert died is None, f"the server died:\n{started.log.read_text()}"


@pytest.fixture(scope="session")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose policy gives every recording to a person."""
    folder = tmp_path_factory.mktemp("strict")
    policy = folder / "policy.yaml"
    policy.write_text(
        "name: everything-to-review\ndefault:\n  thresholds: {review: 0.0}\n  inconclusive: review\n"
    )
    started = start_server(folder / "data", policy=str(policy))
    yield started
    started.stop()


@pytest.fixture
def form(page: Page, server: Server) -> FormPage:
    """The demonstration form, open in a fresh browser profile."""
    return FormPage(page, server.url).open()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnApp]:
    """Another developer's application, once for a module; a module whose application is another has its own."""
    with own_app(tmp_path_factory.mktemp("own") / "data", env="test", wait_s=0) as started:
        yield started


@pytest.fixture
def app(running: OwnApp) -> OwnApp:
    """The application, with nothing of the last test in it."""
    running.taken.clear()
    running.taken_lists.clear()
    running.script = ""
    return running


@pytest.fixture(autouse=True)
def show_server_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Add the end of the server's log to a failing test."""
    yield
    report = getattr(request.node, "rep_call", None)
    if report is not None and report.failed and "server" in request.fixturenames:
        print(request.getfixturevalue("server").log.read_text()[-4000:])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Keep each phase's report on the test, for `show_server_log`."""
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"rep_{report.when}", report)
