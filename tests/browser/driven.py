"""What a test asks of a browser that Playwright does not drive: one set of tests runs in each."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

# The codes of WebDriver for keys, the same in its old protocol and in its new one.
KEYS = {
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Space": " ",
    "ArrowRight": "\ue014",
    "ArrowLeft": "\ue012",
    "Home": "\ue011",
    "End": "\ue010",
}
SHIFT = "\ue008"


class BrowserError(Exception):
    """A browser refused a command; the message is its own."""


class DrivenBrowser(ABC):
    """A running browser with one page."""

    lines: list[str]

    @abstractmethod
    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or of its promise, that JSON can hold."""

    @abstractmethod
    def choose(self, path: Path, selector: str = "input[type=file]") -> None:
        """Choose a file, as a person in the browser's own dialogue."""

    @abstractmethod
    def perform(self, actions: list[dict[str, str]]) -> None:
        """Press and release keys: WebDriver's actions of one keyboard."""

    @abstractmethod
    def forget(self) -> None:
        """Forget what pages wrote to the console."""

    @abstractmethod
    def told(self, prefix: str) -> list[str]:
        """Return what the page wrote to its console that contains `prefix`, everything up to now."""

    def wait_for(self, expression: str, within_s: float = 60.0) -> Any:
        """Return the first value of an expression that is true."""
        end, value = time.monotonic() + within_s, None
        while time.monotonic() < end:
            try:
                if value := self.evaluate(expression):
                    return value
            except BrowserError:
                pass  # Between two pages there is none.
            time.sleep(0.05)
        raise AssertionError(f"{expression} is {value!r} after {within_s} s; the console: {self.lines[-20:]}")

    def press(self, *names: str) -> None:
        """Press keys, one after the other; `Shift+` before a name holds Shift."""
        actions = []
        for name in names:
            held = SHIFT if name.startswith("Shift+") else ""
            key = KEYS[name.removeprefix("Shift+")]
            actions += [{"type": "keyDown", "value": value} for value in (held, key) if value]
            actions += [{"type": "keyUp", "value": value} for value in (key, held) if value]
        self.perform(actions)
