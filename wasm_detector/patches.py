"""Small patches of a log spectrogram, described as pictures are: by their two-dimensional cosine transform.

A patch is a few frames by a few bands. Its coefficients tell how fast the sound changes over time (first index) and
over frequency (second); what counts is how large each coefficient usually is, and whether it is so in a few places or
everywhere. A recording's room, microphone and level shift or tilt whole bands, which the coefficients hardly see.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from wasm_detector.features import dct_basis
from wasm_detector.frames import Array

QUIET = np.float32(0.3)
"""Added to a patch's variance (nat²) before it is scaled: a patch without any pattern stays small."""

SMALL = np.float32(1e-3)


@dataclass(frozen=True, slots=True)
class Shape:
    """A patch of `n_frames` by `n_bands`; its `n_kept` slowest coefficients; every how many frames and bands.

    `n_regions`: into how many stretches of frequency the patches are sorted.
    """

    n_frames: int
    n_bands: int
    n_kept: int
    hop_frames: int = 2
    hop_bands: int = 2
    n_regions: int = 3


@lru_cache(maxsize=16)
def slowest(shape: Shape) -> dict[int, list[int]]:
    """Return the kept coefficients: for each rate over frequency the rates over time, the constant left out."""
    pairs = [(u, v) for u in range(shape.n_frames) for v in range(shape.n_bands) if u or v]
    pairs.sort(key=lambda pair: ((pair[0] / shape.n_frames) ** 2 + (pair[1] / shape.n_bands) ** 2, pair))
    kept: dict[int, list[int]] = {}
    for u, v in pairs[: shape.n_kept]:
        kept.setdefault(v, []).append(u)
    return kept


def coefficients(log_power: Array, shape: Shape) -> Array:
    """Return the patches' kept coefficients, shape=(n_times, n_places, n_kept), each patch scaled to unit variance.

    `log_power`: shape=(n_frames, n_bands) in nat. One transform after the other, over frequency and then over time.
    """
    across = sliding_window_view(log_power, shape.n_bands, axis=1)[:, :: shape.hop_bands]
    over_time = dct_basis(shape.n_frames, shape.n_frames).T
    by_frequency = across @ dct_basis(shape.n_bands, shape.n_bands)  # (n_frames, n_places, n_bands)
    found = []
    for v, rates in slowest(shape).items():
        along = sliding_window_view(by_frequency[:, :, v], shape.n_frames, axis=0)[:: shape.hop_frames]
        found.append(along @ over_time[rates].T)
    kept = np.concatenate(found, axis=2)
    n = shape.n_frames * shape.n_bands
    ones = np.ones(shape.n_frames, dtype=np.float32)
    mean = sliding_window_view(across.sum(axis=2), shape.n_frames, axis=0)[:: shape.hop_frames] @ ones / n
    square = np.square(across).sum(axis=2)
    mean_square = sliding_window_view(square, shape.n_frames, axis=0)[:: shape.hop_frames] @ ones / n
    variance = np.maximum(mean_square - mean**2, 0.0)
    return np.asarray(kept / np.sqrt(variance + QUIET)[:, :, None])


def patch_moments(log_power: Array, weight: Array, shape: Shape) -> Array:
    """Return how large the coefficients are (log) and how even (log of mean size over root mean square).

    Shape=(2 * n_regions * n_kept,): for each region all sizes, then all evennesses. `weight`: shape=(n_frames,), how
    much each frame counts; a patch counts as its middle frame. Each band's weighted mean is taken out first.
    """
    share = weight / (weight.sum() + np.float32(1e-9))
    found = coefficients(log_power - share @ log_power, shape)
    middle = weight[shape.n_frames // 2 :: shape.hop_frames][: found.shape[0]]
    middle = middle / (middle.sum() + np.float32(1e-9))
    size = np.tensordot(middle, np.abs(found), 1)
    power = np.tensordot(middle, np.square(found), 1)
    parts = []
    for places in np.array_split(np.arange(found.shape[1]), shape.n_regions):
        root = np.sqrt(power[places].mean(axis=0)) + SMALL
        parts += [np.log(root), np.log(size[places].mean(axis=0) / root + SMALL)]
    return np.concatenate(parts).astype(np.float32)
