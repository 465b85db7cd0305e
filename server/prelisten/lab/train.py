"""Train the detector's weights on labelled recordings and write its model card.

Reads the clips, fits with sources left out (for calibration, bands and honest figures), fits on everything, writes
the model. The same manifests and library versions give the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from prelisten.errors import ConfigError
from prelisten.lab.corpus import Corpus, describe_corpus, read_manifest
from prelisten.lab.report import Line

SPEECH_LABELS = ("bona_fide", "spoof")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `prelisten train`."""
    parser.add_argument(
        "manifests", nargs="+", type=Path, metavar="MANIFEST", help="CSV with id, path, label, ..."
    )
    parser.add_argument("--out", type=Path, default=Path("model.json"), help="the model file to write")
    parser.add_argument("--card", type=Path, help="the model card to write (takes a few minutes more)")


def data_digest(corpus: Corpus) -> str:
    """Return the SHA-256 of the sorted ids and labels: which clips a model was trained on."""
    rows = sorted(f"{clip.id} {clip.label}\n" for clip in corpus.clips)
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _check_trainable(corpus: Corpus) -> None:
    counts = {label: int((corpus.column("label") == label).sum()) for label in (*SPEECH_LABELS, "nonspeech")}
    if min(counts.values()) < 10 or len(set(corpus.column("source"))) < 10:
        raise ConfigError(
            f"Got {counts}; at least 10 clips of each label from 10 sources are needed to train."
        )


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model and, when asked for, the card."""
    try:
        from prelisten.lab import fit, folds
    except ImportError as error:
        raise ConfigError("Training needs scikit-learn. Install prelisten[train].") from error
    clips = [clip for manifest in arguments.manifests for clip in read_manifest(manifest)]
    corpus = describe_corpus(clips, track=lambda all_: track(all_, "Listening", console=Console(stderr=True)))
    _check_trainable(corpus)
    groups = folds.fold_numbers(corpus.column("source"))
    contributions = folds.out_of_fold(corpus, groups)
    calibration = folds.calibrate(corpus, contributions.sum(axis=1))
    digest = data_digest(corpus)
    stored = fit.store(fit.fit(corpus), calibration, digest[:12])
    text = json.dumps(stored, indent=1, allow_nan=False) + "\n"
    arguments.out.write_text(text, encoding="utf-8")
    print(f"Wrote {arguments.out} ({len(text) // 1000} kB).")
    if arguments.card:
        command = _command(arguments.manifests)
        arguments.card.write_text(_card(corpus, contributions, groups, text, command), encoding="utf-8")
        print(f"Wrote {arguments.card}.")
    return 0


def _command(manifests: Sequence[Path]) -> str:
    named = " ".join(f"SPEECH/{manifest.parent.name}/{manifest.name}" for manifest in manifests)
    return f"prelisten train {named} --out wasm_detector/model.json --card wasm_detector/MODEL_CARD.md"


def _card(
    corpus: Corpus,
    contributions: NDArray[np.float64],
    groups: NDArray[np.int64],
    model_text: str,
    command: str,
) -> str:
    """Compute the figures and return the card."""
    from prelisten.lab import folds, report
    from prelisten.lab.card import Card, write_card
    from wasm_detector.model import parse_model
    from wasm_detector.signals import SIGNALS

    logits = contributions.sum(axis=1)
    calibration, labels = folds.calibrate(corpus, logits), corpus.column("label")
    scores = 1.0 / (1.0 + np.exp(-(calibration.slope * logits[:, 0] + calibration.shift)))
    is_heard = 1.0 / (1.0 + np.exp(-logits[:, 1])) >= calibration.speech_floor
    quiet = labels == "nonspeech"
    splits = corpus.column("split")
    effects = report.without_each(corpus, contributions[:, :, 0])
    return write_card(
        Card(
            detector=parse_model(model_text.encode()).detector,
            command=command,
            data_sha256=data_digest(corpus),
            corpus=corpus,
            calibration=calibration,
            crossed=report.by_split(corpus, scores),
            left_out=_manifests_left_out(corpus) if len(set(splits)) > 1 else [],
            families=report.by_family(corpus, scores),
            effects=[(kind.name, *effect) for kind, effect in zip(SIGNALS, effects, strict=True)],
            nuisance=_nuisance(corpus, groups),
            nonspeech=(
                int(quiet.sum()),
                float(is_heard[quiet].mean()),
                float((is_heard & (scores >= calibration.high))[quiet].mean()),
            ),
            lost_speech=float(1.0 - is_heard[~quiet].mean()),
        )
    )


def _manifests_left_out(corpus: Corpus) -> list[Line]:
    from prelisten.lab import folds, report

    splits = corpus.column("split")
    scores = folds.out_of_fold(corpus, splits).sum(axis=1)[:, 0]
    return [report.line(str(name), corpus, scores, splits == name) for name in np.unique(splits)]


def _nuisance(corpus: Corpus, groups: NDArray[np.int64]) -> list[tuple[str, float]]:
    from prelisten.lab.metrics import auc
    from prelisten.lab.nuisance import nuisance_of, nuisance_scores

    is_speech = corpus.column("label") != "nonspeech"
    is_spoof = corpus.column("label")[is_speech] == "spoof"
    numbers = np.stack(
        [nuisance_of(clip.path) for clip, kept in zip(corpus.clips, is_speech, strict=True) if kept]
    )
    scores = nuisance_scores(numbers, is_spoof, groups[is_speech])
    splits = corpus.column("split")[is_speech]
    parts = {"all": np.ones(splits.size, dtype=bool)} | {
        str(name): splits == name for name in np.unique(splits)
    }
    return [(name, auc(scores[part & ~is_spoof], scores[part & is_spoof])) for name, part in parts.items()]
