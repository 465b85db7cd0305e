"""The demonstration form as a test drives it: choose, wait, send, and what the page did meanwhile."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, Route

# Runs before the page's own scripts. A strict policy forbids to wait by an evaluated function, so the page tells.
WATCH = """
addEventListener("securitypolicyviolation", (event) => {
  console.log("CSP " + event.violatedDirective + " " + event.blockedURI);
});
addEventListener("formdata", (event) => console.log("ENTRIES " + JSON.stringify([...event.formData.keys()])));
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) console.log("TASK " + task.duration);
}).observe({ type: "longtask", buffered: true });
"""
# The longest of the page's timers, those that give something up, never end.
WITHOUT_LIMITS = """() => {
  const { setTimeout: real } = window;
  window.setTimeout = (run, ms, ...rest) => (ms >= 5000 ? 0 : real(run, ms, ...rest));
}"""
LOAD_MS = 60_000  # A cold start of the runtime on a busy machine.


def lift_limits(page: Page) -> None:
    """Let the page wait as long as it takes, for a test that a slow machine may not end otherwise."""
    page.evaluate(WITHOUT_LIMITS)


@dataclass
class FormPage:
    """The form in a browser, with everything that it asked of the network and wrote to the console."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def open(self) -> FormPage:
        """Load the form, watched."""
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("console", lambda line: self.lines.append(line.text))
        self.page.on("pageerror", lambda error: self.lines.append(f"ERROR {error}"))
        self.page.add_init_script(WATCH)
        self.page.goto(self.url)
        return self

    def choose(self, content: bytes | Path, name: str = "voice.wav", mime: str = "audio/wav") -> None:
        """Choose a recording."""
        chosen = content if isinstance(content, Path) else {"name": name, "mimeType": mime, "buffer": content}
        self.page.locator("input[type=file]").set_input_files(chosen)

    def wait_for(self, *states: str) -> str:
        """Wait until the element is in one of `states` and return it."""
        names = ",".join(f"[state={state}]" for state in states)
        element = self.page.locator(f"prelisten-check:is({names})")
        element.wait_for(timeout=LOAD_MS)
        return element.get_attribute("state") or ""

    def result(self) -> dict[str, Any]:
        """Return what the detector said."""
        return self.page.evaluate("document.querySelector('prelisten-check').result")

    def text(self) -> str:
        """Return the words that the panel shows."""
        return self.page.locator("prelisten-check .panel").inner_text()

    def send(self) -> None:
        """Press the button and wait for the submission's own page."""
        self.page.locator("#send").click()
        self.page.wait_for_url("**/submissions/*", timeout=LOAD_MS)

    def entries(self) -> list[str]:
        """Return the names of the entries of the last submitted form."""
        told = [line for line in self.lines if line.startswith("ENTRIES ")]
        return json.loads(told[-1].removeprefix("ENTRIES "))

    def told(self, prefix: str) -> list[str]:
        """Return the console lines that begin with `prefix`."""
        return [line for line in self.lines if line.startswith(prefix)]

    def posts(self) -> list[str]:
        """Return the paths of all POST requests, in order."""
        return [r.url.removeprefix(self.url) for r in self.requests if r.method == "POST"]


def without_audio_decoder(route: Route) -> None:
    """Serve the worker as a browser without WebCodecs runs it."""
    found = route.fetch()
    route.fulfill(response=found, body=f"delete globalThis.AudioDecoder;\n{found.text()}")
