"""What happened on the way, and what a detector makes of it: experts, and what is taken off messengers'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prelisten.lab.corpus import DEGRADED, NARROW, NOISY, SENT, Corpus
from prelisten.lab.layout import WIDTH, Layout, Matrix, Recipe, in_steps, principal, scaling, whitener
from prelisten.lab.regression import balanced, levels, separate, training_weight
from wasm_detector.model import CLIP, EXPERTS

COVERED = dict(zip(EXPERTS, (NOISY, (NARROW,)), strict=True))
"""The copies that each expert is trained on, in the order in which they stand in."""

BESIDE_COPY = 0.25
"""How much a recording counts beside its copy, for an expert."""

CALM = 5000.0
"""The ridge of the guesses at what the numbers were before they were covered. Their inputs have unit spread."""

STILL = 1000.0
"""The ridge of the estimates, of a cover and of a messenger's codec: 0 for recordings, 1 for their copies with it."""

ASKED_FROM, ASKED_TO, ASKED_MOST = 0.5, 0.9, 0.7
"""From which estimate on an expert is asked, from which on it counts most, and how much that is.

It counts less than all: both together tell more than it alone, and the signals keep some say.
"""

SENT_FROM, SENT_TO, SENT_MOST = 0.4, 0.8, 0.2
"""From which estimate of a messenger's codec on something is taken off, from which on most, and how much that is.

In log-odds before calibration, which multiplies them by about 3.5. Over Opus at 24 kbit/s genuine clips rise by 0.4 in
the mean, and 12 to 13 % of them reached `high`, which is meant for 5 %: with this much taken off, 4 to 6 % do.
"""


@dataclass(frozen=True, slots=True)
class FittedExpert:
    """An expert, `weights` shape=(n_landmarks,), and the estimate that calls it in, shape=(k,)."""

    name: str
    layout: Layout
    weights: Matrix
    bias: float
    estimate: Matrix
    offset: float

    def hear(self, vectors: Matrix) -> tuple[Matrix, Matrix]:
        """Return the expert's share and its log-odds of spoof, each shape=(n_clips,)."""
        share = np.clip(self.offset + self.layout.scaled(vectors) @ self.estimate, 0.0, ASKED_MOST)
        return share, self.layout.bumps(vectors) @ self.weights + self.bias


def fit_experts(corpus: Corpus, recipe: Recipe, *, seed: int) -> tuple[FittedExpert, ...]:
    """Fit the experts for which there are copies, in the order in which they stand in."""
    fitted = [_fit_expert(name, corpus, recipe, seed=seed) for name in EXPERTS]
    return tuple(one for one in fitted if one)


def _fit_expert(name: str, corpus: Corpus, recipe: Recipe, *, seed: int) -> FittedExpert | None:
    """Fit an expert, and the estimate that calls it in; `None` without copies.

    Its clips are the recordings of speech and their copies that are covered so.
    """
    clips = {(clip.split, clip.id, clip.made): k for k, clip in enumerate(corpus.clips)}
    pairs = [
        (clips[split, clip, ""], copy)
        for (split, clip, made), copy in clips.items()
        if made in COVERED[name] and (split, clip, "") in clips
    ]
    if not pairs:
        return None
    before, after = (np.array(column) for column in zip(*pairs, strict=True))
    originals, copies = corpus.vectors[before], corpus.vectors[after]
    layout = lay_out_expert(originals, copies, recipe, seed)
    once = np.unique(before)
    every = np.concatenate([after, once])
    vectors = corpus.vectors[every]
    is_spoof = corpus.column("label")[every] == "spoof"
    weight = training_weight(corpus)
    weight = np.concatenate([weight[before], BESIDE_COPY * weight[once]])
    inputs = (layout.bumps(vectors) @ layout.whitener).astype(np.float32)
    coefficients, bias = separate(
        inputs @ inputs.T, is_spoof, balanced(weight, is_spoof), levels(corpus)[every]
    )
    estimate, offset = _estimate(layout.scaled(vectors), np.isin(corpus.column("made")[every], COVERED[name]))
    pull = ASKED_MOST / (ASKED_TO - ASKED_FROM)
    return FittedExpert(
        name,
        layout,
        layout.whitener @ (coefficients @ inputs),
        bias,
        pull * estimate,
        pull * (offset - ASKED_FROM),
    )


def lay_out_expert(originals: Matrix, copies: Matrix, recipe: Recipe, seed: int) -> Layout:
    """Return the layout of an expert. Row by row, `copies` are the `originals`, covered.

    A cover takes most of what recordings differ in. So the expert sees, from the numbers under it, linear guesses
    (ridge regression) at the principal components that the recordings had without it; some of the copies are its
    landmarks.
    """
    centre, scale = scaling(copies)
    z = np.clip((copies - centre) / scale, -CLIP, CLIP)
    mean, spread = scaling(originals)
    before = np.clip((originals - mean) / spread, -CLIP, CLIP)
    components, _ = principal(before, recipe.n_directions_expert)
    guesses = np.linalg.solve(z.T @ z + CALM * np.eye(z.shape[1]), z.T @ (before @ components))
    guesses /= np.sqrt(np.square(guesses).sum(axis=0).mean())
    directions = in_steps(guesses, recipe.direction_step)
    placed = z @ directions
    gamma = 2.0 * WIDTH / float(placed.var(axis=0).sum())
    share = recipe.together_share / len(recipe.signals)
    n = min(recipe.n_landmarks_expert, len(placed))
    landmarks = placed[np.random.default_rng(seed).choice(len(placed), n, replace=False)]
    step = float(np.abs(landmarks).max() / recipe.n_levels_together)
    landmarks = np.round(landmarks / step) * step
    white = whitener(landmarks, gamma, share)
    return Layout(centre, scale, landmarks, step, gamma, share, directions, white)


@dataclass(frozen=True, slots=True)
class FittedMessenger:
    """The estimate of a messenger's codec, shape=(k,), on the numbers as the last part scales them."""

    estimate: Matrix
    offset: float

    def taken_off(self, z: Matrix) -> Matrix:
        """Return what is taken off the log-odds of spoof, shape=(n_clips,)."""
        return np.asarray(np.clip(self.offset + z @ self.estimate, 0.0, SENT_MOST))


def fit_messenger(corpus: Corpus, together: Layout) -> FittedMessenger | None:
    """Fit the estimate of a messenger's codec; `None` without copies that were sent.

    It is 0 for recordings, and for their copies in noise, over telephones and the degraded ones, though one in five of
    the last was sent as well: or else a telephone's narrow band would count for a messenger's.
    """
    made = corpus.column("made")
    if not (made == SENT).any():
        return None
    asked = np.isin(made, ["", DEGRADED, *NOISY, NARROW, SENT]) & (corpus.column("label") != "nonspeech")
    estimate, offset = _estimate(together.scaled(corpus.vectors[asked]), made[asked] == SENT)
    pull = SENT_MOST / (SENT_TO - SENT_FROM)
    return FittedMessenger(pull * estimate, pull * (offset - SENT_FROM))


def _estimate(z: Matrix, is_there: NDArray[np.bool_]) -> tuple[Matrix, float]:
    """Return coefficients, shape=(k,), and offset of a linear estimate, 1 where it is there (ridge regression)."""
    mean, target = z.mean(axis=0), is_there.astype(np.float64)
    moments = (z - mean).T @ (z - mean) + STILL * np.eye(z.shape[1])
    found = np.linalg.solve(moments, (z - mean).T @ (target - target.mean()))
    return found, float(target.mean() - mean @ found)
