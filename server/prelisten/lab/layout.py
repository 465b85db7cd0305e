"""What a detector sees, before it is fitted: recipes, and each part's scaling, directions and landmarks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prelisten.lab.corpus import part_slices
from wasm_detector.model import CLIP, Requirement
from wasm_detector.signals import FORENSIC_SIGNALS, SIGNALS, TOGETHER

Matrix = NDArray[np.float64]

WIDTH = 0.5
"""gamma = WIDTH / (number of numbers): neighbours at a typical distance still count exp(-1)."""

RIDGE = 1e-3
"""Added to the bumps between landmarks, so that two that are alike do no harm."""

COPIES_AMONG_LANDMARKS = 0.25
"""The share of a signal's landmarks that are copies."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of detector: its signals, and how many landmarks each of their parts has.

    `n_landmarks_expert`, `n_directions_expert`: of each expert.
    `n_directions`: in how many directions the part over all signals sees its numbers. `together_share`: how much that
    part may weigh, in signals. `name` goes into the detector's id.

    Landmarks and directions are stored as whole numbers, and fitted as stored: landmarks with `n_levels`, and
    `n_levels_together`, on each side of nought, directions in steps of `direction_step`. Fewer make a smaller file.
    `requires`: what measures those of the signals that are an operator's own.
    """

    name: str
    signals: tuple[str, ...]
    n_landmarks: int
    n_directions: int
    n_landmarks_expert: int
    n_directions_expert: int
    together_share: float = 30.0
    n_levels: int = 127
    n_levels_together: int = 127
    direction_step: float = 1.0 / 512.0
    requires: tuple[Requirement, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of all parts, the one over all signals last."""
        return (*self.signals, TOGETHER)


RECIPES = {
    "client": Recipe(
        "wd",
        tuple(kind.name for kind in SIGNALS),
        n_landmarks=96,
        n_directions=96,
        n_landmarks_expert=800,
        n_directions_expert=64,
        n_levels=16,
        n_levels_together=32,
        direction_step=1.0 / 128.0,
    ),
    "server": Recipe(
        "fd",
        tuple(kind.name for kind in FORENSIC_SIGNALS),
        n_landmarks=192,
        n_directions=200,
        n_landmarks_expert=1200,
        n_directions_expert=96,
    ),
}
"""The browser's detector, and the server's forensic one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The unsupervised half of a part: scaling, directions (the part over all signals has some) and landmarks.

    `landmarks` are in the units of the scaled numbers, multiples of `landmark_step`. `share` is how much the part may
    weigh; the part over all signals has no `whitener`.
    """

    centre: Matrix
    scale: Matrix
    landmarks: Matrix
    landmark_step: float
    gamma: float
    share: float
    directions: Matrix | None = None
    whitener: Matrix = field(default_factory=lambda: np.zeros((0, 0)))

    def scaled(self, vectors: Matrix) -> Matrix:
        """Return `vectors`, shape=(n, k), standardised and clipped."""
        return np.clip((vectors - self.centre) / self.scale, -CLIP, CLIP)

    def place(self, vectors: Matrix) -> Matrix:
        """Return where `vectors`, shape=(n, k), lie among the landmarks, shape=(n, k or n_directions)."""
        z = self.scaled(vectors)
        return z if self.directions is None else z @ self.directions

    def bumps(self, vectors: Matrix) -> Matrix:
        """Return the bumps' heights, shape=(n, n_landmarks)."""
        return gaussian(self.place(vectors), self.landmarks, self.gamma)


def gaussian(z: Matrix, landmarks: Matrix, gamma: float) -> Matrix:
    """Return exp(-gamma |z_i - landmark_l|²), shape=(n, n_landmarks)."""
    square = (z**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1)[None, :] - 2.0 * z @ landmarks.T
    return np.asarray(np.exp(-gamma * np.maximum(square, 0.0)))


def scaling(rows: Matrix) -> tuple[Matrix, Matrix]:
    """Return centre and scale, each shape=(k,), as they will be stored."""
    found = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    centre, scale = (one.astype(np.float32).astype(np.float64) for one in found)
    return centre, scale


def lay_out(originals: Matrix, chosen: Matrix, *, share: float, n_levels: int) -> Layout:
    """Return the layout of one signal's part: scaled by `originals`, with the rows `chosen` as its landmarks."""
    centre, scale = scaling(originals)
    gamma = WIDTH / originals.shape[1]
    z = np.clip((chosen - centre) / scale, -CLIP, CLIP)
    step = CLIP / n_levels
    landmarks = np.round(z / step) * step
    return Layout(centre, scale, landmarks, step, gamma, share, whitener=whitener(landmarks, gamma, share))


def whitener(landmarks: Matrix, gamma: float, share: float) -> Matrix:
    """Return what turns bumps into inputs of which the inner product is about `share` times the kernel."""
    values, directions = np.linalg.eigh(
        gaussian(landmarks, landmarks, gamma) + RIDGE * np.eye(len(landmarks))
    )
    return np.asarray(directions * np.sqrt(share / values))


def lay_out_together(originals: Matrix, taken: Matrix, recipe: Recipe) -> Layout:
    """Return the layout of the part over all signals: its landmarks are all the rows `taken`.

    It sees the numbers in the directions in which recordings differ most (principal components): so many landmarks
    would be too large with all the numbers, and nearly as much is known with few of the directions.
    """
    centre, scale = scaling(originals)
    z = np.clip((originals - centre) / scale, -CLIP, CLIP)
    kept, share_kept = principal(z, recipe.n_directions)
    kept = in_steps(kept, recipe.direction_step)
    share = recipe.together_share / len(recipe.signals)
    bare = Layout(centre, scale, np.zeros(0), 0.0, 2.0 * WIDTH / z.shape[1] / share_kept, share, kept)
    placed = bare.place(taken)
    step = float(np.abs(placed).max() / recipe.n_levels_together)
    return replace(bare, landmarks=np.round(placed / step) * step, landmark_step=step)


def principal(z: Matrix, n: int) -> tuple[Matrix, float]:
    """Return the first `n` principal components, shape=(k, n), and their share of the spread."""
    spread, components = np.linalg.eigh(np.cov(z.T))
    return components[:, ::-1][:, :n], float(spread[::-1][:n].sum() / spread.sum())


def in_steps(directions: NDArray[np.floating], step: float) -> Matrix:
    """Return `directions` as they will be stored."""
    return np.asarray(np.clip(np.round(directions / step), -127, 127) * step)


def lay_out_signals(
    vectors: Matrix, original: NDArray[np.bool_], copied: NDArray[np.bool_], recipe: Recipe, seed: int
) -> tuple[Layout, ...]:
    """Lay out every signal's part: scaled by the recordings, with landmarks of which a quarter are copies."""
    rng = np.random.default_rng(seed)
    found = []
    for where in slices_of(recipe)[:-1]:
        n = recipe.n_landmarks
        n_copies = min(int(COPIES_AMONG_LANDMARKS * n), int(copied.sum()))
        pool = rng.choice(np.flatnonzero(original), min(n - n_copies, int(original.sum())), replace=False)
        if n_copies:
            pool = np.concatenate([pool, rng.choice(np.flatnonzero(copied), n_copies, replace=False)])
        rows = vectors[:, where]
        share = 1.0 / len(recipe.signals)
        found.append(lay_out(rows[original], rows[pool], share=share, n_levels=recipe.n_levels))
    return tuple(found)


@lru_cache(maxsize=4)
def slices_of(recipe: Recipe) -> tuple[slice, ...]:
    """Return where each part's numbers lie in a clip's vector; the last part has all of them."""
    own = part_slices(recipe.signals)
    return (*own, slice(0, own[-1].stop))
