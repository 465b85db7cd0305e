"""What must not tell genuine from synthetic: length, level, offset, edges, bandwidth. Measured to be watched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

NAMES = ("duration", "rms", "peak", "offset", "edges", "rolloff", "above_7khz")


def nuisance_of(path: Path) -> NDArray[np.float64]:
    """Return the numbers of `NAMES` for one clip: log seconds, dB, dB, share, dB, Hz, dB."""
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    mono = samples.mean(axis=1)
    power = np.abs(np.fft.rfft(mono)) ** 2 + 1e-20
    frequency = np.fft.rfftfreq(mono.size, 1.0 / rate)
    total, edge = power.sum(), int(0.05 * rate)
    rms = np.sqrt(np.mean(mono**2)) + 1e-9
    edges = np.sqrt(np.mean(np.concatenate([mono[:edge], mono[-edge:]]) ** 2)) + 1e-9
    return np.array(
        [
            np.log(mono.size / rate),
            20.0 * np.log10(rms),
            20.0 * np.log10(np.abs(mono).max() + 1e-9),
            mono.mean() / rms,
            20.0 * np.log10(edges / rms),
            frequency[min(int(np.searchsorted(np.cumsum(power), 0.99 * total)), frequency.size - 1)],
            10.0 * np.log10(power[frequency > 7_000.0].sum() / total + 1e-12),
        ]
    )


def nuisance_scores(
    numbers: NDArray[np.float64], is_spoof: NDArray[np.bool_], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return out-of-fold scores of a logistic regression on the nuisance alone, shape=(n_clips,)."""
    scores = np.empty(len(numbers))
    for fold in np.unique(folds):
        held = folds == fold
        scaler = StandardScaler().fit(numbers[~held])
        machine = LogisticRegression(class_weight="balanced").fit(
            scaler.transform(numbers[~held]), is_spoof[~held]
        )
        scores[held] = machine.decision_function(scaler.transform(numbers[held]))
    return scores


def explained_by_nuisance(
    numbers: NDArray[np.float64], logits: NDArray[np.float64], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what the nuisance predicts of a detector's log-odds, out of fold, shape=(n_clips,).

    How well that part alone tells the classes apart is what the detector owes to the nuisance.
    """
    predicted = np.empty(len(numbers))
    for fold in np.unique(folds):
        held = folds == fold
        scaler = StandardScaler().fit(numbers[~held])
        machine = LinearRegression().fit(scaler.transform(numbers[~held]), logits[~held])
        predicted[held] = machine.predict(scaler.transform(numbers[held]))
    return predicted
