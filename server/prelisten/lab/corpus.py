"""Recordings with labels: manifests, and the detector's numbers for each clip."""

from __future__ import annotations

import csv
import math
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from prelisten.checks.additions import load_extensions
from prelisten.errors import BadRequestError, ConfigError
from prelisten.lab.degrade import BACKGROUNDS, CONDITIONS, NOISES, degrade, in_noise, opus, telephone
from prelisten.lab.resynthesis import METHODS
from prelisten.wheels import Wheel
from wasm_detector.extensions import describe_own
from wasm_detector.features import measure
from wasm_detector.frames import analyse
from wasm_detector.signals import KINDS, Description, describe_all
from wasm_detector.waveform import admit, resample

LABELS = ("bona_fide", "spoof", "nonspeech")
REQUIRED = ("id", "path", "label")
LANGUAGES = {"english": "en", "french": "fr", "german": "de", "polish": "pl"}
WILD = "wild"
"""The name of the folder with recordings as people make them."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of a manifest. `split` is the name of the manifest's folder; what it does not say is empty.

    `made`: empty for the recording itself, else what a copy of it went through: `DEGRADED`, one of `NOISY`, `SENT`,
    `NARROW`, a method of `resynthesis` (its label is then `spoof`) or a condition of `degrade`. `background`: the
    recording that sounds behind a copy that is one of `BACKGROUNDS`.
    """

    id: str
    path: Path
    label: str
    split: str
    system: str
    family: str
    source: str
    pair: str
    made: str = ""
    language: str = ""
    sex: str = ""
    background: Path | None = None


DEGRADED = "degraded"
NOISY = ("noisy", "noisy again")
"""Two copies of each clip of speech, in noise of another loudness and colour."""
SENT = "sent"
"""A copy of each clip of speech as messengers send it."""
NARROW = "narrow"
"""A copy of each clip of speech over a telephone."""


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
        language=_language(row.get("language") or ""),
        sex=(row.get("sex") or "").strip().lower(),
    )


def _language(stated: str) -> str:
    """Return the code of the language, without the country; `mixed` where there are several."""
    name = stated.strip().lower()
    if "/" in name or "+" in name:
        return "mixed"
    return LANGUAGES.get(name, name.split("-")[0])


def copies(clips: Sequence[Clip]) -> list[Clip]:
    """Return what is trained on besides: each clip degraded, clean genuine ones rebuilt, speech covered and as sent.

    A genuine recording from a phone is left alone: what its own codec and noise filter did to it looks much like a
    rebuilding. Which of the methods rebuilds a clip follows from its id.
    """
    rebuilt = [clip for clip in clips if clip.label == "bona_fide" and clip.split != WILD]
    methods = list(METHODS)
    return [
        *(replace(clip, made=DEGRADED) for clip in clips),
        *(
            replace(
                clip, label="spoof", system="", family="", pair="", made=methods[_seed(clip) % len(methods)]
            )
            for clip in rebuilt
        ),
        *(
            replace(clip, made=name)
            for name in (*NOISY, SENT, NARROW)
            for clip in clips
            if clip.label != "nonspeech"
        ),
    ]


def in_front_of_others(clips: Sequence[Clip]) -> list[Clip]:
    """Return copies of the clips of speech, one for each of `BACKGROUNDS`, in front of the clips that are none.

    Which sound it is follows from the clip's id and the condition. Without such clips there are no copies.
    """
    sounds = [clip.path for clip in clips if clip.label == "nonspeech"]
    return [
        replace(clip, made=name, background=sounds[zlib.crc32(f"{clip.id} {name}".encode()) % len(sounds)])
        for name in (BACKGROUNDS if sounds else ())
        for clip in clips
        if clip.label != "nonspeech"
    ]


def _seed(clip: Clip) -> int:
    """Return a number that depends on the clip alone, so that the order of the clips does not matter."""
    return zlib.crc32(clip.id.encode())


CHANGES = (
    {DEGRADED: degrade, SENT: opus, NARROW: telephone}
    | dict.fromkeys(NOISY, in_noise)
    | METHODS
    | CONDITIONS
    | NOISES
)
"""What `Clip.made` may name where there is no background."""


def load_clip(clip: Clip) -> NDArray[np.float32]:
    """Return a clip's samples at 16 kHz, or those of the copy that `made` names (10 ms fades, peak -3 dB, dither)."""
    original = _read(clip.path)
    if not clip.made:
        return original
    rng = np.random.default_rng([_seed(clip), zlib.crc32(clip.made.encode())])
    voice = original.astype(np.float64)
    if clip.background is None:
        made = CHANGES[clip.made](voice, rng)
    else:
        made = BACKGROUNDS[clip.made](voice, rng, _read(clip.background).astype(np.float64))
    made = np.nan_to_num(made)
    n_fade = min(160, made.size // 4)
    ramp = (np.arange(n_fade) + 0.5) / n_fade
    made[:n_fade] *= ramp
    made[-n_fade:] *= ramp[::-1]
    made *= 0.7 / max(float(np.abs(made).max()), 1e-9)
    return np.asarray(made + rng.normal(0.0, 0.6 / 32768.0, made.size), dtype=np.float32)


def _read(path: Path) -> NDArray[np.float32]:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = admit(samples.mean(axis=1), rate)
    return resample(wave.samples, wave.sample_rate)


def describe_clip(
    clip: Clip, names: Sequence[str], wheels: tuple[Wheel, ...] = ()
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the named signals' numbers end to end, and their headline values, shape=(n_signals,).

    `wheels` measure the names that are not built in. Raises `ConfigError` where one of them cannot.
    """
    samples = load_clip(clip)
    known = _own_signals(samples - samples.mean(dtype=np.float64).astype(np.float32), wheels)
    failed = [name for name in names if name in known and math.isnan(known[name].value)]
    if failed:
        raise ConfigError(
            f"{', '.join(failed)} cannot measure {clip.path}, so nothing can be trained with it."
        )
    described = describe_all(measure(analyse(samples)), names, known)
    return np.concatenate([one.vector for one in described]), np.array([one.value for one in described])


def _own_signals(samples: NDArray[np.float32], wheels: tuple[Wheel, ...]) -> dict[str, Description]:
    return {one.name: describe_own(one.extension, samples) for one in load_extensions(wheels)}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Clips and their numbers: `vectors` shape=(n_clips, n_numbers), `values` shape=(n_clips, n_signals)."""

    clips: tuple[Clip, ...]
    vectors: NDArray[np.float64]
    values: NDArray[np.float64]

    def column(self, name: str) -> NDArray[np.str_]:
        """Return one field of every clip, shape=(n_clips,)."""
        return np.array([getattr(clip, name) for clip in self.clips])


def pick(corpus: Corpus, keep: NDArray[np.bool_]) -> Corpus:
    """Return the clips where `keep` is true."""
    clips = tuple(clip for clip, kept in zip(corpus.clips, keep, strict=True) if kept)
    return Corpus(clips, corpus.vectors[keep], corpus.values[keep])


def describe_corpus(
    clips: Sequence[Clip],
    names: Sequence[str],
    *,
    wheels: tuple[Wheel, ...] = (),
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Corpus:
    """Compute every clip's numbers on all processors. `track` wraps the results to show progress."""
    describe = partial(describe_clip, names=names, wheels=wheels)
    workers = min(os.cpu_count() or 1, max(1, len(clips) // 50))
    if workers == 1:
        described = list(track(map(describe, clips)))
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            described = list(track(pool.map(describe, clips, chunksize=16)))
    vectors, values = zip(*described, strict=True)
    return Corpus(tuple(clips), np.stack(vectors).astype(np.float64), np.stack(values))


def part_slices(names: Sequence[str]) -> list[slice]:
    """Return where each signal's numbers lie in a clip's vector, in order; one that is not built in has one."""
    probe = np.sin(np.arange(16_000, dtype=np.float32) ** 1.2)
    own = {name: Description(0.0, np.zeros(1, np.float32)) for name in names if name not in KINDS}
    sizes = [one.vector.size for one in describe_all(measure(analyse(probe)), names, own)]
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
