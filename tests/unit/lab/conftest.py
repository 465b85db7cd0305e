"""A small corpus of synthesised clips, with a manifest."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.recordings import speech_like
from tests.unit.wasm_detector.sounds import griffin_lim

COLUMNS = ("id", "path", "label", "system", "family", "pair_id", "source_repo", "language")


def write_corpus(folder: Path, *, n: int, seconds: float = 1.6) -> Path:
    """Write `n` clips of each label from `n` sources, and the manifest; the spoof are rebuilt from spectrograms."""
    folder.mkdir(parents=True)
    rows = []
    for seed in range(n):
        voice = speech_like(seconds, seed=seed)
        noise = np.random.default_rng(seed).normal(0, 0.1 + 0.01 * seed, voice.size)
        for label, samples in (("bona_fide", voice), ("spoof", griffin_lim(voice)), ("nonspeech", noise)):
            name = f"{label}-{seed}"
            soundfile.write(folder / f"{name}.wav", samples, 16_000, subtype="PCM_16")
            system = "griffin-lim" if label == "spoof" else ""
            rows.append([name, f"{name}.wav", label, system, system, str(seed), f"source-{seed}", "en-GB"])
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([COLUMNS, *rows])
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def manifest(tmp_path_factory) -> Path:
    """Six clips of each label."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "clean", n=6)
