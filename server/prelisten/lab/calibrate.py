"""Calibrate an existing model on recordings of one's own: new probabilities and bands, the same weights.

The recordings should be such as the model has not seen. Reasons keep their proportions: every weight is multiplied
by the same slope.
"""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelisten.config import Config, load_config
from prelisten.errors import ConfigError
from prelisten.lab.corpus import Clip, read_manifest
from prelisten.lab.hearing import FAILURES, hear_trusted
from prelisten.lab.modelfile import pack
from wasm_detector.model import FILE_NAME, FORMAT, MESSENGER, Model, parse_model, stored_experts, unpack
from wasm_detector.scoring import logit

PACKAGED = Path(str(resources.files("wasm_detector").joinpath(FILE_NAME)))
"""The model that the package carries."""

MIN_CLIPS = 12
"""Of each class; with fewer than 20 the threshold for 5 % false alarms is the highest score."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `prelisten calibrate`."""
    parser.add_argument("manifest", type=Path, help="CSV with the columns id, path, label")
    parser.add_argument("--model", type=Path, default=PACKAGED, help="the model file to calibrate")
    parser.add_argument(
        "--out", type=Path, default=Path(FILE_NAME), help="the calibrated model file to write"
    )


def rescale(model: bytes, slope: float, shift: float, edges: dict[str, float]) -> bytes:
    """Return the model file with log-odds of spoof = slope * old + shift, and other bands; speech stays as it is.

    It has the newest layout, whatever layout `model` has.
    """
    stored, arrays = unpack(model)

    def rescaled(part: dict[str, Any]) -> dict[str, Any]:
        name = f"{part['name']}.weights"
        arrays[name] = (arrays[name] * np.array([[slope], [1.0]])).astype(arrays[name].dtype)
        return part | {"offset": [part["offset"][0] * slope, part["offset"][1]]}

    changed = {"parts": [rescaled(part) for part in stored["parts"]], "bias": stored["bias"] * slope + shift}
    changed |= {"format": FORMAT, "experts": [rescaled(expert) for expert in stored_experts(stored)]}
    if stored.get(MESSENGER):
        taken_off, estimate = stored[MESSENGER], f"{MESSENGER}.estimate"
        arrays[estimate] = (slope * arrays[estimate]).astype(arrays[estimate].dtype)
        changed[MESSENGER] = {name: slope * taken_off[name] for name in ("estimate_offset", "most")}
    kept = {name: value for name, value in stored.items() if name != "noise"}
    return pack(kept | changed | edges, arrays)


def run(arguments: argparse.Namespace) -> int:
    """Score, fit two numbers, set the bands, write."""
    try:
        from prelisten.lab.folds import ELEVATED_FALSE_ALARMS, HIGH_FALSE_ALARMS, platt, threshold_for
    except ImportError as error:
        raise ConfigError("Calibration needs scikit-learn. Install prelisten[train].") from error
    model = arguments.model.read_bytes()
    logits, is_spoof = _score(read_manifest(arguments.manifest), load_config(), parse_model(model))
    if min(is_spoof.sum(), (~is_spoof).sum()) < MIN_CLIPS:
        raise ConfigError(
            f"At least {MIN_CLIPS} bona fide and {MIN_CLIPS} spoof recordings that can be scored are needed."
        )
    slope, shift = platt(logits, is_spoof)
    if slope <= 0.0:
        raise ConfigError(
            "On these recordings the model's scores fall where they should rise. Check the manifest's labels."
        )
    scores = 1.0 / (1.0 + np.exp(-(slope * logits + shift)))
    one_domain = np.full((~is_spoof).sum(), "own")
    edges = {
        name: round(threshold_for(scores[~is_spoof], one_domain, share), 4)
        for name, share in (("elevated", ELEVATED_FALSE_ALARMS), ("high", HIGH_FALSE_ALARMS))
    }
    arguments.out.write_bytes(rescale(model, slope, shift, edges))
    print(f"Wrote {arguments.out}: slope {slope:.3f}, shift {shift:+.3f}, bands from {edges}.")
    return 0


def _score(clips: list[Clip], config: Config, model: Model) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the log-odds and labels of the clips of speech that can be scored."""
    logits, is_spoof = [], []
    for clip in clips:
        if clip.label == "nonspeech":
            continue
        try:
            hint = hear_trusted(clip.path, config, model)
        except FAILURES:
            continue
        if hint.spoof_score is not None:
            logits.append(logit(hint.spoof_score))
            is_spoof.append(clip.label == "spoof")
    return np.array(logits), np.array(is_spoof, dtype=bool)
