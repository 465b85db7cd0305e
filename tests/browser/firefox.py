"""Firefox, driven by WebDriver BiDi, its own protocol: Playwright drives only a Firefox that it has patched itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.browser.driven import BrowserError, DrivenBrowser

FIREFOX = os.environ.get("TEST_FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
START_S = 120.0
ANSWER_S = 60.0
# Nothing that leaves the machine, or asks a person.
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.newtabpage.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.enabled": False,
}


@dataclass
class Firefox(DrivenBrowser):
    """A running Firefox with one page: what it is told, and the lines that the page wrote to its console."""

    socket: ClientConnection
    context: str = ""
    lines: list[str] = field(default_factory=list)
    _last: int = 0

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; what is told meanwhile is kept."""
        self._last += 1
        self.socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=ANSWER_S))
            if message.get("id") == self._last:
                if message["type"] == "error":
                    raise BrowserError(f"{method}: {message['message']}")
                return message["result"]
            if message.get("method") == "log.entryAdded":
                self.lines.append(f"{message['params']['level']}: {message['params']['text']}")

    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded."""
        self.send("browsingContext.navigate", context=self.context, url=url, wait="complete")
        self.send("browsingContext.activate", context=self.context)  # Keys go where the focus is.

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or of its promise, that JSON can hold."""
        result = self.send(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await ({expression})) ?? null))()",
            target={"context": self.context},
            awaitPromise=True,
        )
        if result["type"] == "exception":
            raise BrowserError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    def choose(self, path: Path, selector: str = "input[type=file]") -> None:
        """Choose a file, as a person in the browser's own dialogue."""
        locator = {"type": "css", "value": selector}
        [node] = self.send("browsingContext.locateNodes", context=self.context, locator=locator)["nodes"]
        element = {"sharedId": node["sharedId"]}
        self.send("input.setFiles", context=self.context, element=element, files=[str(path)])

    def perform(self, actions: list[dict[str, str]]) -> None:
        """Press and release keys."""
        source = {"type": "key", "id": "keyboard", "actions": actions}
        self.send("input.performActions", context=self.context, actions=[source])

    def forget(self) -> None:
        """Forget what pages wrote."""
        self.lines.clear()

    def told(self, prefix: str) -> list[str]:
        """Return the console's lines that contain `prefix`, everything up to now."""
        self.send("session.status")
        return [line for line in self.lines if prefix in line]


@contextmanager
def firefox(folder: Path, watch: str = "") -> Iterator[Firefox]:
    """Start Firefox with a new profile; `watch` runs before each page's own scripts."""
    profile, log = folder / "profile", folder / "firefox.log"
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [
        str(FIREFOX),
        "--headless",
        "--no-remote",
        "--remote-debugging-port",
        "0",
        "--profile",
        profile,
    ]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"HOME": str(folder)})
    try:
        with connect(f"{address(process, log)}/session", max_size=None, open_timeout=START_S) as socket:
            started = Firefox(socket)
            started.send("session.new", capabilities={})
            started.send("session.subscribe", events=["log.entryAdded"])
            # A tab of our own: in the one that is there at the start the address bar has the focus.
            started.context = started.send("browsingContext.create", type="tab")["context"]
            if watch:
                started.send("script.addPreloadScript", functionDeclaration=f"() => {{ {watch} }}")
            yield started
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # Raised here it would hide what the test has found.
            process.kill()
            process.wait()


def address(process: subprocess.Popen, log: Path) -> str:
    """Wait until Firefox says where it listens; fails with its log when it does not."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"Firefox did not start:\n{log.read_text()[-2000:]}")
