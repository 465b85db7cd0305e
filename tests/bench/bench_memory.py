"""Measure what a long recording costs the visitor's tab: memory while it is heard, and the time to the band.

    .venv/bin/python -m tests.bench.bench_memory [--minutes N] [--formats wav mp3 ...] [--max-seconds N]
        [--without-webcodecs] [--json FILE]

A new browser for each format hears ten seconds of it first, so that everything is loaded; from there the memory of the
tab's processes is read twenty times a second until the band of the long recording is there. *Extra* is the highest of
these readings less the one before; *in all* less the one before the first choice, so with the runtime. Where
WebAssembly's memory and the scripts' heap of the page stand at the end is told beside it: both are part of the others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.bench.serving import end
from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, start_server
from tests.media_files import media_file
from tests.recordings import speech_like, wav_bytes

RATE = 48_000
TAKE_S = 10
WAIT_MS = 600_000
SAMPLE_S = 0.05
SETTLE_MS = 1_500
SPY = (Path(__file__).parent / "bundle/pages/memory-spy.js").read_text()
ASK_WASM = """() => new Promise((resolve) => {
  const channel = new BroadcastChannel("memory");
  channel.onmessage = ({ data }) => resolve(data.wasm);
  channel.postMessage({});
})"""


@dataclass
class Cost:
    """What one recording took: megabytes and seconds."""

    format: str
    file_mb: float
    minutes: float
    heard_s: float
    band_s: float
    extra_mb: float
    in_all_mb: float
    wasm_mb: float
    page_heap_mb: float


def take() -> NDArray[np.float32]:
    """Return ten seconds in two channels."""
    voice = speech_like(TAKE_S, seed=71, rate=RATE)
    return np.stack([voice, 0.8 * np.roll(voice, 30)])


def write_wav(path: Path, times: int) -> None:
    """Write the recording so many times over as 16-bit stereo."""
    whole = wav_bytes(take().T, RATE)
    at = whole.index(b"data") + 8
    with path.open("wb") as out:
        size = times * (len(whole) - at)
        out.write(
            b"RIFF" + (size + at - 8).to_bytes(4, "little") + whole[8 : at - 4] + size.to_bytes(4, "little")
        )
        for _ in range(times):
            out.write(whole[at:])


def encoded(container: str, codec: str, picture_s: float = 0.0) -> Callable[[Path, int], None]:
    """Return what writes the recording so many times over in a compressed format."""

    def write(path: Path, times: int) -> None:
        path.write_bytes(
            media_file(take(), RATE, container=container, codec=codec, times=times, picture_s=picture_s)
        )

    return write


FORMATS: dict[str, Callable[[Path, int], None]] = {
    "wav": write_wav,
    "mp3": encoded("mp3", "libmp3lame"),
    "m4a": encoded("ipod", "aac"),
    "opus": encoded("ogg", "libopus"),
    "webm": encoded("webm", "libopus", picture_s=10.0),
    "mp4": encoded("mp4", "aac", picture_s=10.0),
}


def _resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS")), 0.0)


@contextmanager
def watched(pids: list[int]) -> Iterator[list[float]]:
    """Read the processes' memory all the time; the list holds the highest sum."""
    highest, is_over = [0.0], threading.Event()

    def watch() -> None:
        while not is_over.wait(SAMPLE_S):
            highest[0] = max(highest[0], sum(map(_resident_mb, pids)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield highest
    finally:
        is_over.set()
        thread.join()


def renderers(browser: Browser) -> list[int]:
    """Return the ids of the tabs' processes."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return [int(one["id"]) for one in processes if one["type"] == "renderer"]


def spied(script: str) -> Callable[[Route], None]:
    """Return what serves the worker with a script in front."""

    def answer(route: Route) -> None:
        found = route.fetch()
        route.fulfill(response=found, body=script + found.text())

    return answer


def choose(page: Page, path: Path) -> float:
    """Choose a file; return the seconds until its band."""
    page.locator("prelisten-check").evaluate("element => element.reset()")
    page.locator("prelisten-check[state=idle]").wait_for()
    began = time.monotonic()
    page.locator("input[type=file]").set_input_files(path)
    page.locator("prelisten-check[state=done]").wait_for(timeout=WAIT_MS)
    return time.monotonic() - began


def measure(browser: Browser, url: str, name: str, folder: Path, minutes: float, script: str) -> Cost:
    """Let a new tab, whose worker begins with a script, hear the short recording and then the long one."""
    short, long = folder / f"short.{name}", folder / f"long.{name}"
    FORMATS[name](short, 1)
    FORMATS[name](long, round(60 * minutes / TAKE_S))
    page = browser.new_page()
    page.route("**/v1/b/*/worker.js", spied(script))
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    empty = sum(map(_resident_mb, renderers(browser)))
    choose(page, short)
    page.wait_for_timeout(SETTLE_MS)
    pids = renderers(browser)
    before = sum(map(_resident_mb, pids))
    with watched(pids) as highest:
        seconds = choose(page, long)
    coverage = page.evaluate("document.querySelector('prelisten-check').result.coverage")
    cost = Cost(
        format=name,
        file_mb=long.stat().st_size / 1e6,
        minutes=coverage["total_s"] / 60,
        heard_s=coverage["analysed_s"],
        band_s=seconds,
        extra_mb=highest[0] - before,
        in_all_mb=highest[0] - empty,
        wasm_mb=page.evaluate(ASK_WASM) / 1e6,
        page_heap_mb=page.evaluate("performance.memory.usedJSHeapSize") / 1e6,
    )
    page.close()
    long.unlink()
    return cost


def main() -> None:
    """Print a line for each format."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--max-seconds", type=int, default=120)
    parser.add_argument("--without-webcodecs", action="store_true", help="as browsers without it hear")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    script = SPY + ("delete globalThis.AudioDecoder;\n" if options.without_webcodecs else "")
    costs = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        server = start_server(folder / "data", workers="0", max_seconds=str(options.max_seconds))
        try:
            for each in options.formats:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
                cost = measure(browser, server.url, each, folder, options.minutes, script)
                browser.close()
                costs.append(cost)
                print(
                    f"{cost.format:5} {cost.minutes:6.1f} min {cost.file_mb:6.0f} MB, heard {cost.heard_s:4.0f} s in "
                    f"{cost.band_s:5.1f} s: {cost.extra_mb:4.0f} MB extra, {cost.in_all_mb:.0f} in all (wasm "
                    f"{cost.wasm_mb:.0f}, page's heap {cost.page_heap_mb:.0f})",
                    flush=True,
                )
        finally:
            end(server)
    if options.json:
        options.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n")


if __name__ == "__main__":
    main()
