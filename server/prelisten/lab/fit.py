"""Fit the detector's weights: a sum over signals of small kernel machines, fitted together.

Each signal sees only its own numbers, through Gaussian bumps around landmarks (Williams & Seeger 2001); one
logistic regression over all bumps sets every weight at once. So the log-odds are a plain sum over signals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from prelisten.lab.corpus import Corpus, part_slices
from wasm_detector.model import CLIP, FORMAT, pack
from wasm_detector.signals import SIGNALS

Matrix = NDArray[np.float64]

N_LANDMARKS = 96
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
    """A fitted detector, not yet calibrated. `weights[k]`: shape=(n_landmarks, 2), spoof and speech."""

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


def _regress(inputs: Matrix, target: NDArray[np.bool_], weight: Matrix) -> tuple[Matrix, float]:
    machine = LogisticRegression(C=STRENGTH, max_iter=500)
    machine.fit(inputs, target, sample_weight=weight)
    return machine.coef_[0], float(machine.intercept_[0])


def balance(*columns: NDArray[Any]) -> Matrix:
    """Return weights with mean 1 that give every combination of the columns' values the same total."""
    joined = np.array(["\0".join(map(str, row)) for row in zip(*columns, strict=True)])
    _, inverse, counts = np.unique(joined, return_inverse=True, return_counts=True)
    weight = 1.0 / counts[inverse]
    return np.asarray(weight / weight.mean())


def fit(corpus: Corpus, *, seed: int = SEED) -> Fitted:
    """Fit both questions, spoof against bona fide and speech against the rest, on all clips of `corpus`."""
    labels = corpus.column("label")
    is_speech = labels != "nonspeech"
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
    spoof, spoof_bias = _regress(inputs[is_speech], labels[is_speech] == "spoof", balance(labels[is_speech]))
    speech, speech_bias = _regress(inputs, is_speech, balance(is_speech))
    return _centred(corpus, layouts, (spoof, speech), (spoof_bias, speech_bias))


def _centred(
    corpus: Corpus,
    layouts: tuple[Layout, ...],
    coefficients: tuple[Matrix, Matrix],
    bias: tuple[float, float],
) -> Fitted:
    """Move each signal's mean over the speech clips (both classes alike) into the bias: 0 then means usual."""
    edges = np.cumsum([0] + [one.whitener.shape[1] for one in layouts])
    weights = tuple(
        one.whitener @ np.stack([column[first:last] for column in coefficients], axis=1)
        for one, first, last in zip(layouts, edges[:-1], edges[1:], strict=True)
    )
    plain = Fitted(layouts, weights, np.zeros((len(layouts), 2)), bias)
    labels = corpus.column("label")
    usual = np.mean(
        [plain.contributions(corpus.vectors[labels == name]).mean(axis=0) for name in ("bona_fide", "spoof")],
        axis=0,
    )
    moved = usual.sum(axis=0)
    return Fitted(layouts, weights, -usual, (bias[0] + float(moved[0]), bias[1] + float(moved[1])))


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
