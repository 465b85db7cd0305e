"""Visits of a real browser: a profile of its own for each build and turn, first visit, then further ones."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, BrowserType, Page, Request

from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS

VISIT_MS = 120_000
TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
FLAGS = [*CHROMIUM_FLAGS, "--enable-precise-memory-info"]
PREFIX = "BENCH "

SETTLE_MS = 2_000
"""What a browser gets to start in before its first visit: a visitor's is running already."""

# Runs in the demonstration form before its own scripts: from the choice of a file to the result.
FORM_CLOCK = """
let chosen = 0, longest = 0, long = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) { longest = Math.max(longest, duration); long += 1; }
}).observe({ type: "longtask", buffered: true });
document.addEventListener("change", () => { chosen = performance.now(); }, true);
document.addEventListener("prelisten-result", () => {
  const band = performance.now() - chosen;
  setTimeout(() => console.log("BENCH " + JSON.stringify({ band, longest, long })), 100);
}, true);
"""


class VisitError(Exception):
    """A visit did not come to its band; the message says what the page said."""


@dataclass(frozen=True)
class Profile:
    """A browser that has been started with a profile of its own."""

    context: BrowserContext
    folder: str

    def cpu_ms(self) -> dict[int, float]:
        """Return the CPU time that each of its tabs' processes has used; nothing where there is no `/proc`."""
        used = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # It may end meanwhile.
                command = (process / "cmdline").read_bytes()
                if b"--type=renderer" in command and self.folder.encode() in command:
                    after_name = (process / "stat").read_text().rpartition(")")[2].split()
                    used[int(process.name)] = 1000 * sum(map(int, after_name[11:13])) / TICKS_PER_S
        return used


@contextlib.contextmanager
def profile(chromium: BrowserType) -> Iterator[Profile]:
    """Start a browser with a new, empty profile on disk; end it and remove the profile."""
    with tempfile.TemporaryDirectory(prefix="bench-profile-", ignore_cleanup_errors=True) as folder:
        context = chromium.launch_persistent_context(folder, executable_path=CHROMIUM, args=FLAGS)
        try:
            context.pages[0].wait_for_timeout(SETTLE_MS)
            yield Profile(context, folder)
        finally:
            context.close()


def visit(
    browser: Profile, url: str, recording: Path, *, stay_ms: int = 0, is_heap_wanted: bool = False
) -> dict[str, Any]:
    """Open the bench's page, choose a recording, return what the page measured; stay a while afterwards."""
    with _told(browser, url, '[type="file"]', recording) as (page, told):
        page.wait_for_timeout(stay_ms)
        if is_heap_wanted:
            told["worker_heap"] = worker_heap(browser.context, page)
    return told


def worker_heap(context: BrowserContext, page: Page) -> int:
    """Return the bytes on the JavaScript heap of the page's worker, after a collection; 0 without a worker."""
    devtools = context.new_cdp_session(page)
    workers: list[str] = []
    answers: list[dict[str, Any]] = []
    devtools.on("Target.attachedToTarget", lambda event: workers.append(event["sessionId"]))
    devtools.on(
        "Target.receivedMessageFromTarget", lambda event: answers.append(json.loads(event["message"]))
    )
    devtools.send(
        "Target.setAutoAttach", {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
    )
    for worker in workers:
        for number, method in enumerate(("HeapProfiler.collectGarbage", "Runtime.getHeapUsage")):
            message = json.dumps({"id": number, "method": method})
            devtools.send("Target.sendMessageToTarget", {"sessionId": worker, "message": message})
    for _ in range(20):
        page.wait_for_timeout(100)
        if used := [answer["result"]["usedSize"] for answer in answers if answer.get("id") == 1]:
            return sum(used)
    return 0


def visit_form(
    browser: Profile, url: str, recording: Path, *, stay_ms: int = 0
) -> tuple[dict[str, Any], dict[str, float], list[str]]:
    """Choose a recording in the demonstration form; return the times, received bytes by path, and what failed."""
    received: dict[str, float] = {}
    failed: list[str] = []
    with _told(browser, url, "#voice", recording, FORM_CLOCK, received, failed) as (page, told):
        page.wait_for_timeout(stay_ms)
    return told, received, failed


@contextlib.contextmanager
def _told(
    browser: Profile,
    url: str,
    field: str,
    recording: Path,
    script: str = "",
    received: dict[str, float] | None = None,
    failed: list[str] | None = None,
) -> Iterator[tuple[Page, dict[str, Any]]]:
    page = browser.context.new_page()
    finished: list[Request] = []
    broken: list[Request] = []
    page.on("requestfinished", lambda request: finished.append(request))
    page.on("requestfailed", lambda request: broken.append(request))
    if script:
        page.add_init_script(script)
    try:
        page.goto(url)
        before = browser.cpu_ms()
        with page.expect_console_message(lambda line: line.text.startswith(PREFIX), timeout=VISIT_MS) as line:
            page.locator(field).set_input_files(recording)
        told = json.loads(line.value.text.removeprefix(PREFIX))
        if "error" in told:
            raise VisitError(told["error"])
        used = {process: ms - before.get(process, 0) for process, ms in browser.cpu_ms().items()}
        told["cpu"] = sum(used.values())
        if received is not None and failed is not None:
            for request in finished:
                path = request.url.removeprefix(url)
                received[path] = received.get(path, 0) + max(0, request.sizes()["responseBodySize"])
            failed += [request.url for request in broken]
            failed += [one.url for one in finished if (answer := one.response()) and answer.status >= 400]
        yield page, told
    finally:
        page.close()
