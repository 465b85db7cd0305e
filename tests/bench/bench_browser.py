"""Measure what a visitor waits for: bytes over the wire, and seconds from choosing a recording to the band.

    python3 build.py bench [--runs N] [--json FILE]

A first visit is a fresh browser profile; a second visit is a new page in the same profile. Nothing is loaded before
the file is chosen (the worst case: no pointer or focus announced it). Figures hold for this machine and this run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, start_server
from tests.recordings import speech_like, wav_bytes

# Runs in the page before its own scripts: the clock starts with the choice and stops with the result.
CLOCK = """
let chosen = 0, longest = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) longest = Math.max(longest, task.duration);
}).observe({ type: "longtask", buffered: true });
document.addEventListener("change", () => { chosen = performance.now(); }, true);
document.addEventListener("prelisten-result", () => {
  const seconds = (performance.now() - chosen) / 1000;
  setTimeout(() => console.log("BENCH " + JSON.stringify({ seconds, longest })), 100);
}, true);
"""


def visit(context: BrowserContext, url: str, recording: Path) -> dict[str, float]:
    """Choose a recording on a fresh page; return seconds to the band, the longest task (ms) and bytes received."""
    page = context.new_page()
    page.add_init_script(CLOCK)
    received: list[int] = []
    page.on("requestfinished", lambda request: received.append(max(0, request.sizes()["responseBodySize"])))
    page.goto(url)
    with page.expect_console_message(lambda line: line.text.startswith("BENCH "), timeout=120_000) as message:
        page.locator("#voice").set_input_files(recording)
    figures = json.loads(message.value.text.removeprefix("BENCH "))
    page.close()
    return {**figures, "received": sum(received)}


def measure(browser: Browser, url: str, recording: Path, runs: int) -> dict[str, dict[str, float]]:
    """Return the medians over `runs` fresh profiles, two visits each."""
    visits: dict[str, list[dict[str, float]]] = {"first visit": [], "second visit": []}
    for _ in range(runs):
        context = browser.new_context()
        for kind in visits:
            visits[kind].append(visit(context, url, recording))
        context.close()
    return {
        kind: {name: statistics.median(one[name] for one in some) for name in some[0]}
        for kind, some in visits.items()
    }


def bundle_bytes() -> dict[str, int]:
    """Return the bundle's size as it lies and as it travels: the sum over every file of the manifest."""
    from prelisten.assets import manifest

    files = manifest()["files"].values()
    return {
        "raw": sum(entry["bytes"] for entry in files),
        "gzip": sum(entry.get("gz") or entry["bytes"] for entry in files),
        "brotli": sum(entry.get("br") or entry["bytes"] for entry in files),
    }


def main() -> None:
    """Measure, print a table, write JSON when asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the recording")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        recording = Path(folder) / "voice.wav"
        recording.write_bytes(wav_bytes(speech_like(options.seconds, seed=1)))
        server = start_server(Path(folder) / "data")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        try:
            figures = {"bytes": bundle_bytes(), **measure(browser, server.url, recording, options.runs)}
        finally:
            browser.close()
            server.stop()
    print(f"bundle: {', '.join(f'{name} {size:,} B' for name, size in figures['bytes'].items())}")
    for kind in ("first visit", "second visit"):
        row = figures[kind]
        # The browser tells of tasks from 50 ms on only.
        task = (
            f"longest task on the page {row['longest']:.0f} ms"
            if row["longest"]
            else "no task of 50 ms on the page"
        )
        print(
            f"{kind}: {row['seconds']:.2f} s from choosing a {options.seconds:g} s WAV to the band, {task}, "
            f"{row['received']:,.0f} B received (median of {options.runs})"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
