"""Train the detector's weights on labelled recordings and write its model card.

Reads the clips, fits with sources left out (for calibration, bands and honest figures), fits on everything, writes
the model. The same manifests and library versions give the same weights, but for the last digits.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from prelisten.checks.additions import MODELS, required_by
from prelisten.config import load_config
from prelisten.errors import ConfigError
from prelisten.lab.corpus import (
    NARROW,
    NOISY,
    SENT,
    Clip,
    Corpus,
    copies,
    describe_corpus,
    in_front_of_others,
    pick,
    read_manifest,
)
from prelisten.lab.degrade import BACKGROUNDS, CONDITIONS, NOISES
from prelisten.lab.hearing import TIERS
from prelisten.wheels import Wheel, listed_wheels
from wasm_detector.model import FILE_NAME, parse_model

if TYPE_CHECKING:
    from prelisten.lab.card import Card
    from prelisten.lab.fit import Calibration
    from prelisten.lab.layout import Recipe

SPEECH_LABELS = ("bona_fide", "spoof")
MIN_CLIPS = MIN_SOURCES = 10
"""Of each label, and in all: with fewer there is nothing to fit."""

EVERY = {"client": 4, "server": 8}
"""The robustness table takes every fourth clip, and of the slower forensic detector every eighth."""

PLACES = {
    "client": (MODELS["client"], "wasm_detector/MODEL_CARD.md"),
    "server": (MODELS["server"], "server/prelisten/checks/FORENSIC_CARD.md"),
}
"""Where the repository keeps each tier's model and card."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `prelisten train`."""
    parser.add_argument(
        "manifests", nargs="+", type=Path, metavar="MANIFEST", help="CSV with id, path, label, ..."
    )
    parser.add_argument(
        "--tier", choices=TIERS, default="client", help="the browser's detector or the server's"
    )
    parser.add_argument("--out", type=Path, default=Path(FILE_NAME), help="the model file to write")
    parser.add_argument("--card", type=Path, help="the model card to write (takes a few minutes more)")
    parser.add_argument("--pictures", type=Path, help="with --card: the folder for the reliability diagram")


def data_digest(corpus: Corpus) -> str:
    """Return the SHA-256 of the sorted ids and labels: which clips a model was trained on."""
    rows = sorted(f"{clip.id} {clip.label}\n" for clip in corpus.clips)
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _counts(clips: Sequence[Clip]) -> dict[str, int]:
    return {label: sum(clip.label == label for clip in clips) for label in (*SPEECH_LABELS, "nonspeech")}


def _is_trainable(clips: Sequence[Clip]) -> bool:
    return min(_counts(clips).values()) >= MIN_CLIPS and len({clip.source for clip in clips}) >= MIN_SOURCES


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model and, when asked for, the card."""
    try:
        from prelisten.lab import fit, folds
        from prelisten.lab.card import write_card
        from prelisten.lab.layout import RECIPES
        from prelisten.lab.pictures import reliability
    except ImportError as error:
        raise ConfigError("Training needs scikit-learn. Install prelisten[train].") from error
    wheels = listed_wheels(load_config().extensions)
    requires = required_by(wheels)
    recipe = RECIPES[arguments.tier]
    recipe = replace(recipe, signals=(*recipe.signals, *(one.name for one in requires)), requires=requires)
    clips = [clip for manifest in arguments.manifests for clip in read_manifest(manifest)]
    if not _is_trainable(clips):
        raise ConfigError(
            f"Got {_counts(clips)}; at least {MIN_CLIPS} clips of each label from {MIN_SOURCES} sources are needed "
            "to train."
        )
    made = [*clips, *copies(clips)]
    with_conditions = [*made, *_conditions(clips, EVERY[arguments.tier])]
    everything = _describe(with_conditions if arguments.card else made, recipe.signals, wheels)
    contributions = folds.out_of_fold(everything, _folds(with_conditions)[: len(everything.clips)], recipe)
    is_original = everything.column("made") == ""
    corpus = pick(everything, is_original)
    left_out = _manifests_left_out(everything, recipe)
    calibration = folds.calibrate(
        corpus, contributions[is_original].sum(axis=1), *(() if left_out is None else (left_out,))
    )
    model = fit.store(fit.fit(everything, recipe), calibration, data_digest(corpus))
    arguments.out.write_bytes(model)
    print(f"Wrote {arguments.out} ({len(model) // 1000} kB).")
    if arguments.card:
        card = _card(everything, contributions, left_out, calibration, model, recipe, _command(arguments))
        arguments.card.write_text(write_card(card), encoding="utf-8")
        print(f"Wrote {arguments.card}.")
        if arguments.pictures:
            picture = arguments.pictures / f"reliability-{arguments.tier}.svg"
            picture.write_text(reliability(card.reliability), encoding="utf-8")
            print(f"Wrote {picture}.")
    return 0


def _folds(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """Return each clip's fold. The card must not change the model, so `clips` are those of a run with all conditions.

    Noise, telephones, messengers and backgrounds have no say in which sources go together: figures can be compared with
    those from before them.
    """
    from prelisten.lab.folds import fold_numbers

    silent = {*NOISY, SENT, NARROW, *NOISES, *BACKGROUNDS}
    counted = np.array([clip.source for clip in clips if clip.made not in silent])
    fold_of = dict(zip(counted, fold_numbers(counted), strict=True))
    return np.array([fold_of[clip.source] for clip in clips])


def _describe(clips: Sequence[Clip], names: Sequence[str], wheels: tuple[Wheel, ...]) -> Corpus:
    progress = Console(stderr=True)
    return describe_corpus(
        clips,
        names,
        wheels=wheels,
        track=lambda found: track(found, "Listening", total=len(clips), console=progress),
    )


def _conditions(clips: Sequence[Clip], every: int) -> list[Clip]:
    """Return one clip of speech in `every` under each condition of the tables of robustness; never trained on."""
    speech = [clip for clip in clips if clip.label in SPEECH_LABELS][::every]
    quiet = [clip for clip in clips if clip.label not in SPEECH_LABELS]
    return [
        *(replace(clip, made=name) for name in (*CONDITIONS, *NOISES) for clip in speech),
        *in_front_of_others([*speech, *quiet]),
    ]


def _command(arguments: argparse.Namespace) -> str:
    named = " ".join(f"SPEECH/{manifest.parent.name}/{manifest.name}" for manifest in arguments.manifests)
    model, card = PLACES[arguments.tier]
    places = f"--out {model} --card {card} --pictures web/docs/pictures"
    return f"prelisten train {named} --tier {arguments.tier} {places}"


def _card(
    everything: Corpus,
    contributions: NDArray[np.float64],
    left_out: NDArray[np.float64] | None,
    calibration: Calibration,
    model: bytes,
    recipe: Recipe,
    command: str,
) -> Card:
    from prelisten.lab import folds, report
    from prelisten.lab.card import Card

    is_original = everything.column("made") == ""
    corpus, own = pick(everything, is_original), contributions[is_original]

    def probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1.0 / (1.0 + np.exp(-(calibration.slope * logits + calibration.shift))))

    every_score = probability(contributions.sum(axis=1)[:, 0])
    scores, labels = every_score[is_original], corpus.column("label")
    is_heard = 1.0 / (1.0 + np.exp(-own.sum(axis=1)[:, 1])) >= calibration.speech_floor
    quiet = labels == "nonspeech"
    groups = folds.fold_numbers(corpus.column("source"))
    return Card(
        detector=parse_model(model).detector,
        command=command,
        requires=recipe.requires,
        data_sha256=data_digest(corpus),
        corpus=corpus,
        calibration=calibration,
        crossed=report.by_split(corpus, scores),
        left_out=[] if left_out is None else report.by_split(corpus, left_out[:, 0])[1:],
        families=report.by_family(corpus, scores),
        languages=report.by_group(corpus, scores, "language"),
        sexes=report.by_group(corpus, scores, "sex"),
        effects=list(zip(recipe.parts, report.without_each(corpus, own[:, :, 0]), strict=True)),
        rebuilt=report.rebuilt(everything, contributions[:, :, 0], recipe.parts),
        conditions=report.by_condition(everything, every_score, calibration.high, CONDITIONS),
        noises=report.by_condition(everything, every_score, calibration.high, (*NOISES, *BACKGROUNDS)),
        reliability=report.reliability(scores[~quiet], labels[~quiet] == "spoof"),
        edges=report.at_edges(corpus, scores, calibration),
        edges_left_out=[]
        if left_out is None
        else report.at_edges(corpus, probability(left_out[:, 0]), calibration),
        nuisance=_nuisance(corpus, groups, own.sum(axis=1)[:, 0]),
        nonspeech=(
            int(quiet.sum()),
            float(is_heard[quiet].mean()),
            float((is_heard & (scores >= calibration.high))[quiet].mean()),
        ),
        lost_speech=float(1.0 - is_heard[~quiet].mean()),
    )


def _manifests_left_out(everything: Corpus, recipe: Recipe) -> NDArray[np.float64] | None:
    """Return each recording's log-odds by a fit on the other manifests, shape=(n_recordings, 2).

    `None` where there is one manifest, or the others have too little to fit on.
    """
    from prelisten.lab import folds

    splits, is_original = everything.column("split"), everything.column("made") == ""
    names = np.unique(splits)
    rests = [pick(everything, is_original & (splits != name)).clips for name in names]
    if not all(_is_trainable(rest) for rest in rests):
        return None
    scored = folds.out_of_fold(everything, splits, recipe)
    return np.asarray(scored.sum(axis=1)[is_original])


def _nuisance(
    corpus: Corpus, groups: NDArray[np.int64], logits: NDArray[np.float64]
) -> list[tuple[str, float, float, float]]:
    """Return (clips, AUC of the nuisance alone, AUC of what it predicts of the log-odds, share of their variance)."""
    from prelisten.lab.metrics import auc
    from prelisten.lab.nuisance import explained_by_nuisance, nuisance_of, nuisance_scores

    is_speech = corpus.column("label") != "nonspeech"
    is_spoof = corpus.column("label")[is_speech] == "spoof"
    numbers = np.stack(
        [nuisance_of(clip.path) for clip, kept in zip(corpus.clips, is_speech, strict=True) if kept]
    )
    alone = nuisance_scores(numbers, is_spoof, groups[is_speech])
    owed = explained_by_nuisance(numbers, logits[is_speech], groups[is_speech])
    splits = corpus.column("split")[is_speech]
    parts = {"all": np.ones(splits.size, dtype=bool)} | {
        str(name): splits == name for name in np.unique(splits)
    }
    table = []
    for name, part in parts.items():
        both = [auc(one[part & ~is_spoof], one[part & is_spoof]) for one in (alone, owed)]
        left = np.mean((logits[is_speech] - owed)[part] ** 2) / np.var(logits[is_speech][part])
        table.append((name, *both, float(1.0 - left)))
    return table
