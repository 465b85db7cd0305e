"""Let a real browser claim, and see which honest claims the server would call a mismatch, and by how much they differ.

    .venv/bin/python -m tests.bench.parity [--manifest MANIFEST.csv] [--files N] [--long N] [--minutes N] [--json FILE]

Every recording is written in every format of `tests.recordings.FORMATS`, at 16, 22.05, 44.1 and 48 kHz in turn, chosen
in the demonstration form, analysed by the widget's own worker, and sealed. The claim is what the page sends to `seal`.
It is recomputed by the code of the check `claim`. Without a manifest the recordings are made from seeds. `--long` puts
recordings together to some that are longer than what is analysed, so that windows are compared.
"""

from __future__ import annotations

import argparse
import base64
import csv
import itertools
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright
from scipy.signal import resample_poly

from prelisten.checks import claim as claim_check
from prelisten.checks import hear_claimed, plan_of, read_claimed
from prelisten.checks.heard import Heard
from prelisten.config import Config, load_config
from prelisten.media.listen import listen
from prelisten.records import Recomputed
from tests.bench.serving import end
from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, start_server
from tests.recordings import FORMATS, RATE, speech_like
from wasm_detector.hint import NO_SCORE, claim_of

RATES = (16_000, 22_050, 44_100, 48_000)
LONG_S = (125.0, 180.4, 310.0)
# A browser decodes this much at most; the longest ones are written at the lower rates.
LONG_RATES = (16_000, 22_050)
SEED = "5e" * 32
SETTLE_MS = 500


def sources(manifest: Path | None, n_files: int) -> Iterator[NDArray[np.float32]]:
    """Yield mono recordings at 16 kHz: those of a manifest, evenly spread, or seeded ones."""
    if manifest is None:
        yield from (speech_like(4.0 + seed % 5, seed=seed) for seed in range(n_files))
        return
    rows = list(csv.DictReader(manifest.open()))
    for row in rows[:: max(1, len(rows) // n_files)][:n_files]:
        samples, rate = sf.read(manifest.parent / row["path"], dtype="float32", always_2d=True)
        common = math.gcd(rate, RATE)
        yield resample_poly(samples.mean(axis=1), RATE // common, rate // common).astype(np.float32)


def cases(manifest: Path | None, n_files: int, n_long: int) -> Iterator[tuple[NDArray[np.float32], str, int]]:
    """Yield (recording at 16 kHz, format, rate in Hz): each recording in every format, then the long ones."""
    recordings = list(sources(manifest, n_files))
    rates = itertools.cycle(RATES)
    for samples in recordings:
        for ending in FORMATS:
            yield samples, ending, next(rates)
        next(rates)  # Or a format would see every fourth rate only.
    joined = itertools.cycle(recordings)
    for seconds, rate, _ in zip(
        itertools.cycle(LONG_S), itertools.cycle(LONG_RATES), range(n_long), strict=False
    ):
        pieces: list[NDArray[np.float32]] = []
        while sum(piece.size for piece in pieces) < seconds * RATE:
            pieces.append(next(joined))
        for ending in FORMATS:
            yield np.concatenate(pieces)[: int(seconds * RATE)], ending, rate


def write(samples: NDArray[np.float32], ending: str, rate: int, folder: Path, number: int) -> Path:
    """Write one recording in one format and rate."""
    common = math.gcd(rate, RATE)
    at_rate = resample_poly(samples, rate // common, RATE // common).astype(np.float32)
    path = folder / f"{number:03d}-{rate}.{ending}"
    path.write_bytes(FORMATS[ending](np.clip(at_rate, -1, 1), rate))
    return path


def open_form(page: Page, url: str) -> None:
    """Open the form. It stays: it holds the submit, has the claim sealed, submits again, and that goes nowhere."""
    page.goto(url)
    page.locator("form").evaluate("form => form.addEventListener('submit', event => event.preventDefault())")


def browser_claim(page: Page, path: Path) -> dict[str, Any]:
    """Choose a file, send the form, and return the claim that the page has sealed on the way."""
    element = page.locator("prelisten-check")
    page.locator("#voice").set_input_files(path)
    page.locator("prelisten-check[state=done]").wait_for(timeout=120_000)
    with page.expect_response("**/seal", timeout=20_000) as sealing:
        page.locator("form").evaluate("form => form.requestSubmit()")
    body = json.loads(sealing.value.request.post_data or "")
    page.wait_for_timeout(SETTLE_MS)  # The page submits again; only then may the file be taken away.
    element.evaluate("element => element.reset()")
    page.locator("prelisten-check[state=idle]").wait_for(timeout=20_000)
    return dict(body["claim"])


def recompute(path: Path, claim: dict[str, Any], config: Config) -> tuple[str, list[str], Heard]:
    """Return the word of the check `claim`, the groups that differ, and what was heard."""
    claimed = read_claimed(claim, max_seconds=config.max_seconds, seed=SEED)
    plan = plan_of(claimed, max_seconds=config.max_seconds, seed=SEED, is_besides_only=bool(claimed.segments))
    with listen(path, config, plan=plan) as recording:
        heard = hear_claimed(recording, claimed)
    details = claim_check.run(heard).details
    return details["recomputed"], details["differences"], heard


def distances(claim: dict[str, Any], heard: Heard) -> dict[str, float]:
    """Return how far each group is from the server's own, in the units of the tolerances."""
    if heard.own is None:
        return {}
    own = claim_of(heard.own.hint, heard.own.exact)
    found = {"length_ms": abs(claim["cov"]["total_ms"] - 1000 * (heard.own.total_s or 0.0))}
    if None not in (claim["q"], own["q"]):
        found["q"] = abs(claim["q"] - own["q"])
    sides = [base64.urlsafe_b64decode(side["near"]["seg"] + "==") for side in (claim, own)]
    pairs = list(zip(*sides, strict=False))
    found["segment"] = max((abs(a - b) for a, b in pairs if NO_SCORE not in (a, b)), default=0)
    found["one_sided"] = sum((a == NO_SCORE) != (b == NO_SCORE) for a, b in pairs)
    found["statistic"] = max(
        (abs(a - b) for a, b in zip(claim["near"]["stat"], own["near"]["stat"], strict=False)), default=0
    )
    found["other_band"] = claim["band"] != own["band"]
    found["other_reasons"] = claim["reasons"] != own["reasons"]
    return found


@dataclass
class Found:
    """What was found so far: cases, those that were not analysed, mismatches, words and distances by format."""

    cases: int = 0
    failed: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    words: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    largest: dict[str, dict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )

    def add(
        self, name: str, ending: str, claim: dict[str, Any], recomputed: tuple[str, list[str], Heard]
    ) -> None:
        """Count one case that the server has recomputed."""
        word, differences, heard = recomputed
        self.words[ending][word] += 1
        if word in (Recomputed.MISMATCH, Recomputed.NOT_RUN):
            self.mismatches.append(f"{name}: {word} {differences}")
        for group, distance in distances(claim, heard).items():
            self.largest[ending][group] = max(self.largest[ending][group], float(distance))

    def save(self, path: Path | None) -> None:
        """Write all of it, where asked to: a run of hours that is ended keeps what it found."""
        if path:
            path.write_text(json.dumps(vars(self), indent=1))


def main() -> None:
    """Print the words by format, the mismatches, and the largest difference of each group by format."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--long", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing new after this long")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config, found = load_config({}), Found()
    ends_at = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        server = start_server(folder / "data", workers="0")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page()
        try:
            open_form(page, server.url)
            for number, (samples, ending, rate) in enumerate(
                cases(options.manifest, options.files, options.long)
            ):
                if time.monotonic() > ends_at:
                    print(f"{options.minutes:g} minutes are over")
                    break
                path, found.cases = write(samples, ending, rate, folder, number), found.cases + 1
                try:
                    claim = browser_claim(page, path)
                except Exception as error:  # Told below: a recording that the browser did not take.
                    found.failed.append(f"{path.name}: {error}".splitlines()[0][:200])
                    open_form(page, server.url)
                    continue
                found.add(
                    f"{path.name}, {samples.size / RATE:.1f} s", ending, claim, recompute(path, claim, config)
                )
                path.unlink()
                if number % 20 == 19:
                    found.save(options.json)
                    told = f"{number + 1} done, {len(found.mismatches)} not within tolerance"
                    print(told, file=sys.stderr, flush=True)
        finally:
            found.save(options.json)
            browser.close()
            end(server)
    print(
        f"{found.cases} cases, {len(found.failed)} not analysed, {len(found.mismatches)} not within tolerance"
    )
    for line in (*found.failed, *found.mismatches):
        print(f"  {line}")
    for ending, counted in found.words.items():
        groups = ", ".join(f"{group} {distance:g}" for group, distance in found.largest[ending].items())
        print(f"  {ending:5} {dict(counted)}; largest: {groups}")


if __name__ == "__main__":
    main()
