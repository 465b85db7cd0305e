"""Fit the detector's weights: a sum over signals of small kernel machines, fitted together.

Each signal sees only its own numbers, through Gaussian bumps around landmarks (Williams & Seeger 2001); one linear
machine over all bumps sets every weight at once. So the log-odds are a plain sum over signals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from prelisten.lab.corpus import Corpus, part_slices
from wasm_detector.model import CLIP, FORMAT, pack
from wasm_detector.signals import SIGNALS

Matrix = NDArray[np.float64]

N_LANDMARKS = 144
LANDMARK_STEP = CLIP / 127.0
"""Landmarks are stored as 8-bit numbers; they are fitted as stored."""

WIDTH = 0.5
"""gamma = WIDTH / (number of numbers): neighbours at a typical distance still count exp(-1)."""

RIDGE = 1e-3
STRENGTH = 6.0
MARGIN_STRENGTH = 2.0
"""Both chosen by leave-sources-out folds, over a factor of 30; neither matters much."""
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
    """A fitted detector, not yet calibrated.

    `weights[k]`: shape=(n_landmarks, 2), one column for spoof and one for speech; `offsets`: shape=(n_signals, 2).
    """

    layouts: tuple[Layout, ...]
    weights: tuple[Matrix, ...]
    offsets: Matrix
    bias: tuple[float, float]

    def contributions(self, vectors: Matrix) -> Matrix:
        """Return what each signal adds, shape=(n_clips, n_signals, 2)."""
        parts = [
            layout.bumps(vectors[:, where]) @ weights
            for layout, weights, where in zip(self.layouts, self.weights, part_slices(), strict=True)
        ]
        return np.asarray(np.stack(parts, axis=1) + self.offsets)

    def logits(self, vectors: Matrix) -> Matrix:
        """Return the log-odds of spoof and of speech, shape=(n_clips, 2)."""
        return np.asarray(self.contributions(vectors).sum(axis=1) + np.array(self.bias))


def _regress(inputs: Matrix, target: NDArray[np.bool_]) -> tuple[Matrix, float]:
    """Fit a logistic regression: coefficients, shape=(n_inputs,), and intercept."""
    machine = LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced").fit(inputs, target)
    return machine.coef_[0], float(machine.intercept_[0])


def _separate(inputs: Matrix, target: NDArray[np.bool_], weight: Matrix) -> tuple[Matrix, float]:
    """Fit a linear support vector machine; as `_regress`, and better where false alarms are few.

    The clips are fewer than the inputs, so that their Gram matrix is the shorter way.
    """
    machine = SVC(C=MARGIN_STRENGTH, kernel="precomputed", class_weight="balanced")
    machine.fit(inputs @ inputs.T, target, sample_weight=weight)
    return machine.dual_coef_[0] @ inputs[machine.support_], float(machine.intercept_[0])


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


def fit(corpus: Corpus, *, seed: int = SEED) -> Fitted:
    """Fit both questions, spoof against bona fide and speech against the rest, on all clips of `corpus`."""
    is_speech = corpus.column("label") != "nonspeech"
    is_spoof = corpus.column("label") == "spoof"
    slices = part_slices()
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
    spoof, spoof_bias = _separate(inputs[is_speech], is_spoof[is_speech], weight[is_speech])
    speech, speech_bias = _regress(inputs, is_speech)
    return _centred(corpus, Fitted(layouts, (), np.zeros(0), (spoof_bias, speech_bias)), (spoof, speech))


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
