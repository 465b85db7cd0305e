"""Recordings with labels: manifests, and the detector's numbers for each clip."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from prelisten.errors import BadRequestError
from wasm_detector.features import FRAME_RATE, measure
from wasm_detector.frames import analyse
from wasm_detector.signals import SIGNALS
from wasm_detector.waveform import admit, resample

LABELS = ("bona_fide", "spoof", "nonspeech")
REQUIRED = ("id", "path", "label")


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of a manifest. `split` is the name of the manifest's folder; what it does not say is empty."""

    id: str
    path: Path
    label: str
    split: str
    system: str
    family: str
    source: str
    pair: str


def read_manifest(manifest: Path) -> list[Clip]:
    """Read `manifest` (CSV; `id,path,label` at least, paths relative to it). Raises `BadRequestError`."""
    try:
        with manifest.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRequestError(f"{manifest} cannot be read as a manifest: {error}.") from error
    if not rows or any(name not in rows[0] for name in REQUIRED):
        raise BadRequestError(f"{manifest} has no rows, or lacks one of the columns {', '.join(REQUIRED)}.")
    strange = sorted({row["label"] or "" for row in rows} - set(LABELS))
    if strange:
        raise BadRequestError(f"{manifest} has the labels {strange}; known: {', '.join(LABELS)}.")
    return [_clip(row, manifest) for row in rows]


def _clip(row: dict[str, str], manifest: Path) -> Clip:
    return Clip(
        id=row["id"],
        path=manifest.parent / row["path"],
        label=row["label"],
        split=manifest.parent.name,
        system=row.get("system") or "",
        family=row.get("family") or "",
        source=row.get("source_repo") or row["id"],
        pair=row.get("pair_id") or "",
    )


def describe_clip(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
    """Return the signals' vectors end to end, their headline values and the seconds of sound of one clip."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = admit(samples.mean(axis=1), rate)
    features = measure(analyse(resample(wave.samples, wave.sample_rate)))
    described = [kind.describe(features) for kind in SIGNALS]
    values = np.array([one.value for one in described])
    return (
        np.concatenate([one.vector for one in described]),
        values,
        float(features.weight.sum()) / FRAME_RATE,
    )


@dataclass(frozen=True, slots=True)
class Corpus:
    """Clips and their numbers: `vectors` shape=(n_clips, n_numbers), `values` shape=(n_clips, n_signals)."""

    clips: tuple[Clip, ...]
    vectors: NDArray[np.float64]
    values: NDArray[np.float64]

    def column(self, name: str) -> NDArray[np.str_]:
        """Return one field of every clip, shape=(n_clips,)."""
        return np.array([getattr(clip, name) for clip in self.clips])


def describe_corpus(
    clips: Sequence[Clip], *, track: Callable[[Sequence[Clip]], Iterable[Clip]] = iter
) -> Corpus:
    """Compute every clip's numbers. `track` wraps the clips to show progress."""
    described = [describe_clip(clip.path) for clip in track(clips)]
    vectors, values, _ = zip(*described, strict=True)
    return Corpus(tuple(clips), np.stack(vectors).astype(np.float64), np.stack(values))


def part_slices() -> list[slice]:
    """Return where each signal's numbers lie in a clip's vector, in the order of `SIGNALS`."""
    probe = np.sin(np.arange(16_000, dtype=np.float32) ** 1.2)
    sizes = [kind.describe(measure(analyse(probe))).vector.size for kind in SIGNALS]
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
