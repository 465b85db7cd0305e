"""List the long tasks of the demonstration form's main thread, and what they are made of, from Chromium's own trace.

    .venv/bin/python -m tests.bench.bench_tasks [--browsers N] [--visits N] [--from-ms MS] [--untraced] [--json FILE]

Each browser is a new process with a profile of its own: a first visit, then further ones in the same profile. A visit
opens the form, waits, chooses a recording of 30 s and stays a moment after the band. Beside the trace stands what
`PerformanceObserver` tells the page, as the bench counts it: tasks from 50 ms on alone, none that only draws; and how
far anything shifted. *CPU* is what the thread itself used for a task: other work on the machine, and waiting for the
browser's other processes, lengthen it little or not. Tracing takes some of both: `--untraced` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserType, CDPSession, Page, sync_playwright

from tests.bench.bundle.visits import profile
from tests.bench.serving import end
from tests.browser.conftest import CHROMIUM, start_server
from tests.recordings import speech_like, wav_bytes

CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "blink", "loading", "fonts"]
TASK = "RunTask"
MAIN_THREAD = "CrRendererMain"
REST_MS = 1_500
BAND_MS = 120_000
READ_BYTES = 1 << 20
PART_MS = 1.0
OBSERVE = """
globalThis.told = { tasks: [], shift: 0 };
new PerformanceObserver((list) => told.tasks.push(...list.getEntries().map(({ duration }) => duration)))
  .observe({ type: "longtask", buffered: true });
new PerformanceObserver((list) => { for (const { value } of list.getEntries()) told.shift += value; })
  .observe({ type: "layout-shift", buffered: true });
"""


@dataclass
class Task:
    """One task of a page's main thread: when it began after the page's first, how long it took, its larger parts."""

    at_ms: float
    ms: float
    cpu_ms: float
    parts: list[str]


@dataclass
class Visit:
    """One visit: its tasks, and what the browser told the page: long tasks, and the sum of the layout's shifts."""

    name: str
    is_first: bool
    told_ms: list[float]
    shift: float
    tasks: list[Task] = field(default_factory=list)


def visit(page: Page, url: str, recording: Path, name: str, *, is_first: bool, is_traced: bool) -> Visit:
    """Visit the form once."""
    devtools = page.context.new_cdp_session(page)
    page.add_init_script(OBSERVE)
    if is_traced:
        chosen = {"includedCategories": CATEGORIES}
        devtools.send("Tracing.start", {"transferMode": "ReturnAsStream", "traceConfig": chosen})
    page.goto(url)
    page.wait_for_timeout(REST_MS)
    page.locator("#voice").set_input_files(recording)
    page.locator("prelisten-check[state=done]").wait_for(timeout=BAND_MS)
    page.wait_for_timeout(REST_MS)
    told = page.evaluate("told")
    events = ended(page, devtools) if is_traced else []
    return Visit(name, is_first, told["tasks"], told["shift"], list(tasks_of(events, url)))


def ended(page: Page, devtools: CDPSession) -> list[dict[str, Any]]:
    """End the trace; return its events."""
    streams: list[str] = []
    devtools.on("Tracing.tracingComplete", lambda event: streams.append(event["stream"]))
    devtools.send("Tracing.end")
    while not streams:
        page.wait_for_timeout(20)
    events: list[dict[str, Any]] = json.loads("".join(read_stream(devtools, streams[0])))["traceEvents"]
    return events


def made(chromium: BrowserType, url: str, recording: Path, options: argparse.Namespace) -> Iterator[Visit]:
    """Make the visits, each browser's in a profile of its own."""
    for browser in range(options.browsers):
        with profile(chromium) as opened:
            for number in range(options.visits):
                page, name = opened.context.new_page(), f"browser {browser + 1}, visit {number + 1}"
                yield visit(page, url, recording, name, is_first=not number, is_traced=not options.untraced)
                page.close()


def read_stream(devtools: CDPSession, handle: str) -> Iterator[str]:
    """Yield the pieces of one of the browser's streams."""
    is_over = False
    while not is_over:
        piece = devtools.send("IO.read", {"handle": handle, "size": READ_BYTES})
        is_over = piece["eof"]
        yield piece["data"]
    devtools.send("IO.close", {"handle": handle})


def tasks_of(events: list[dict[str, Any]], url: str) -> Iterator[Task]:
    """Yield the tasks of the page's main thread, with their parts."""
    named = [e for e in events if e["name"] == "thread_name" and e["args"]["name"] == MAIN_THREAD]
    threads = {(e["pid"], e["tid"]) for e in named}
    spans = [e for e in events if e.get("ph") == "X" and (e["pid"], e["tid"]) in threads]
    # The page's own process: the one that had to do with its address.
    own = {e["pid"] for e in spans if str(said(e).get("url", "")).startswith(url)}
    spans = sorted((e for e in spans if e["pid"] in own), key=lambda e: (e["ts"], -e["dur"]))
    began = min((e["ts"] for e in spans), default=0)
    for task in spans:
        if task["name"] == TASK:
            ends = task["ts"] + task["dur"]
            inside = [e for e in spans if e is not task and task["ts"] <= e["ts"] < ends]
            parts = [part(e, task["ts"]) for e in inside if e["dur"] >= PART_MS * 1000]
            at_ms, cpu_ms = (task["ts"] - began) / 1000, task.get("tdur", 0) / 1000
            yield Task(at_ms, task["dur"] / 1000, cpu_ms, parts)


def said(event: dict[str, Any]) -> dict[str, Any]:
    """Return what an event says of itself."""
    data = event.get("args", {}).get("data")
    return data if isinstance(data, dict) else {}


def part(event: dict[str, Any], began: float) -> str:
    """Return a line about one part of a task: what, how long, when, of which file, function or kind."""
    about = [
        str(said(event)[key]).rpartition("/")[2]
        for key in ("url", "functionName", "type")
        if key in said(event)
    ]
    return " ".join(
        [event["name"], f"{event['dur'] / 1000:.1f} at {(event['ts'] - began) / 1000:.1f}", *about]
    )


def report(visits: list[Visit], from_ms: float) -> None:
    """Print every long task with its parts, then the longest task of each visit."""
    for one in visits:
        for task in one.tasks:
            if task.ms >= from_ms:
                took = f"{task.ms:.1f} ms (CPU {task.cpu_ms:.1f})"
                print(f"\n{one.name}: {took}, {task.at_ms:.0f} ms after the page began")
                print("\n".join(f"    {line}" for line in task.parts))
    for kind, is_first in (("first visits", True), ("further visits", False)):
        those = [one for one in visits if one.is_first == is_first]
        longest = listed(max(task.ms for task in one.tasks) for one in those if one.tasks)
        used = listed(max(task.cpu_ms for task in one.tasks) for one in those if one.tasks)
        told = listed(ms for one in those for ms in one.told_ms)
        shift = max((one.shift for one in those), default=0.0)
        print(f"\n{kind} ({len(those)})")
        print(f"    longest task of each, ms: {longest}\n    by CPU: {used}")
        print(
            f"    tasks of 50 ms or more that the page was told of: {told}\n    largest layout shift: {shift:.3f}"
        )


def listed(values: Iterable[float]) -> str:
    """Return figures in a row, the smallest first."""
    return ", ".join(f"{value:.0f}" for value in sorted(values)) or "none"


def main() -> int:
    """Visit and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--browsers", type=int, default=6, help="new browser processes")
    parser.add_argument("--visits", type=int, default=3, help="visits in each")
    parser.add_argument(
        "--from-ms", type=float, default=40.0, help="tasks that are listed, from this length on"
    )
    parser.add_argument("--untraced", action="store_true", help="only what the page is told")
    parser.add_argument("--json", type=Path, help="where every task is written")
    options = parser.parse_args()
    if not CHROMIUM:
        print("No Chromium: install Chromium or Google Chrome, or name one by TEST_CHROMIUM.")
        return 2
    with tempfile.TemporaryDirectory(prefix="tasks-") as name, sync_playwright() as playwright:
        recording = Path(name) / "30.wav"
        recording.write_bytes(wav_bytes(speech_like(30.0, seed=1)))
        server = start_server(Path(name) / "data", workers="0")
        try:
            visits = list(made(playwright.chromium, server.url, recording, options))
        finally:
            end(server)
    report(visits, options.from_ms)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in visits], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
