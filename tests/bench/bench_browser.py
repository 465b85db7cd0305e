"""Measure the bundle beside what people would use instead, in one run, on one machine, in turns.

    python3 build.py bench [--quick | --turns N] [--minutes N] [--network] [--json FILE]

Three builds take turns (`tests/bench/bundle/rivals.py`): ours, Pyodide and numpy as they are shipped with the same
detector, and onnxruntime-web with a model of comparable size that is asked once for each 4 s. All are served by one
loopback server with brotli at its best, and screen the same recordings. A turn gives each build a new browser profile:
a first visit, then second visits with other recordings. Then the demonstration form, served by the product's own
server, is visited in the same way: it gives the bytes of every request and the tasks on the real page.

*Ready* is from the making of the worker to its word that it can analyse: the detector imported, its model read.
*Band* is from the choice of a file to the result; nothing is loaded before the choice (the worst case: neither pointer
nor focus announced it). Ratios are taken turn by turn; every figure is a median with its quartiles and the number of
values. Absolute times hold for this machine and this run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserType, Error, sync_playwright

from prelisten.assets import manifest
from tests.bench.bundle.figures import Bar, Figures, Measure, bars_table, files_table
from tests.bench.bundle.rivals import BUILDS, ONNX, OURS, SHIPPED, Build, make_builds
from tests.bench.bundle.static import LINKS, Files, Link, serving
from tests.bench.bundle.visits import Profile, VisitError, profile, visit, visit_form
from tests.bench.serving import end
from tests.browser.conftest import CHROMIUM, Server, start_server
from tests.recordings import FORMATS, speech_like, wav_bytes

COLD_READY = Measure("first visit: ready", "ms")
WARM_READY = Measure("second visit: ready", "ms")
COLD_BAND = Measure("first visit: 10 s WAV to band", "ms")
COLD_CPU = Measure("first visit: 10 s WAV, CPU time", "ms")
WARM_CPU = Measure("second visit: 10 s WAV, CPU time", "ms")
CPU_30 = Measure("second visit: 30 s WAV, CPU time", "ms")
CPU_600 = Measure("second visit: 10 min WAV, CPU time", "ms")
WARM_10 = Measure("second visit: 10 s WAV to band", "ms")
WARM_30 = Measure("second visit: 30 s WAV to band", "ms")
WARM_M4A = Measure("second visit: 30 s M4A to band", "ms")
WARM_600 = Measure("second visit: 10 min WAV to band", "ms")
HEARD_600 = Measure("10 min WAV to the first 4 s heard", "ms")
PER_SECOND = Measure("each second of audio", "ms")
BYTES = Measure("bytes received to the first band", "MB")
WASM_LOADED = Measure("wasm memory, ready", "MB")
WASM_600 = Measure("wasm memory, after 10 min", "MB")
WORKER_HEAP = Measure("JS heap of the worker, after 10 min", "MB")
PAGE_HEAP = Measure("JS heap of the page, after 10 min", "MB")
LONGEST = Measure("longest task on the page", "ms")
LONG_TASKS = Measure("tasks of 50 ms or more, each visit", "")
MEASURES = (
    *(COLD_READY, WARM_READY, COLD_BAND, WARM_10, WARM_30, WARM_M4A, WARM_600, HEARD_600, PER_SECOND),
    *(COLD_CPU, WARM_CPU, CPU_30, CPU_600),
    *(BYTES, WASM_LOADED, WASM_600, WORKER_HEAP, PAGE_HEAP, LONGEST, LONG_TASKS),
)
OTHERS = (SHIPPED, ONNX)
# What the tab's process used for what it took: hardly longer on a busy machine, unlike the time on the wall.
CPU = {COLD_BAND: COLD_CPU, WARM_10: WARM_CPU, WARM_30: CPU_30, WARM_600: CPU_600}
SECONDS = {"10 s": 10.0, "30 s": 30.0, "10 min": 600.0}
MAX_SECONDS = "600"
# What a person stays after the first band: time for what page and browser keep for the next visit (Chromium writes
# machine code about two seconds after the last function was compiled).
STAY_MS = 5_000
# Beyond the run's own limit: one visit that hangs, and the table.
GRACE_S = 150


@dataclass
class Run:
    """A run: its browser, its clock, what it has measured and what it had to leave out."""

    chromium: BrowserType
    files: Files
    builds: dict[str, Build]
    recordings: dict[str, Path]
    ends_at: float
    figures: Figures = field(default_factory=Figures)
    left_out: list[str] = field(default_factory=list)
    starts: dict[str, int] = field(default_factory=dict)
    phases: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    form: dict[str, list[float]] = field(default_factory=dict)
    form_files: dict[str, dict[str, float]] = field(default_factory=dict)
    failed_requests: list[str] = field(default_factory=list)
    browser: str = ""

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Do one part of the run unless its time is over; a visit that fails is told and the run goes on."""
        began = time.monotonic()
        if began > self.ends_at:
            raise TimeIsUpError(what)
        try:
            yield
            say(f"   {what}: {time.monotonic() - began:.1f} s")
        except (VisitError, Error) as error:
            self.left_out.append(f"{what}: {str(error).splitlines()[0][:200]}")
            say(f"   {self.left_out[-1]}")


class TimeIsUpError(Exception):
    """The run has used its minutes."""


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def make_recordings(folder: Path) -> dict[str, Path]:
    """Write the recordings: WAV of three lengths at 16 kHz, M4A of 30 s at 48 kHz."""
    made = {}
    for name, seconds in SECONDS.items():
        made[name] = folder / f"{seconds:.0f}.wav"
        made[name].write_bytes(wav_bytes(speech_like(seconds, seed=1)))
    made["M4A"] = folder / "30.m4a"
    made["M4A"].write_bytes(FORMATS["m4a"](speech_like(30.0, seed=2, rate=48_000), 48_000))
    return made


def measure_build(run: Run, build: Build, turn: int, *, is_long: bool) -> None:
    """Give one build its turn: a new profile, a first visit, second visits."""
    with profile(run.chromium) as browser:
        run.files.take_sent()
        first = measured(run, browser, build, (turn,), "10 s", COLD_READY, COLD_BAND, stay_ms=STAY_MS)
        sent = [one for one in run.files.take_sent() if not one.path.startswith(("/page", "/pages"))]
        run.failed_requests += [f"{build.name}: {one.path}" for one in sent if one.status >= 400]
        run.figures.add(BYTES, build.name, (turn,), sum(one.n_bytes for one in sent) / 1e6)
        seen = [first]
        for place, (recording, band) in enumerate(
            (("10 s", WARM_10), ("30 s", WARM_30), ("M4A", WARM_M4A)), start=1
        ):
            seen.append(measured(run, browser, build, (turn, place), recording, WARM_READY, band))
        if is_long:
            seen.append(measure_memory(run, browser, build, turn))
        run.figures.add(LONGEST, build.name, (turn,), max(one["longest"] for one in seen))
        run.figures.add(LONG_TASKS, build.name, (turn,), sum(one["long"] for one in seen) / len(seen))


def measured(
    run: Run,
    browser: Profile,
    build: Build,
    turn: tuple[int, ...],
    recording: str,
    ready: Measure,
    band: Measure,
    *,
    stay_ms: int = 0,
) -> dict[str, Any]:
    """Visit once and note the time to ready and to the band."""
    told = visit(browser, run.files.url + build.page(), run.recordings[recording], stay_ms=stay_ms)
    run.browser = told["browser"]
    run.figures.add(ready, build.name, turn, told["ready"])
    run.figures.add(band, build.name, turn[:1], told["band"])
    note_cpu(run, build, band, turn[0], told)
    if told["start"]:
        how = f"{build.name}, {ready.name}, {told['start']}"
        run.starts[how] = run.starts.get(how, 0) + 1
        run.phases.setdefault(f"{how} start", []).append(told["starting"])
    note_phases(run, build, band, told)
    return told


def note_cpu(run: Run, build: Build, band: Measure, turn: int, told: dict[str, Any]) -> None:
    """Keep the CPU time of a visit, where the system tells it."""
    if told["cpu"] and band in CPU:
        run.figures.add(CPU[band], build.name, (turn,), told["cpu"])


def note_phases(run: Run, build: Build, band: Measure, told: dict[str, Any]) -> None:
    """Keep how long the worker spent in each phase; the builds with the product's worker say so."""
    if told["times"]:
        run.phases.setdefault(f"{build.name}, {band.name}", []).append(told["times"])


def measure_memory(run: Run, browser: Profile, build: Build, turn: int) -> dict[str, Any]:
    """Let a build hear ten minutes; note its times and its memory."""
    told = visit(
        browser, run.files.url + build.page(is_spied=True), run.recordings["10 min"], is_heap_wanted=True
    )
    loaded, analysed = told["memory"]["loaded"], told["memory"]["analysed"]
    note_phases(run, build, WARM_600, told)
    note_cpu(run, build, WARM_600, turn, told)
    for measure, value in (
        (WARM_600, told["band"]),
        (HEARD_600, told["heard"]),
        (WASM_LOADED, loaded["wasm"] / 1e6),
        (WASM_600, analysed["wasm"] / 1e6),
        (WORKER_HEAP, told["worker_heap"] / 1e6),
        (PAGE_HEAP, analysed["page"] / 1e6),
    ):
        run.figures.add(measure, build.name, (turn,), value)
    if told["analysed"] < 0.9 * SECONDS["10 min"]:
        run.left_out.append(f"{build.name} heard only {told['analysed']:.0f} s of the 10 min")
    return told


def measure_form(run: Run, url: str, *, is_long: bool) -> None:
    """Visit the demonstration form of the product's own server: bytes of every request, times, tasks."""
    with profile(run.chromium) as browser:
        told, received, failed = visit_form(browser, url, run.recordings["10 s"], stay_ms=STAY_MS)
        run.failed_requests += failed
        run.form_files = {path: sizes_of(path, size) for path, size in received.items()}
        visits = {"first visit, 10 s WAV": told}
        names = ("10 s", "30 s", "M4A", "10 min") if is_long else ("10 s", "30 s", "M4A")
        for name in names:
            told, _, failed = visit_form(browser, url, run.recordings[name])
            run.failed_requests += failed
            visits[f"second visit, {name}{'' if name == 'M4A' else ' WAV'}"] = told
    for name, told in visits.items():
        run.form.setdefault(name, []).append(told["band"])
    run.form.setdefault("longest task", []).append(max(told["longest"] for told in visits.values()))
    run.form.setdefault("tasks of 50 ms or more", []).append(sum(told["long"] for told in visits.values()))


def sizes_of(path: str, received: float) -> dict[str, float]:
    """Return what was received of a requested file, and what it takes by brotli, by gzip and raw.

    Nobody tells the size of the worker's own script: it is taken from the manifest.
    """
    for name, entry in manifest()["files"].items():
        if path.partition("?")[0].endswith(f"/{name}"):
            raw = entry["bytes"]
            br, gz = entry["br"] or raw, entry["gz"] or raw
            return {"received": received or br, "br": br, "gz": gz, "raw": raw}
    return dict.fromkeys(("received", "br", "gz", "raw"), received)


def measure_links(run: Run, links: tuple[Link, ...]) -> dict[Link, tuple[Measure, Measure]]:
    """Make first visits over slow lines; return the measures of each line."""
    measures = {
        link: (Measure(f"{link.name}: ready", "ms"), Measure(f"{link.name}: 10 s WAV to band", "ms"))
        for link in links
    }
    for link, (ready, band) in measures.items():
        for build in run.builds.values():
            with run.part(f"{link.name}, {build.name}"), profile(run.chromium) as browser:
                run.files.link = link
                try:
                    measured(run, browser, build, (0,), "10 s", ready, band)
                finally:
                    run.files.link = None
    return measures


def take_turns(run: Run, url: str, options: argparse.Namespace) -> dict[Link, tuple[Measure, Measure]]:
    """Let the builds and the form take turns, another build first each time."""
    lines: dict[Link, tuple[Measure, Measure]] = {}
    try:
        for turn in range(options.turns):
            is_long = turn < options.long_turns
            say(f"-> Turn {turn + 1} of {options.turns}")
            for place in range(len(BUILDS)):
                build = run.builds[BUILDS[(turn + place) % len(BUILDS)]]
                with run.part(build.name):
                    measure_build(run, build, turn, is_long=is_long)
            with run.part("the demonstration form"):
                measure_form(run, url, is_long=is_long)
        if options.network:
            say("-> Over slow lines")
            lines = measure_links(run, LINKS)
    except TimeIsUpError as error:
        run.left_out.append(f"{options.minutes:g} minutes were over: from '{error}' on nothing was measured")
        say(f"   {run.left_out[-1]}")
    run.figures.derive(
        PER_SECOND,
        lambda long, short: (long - short) / (SECONDS["10 min"] - SECONDS["30 s"]),
        WARM_600,
        WARM_30,
    )
    return lines


def bars(run: Run) -> list[Bar]:
    """Return how the bundle stands against its limits."""

    def ratio(measure: Measure, other: str) -> float | None:
        found = run.figures.ratio(measure, OURS, other)
        return found.median if found else None

    def own(measure: Measure) -> float | None:
        found = run.figures.spread(measure, OURS)
        return found.median if found else None

    brotli = sum(sizes["received"] for sizes in run.form_files.values()) / 1e6 or None
    thirty = sorted(run.form.get("second visit, 30 s WAV", []))
    return [
        Bar("every request up to the first band", 5.0, 4.3, brotli, "MB"),
        Bar("requests that failed", 0, None, len(run.failed_requests) if run.form_files else None),
        Bar(f"first visit: ready / {SHIPPED}", 0.45, 0.35, ratio(COLD_READY, SHIPPED), "x"),
        Bar(f"second visit: ready / {SHIPPED}", 0.20, None, ratio(WARM_READY, SHIPPED), "x"),
        Bar(f"second visit: ready / {ONNX}", 1.25, 1.0, ratio(WARM_READY, ONNX), "x"),
        Bar("form, second visit: 30 s WAV", 1_500, None, thirty[len(thirty) // 2] if thirty else None, "ms"),
        Bar("wasm memory after 10 min", 60, None, own(WASM_600), "MB"),
        Bar(
            "longest task on the form's page",
            50,
            None,
            max(run.form.get("longest task", []), default=None),
            "ms",
        ),
    ]


def report(run: Run, lines: dict[Link, tuple[Measure, Measure]], about: dict[str, Any]) -> dict[str, Any]:
    """Print the tables; return everything for the JSON file."""
    measures = [*MEASURES, *(measure for pair in lines.values() for measure in pair)]
    standing = bars(run)
    say("\nEach figure: median (lower-upper quartile, number of values).\n")
    for line in run.figures.table(measures, OURS, OTHERS):
        say(line)
    if run.starts:
        say(f"\nStarts: {'; '.join(f'{how}: {n}' for how, n in run.starts.items())}")
    say("\nWhere the time goes, medians in ms:\n")
    for name, laps in sorted(run.phases.items()):
        parts = {part: statistics.median(lap[part] for lap in laps if part in lap) for part in laps[0]}
        say(f"  {name}: {', '.join(f'{part} {value:,.0f}' for part, value in parts.items())}")
    if run.form_files:
        say("\nThe demonstration form, the product's own server, ours alone:\n")
        for name, values in run.form.items():
            unit = "" if name.startswith("tasks") else " ms"
            say(f"  {name}: {', '.join(f'{value:,.0f}' for value in values)}{unit}")
        say("\nEvery request of its first visit, bytes:\n")
        for line in files_table(run.form_files):
            say(line)
    say("")
    for line in bars_table(standing):
        say(line)
    for what in (*run.failed_requests, *run.left_out):
        say(f"! {what}")
    return {
        **about,
        "bars": [bar.as_json() for bar in standing],
        "measures": run.figures.as_json(OURS, OTHERS),
        "starts": run.starts,
        "phases": run.phases,
        "form": run.form,
        "files": run.form_files,
        "failed_requests": run.failed_requests,
        "left_out": run.left_out,
    }


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=5, help="how often each build is measured")
    parser.add_argument("--long-turns", type=int, default=2, help="how many of them hear 10 minutes too")
    parser.add_argument("--quick", action="store_true", help="two turns, one of them with 10 minutes")
    parser.add_argument("--minutes", type=float, default=7.0, help="begin nothing new after this long")
    parser.add_argument("--network", action="store_true", help="first visits over two slow lines, too")
    parser.add_argument("--json", type=Path, help="where every value is written")
    options = parser.parse_args()
    if options.quick:
        options.turns, options.long_turns = 2, 1
    return options


def stop_for_certain(seconds: float, server: Server, folder: Path) -> None:
    """End this process, its server and, with its driver, its browser, when even the single visits' limits did not."""

    def stop(*_: object) -> None:
        say("! The run hangs: it is ended.")
        server.process.terminate()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def main() -> int:
    """Measure, print the tables, write JSON when asked to."""
    options = read_options()
    if not CHROMIUM:
        say("No Chromium: install Chromium or Google Chrome, or name one by TEST_CHROMIUM.")
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-") as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "www").mkdir()
        (folder / "recordings").mkdir()
        say("-> Laying out the builds and the recordings")
        builds = make_builds(folder / "www", say)
        recordings = make_recordings(folder / "recordings")
        load = os.getloadavg()[0]
        if load > 0.5:
            say(f"   This machine is busy (load {load:.1f}): ratios hold better than seconds.")
        began = time.monotonic()
        with serving(folder / "www") as files:
            run = Run(playwright.chromium, files, builds, recordings, began + 60 * options.minutes)
            server = start_server(folder / "data", max_seconds=MAX_SECONDS, workers="0")
            stop_for_certain(60 * options.minutes + GRACE_S, server, folder)
            try:
                lines = take_turns(run, server.url, options)
            finally:
                end(server)
        about = {
            "bundle": manifest()["worker"].split("/")[1],
            "cores": os.cpu_count(),
            "load_before": load,
            "browser": run.browser,
            "seconds": round(time.monotonic() - began),
        }
        found = report(run, lines, about)
    signal.setitimer(signal.ITIMER_REAL, 0)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
