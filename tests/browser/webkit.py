"""WebKitGTK, driven by WebDriver: Safari's engine (scripts, forms, layout), with GStreamer's sound in place of Apple's.

Debian's `webkit2gtk-driver` and `xvfb`. What is decoded, recorded and kept is not what Safari does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.conftest import free_port
from tests.browser.driven import BrowserError, DrivenBrowser

DRIVER = os.environ.get("TEST_WEBKIT") or shutil.which("WebKitWebDriver") or ""
XVFB = shutil.which("Xvfb") or ""
MINI_BROWSER = next((str(path) for path in Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser")), "")
WEBKIT = bool(DRIVER and XVFB and MINI_BROWSER)
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.0 Safari/605.1.15"
)
# A microphone that WebKit makes itself; it records where GStreamer's `plugins-bad` and `libav` are installed.
MICROPHONE = ("--enable-media-stream=true", "--enable-mock-capture-devices=true")
START_S = 60.0
ANSWER_S = 120.0
# `G_SLICE`: without it WebKitGTK 2.50 dies of WebCodecs where GLib is older than 2.76, see `route.js`.
ENVIRONMENT = {
    "G_SLICE": "always-malloc",
    "GTK_A11Y": "none",
    "LIBGL_ALWAYS_SOFTWARE": "1",
    "NO_AT_BRIDGE": "1",
    "WEBKIT_DISABLE_DMABUF_RENDERER": "1",
    "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",  # Root has no user namespaces in a container.
}
# What the page says is kept over a navigation, in its own origin.
KEEP_LINES = """
const say = console.log;
console.log = (...words) => {
  const said = JSON.parse(sessionStorage.getItem("said") ?? "[]");
  sessionStorage.setItem("said", JSON.stringify([...said, words.join(" ")]));
  say.apply(console, words);
};
"""


@dataclass
class WebKit(DrivenBrowser):
    """A running WebKitGTK with one page."""

    address: str
    watch: str = ""
    session: str = ""
    lines: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a command and return its value."""
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(f"{self.address}{self.session}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise BrowserError(f"{path}: {json.load(error)['value']}") from None

    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded; it is watched from as early on as the driver can."""
        self.run("self.isLeft = true")
        self.send("POST", "/url", {"url": url})
        self.wait_for(f"!self.isLeft && location.href.startsWith({json.dumps(url)})")
        self.run(f"if (!self.isWatched) {{ self.isWatched = true; {KEEP_LINES} {self.watch} }}")
        self.wait_for("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Run the body of a function in the page."""
        return self.send("POST", "/execute/sync", {"script": script, "args": []})

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or of its promise, that JSON can hold."""
        script = (
            "const done = arguments[arguments.length - 1];"
            f"(async () => JSON.stringify((await ({expression})) ?? null))()"
            ".then((json) => done({ json }), (error) => done({ error: String(error) }));"
        )
        answer = self.send("POST", "/execute/async", {"script": script, "args": []})
        if "error" in answer:
            raise BrowserError(answer["error"])
        return json.loads(answer["json"])

    def choose(self, path: Path, selector: str = "input[type=file]") -> None:
        """Choose a file, as a person in the browser's own dialogue."""
        found = self.send("POST", "/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        self.send("POST", f"/element/{element}/value", {"text": str(path)})

    def perform(self, actions: list[dict[str, str]]) -> None:
        """Press and release keys."""
        self.send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def forget(self) -> None:
        """Forget what pages wrote."""
        self.run("if (location.protocol !== 'about:') sessionStorage.removeItem('said')")

    def told(self, prefix: str) -> list[str]:
        """Return the console's lines that contain `prefix`, of all pages of this origin."""
        self.lines = self.evaluate("JSON.parse(sessionStorage.getItem('said') ?? '[]')")
        return [line for line in self.lines if prefix in line]


@contextmanager
def webkit(folder: Path, watch: str = "", arguments: Sequence[str] = ()) -> Iterator[WebKit]:
    """Start WebKitGTK on a screen of its own; `watch` runs in each page that a test opens."""
    folder.mkdir(parents=True, exist_ok=True)
    with screen() as display, (folder / "webkit.log").open("w") as log:
        port = free_port()
        own = {"DISPLAY": display, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "WAYLAND_"))
        }
        process = subprocess.Popen(
            [DRIVER, f"--port={port}"], stdout=log, stderr=log, env=environ | ENVIRONMENT | own
        )
        started = WebKit(f"http://127.0.0.1:{port}", watch)
        try:
            begin(started, arguments)
            yield started
            started.send("DELETE", "")
        finally:
            process.terminate()
            process.wait(20)


def begin(browser: WebKit, arguments: Sequence[str]) -> None:
    """Open a session as soon as the driver listens. The page is not waited for: it is watched while it loads."""
    options = {"binary": MINI_BROWSER, "args": ["--automation", *arguments]}
    wanted = {"pageLoadStrategy": "none", "webkitgtk:browserOptions": options}
    end = time.monotonic() + START_S
    while True:
        try:
            session = browser.send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            break
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    browser.session = f"/session/{session['sessionId']}"


@contextmanager
def screen() -> Iterator[str]:
    """Start an X server that nobody looks at, and give its name."""
    command = [XVFB, "-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            yield f":{process.stdout.readline().strip()}"
        finally:
            process.terminate()
