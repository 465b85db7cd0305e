"""Pictures for the page about the detector, drawn from seeds: a voice-like sound and copies of it that were rebuilt.

`python -m prelisten.lab.pictures FOLDER` writes SVG files. No recording of anybody is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from prelisten.lab.resynthesis import METHODS
from wasm_detector.features import Features, measure
from wasm_detector.frames import analyse
from wasm_detector.signals import FORENSIC_SIGNALS
from wasm_detector.spectral_images import MIRRORS, SHIFTS, spectral_images
from wasm_detector.spectral_lines import FRAME_RATES, frame_rate_lines

SECONDS, SEED = 2.0, 4
CELL, N_GREYS = 4, 7
STYLE = "<style>text{font:12px sans-serif;fill:#555}</style>"


def voice(seconds: float = SECONDS, *, seed: int = SEED) -> NDArray[np.float64]:
    """Return a voice-like sound at 16 kHz: pulses with a wandering pitch through moving resonances, and breath."""
    rng = np.random.default_rng(seed)
    n = int(16_000 * seconds)
    time = np.arange(n) / 16_000
    pitch = 130.0 * 2.0 ** (0.2 * np.sin(2 * np.pi * 0.7 * time) + 0.01 * np.cumsum(rng.normal(0, 0.02, n)))
    turns = np.cumsum(pitch / 16_000)
    sound = np.zeros(n)
    for overtone in range(1, 45):
        frequency = overtone * pitch
        shape = sum(
            gain / (1.0 + ((frequency - centre * (1 + 0.3 * np.sin(2 * np.pi * rate * time))) / 180.0) ** 2)
            for centre, gain, rate in ((600, 1.0, 1.3), (1500, 0.6, 0.9), (2600, 0.4, 1.7), (3700, 0.2, 0.5))
        )
        sound += np.where(frequency < 7_500, shape, 0.0) * np.cos(2 * np.pi * overtone * turns)
    sound *= 0.3 + 0.7 * np.clip(np.sin(2 * np.pi * 2.2 * time), 0, 1)
    return np.asarray(sound / np.abs(sound).max() * 0.6 + rng.normal(0, 0.002, n))


def features_of(samples: NDArray[np.float64]) -> Features:
    """Return the features of samples at 16 kHz."""
    return measure(analyse(samples.astype(np.float32)))


def heat(values: NDArray[np.floating], title: str, *, left: int = 0) -> str:
    """Return one picture, shape=(n_frames, n_bands), low bands below, darker = more, in `N_GREYS` greys."""
    low, high = np.percentile(values, [5, 95])
    shade = np.round(np.clip((values - low) / max(high - low, 1e-9), 0, 1) * (N_GREYS - 1)).astype(int)
    top = values.shape[1] - 1
    parts = [f'<text x="{left}" y="12">{title}</text>']
    for level in range(1, N_GREYS):
        cells = "".join(
            f"M{left + CELL * frame} {18 + CELL * (top - band)}h{CELL}v{CELL}h-{CELL}"
            for frame, band in zip(*np.nonzero(shade == level), strict=True)
        )
        grey = 245 - 215 * level // (N_GREYS - 1)
        parts.append(f'<path fill="rgb({grey},{grey},{grey})" d="{cells}"/>')
    return "".join(parts)


def side_by_side(first: NDArray[np.floating], second: NDArray[np.floating], titles: tuple[str, str]) -> str:
    """Return an SVG of two pictures of equal shape, on one scale of grey each."""
    width, height = CELL * first.shape[0], CELL * first.shape[1]
    cells = heat(first, titles[0]) + heat(second, titles[1], left=width + 20)
    size = f'width="{2 * width + 20}" height="{height + 20}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{STYLE}{cells}</svg>\n'


def bars(pairs: list[tuple[str, float]]) -> str:
    """Return an SVG of horizontal bars around a middle line, one for each (name, value)."""
    top = max(abs(value) for _, value in pairs) or 1.0
    rows = [
        f'<text x="0" y="{18 * k + 14}">{name}</text>'
        f'<rect x="{300 + min(0.0, value) / top * 120:.1f}" y="{18 * k + 4}" width="{abs(value) / top * 120:.1f}" '
        f'height="12" fill="{"#b33" if value > 0 else "#36b"}"/>'
        for k, (name, value) in enumerate(pairs)
    ]
    size = f'width="430" height="{18 * len(pairs) + 6}"'
    line = f'<line x1="300" x2="300" y1="0" y2="{18 * len(pairs) + 6}" stroke="#999"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{STYLE}{line}{"".join(rows)}</svg>\n'


def reliability(rows: Sequence[tuple[float, float, int, float, float]]) -> str:
    """Return the reliability diagram of `report.reliability`: share of spoof over mean score, dots by clips.

    On the line a score is the share that it states. Drawn from figures of two digits, as the card prints them.
    """
    side, left, top = 300, 46, 12
    most = max(n for _, _, n, _, _ in rows)
    ticks = "".join(
        f'<text x="{left + side * k / 10:.0f}" y="{top + side + 18}" text-anchor="middle">{k / 10:g}</text>'
        f'<text x="{left - 8}" y="{top + side - side * k / 10 + 4:.0f}" text-anchor="end">{k / 10:g}</text>'
        for k in range(0, 11, 2)
    )
    dots = "".join(
        f'<circle cx="{left + side * round(mean, 2):.0f}" cy="{top + side - side * round(share, 2):.0f}" '
        f'r="{3 + 7 * (n / most) ** 0.5:.1f}" fill="#36b" fill-opacity="0.8"><title>{n}</title></circle>'
        for _, _, n, mean, share in rows
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + side + 20}" height="{top + side + 48}">{STYLE}'
        f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="#999"/>'
        f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" stroke="#999" stroke-dasharray="4"/>'
        f'{ticks}{dots}<text x="{left + side / 2:.0f}" y="{top + side + 40}" text-anchor="middle">'
        f'spoof_score, mean of the clips</text><text transform="translate(12 {top + side / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">share that is spoof</text></svg>\n'
    )


def shifts(method: str) -> list[tuple[str, float]]:
    """Return how far each signal's headline moves when voices are rebuilt, in spreads between ten voices."""
    rows = []
    for seed in range(10):
        original = voice(seed=seed)
        rebuilt = METHODS[method](original, np.random.default_rng(seed))
        rows.append(
            [
                [kind.describe(features_of(sound)).value for kind in FORENSIC_SIGNALS]
                for sound in (original, rebuilt)
            ]
        )
    values = np.array(rows)
    moved = (values[:, 1] - values[:, 0]).mean(axis=0) / (values[:, 0].std(axis=0) + 1e-6)
    return [
        (kind.name, float(np.clip(shift, -20, 20)))
        for kind, shift in zip(FORENSIC_SIGNALS, moved, strict=True)
    ]


def flutter(method: str) -> list[tuple[str, float]]:
    """Return how much further the flutter of rebuilt voices stands out at each known frame rate, mean of ten voices."""
    raised = []
    for seed in range(10):
        original = voice(4.0, seed=seed)
        rebuilt = METHODS[method](original, np.random.default_rng(seed))
        before, after = (
            frame_rate_lines(analyse(one.astype(np.float32)).samples) for one in (original, rebuilt)
        )
        raised.append((after - before)[: 2 * len(FRAME_RATES) : 2])
    return [
        (f"{rate:g} Hz", float(value))
        for rate, value in zip(FRAME_RATES, np.mean(raised, axis=0), strict=True)
    ]


def stretched(samples: NDArray[np.float64], factor: int = 8, leak: float = 0.02) -> NDArray[np.float64]:
    """Return `samples`, at 16 kHz, as a network might make them from one value in `factor`.

    Noughts go in between, and the filter that should leave the images out lets a share of `leak` pass.
    """
    few = resample_poly(samples, 1, factor)
    spread = np.zeros(few.size * factor)
    spread[::factor] = few * factor
    return np.asarray((resample_poly(few, factor, 1) + leak * spread)[: samples.size])


def images() -> list[tuple[str, float]]:
    """Return how well phases agree at each shift and mirror in stretched voices, more than before; mean of ten."""
    raised = []
    for seed in range(10):
        original = voice(4.0, seed=seed)
        before, after = (
            spectral_images(analyse(one.astype(np.float32)).spectrum)
            for one in (original, stretched(original))
        )
        raised.append(after - before)
    names = [*(f"moved {hertz:g}" for hertz in SHIFTS), *(f"mirror {hertz:g}" for hertz in MIRRORS)]
    return list(zip(names, np.mean(raised, axis=0).tolist(), strict=True))


def draw(folder: Path) -> None:
    """Write every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    original = voice(0.8)
    rebuilt = METHODS["rebuilt_from_picture"](original, np.random.default_rng(SEED))
    first, second = features_of(original), features_of(rebuilt)
    titles = ("as it was", "rebuilt from a picture of 8 bits")
    for name, one, other in (
        ("spectrogram", first.log_band[:, :60:2], second.log_band[:, :60:2]),
        ("phase", first.drift_concentration, second.drift_concentration),
        ("timing", first.delay_concentration, second.delay_concentration),
        ("novelty", first.novelty, second.novelty),
    ):
        (folder / f"{name}.svg").write_text(side_by_side(one, other, titles), encoding="utf-8")
    for method in ("rebuilt_from_picture", "coded_by_prediction"):
        (folder / f"{method}.svg").write_text(bars(shifts(method)), encoding="utf-8")
    (folder / "images.svg").write_text(bars(images()), encoding="utf-8")
    (folder / "flutter.svg").write_text(bars(flutter("coded_by_prediction")), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
