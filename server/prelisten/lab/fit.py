"""Fit the detector's weights: a sum over signals of small kernel machines, fitted together.

Each signal sees only its own numbers, through Gaussian bumps around landmarks (Williams & Seeger 2001); a last part
sees all of them, around every clip that is trained on. One ridge regression sets their weights at once; a signal that
the others would drown is fitted alone, and added. So the log-odds are a plain sum over the parts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import LogisticRegression

from prelisten.lab.corpus import DEGRADED, NOISY, WILD, Corpus, part_slices, pick
from prelisten.lab.modelfile import pack
from prelisten.lab.resynthesis import METHODS
from wasm_detector.model import CLIP, FORMAT, NOISE, Requirement
from wasm_detector.signals import FORENSIC_SIGNALS, SIGNALS, TOGETHER

Matrix = NDArray[np.float64]

WIDTH = 0.5
"""gamma = WIDTH / (number of numbers): neighbours at a typical distance still count exp(-1)."""

COPY_WEIGHT = {DEGRADED: 0.25}
REBUILT_WEIGHT = 0.03
"""How much a copy counts beside its original. More of the rebuilt ones helps on clean recordings, costs on phones."""

COPIES_AMONG_LANDMARKS = 0.25

ALONE = {"spectral_images": 0.3}
"""The signals that are fitted alone, and how much their log-odds count, where those of all others together count 1.

Fitted with the others, a signal explains what they leave, which is little of the clips that they were fitted to, and
much of those that come later. This one says nothing of most recordings, and what it says does not hang on the others:
so its log-odds are added, as those of independent evidence are; in noise as well, which may hide but, unless something
repeats in it, not make what it finds. The calibration multiplies both by about 3.5.
"""

ALONE_STRENGTH = 25.0
"""How little its weights are held down (scikit-learn's C). Its inputs are about 1 / number of signals in variance."""

BESIDE_NOISE = 0.25
"""How much a recording counts beside its copy in noise, for the part that is asked in noise."""

CALM = 5000.0
"""The ridge of the guesses at what the numbers were before there was noise. Their inputs have unit spread."""

STILL = 1000.0
"""The ridge of the estimate of the noise, which is 0 for recordings and 1 for their copies in noise."""

NOISE_FROM, NOISE_TO, NOISE_MOST = 0.5, 0.9, 0.7
"""From which estimate on the part for noise is asked, from which on it counts most, and how much that is.

It counts less than all: both together tell more than it alone, and the signals keep some say.
"""

SOURCE_SHIFT = 0.05
"""Variance that a clean source's own level may have, where a clip's own is about 2.

Sources differ in microphone, room and codec. While fitting, each clean source has a level of its own (a random
intercept, Laird & Ware 1982), which takes up what all its clips have in common, so that the weights learn what tells
spoof from bona fide within a source. The levels are forgotten afterwards. Recordings as people make them have none:
most of their sources are of one class, and what those have in common is what has to be learnt.
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of detector: its signals, and how many landmarks each of their parts has.

    `n_landmarks_noise`, `n_directions_noise`: of the part for noise.
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
    n_landmarks_noise: int
    n_directions_noise: int
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
        n_landmarks_noise=800,
        n_directions_noise=64,
        n_levels=16,
        n_levels_together=32,
        direction_step=1.0 / 128.0,
    ),
    "server": Recipe(
        "fd",
        tuple(kind.name for kind in FORENSIC_SIGNALS),
        n_landmarks=192,
        n_directions=200,
        n_landmarks_noise=1200,
        n_directions_noise=96,
    ),
}
"""The browser's detector, and the server's forensic one."""

RIDGE = 1e-3
STRENGTH = 6.0
RESIDUAL = 1.0
"""Variance of what the weights need not explain, where a clip's own is about 2. Neither matters much."""
SEED = 20


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

    def place(self, vectors: Matrix) -> Matrix:
        """Return where `vectors`, shape=(n, k), lie among the landmarks, shape=(n, k or n_directions)."""
        z = np.clip((vectors - self.centre) / self.scale, -CLIP, CLIP)
        return z if self.directions is None else z @ self.directions

    def bumps(self, vectors: Matrix) -> Matrix:
        """Return the bumps' heights, shape=(n, n_landmarks)."""
        return gaussian(self.place(vectors), self.landmarks, self.gamma)


def gaussian(z: Matrix, landmarks: Matrix, gamma: float) -> Matrix:
    """Return exp(-gamma |z_i - landmark_l|²), shape=(n, n_landmarks)."""
    square = (z**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1)[None, :] - 2.0 * z @ landmarks.T
    return np.asarray(np.exp(-gamma * np.maximum(square, 0.0)))


def _scaling(rows: Matrix) -> tuple[Matrix, Matrix]:
    """Return centre and scale, each shape=(k,), as they will be stored."""
    found = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    centre, scale = (one.astype(np.float32).astype(np.float64) for one in found)
    return centre, scale


def lay_out(originals: Matrix, chosen: Matrix, *, share: float, n_levels: int) -> Layout:
    """Return the layout of one signal's part: scaled by `originals`, with the rows `chosen` as its landmarks."""
    centre, scale = _scaling(originals)
    gamma = WIDTH / originals.shape[1]
    z = np.clip((chosen - centre) / scale, -CLIP, CLIP)
    step = CLIP / n_levels
    landmarks = np.round(z / step) * step
    return Layout(centre, scale, landmarks, step, gamma, share, whitener=_whitener(landmarks, gamma, share))


def _whitener(landmarks: Matrix, gamma: float, share: float) -> Matrix:
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
    centre, scale = _scaling(originals)
    z = np.clip((originals - centre) / scale, -CLIP, CLIP)
    kept, share_kept = _principal(z, recipe.n_directions)
    kept = _in_steps(kept, recipe.direction_step)
    share = recipe.together_share / len(recipe.signals)
    bare = Layout(centre, scale, np.zeros(0), 0.0, 2.0 * WIDTH / z.shape[1] / share_kept, share, kept)
    placed = bare.place(taken)
    step = float(np.abs(placed).max() / recipe.n_levels_together)
    return replace(bare, landmarks=np.round(placed / step) * step, landmark_step=step)


def _principal(z: Matrix, n: int) -> tuple[Matrix, float]:
    """Return the first `n` principal components, shape=(k, n), and their share of the spread."""
    spread, components = np.linalg.eigh(np.cov(z.T))
    return components[:, ::-1][:, :n], float(spread[::-1][:n].sum() / spread.sum())


def _in_steps(directions: NDArray[np.floating], step: float) -> Matrix:
    """Return `directions` as they will be stored."""
    return np.asarray(np.clip(np.round(directions / step), -127, 127) * step)


def lay_out_noise(originals: Matrix, copies: Matrix, recipe: Recipe, seed: int) -> Layout:
    """Return the layout of the part for noise. Row by row, `copies` are the `originals` in noise.

    Noise covers most of what recordings differ in. So the part sees, from the numbers in noise, linear guesses (ridge
    regression) at the principal components that the recordings had without it; some of the copies are its landmarks.
    """
    centre, scale = _scaling(copies)
    z = np.clip((copies - centre) / scale, -CLIP, CLIP)
    mean, spread = _scaling(originals)
    before = np.clip((originals - mean) / spread, -CLIP, CLIP)
    components, _ = _principal(before, recipe.n_directions_noise)
    guesses = np.linalg.solve(z.T @ z + CALM * np.eye(z.shape[1]), z.T @ (before @ components))
    guesses /= np.sqrt(np.square(guesses).sum(axis=0).mean())
    directions = _in_steps(guesses, recipe.direction_step)
    placed = z @ directions
    gamma = 2.0 * WIDTH / float(placed.var(axis=0).sum())
    share = recipe.together_share / len(recipe.signals)
    n = min(recipe.n_landmarks_noise, len(placed))
    landmarks = placed[np.random.default_rng(seed).choice(len(placed), n, replace=False)]
    step = float(np.abs(landmarks).max() / recipe.n_levels_together)
    landmarks = np.round(landmarks / step) * step
    whitener = _whitener(landmarks, gamma, share)
    return Layout(centre, scale, landmarks, step, gamma, share, directions, whitener)


@lru_cache(maxsize=4)
def slices_of(recipe: Recipe) -> tuple[slice, ...]:
    """Return where each part's numbers lie in a clip's vector; the last part has all of them."""
    own = part_slices(recipe.signals)
    return (*own, slice(0, own[-1].stop))


@dataclass(frozen=True, slots=True)
class FittedNoise:
    """The part for noise, `weights` shape=(n_landmarks,), and the estimate that calls it in, shape=(k,)."""

    layout: Layout
    weights: Matrix
    bias: float
    estimate: Matrix
    offset: float

    def hear(self, vectors: Matrix) -> tuple[Matrix, Matrix]:
        """Return the part's share and its log-odds of spoof, each shape=(n_clips,)."""
        z = np.clip((vectors - self.layout.centre) / self.layout.scale, -CLIP, CLIP)
        share = np.clip(self.offset + z @ self.estimate, 0.0, NOISE_MOST)
        return share, self.layout.bumps(vectors) @ self.weights + self.bias


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted detector, not yet calibrated. `noise`: where it was fitted to copies in noise.

    `weights[k]`: shape=(n_landmarks, 2), one column for spoof and one for speech; `offsets`: shape=(n_signals, 2).
    """

    recipe: Recipe
    layouts: tuple[Layout, ...]
    weights: tuple[Matrix, ...]
    offsets: Matrix
    bias: tuple[float, float]
    noise: FittedNoise | None = None

    def contributions(self, vectors: Matrix) -> Matrix:
        """Return what each signal adds, shape=(n_clips, n_signals, 2)."""
        parts = [
            layout.bumps(vectors[:, where]) @ weights
            for layout, weights, where in zip(self.layouts, self.weights, slices_of(self.recipe), strict=True)
        ]
        found = np.asarray(np.stack(parts, axis=1) + self.offsets)
        if self.noise:
            share, instead = self.noise.hear(vectors)
            found[:, ~np.isin(self.recipe.parts, list(ALONE)), 0] *= 1.0 - share[:, None]
            found[:, -1, 0] += share * (instead - self.bias[0])
        return found

    def logits(self, vectors: Matrix) -> Matrix:
        """Return the log-odds of spoof and of speech, shape=(n_clips, 2)."""
        return np.asarray(self.contributions(vectors).sum(axis=1) + np.array(self.bias))


def _regress(inputs: Matrix, target: NDArray[np.bool_]) -> tuple[Matrix, float]:
    """Fit a logistic regression: coefficients, shape=(n_inputs,), and intercept."""
    machine = LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced").fit(inputs, target)
    return machine.coef_[0].astype(np.float64), float(machine.intercept_[0])


def _weigh_alone(inputs: Matrix, is_spoof: NDArray[np.bool_], weight: Matrix) -> tuple[Matrix, float]:
    """Fit a logistic regression to one signal's inputs: coefficients, shape=(n_inputs,), and intercept."""
    machine = LogisticRegression(C=ALONE_STRENGTH, max_iter=1000)
    balanced = _balanced(weight, is_spoof)
    machine.fit(inputs, is_spoof, sample_weight=balanced / balanced.mean())
    return machine.coef_[0].astype(np.float64), float(machine.intercept_[0])


def separate(
    gram: NDArray[np.floating], target: NDArray[np.bool_], weight: Matrix, sources: NDArray[np.intp]
) -> tuple[Matrix, float]:
    """Fit kernel ridge regression with an intercept; return each clip's coefficient, shape=(n,), and the intercept.

    `gram`: shape=(n, n), overwritten. `weight`: shape=(n,), a clip of weight 2 counts as two. `sources`: shape=(n,),
    the number of each clip's source, -1 for one without a level of its own.
    """
    has_level = sources >= 0
    gram += SOURCE_SHIFT * ((sources[:, None] == sources[None, :]) & has_level[None, :])
    gram[np.diag_indices_from(gram)] += RESIDUAL / (weight / weight.mean())
    right = np.stack([np.where(target, 1.0, -1.0), np.ones(target.size)], axis=1)
    solved = cho_solve(cho_factor(gram, lower=True, overwrite_a=True, check_finite=False), right)
    bias = float(solved[:, 0].sum() / solved[:, 1].sum())
    return solved[:, 0] - bias * solved[:, 1], bias


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

    The copies in `corpus` take part in the first by their weight; in the second all but the rebuilt ones count alike,
    and the part over all signals has no say.
    """
    labels, is_original = corpus.column("label"), corpus.column("made") == ""
    is_speech, is_spoof = labels != "nonspeech", labels == "spoof"
    weight = training_weight(corpus)
    taken = is_speech & (weight > 0.0)
    asked = is_original | (np.isin(corpus.column("made"), list(COPY_WEIGHT)) & (weight > 0.0))
    own = _layouts(corpus.vectors, is_speech & is_original, taken & ~is_original, recipe, seed)
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
    balanced = _balanced(weight[taken], is_spoof[taken])
    clips, spoof_bias = separate(gram, is_spoof[taken], balanced, _levels(corpus)[taken])
    speech, speech_bias = _regress(inputs[asked], is_speech[asked])
    columns = np.stack([clips @ inputs[taken], speech], axis=1)
    offsets = np.zeros((len(recipe.parts), 2))
    for name, count in ALONE.items():
        its_own = of_signal == name
        if its_own.any():
            alone, intercept = _weigh_alone(inputs[taken][:, its_own], is_spoof[taken], weight[taken])
            columns[its_own, 0] = count * alone
            offsets[recipe.signals.index(name), 0] = count * intercept
    weights = [
        one.whitener @ columns[of_signal == name] for name, one in zip(recipe.signals, own, strict=True)
    ]
    weights.append(np.stack([together.share * clips, np.zeros(clips.size)], axis=1))
    fitted = Fitted(recipe, (*own, together), tuple(weights), offsets, (spoof_bias, speech_bias))
    centred = _centred(pick(corpus, is_original), fitted)
    noise = fit_noise(corpus, recipe, seed=seed)
    if noise:
        moved = (offsets - centred.offsets)[np.isin(recipe.parts, list(ALONE)), 0]
        noise = replace(noise, bias=noise.bias + float(moved.sum()))
    return replace(centred, noise=noise)


def fit_noise(corpus: Corpus, recipe: Recipe, *, seed: int = SEED) -> FittedNoise | None:
    """Fit the part for noise, and the estimate that calls it in; `None` without copies in noise.

    Its clips are the recordings of speech and their copies in noise.
    """
    clips = {(clip.split, clip.id, clip.made): k for k, clip in enumerate(corpus.clips)}
    pairs = [
        (clips[split, name, ""], copy)
        for (split, name, made), copy in clips.items()
        if made in NOISY and (split, name, "") in clips
    ]
    if not pairs:
        return None
    before, after = (np.array(column) for column in zip(*pairs, strict=True))
    originals, copies = corpus.vectors[before], corpus.vectors[after]
    layout = lay_out_noise(originals, copies, recipe, seed)
    once = np.unique(before)
    every = np.concatenate([after, once])
    vectors = corpus.vectors[every]
    is_spoof = corpus.column("label")[every] == "spoof"
    weight = training_weight(corpus)
    weight = np.concatenate([weight[before], BESIDE_NOISE * weight[once]])
    inputs = (layout.bumps(vectors) @ layout.whitener).astype(np.float32)
    coefficients, bias = separate(
        inputs @ inputs.T, is_spoof, _balanced(weight, is_spoof), _levels(corpus)[every]
    )
    z = np.clip((vectors - layout.centre) / layout.scale, -CLIP, CLIP)
    estimate, offset = _estimate(z, np.isin(corpus.column("made")[every], NOISY))
    pull = NOISE_MOST / (NOISE_TO - NOISE_FROM)
    return FittedNoise(
        layout, layout.whitener @ (coefficients @ inputs), bias, pull * estimate, pull * (offset - NOISE_FROM)
    )


def _estimate(z: Matrix, is_noisy: NDArray[np.bool_]) -> tuple[Matrix, float]:
    """Return coefficients, shape=(k,), and offset of a linear estimate: 1 for noise, 0 without (ridge regression)."""
    mean, target = z.mean(axis=0), is_noisy.astype(np.float64)
    moments = (z - mean).T @ (z - mean) + STILL * np.eye(z.shape[1])
    found = np.linalg.solve(moments, (z - mean).T @ (target - target.mean()))
    return found, float(target.mean() - mean @ found)


def _balanced(weight: Matrix, is_spoof: NDArray[np.bool_]) -> Matrix:
    """Return weights, shape=(n,), of which both classes have the same sum."""
    by_class = np.array([weight[is_spoof == one].sum() for one in (False, True)])
    return np.asarray(weight / by_class[is_spoof.astype(int)])


def _levels(corpus: Corpus) -> NDArray[np.intp]:
    """Return the number of each clip's source, shape=(n_clips,), -1 where it has no level of its own."""
    numbers = np.unique(corpus.column("source"), return_inverse=True)[1]
    return np.where(domain(corpus) == WILD, -1, numbers)


def _layouts(
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
    if fitted.noise:
        settings[NOISE], stored = _stored_noise(fitted, calibration, bias)
        arrays |= stored
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


def _stored_noise(
    fitted: Fitted, calibration: Calibration, bias: float
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the part for noise as it is stored. `bias`: the model's, which its contribution comes on top of."""
    noise = fitted.noise
    assert noise is not None
    offset = np.array([calibration.slope * noise.bias + calibration.shift - bias, 0.0])
    part = _stored_part(NOISE, noise.layout, fitted.recipe, offset)
    weights = np.stack([calibration.slope * noise.weights, np.zeros(noise.weights.size)])
    arrays = _stored_arrays(noise.layout, weights, fitted.recipe.direction_step) | {
        "estimate": noise.estimate.astype("<f4")
    }
    named = {f"{NOISE}.{what}": array for what, array in arrays.items()}
    unchanged = [name for name in fitted.recipe.signals if name in ALONE]
    return part | {"estimate_offset": noise.offset, "most": NOISE_MOST, "unchanged": unchanged}, named


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
