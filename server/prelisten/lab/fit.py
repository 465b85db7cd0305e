"""Fit the detector's weights: a sum over signals of small kernel machines, fitted together.

Each signal sees only its own numbers, through Gaussian bumps around landmarks (Williams & Seeger 2001); a last part
sees all of them, around every clip that is trained on. One ridge regression sets their weights at once; a signal that
the others would drown is fitted alone, and added. So the log-odds are a plain sum over the parts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prelisten.lab.channel import (
    ASKED_MOST,
    SENT_MOST,
    FittedExpert,
    FittedMessenger,
    fit_experts,
    fit_messenger,
)
from prelisten.lab.corpus import Corpus, pick
from prelisten.lab.layout import (
    Layout,
    Matrix,
    Recipe,
    gaussian,
    lay_out_signals,
    lay_out_together,
    slices_of,
)
from prelisten.lab.modelfile import pack
from prelisten.lab.regression import (
    COPY_WEIGHT,
    balanced,
    levels,
    regress,
    regress_weighed,
    separate,
    training_weight,
)
from wasm_detector.model import FORMAT, MESSENGER

ALONE = {"spectral_images": 0.4}
"""The signals that are fitted alone, and how much their log-odds count, where those of all others together count 1.

Fitted with the others, a signal explains what they leave, which is little of the clips that they were fitted to, and
much of those that come later. This one says nothing of most recordings, and what it says does not hang on the others:
so its log-odds are added, as those of independent evidence are; in noise as well, which may hide but, unless something
repeats in it, not make what it finds. The calibration multiplies both by about 3.5.
"""

SEED = 20


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted detector, not yet calibrated. `experts`, `messenger`: where there were copies for it.

    `weights[k]`: shape=(n_landmarks, 2), one column for spoof and one for speech; `offsets`: shape=(n_signals, 2).
    """

    recipe: Recipe
    layouts: tuple[Layout, ...]
    weights: tuple[Matrix, ...]
    offsets: Matrix
    bias: tuple[float, float]
    experts: tuple[FittedExpert, ...] = ()
    messenger: FittedMessenger | None = None

    def contributions(self, vectors: Matrix) -> Matrix:
        """Return what each signal adds, shape=(n_clips, n_signals, 2)."""
        parts = [
            layout.bumps(vectors[:, where]) @ weights
            for layout, weights, where in zip(self.layouts, self.weights, slices_of(self.recipe), strict=True)
        ]
        found = np.asarray(np.stack(parts, axis=1) + self.offsets)
        for expert in self.experts:
            share, instead = expert.hear(vectors)
            found[:, ~np.isin(self.recipe.parts, list(ALONE)), 0] *= 1.0 - share[:, None]
            found[:, -1, 0] += share * (instead - self.bias[0])
        if self.messenger:
            found[:, -1, 0] -= self.messenger.taken_off(self.layouts[-1].scaled(vectors))
        return found

    def logits(self, vectors: Matrix) -> Matrix:
        """Return the log-odds of spoof and of speech, shape=(n_clips, 2)."""
        return np.asarray(self.contributions(vectors).sum(axis=1) + np.array(self.bias))


def fit(corpus: Corpus, recipe: Recipe, *, seed: int = SEED) -> Fitted:
    """Fit both questions, spoof against bona fide and speech against the rest.

    The copies in `corpus` take part in the first by their weight; in the second all but the rebuilt ones count alike,
    and the part over all signals has no say.
    """
    labels, is_original = corpus.column("label"), corpus.column("made") == ""
    is_speech, is_spoof = labels != "nonspeech", labels == "spoof"
    weight = training_weight(corpus)
    taken = is_speech & (weight > 0.0)
    asked = is_original | (np.isin(corpus.column("made"), list(COPY_WEIGHT)) & (weight > 0.0))
    own = lay_out_signals(corpus.vectors, is_speech & is_original, taken & ~is_original, recipe, seed)
    *slices, every = slices_of(recipe)
    together = lay_out_together(
        corpus.vectors[is_speech & is_original][:, every],
        corpus.vectors[taken][:, every],
        recipe,
    )
    inputs = np.zeros((len(corpus.clips), sum(one.whitener.shape[1] for one in own)), dtype=np.float32)
    used = taken | asked
    inputs[used] = np.concatenate(
        [
            (one.bumps(corpus.vectors[used][:, where]) @ one.whitener).astype(np.float32)
            for one, where in zip(own, slices, strict=True)
        ],
        axis=1,
    )
    of_signal = np.repeat(recipe.signals, [one.whitener.shape[1] for one in own])
    jointly = ~np.isin(of_signal, list(ALONE))
    gram = together.share * gaussian(together.landmarks, together.landmarks, together.gamma)
    gram += inputs[taken][:, jointly] @ inputs[taken][:, jointly].T
    evenly = balanced(weight[taken], is_spoof[taken])
    clips, spoof_bias = separate(gram, is_spoof[taken], evenly, levels(corpus)[taken])
    speech, speech_bias = regress(inputs[asked], is_speech[asked])
    columns = np.stack([clips @ inputs[taken], speech], axis=1)
    offsets = np.zeros((len(recipe.parts), 2))
    for name, count in ALONE.items():
        its_own = of_signal == name
        if its_own.any():
            alone, intercept = regress_weighed(inputs[taken][:, its_own], is_spoof[taken], weight[taken])
            columns[its_own, 0] = count * alone
            offsets[recipe.signals.index(name), 0] = count * intercept
    weights = [
        one.whitener @ columns[of_signal == name] for name, one in zip(recipe.signals, own, strict=True)
    ]
    weights.append(np.stack([together.share * clips, np.zeros(clips.size)], axis=1))
    fitted = Fitted(recipe, (*own, together), tuple(weights), offsets, (spoof_bias, speech_bias))
    centred = _centred(pick(corpus, is_original), fitted)
    moved = float((offsets - centred.offsets)[np.isin(recipe.parts, list(ALONE)), 0].sum())
    experts = [replace(one, bias=one.bias + moved) for one in fit_experts(corpus, recipe, seed=seed)]
    return replace(centred, experts=tuple(experts), messenger=fit_messenger(corpus, together))


def _centred(corpus: Corpus, fitted: Fitted) -> Fitted:
    """Move each signal's mean over the speech clips into the bias: 0 then means usual.

    Both classes count alike in that mean.
    """
    labels = corpus.column("label")
    usual = np.mean(
        [
            fitted.contributions(corpus.vectors[labels == name]).mean(axis=0)
            for name in ("bona_fide", "spoof")
        ],
        axis=0,
    )
    spoof, speech = (float(value) for value in np.array(fitted.bias) + usual.sum(axis=0))
    return replace(fitted, offsets=fitted.offsets - usual, bias=(spoof, speech))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Log-odds = slope * raw + shift; the bands' and the speech measure's thresholds (probabilities)."""

    slope: float
    shift: float
    elevated: float
    high: float
    speech_floor: float


def store(fitted: Fitted, calibration: Calibration, data_sha256: str) -> bytes:
    """Return the model file, the calibration folded into the weights. Its version is the training data's digest."""
    factor = np.array([[calibration.slope], [1.0]])
    parts: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for name, layout, weights, offset in zip(
        fitted.recipe.parts, fitted.layouts, fitted.weights, fitted.offsets, strict=True
    ):
        parts.append(_stored_part(name, layout, fitted.recipe, offset * factor[:, 0]))
        stored = _stored_arrays(layout, weights.T * factor, fitted.recipe.direction_step)
        arrays |= {f"{name}.{what}": array for what, array in stored.items()}
    bias = fitted.bias[0] * calibration.slope + calibration.shift
    settings: dict[str, Any] = {
        "format": FORMAT,
        "name": fitted.recipe.name,
        "version": data_sha256[:12],
        "data_sha256": data_sha256,
        "bias": bias,
        "speech_bias": fitted.bias[1],
        "elevated": calibration.elevated,
        "high": calibration.high,
        "speech_floor": calibration.speech_floor,
        "parts": parts,
    }
    settings["experts"] = []
    for expert in fitted.experts:
        one, stored = _stored_expert(expert, fitted.recipe, calibration, bias)
        settings["experts"].append(one)
        arrays |= stored
    if fitted.messenger:
        scale = calibration.slope
        settings[MESSENGER] = {"estimate_offset": scale * fitted.messenger.offset, "most": scale * SENT_MOST}
        arrays[f"{MESSENGER}.estimate"] = (scale * fitted.messenger.estimate).astype("<f4")
    if fitted.recipe.requires:
        settings["extensions"] = [asdict(one) for one in fitted.recipe.requires]
    return pack(settings, arrays)


def _stored_part(name: str, layout: Layout, recipe: Recipe, offset: Matrix) -> dict[str, Any]:
    return {
        "name": name,
        "n_numbers": layout.centre.size,
        "landmark_step": layout.landmark_step,
        "direction_step": recipe.direction_step,
        "offset": [float(value) for value in offset],
        "gamma": layout.gamma,
    }


def _stored_expert(
    expert: FittedExpert, recipe: Recipe, calibration: Calibration, bias: float
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return an expert as it is stored. `bias`: the model's, which its contribution comes on top of."""
    offset = np.array([calibration.slope * expert.bias + calibration.shift - bias, 0.0])
    part = _stored_part(expert.name, expert.layout, recipe, offset)
    weights = np.stack([calibration.slope * expert.weights, np.zeros(expert.weights.size)])
    arrays = _stored_arrays(expert.layout, weights, recipe.direction_step) | {
        "estimate": expert.estimate.astype("<f4")
    }
    named = {f"{expert.name}.{what}": array for what, array in arrays.items()}
    unchanged = [name for name in recipe.signals if name in ALONE]
    return part | {"estimate_offset": expert.offset, "most": ASKED_MOST, "unchanged": unchanged}, named


def _stored_arrays(layout: Layout, weights: Matrix, direction_step: float) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "centre": layout.centre.astype("<f4"),
        "scale": layout.scale.astype("<f4"),
        "landmarks": np.round(layout.landmarks / layout.landmark_step).astype("i1"),
        "weights": weights.astype("<f4" if layout.directions is not None else "<f8"),
    }
    if layout.directions is not None:
        arrays["directions"] = np.round(layout.directions.T / direction_step).astype("i1")
    return arrays
