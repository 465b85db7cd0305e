"""Fit the detector's weights: a sum over signals of small kernel machines, fitted together.

Each signal sees only its own numbers, through Gaussian bumps around landmarks (Williams & Seeger 2001); one linear
machine over all bumps sets every weight at once. So the log-odds are a plain sum over signals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from prelisten.lab.corpus import DEGRADED, WILD, Corpus, part_slices, pick
from prelisten.lab.resynthesis import METHODS
from wasm_detector.model import CLIP, FORMAT, pack
from wasm_detector.signals import FORENSIC_SIGNALS, SIGNALS, TOGETHER

Matrix = NDArray[np.float64]

LANDMARK_STEP = CLIP / 127.0
"""Landmarks are stored as 8-bit numbers; they are fitted as stored."""

WIDTH = 0.5
"""gamma = WIDTH / (number of numbers): neighbours at a typical distance still count exp(-1)."""

COPY_WEIGHT = {DEGRADED: 0.5}
REBUILT_WEIGHT = 0.1
"""How much a copy counts beside its original. More of the rebuilt ones helps on clean recordings, costs on phones."""

COPIES_AMONG_LANDMARKS = 0.25


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of detector: its signals, how many landmarks each has, and those of the part over all of them.

    `together_share`: how much that part may weigh, in signals. `name` goes into the detector's id.
    """

    name: str
    signals: tuple[str, ...]
    n_landmarks: int
    n_together: int
    together_share: float = 30.0

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of all parts, the one over all signals last."""
        return (*self.signals, TOGETHER)


RECIPES = {
    "client": Recipe("wd", tuple(kind.name for kind in SIGNALS), n_landmarks=144, n_together=256),
    "server": Recipe("fd", tuple(kind.name for kind in FORENSIC_SIGNALS), n_landmarks=288, n_together=1000),
}
"""The browser's detector, and the server's forensic one."""

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


def lay_out(
    vectors: Matrix, chosen: NDArray[np.intp], scaling: tuple[Matrix, Matrix], *, gamma: float, share: float
) -> Layout:
    """Return the layout of one part: the rows `chosen` of `vectors`, shape=(n, k), become its landmarks.

    `scaling`: centre and scale, each shape=(k,). `share` is the part's share of the whole.
    """
    centre, scale = (one.astype(np.float32).astype(np.float64) for one in scaling)  # As they will be stored.
    z = np.clip((vectors[chosen] - centre) / scale, -CLIP, CLIP)
    landmarks = np.round(z / LANDMARK_STEP) * LANDMARK_STEP
    values, directions = np.linalg.eigh(
        gaussian(landmarks, landmarks, gamma) + RIDGE * np.eye(len(landmarks))
    )
    return Layout(centre, scale, landmarks, gamma, directions * np.sqrt(share / values))


@lru_cache(maxsize=4)
def slices_of(recipe: Recipe) -> tuple[slice, ...]:
    """Return where each part's numbers lie in a clip's vector; the last part has all of them."""
    own = part_slices(recipe.signals)
    return (*own, slice(0, own[-1].stop))


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted detector, not yet calibrated.

    `weights[k]`: shape=(n_landmarks, 2), one column for spoof and one for speech; `offsets`: shape=(n_signals, 2).
    """

    recipe: Recipe
    layouts: tuple[Layout, ...]
    weights: tuple[Matrix, ...]
    offsets: Matrix
    bias: tuple[float, float]

    def contributions(self, vectors: Matrix) -> Matrix:
        """Return what each signal adds, shape=(n_clips, n_signals, 2)."""
        parts = [
            layout.bumps(vectors[:, where]) @ weights
            for layout, weights, where in zip(self.layouts, self.weights, slices_of(self.recipe), strict=True)
        ]
        return np.asarray(np.stack(parts, axis=1) + self.offsets)

    def logits(self, vectors: Matrix) -> Matrix:
        """Return the log-odds of spoof and of speech, shape=(n_clips, 2)."""
        return np.asarray(self.contributions(vectors).sum(axis=1) + np.array(self.bias))


def _regress(inputs: Matrix, target: NDArray[np.bool_]) -> tuple[Matrix, float]:
    """Fit a logistic regression: coefficients, shape=(n_inputs,), and intercept."""
    machine = LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced").fit(inputs, target)
    return machine.coef_[0].astype(np.float64), float(machine.intercept_[0])


def _separate(inputs: Matrix, target: NDArray[np.bool_], weight: Matrix) -> tuple[Matrix, float]:
    """Fit a linear support vector machine; as `_regress`, and better where false alarms are few.

    The clips are fewer than the inputs, so that their Gram matrix is the shorter way.
    """
    machine = SVC(C=MARGIN_STRENGTH, kernel="precomputed", cache_size=1000)
    machine.fit((inputs @ inputs.T).astype(np.float64), target, sample_weight=weight)
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
    return np.where(corpus.column("split") == WILD, "wild", "clean")


def training_weight(corpus: Corpus) -> Matrix:
    """Return how much each clip counts, shape=(n_clips,): its source's weight, less for a copy, 0 for a condition."""
    made = corpus.column("made")
    is_original = made == ""
    by_source = np.zeros(made.size)
    by_source[is_original] = source_weight(pick(corpus, is_original))
    of_id = dict(zip(corpus.column("id")[is_original], by_source[is_original], strict=True))
    share = {"": 1.0} | COPY_WEIGHT | dict.fromkeys(METHODS, REBUILT_WEIGHT)
    return np.array([of_id.get(clip.id, 1.0) * share.get(clip.made, 0.0) for clip in corpus.clips])


def fit(corpus: Corpus, recipe: Recipe, *, seed: int = SEED) -> Fitted:
    """Fit both questions, spoof against bona fide and speech against the rest.

    The copies in `corpus` take part in the first by their weight; the second is asked of the recordings themselves.
    """
    labels, is_original = corpus.column("label"), corpus.column("made") == ""
    is_speech, is_spoof = labels != "nonspeech", labels == "spoof"
    weight = training_weight(corpus)
    taken = is_speech & (weight > 0.0)
    layouts = _layouts(corpus.vectors, is_speech & is_original, taken & ~is_original, recipe, seed)
    used = taken | is_original
    inputs = np.zeros((len(corpus.clips), sum(one.whitener.shape[1] for one in layouts)), dtype=np.float32)
    inputs[used] = np.concatenate(
        [
            (one.bumps(corpus.vectors[used][:, where]) @ one.whitener).astype(np.float32)
            for one, where in zip(layouts, slices_of(recipe), strict=True)
        ],
        axis=1,
    )
    by_class = np.array([weight[taken & (is_spoof == one)].sum() for one in (False, True)])
    balanced = weight / by_class[is_spoof.astype(int)] * (is_speech & is_original).sum() / 2.0
    spoof, spoof_bias = _separate(inputs[taken], is_spoof[taken], balanced[taken])
    speech, speech_bias = _regress(inputs[is_original], is_speech[is_original])
    return _centred(
        pick(corpus, is_original),
        Fitted(recipe, layouts, (), np.zeros(0), (spoof_bias, speech_bias)),
        (spoof, speech),
    )


def _layouts(
    vectors: Matrix, original: NDArray[np.bool_], copied: NDArray[np.bool_], recipe: Recipe, seed: int
) -> tuple[Layout, ...]:
    """Lay out every part: scaled by the recordings, with landmarks of which a quarter are copies."""
    rng = np.random.default_rng(seed)
    found = []
    for name, where in zip(recipe.parts, slices_of(recipe), strict=True):
        is_last = name == TOGETHER
        n = recipe.n_together if is_last else recipe.n_landmarks
        n_copies = min(int(COPIES_AMONG_LANDMARKS * n), int(copied.sum()))
        pool = rng.choice(np.flatnonzero(original), min(n - n_copies, int(original.sum())), replace=False)
        if n_copies:
            pool = np.concatenate([pool, rng.choice(np.flatnonzero(copied), n_copies, replace=False)])
        at = np.searchsorted(np.flatnonzero(original | copied), pool)
        rows = vectors[original | copied][:, where]
        inside = original[original | copied]
        centre, scale = rows[inside].mean(axis=0), rows[inside].std(axis=0) + 1e-6
        found.append(
            lay_out(
                rows,
                at,
                (centre, scale),
                gamma=(2.0 if is_last else 1.0) * WIDTH / rows.shape[1],
                share=(recipe.together_share if is_last else 1.0) / len(recipe.signals),
            )
        )
    return tuple(found)


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
            "name": name,
            "centre": pack(layout.centre, "f4"),
            "scale": pack(layout.scale, "f4"),
            "landmarks": pack(np.round(layout.landmarks / LANDMARK_STEP), "i1"),
            "landmark_step": LANDMARK_STEP,
            "weights": pack(weights * factor, "f8"),
            "offset": [float(value) for value in offset * factor],
            "gamma": layout.gamma,
        }
        for name, layout, weights, offset in zip(
            fitted.recipe.parts, fitted.layouts, fitted.weights, fitted.offsets, strict=True
        )
    ]
    return {
        "format": FORMAT,
        "name": fitted.recipe.name,
        "version": version,
        "bias": fitted.bias[0] * calibration.slope + calibration.shift,
        "speech_bias": fitted.bias[1],
        "elevated": calibration.elevated,
        "high": calibration.high,
        "speech_floor": calibration.speech_floor,
        "parts": parts,
    }
