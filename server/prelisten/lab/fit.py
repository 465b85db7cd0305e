"""Fit the detector's weights: a sum over signals of small kernel machines, fitted together.

Each signal sees only its own numbers, through Gaussian bumps around landmarks (Williams & Seeger 2001); one
logistic regression over all bumps sets every weight at once. So the log-odds are a plain sum over signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from prelisten.lab.corpus import Corpus, part_slices
from wasm_detector.model import CLIP, FORMAT, pack
from wasm_detector.signals import SIGNALS

Matrix = NDArray[np.float64]

N_LANDMARKS = 128
LANDMARK_STEP = CLIP / 127.0
"""Landmarks are stored as 8-bit numbers; they are fitted as stored."""

WIDTH = 0.5
"""gamma = WIDTH / (number of numbers): neighbours at a typical distance still count exp(-1)."""

RIDGE = 1e-3
STRENGTH = 3.0
SEED = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """The unsupervised half of a signal's part: scaling and landmarks."""

    centre: Matrix
    scale: Matrix
    landmarks: Matrix
    gamma: float
    whitener: Matrix

    def bumps(self, vectors: Matrix) -> Matrix:
        """Return the bumps' heights, shape=(n, n_landmarks)."""
        z = np.clip((vectors - self.centre) / self.scale, -CLIP, CLIP)
        return gaussian(z, self.landmarks, self.gamma)


def gaussian(z: Matrix, landmarks: Matrix, gamma: float) -> Matrix:
    """Return exp(-gamma |z_i - landmark_l|²), shape=(n, n_landmarks)."""
    square = (z**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1)[None, :] - 2.0 * z @ landmarks.T
    return np.asarray(np.exp(-gamma * np.maximum(square, 0.0)))


def lay_out(vectors: Matrix, rng: np.random.Generator) -> Layout:
    """Choose scaling and landmarks from one signal's numbers, shape=(n, k)."""
    centre, scale = (  # As they will be stored.
        column.astype(np.float32).astype(np.float64)
        for column in (vectors.mean(axis=0), vectors.std(axis=0) + 1e-6)
    )
    chosen = rng.choice(len(vectors), min(N_LANDMARKS, len(vectors)), replace=False)
    z = np.clip((vectors[chosen] - centre) / scale, -CLIP, CLIP)
    landmarks = np.round(z / LANDMARK_STEP) * LANDMARK_STEP
    gamma = WIDTH / vectors.shape[1]
    kernel = gaussian(landmarks, landmarks, gamma)
    values, directions = np.linalg.eigh(kernel + RIDGE * np.eye(len(landmarks)))
    whitener = directions / np.sqrt(values * len(SIGNALS))
    return Layout(centre, scale, landmarks, gamma, whitener)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted detector, not yet calibrated, over the signals `kept`.

    `weights[k]`: shape=(n_landmarks, 2), one column for spoof and one for speech; `offsets`: shape=(n_kept, 2).
    """

    kept: tuple[int, ...]
    layouts: tuple[Layout, ...]
    weights: tuple[Matrix, ...]
    offsets: Matrix
    bias: tuple[float, float]

    def contributions(self, vectors: Matrix) -> Matrix:
        """Return what each kept signal adds, shape=(n_clips, n_kept, 2)."""
        slices = part_slices()
        parts = [
            layout.bumps(vectors[:, slices[index]]) @ weights
            for index, layout, weights in zip(self.kept, self.layouts, self.weights, strict=True)
        ]
        return np.asarray(np.stack(parts, axis=1) + self.offsets)

    def logits(self, vectors: Matrix) -> Matrix:
        """Return the log-odds of spoof and of speech, shape=(n_clips, 2)."""
        return np.asarray(self.contributions(vectors).sum(axis=1) + np.array(self.bias))


def _regress(inputs: Matrix, target: NDArray[np.bool_], weight: Matrix) -> tuple[Matrix, float]:
    machine = LogisticRegression(C=STRENGTH, max_iter=500)
    machine.fit(inputs, target, sample_weight=weight)
    return machine.coef_[0], float(machine.intercept_[0])


def source_weight(corpus: Corpus) -> Matrix:
    """Return weights, shape=(n_clips,), mean 1: a source counts by the square root of its clips, a domain all alike.

    A source with many clips teaches its channel; recordings as people make them are fewer than clean ones.
    """
    _, inverse, counts = np.unique(corpus.column("source"), return_inverse=True, return_counts=True)
    weight = 1.0 / np.sqrt(counts[inverse])
    is_wild = domain(corpus) == "wild"
    for part in (is_wild, ~is_wild):
        weight[part] /= max(weight[part].sum(), 1e-9)
    return np.asarray(weight / weight.mean())


def domain(corpus: Corpus) -> NDArray[np.str_]:
    """Return `wild` for recordings as people make them, `clean` for the others, shape=(n_clips,)."""
    return np.where(corpus.column("split") == "wild", "wild", "clean")


def _even(weight: Matrix, flags: NDArray[np.bool_]) -> Matrix:
    """Scale the weights so that both classes have the same total."""
    evened = weight.copy()
    for part in (flags, ~flags):
        evened[part] /= max(evened[part].sum(), 1e-9)
    return np.asarray(evened / evened.mean())


def fit(corpus: Corpus, *, kept: Sequence[int] | None = None, seed: int = SEED) -> Fitted:
    """Fit both questions, spoof against bona fide and speech against the rest, on all clips of `corpus`.

    `kept` are the signals to use (all without it), for the effect of leaving one out.
    """
    kept = tuple(range(len(SIGNALS)) if kept is None else kept)
    is_speech = corpus.column("label") != "nonspeech"
    is_spoof = corpus.column("label") == "spoof"
    slices = [part_slices()[index] for index in kept]
    rng = np.random.default_rng(seed)
    layouts = tuple(lay_out(corpus.vectors[is_speech][:, where], rng) for where in slices)
    inputs = np.concatenate(
        [
            one.bumps(corpus.vectors[:, where]) @ one.whitener
            for one, where in zip(layouts, slices, strict=True)
        ],
        axis=1,
    )
    weight = source_weight(corpus)
    spoof, spoof_bias = _regress(
        inputs[is_speech], is_spoof[is_speech], _even(weight[is_speech], is_spoof[is_speech])
    )
    speech, speech_bias = _regress(inputs, is_speech, _even(np.ones(len(inputs)), is_speech))
    return _centred(
        corpus, Fitted(kept, layouts, (), np.zeros(0), (spoof_bias, speech_bias)), (spoof, speech)
    )


def _centred(corpus: Corpus, fitted: Fitted, coefficients: tuple[Matrix, Matrix]) -> Fitted:
    """Unfold the coefficients, and move each signal's mean over the speech clips into the bias: 0 then means usual.

    Both classes count alike in that mean.
    """
    edges = np.cumsum([0] + [one.whitener.shape[1] for one in fitted.layouts])
    weights = tuple(
        one.whitener @ np.stack([column[first:last] for column in coefficients], axis=1)
        for one, first, last in zip(fitted.layouts, edges[:-1], edges[1:], strict=True)
    )
    plain = replace(fitted, weights=weights, offsets=np.zeros((len(weights), 2)))
    labels = corpus.column("label")
    usual = np.mean(
        [plain.contributions(corpus.vectors[labels == name]).mean(axis=0) for name in ("bona_fide", "spoof")],
        axis=0,
    )
    spoof, speech = (float(value) for value in np.array(fitted.bias) + usual.sum(axis=0))
    return replace(plain, offsets=-usual, bias=(spoof, speech))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Log-odds = slope * raw + shift; the bands' and the speech measure's thresholds (probabilities)."""

    slope: float
    shift: float
    elevated: float
    high: float
    speech_floor: float


def store(fitted: Fitted, calibration: Calibration, version: str) -> dict[str, Any]:
    """Return the model file's content, the calibration folded into the weights."""
    factor = np.array([calibration.slope, 1.0])
    parts = [
        {
            "name": kind.name,
            "centre": pack(layout.centre, "f4"),
            "scale": pack(layout.scale, "f4"),
            "landmarks": pack(np.round(layout.landmarks / LANDMARK_STEP), "i1"),
            "landmark_step": LANDMARK_STEP,
            "weights": pack(weights * factor, "f8"),
            "offset": [float(value) for value in offset * factor],
            "gamma": layout.gamma,
        }
        for kind, layout, weights, offset in zip(
            SIGNALS, fitted.layouts, fitted.weights, fitted.offsets, strict=True
        )
    ]
    return {
        "format": FORMAT,
        "version": version,
        "bias": fitted.bias[0] * calibration.slope + calibration.shift,
        "speech_bias": fitted.bias[1],
        "elevated": calibration.elevated,
        "high": calibration.high,
        "speech_floor": calibration.speech_floor,
        "parts": parts,
    }
