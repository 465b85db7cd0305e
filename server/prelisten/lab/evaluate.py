"""Measure the detector on recordings with labels.

Prints AUC, EER, spoof caught at 1 % and 5 % false alarms, Cllr, the share it could not tell, false alarms on what
is no speech, and tables by system, language and sex. `--out` writes every row of the manifest with its score and band.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from prelisten.config import Config, load_config
from prelisten.lab.corpus import Clip, read_manifest
from prelisten.lab.hearing import FAILURES, TIERS, hear_trusted, model_of
from prelisten.lab.metrics import auc, caught_at, cllr, eer, paired_wins
from wasm_detector.hint import Band
from wasm_detector.model import Model

COLUMNS = ("id", "label", "system", "spoof_score", "band")


@dataclass(frozen=True, slots=True)
class Scored:
    """One row of the manifest with what the detector said. `error` is empty unless the file was unreadable."""

    clip: Clip
    spoof_score: float | None
    band: str
    error: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `prelisten evaluate`."""
    parser.add_argument("manifest", type=Path, help="CSV with the columns id, path, label")
    parser.add_argument("--tier", choices=TIERS, default="server", help="whose detector (default: server)")
    parser.add_argument("--out", type=Path, help="write a CSV with the score and band of every row")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")


def score_clip(clip: Clip, config: Config, model: Model) -> Scored:
    """Score one row; a file that cannot be read is `inconclusive` and says why."""
    try:
        hint = hear_trusted(clip.path, config, model)
    except FAILURES as error:
        return Scored(clip, None, Band.INCONCLUSIVE.value, str(error))
    return Scored(clip, hint.spoof_score, hint.band.value)


def filled_scores(rows: Sequence[Scored]) -> NDArray[np.float64]:
    """Return the scores, shape=(n,); what could not be told ranks as the median of the others (one half if none)."""
    told = [row.spoof_score for row in rows if row.spoof_score is not None]
    middle = float(np.median(told)) if told else 0.5
    return np.array([middle if row.spoof_score is None else row.spoof_score for row in rows])


def figures(rows: Sequence[Scored]) -> dict[str, Any]:
    """Return every figure as plain data; `None` where a class is missing."""
    speech = [row for row in rows if row.clip.label != "nonspeech"]
    rest = [row for row in rows if row.clip.label == "nonspeech"]
    scores = filled_scores(speech)
    is_spoof = np.array([row.clip.label == "spoof" for row in speech], dtype=bool)
    pairs = np.array([row.clip.pair for row in speech], dtype=str)
    found: dict[str, Any] = {
        "n": {
            label: sum(row.clip.label == label for row in rows)
            for label in ("bona_fide", "spoof", "nonspeech")
        },
        "unreadable": sum(bool(row.error) for row in rows),
        "inconclusive": _share([row.band == Band.INCONCLUSIVE for row in speech]),
        "bona_fide_high": _share([row.band == Band.HIGH for row in speech if row.clip.label == "bona_fide"]),
        "nonspeech_high": _share([row.band == Band.HIGH for row in rest]),
        "nonspeech_scored": _share([row.spoof_score is not None for row in rest]),
        **dict.fromkeys(("auc", "eer", "caught_at_1", "caught_at_5", "cllr", "paired_wins")),
    }
    if is_spoof.any() and not is_spoof.all():
        bona_fide, spoof = scores[~is_spoof], scores[is_spoof]
        wins = paired_wins(scores, is_spoof, pairs)
        found |= {
            "auc": auc(bona_fide, spoof),
            "eer": eer(bona_fide, spoof),
            "caught_at_1": caught_at(bona_fide, spoof, 0.01),
            "caught_at_5": caught_at(bona_fide, spoof, 0.05),
            "cllr": cllr(bona_fide, spoof),
            "paired_wins": None if np.isnan(wins) else wins,
        }
    groups = {
        name: _by_group(speech, scores, is_spoof, field)
        for name, field in (("languages", "language"), ("sexes", "sex"))
    }
    return found | {"systems": _by_system(speech, scores, is_spoof)} | groups


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _by_system(
    speech: Sequence[Scored], scores: NDArray[np.float64], is_spoof: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Return for each system how well it is told from all bona fide recordings, worst first."""
    systems = np.array([row.clip.system for row in speech], dtype=str)
    bona_fide = scores[~is_spoof]
    table = []
    for name in np.unique(systems[is_spoof]) if bona_fide.size else ():
        own = scores[is_spoof & (systems == name)]
        row = {"system": str(name), "n": int(own.size), "auc": auc(bona_fide, own)}
        table.append(row | {"median": float(np.median(own)), "caught_at_5": caught_at(bona_fide, own, 0.05)})
    return sorted(table, key=lambda row: row["auc"])


def _by_group(
    speech: Sequence[Scored], scores: NDArray[np.float64], is_spoof: NDArray[np.bool_], field: str
) -> list[dict[str, Any]]:
    """Return how well the clips of each language, or sex, are told apart, where there are both classes of it."""
    values = np.array([getattr(row.clip, field) for row in speech], dtype=str)
    is_high = np.array([row.band == Band.HIGH for row in speech], dtype=bool)
    table = []
    for name in np.unique(values[values != ""]):
        inside = values == name
        bona_fide, spoof = inside & ~is_spoof, inside & is_spoof
        if bona_fide.any() and spoof.any():
            row = {"name": str(name), "bona_fide": int(bona_fide.sum()), "spoof": int(spoof.sum())}
            told = {
                "auc": auc(scores[bona_fide], scores[spoof]),
                "eer": eer(scores[bona_fide], scores[spoof]),
            }
            high = {
                "bona_fide_high": float(is_high[bona_fide].mean()),
                "spoof_high": float(is_high[spoof].mean()),
            }
            table.append(row | told | high)
    return sorted(table, key=lambda row: (-row["bona_fide"] - row["spoof"], row["name"]))


def write_scores(rows: Sequence[Scored], out: Path) -> None:
    """Write one line for every row of the manifest, in its order; an empty score means "could not tell"."""
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for row in rows:
            score = "" if row.spoof_score is None else f"{row.spoof_score:.6f}"
            writer.writerow([row.clip.id, row.clip.label, row.clip.system, score, row.band])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def print_figures(found: dict[str, Any]) -> None:
    """Print the figures as a person reads them."""
    counts = found["n"]
    print(f"bona fide {counts['bona_fide']}, spoof {counts['spoof']}, nonspeech {counts['nonspeech']}")
    if found["auc"] is None:
        print("AUC, EER and Cllr need both bona fide and spoof recordings.")
    else:
        print(f"AUC                            {found['auc']:.3f}")
        print(f"EER                            {_percent(found['eer'])}")
        print(f"caught at 1 % false alarms     {_percent(found['caught_at_1'])}")
        print(f"caught at 5 % false alarms     {_percent(found['caught_at_5'])}")
        print(f"Cllr                           {found['cllr']:.3f} bits")
        print(f"synthetic twin ranked higher   {_percent(found['paired_wins'])}")
    print(f"could not tell (speech)        {_percent(found['inconclusive'])}")
    print(f"bona fide in band `high`       {_percent(found['bona_fide_high'])}")
    print(f"non-speech in band `high`      {_percent(found['nonspeech_high'])}")
    print(f"unreadable files               {found['unreadable']}")
    print(f"\n{'system':<34}{'n':>5}{'AUC':>8}{'median':>9}{'caught at 5 %':>16}")
    for row in found["systems"]:
        caught = _percent(row["caught_at_5"])
        print(f"{row['system'][:33]:<34}{row['n']:>5}{row['auc']:>8.3f}{row['median']:>9.3f}{caught:>16}")

    for title in ("languages", "sexes"):
        if found[title]:
            print(
                f"\n{title:<12}{'genuine':>8}{'spoof':>7}{'AUC':>8}{'EER':>9}{'high: genuine':>15}{'spoof':>9}"
            )
        for row in found[title]:
            rates = [_percent(row[name]) for name in ("eer", "bona_fide_high", "spoof_high")]
            print(
                f"{row['name']:<12}{row['bona_fide']:>8}{row['spoof']:>7}{row['auc']:>8.3f}"
                f"{rates[0]:>9}{rates[1]:>15}{rates[2]:>9}"
            )


def run(arguments: argparse.Namespace) -> int:
    """Score every row, write and print."""
    clips, config = read_manifest(arguments.manifest), load_config()
    progress = Console(stderr=True)
    model = model_of(arguments.tier, config)
    rows = [score_clip(clip, config, model) for clip in track(clips, "Listening", console=progress)]
    for row in rows:
        if row.error:
            print(f"prelisten: {row.clip.id}: {row.error}", file=sys.stderr)
    if arguments.out:
        write_scores(rows, arguments.out)
    found = figures(rows) | {"tier": arguments.tier, "detector": model.detector}
    if arguments.json:
        print(json.dumps(found, allow_nan=False))
    else:
        print_figures(found)
    return 0
