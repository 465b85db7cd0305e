"""Compare the browser's score with the server's, file by file, through a real browser and the real decoders.

    .venv/bin/python -m tests.bench.parity [--manifest MANIFEST.csv] [--files N]

Without a manifest the recordings are made from seeds. Each is written in every format of `tests.recordings.FORMATS`,
in turn, at 16, 22.05, 44.1 and 48 kHz.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright
from scipy.signal import resample_poly

from prelisten.config import load_config
from prelisten.lab.hearing import hear_file
from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, start_server
from tests.recordings import FORMATS, RATE, speech_like

RATES = (16_000, 22_050, 44_100, 48_000)


def sources(manifest: Path | None, n_files: int) -> Iterator[NDArray[np.float32]]:
    """Yield mono recordings at 16 kHz: those of a manifest, evenly spread, or seeded ones."""
    if manifest is None:
        yield from (speech_like(4.0 + seed % 5, seed=seed) for seed in range(n_files))
        return
    rows = list(csv.DictReader(manifest.open()))
    for row in rows[:: max(1, len(rows) // n_files)][:n_files]:
        yield sf.read(manifest.parent / row["path"], dtype="float32")[0]


def write(samples: NDArray[np.float32], ending: str, rate: int, folder: Path, number: int) -> Path:
    """Write one recording in one format and rate."""
    common = math.gcd(rate, RATE)
    at_rate = resample_poly(samples, rate // common, RATE // common).astype(np.float32)
    path = folder / f"{number:03d}-{rate}.{ending}"
    path.write_bytes(FORMATS[ending](np.clip(at_rate, -1, 1), rate))
    return path


def browser_score(page: Page, path: Path) -> float | None:
    """Choose a file in the form and return the score that the page shows."""
    page.locator("#voice").set_input_files(path)
    page.locator("prelisten-check[state=done]").wait_for(timeout=120_000)
    score = page.evaluate("document.querySelector('prelisten-check').result.spoof_score")
    page.evaluate("document.querySelector('prelisten-check').reset()")
    return score


def main() -> None:
    """Print the largest difference over all files and for each format."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--files", type=int, default=56)
    options = parser.parse_args()
    plan = itertools.cycle(itertools.product(RATES, FORMATS))
    largest: dict[str, list[float]] = defaultdict(list)
    unlike, config = 0, load_config({})
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        server = start_server(folder / "data")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page()
        page.goto(server.url)
        try:
            for number, (samples, (rate, ending)) in enumerate(
                zip(sources(options.manifest, options.files), plan, strict=False)
            ):
                path = write(samples, ending, rate, folder, number)
                ours, theirs = browser_score(page, path), hear_file(path, config).spoof_score
                if (ours is None) != (theirs is None):
                    unlike += 1
                elif ours is not None:
                    largest[ending].append(abs(ours - theirs))
        finally:
            browser.close()
            server.stop()
    everything = list(itertools.chain.from_iterable(largest.values()))
    print(
        f"{len(everything)} scored by both, {unlike} by one side only; largest difference {max(everything):.2e}"
    )
    for ending, differences in largest.items():
        print(f"  {ending:5} {len(differences):3} files, largest {max(differences):.2e}")


if __name__ == "__main__":
    main()
