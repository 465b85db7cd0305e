"""Spectral images: parts of the sound that are exact copies of others, moved or mirrored in frequency.

A network that makes a waveform stretches a few numbers per frame into many samples, step by step. Each step repeats the
spectrum at multiples of its rate, and mirrors it around multiples of half of it, and no later step filters that out to
the last (Pons et al. 2021, "Upsampling artifacts in neural audio synthesis"). What is left may be far below the voice,
and yet its phase follows the voice's exactly, for as long as it speaks. So phases are compared, and loudness is not
(cyclostationary analysis, Gardner 1991, "Exploitation of spectral redundancy in cyclostationary signals"; for mirrors,
Schreier & Scharf 2010, "Statistical signal processing of complex-valued data"). Two parts of a voice, or of a room's
noise, have no such bond. None of the numbers depends on gain or polarity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wasm_detector.frames import HOP_LENGTH, N_FFT, Array, Complex

RATE = 16_000
BIN, FRAME_RATE = RATE / N_FFT, RATE / HOP_LENGTH
"""Hz."""

SHIFTS = (
    86.1328, 172.2656, 344.53125, 400.0, 600.0, 689.0625, 750.0, 800.0, 1033.59375, 1200.0, 1378.125, 1500.0, 1600.0,
    1722.65625, 2000.0, 2400.0, 2756.25, 4000.0,
)  # fmt: skip
"""Hz by which a copy may have been moved: rates between a frame's and a sample's, of networks that work at 16, 22.05,
24, 32, 44.1 and 48 kHz, and some of their multiples. Of 36 that were tried, those that told most."""

MIRRORS = (3000.0, 5512.5, 5600.0, 6000.0, 6600.0)
"""Hz around which a copy may be mirrored: multiples of half of such rates."""

LOWEST, HIGHEST = 600.0, 7800.0
"""Hz. Lower down hum and overtones of the voice keep their phases for long."""

LOW, HIGH = round(LOWEST / BIN), round(HIGHEST / BIN)
"""The same as numbers of bins, the last one excluded."""

FLOOR = 5e-4
"""Added to the power of a bin, of which the mean is 192 for a segment of unit power: a phase counts down to 56 dB below
that, where the last of 16 bits and what decoders round begin to count."""

BLOCK = 20
"""Frames that are added up before blocks are compared: 0.2 s."""

APART = 3
"""Blocks are compared with those so many blocks away, and further: what an echo repeats within 0.4 s proves nothing."""

LEAST_SHARE = 0.66
"""Of the pairs of blocks, those that lie so far apart that they agree least: a loop agrees at some distances only."""

FFT_STEP = 100
"""Frames are padded to a multiple of it."""

STEADY, STEADY_BY_CHANCE = 0.17, 3.0
"""A bin with a tone of one frequency is left out: hum and whine keep their phases exactly, and are no copies. It has
one if a line of its phases' spectrum has 0.17 of what it can have, or 3 over the root of the frames."""

AROUND = (2, 3, 4)
"""A line stands out from those so many steps of the spectrum away, on both sides; what rises around it is no line.

Echoes and rooms make a spectrum rise and fall in wide waves, what repeats itself for long has it in narrow lines.
"""

WAVES = 2.0
"""How much of what rises around a line, in means of the spectrum, is taken for such waves: an echo half as loud as the
voice makes 1.8. A tone that wanders a little rises around itself as well, but higher, and stays a line.
"""

SOFTLY = 0.1
"""A bin is left out, and counted, by degrees: from 10 % below the height of such a line to 10 % above it. Decoders
differ in the last digits, and a bin is one of some 200."""

REPEATS_FROM, REPEATS_TO = 0.12, 0.18
"""Share of bins with such lines from which on the bond counts less, and from which on it counts nothing.

A voice alone has them in 1 to 11 % of the bins, in a room in 3 to 24 %, with one echo in 3 to 36 %. Where there are
more, something repeats itself exactly, a beat, a ringing or an alarm: its parts have bonds, too, and are no copies.
"""

BURSTS_FROM, BURSTS_TO = 0.5, 0.62
"""Share of the strongest bond that the tenth of the frames that agree most has, from which on all bonds count less, and
from which on nothing. As long as a voice speaks its copies go with it: the tenth has 0.2 to 0.5, more where it pauses
(0.3 to 0.6 of 1.8 s in 4 s). Clicks that are all alike agree in a few frames only: 0.6 to 1."""

EMPTY = 0.2
"""Added, for each frame, to the power by which the bond is divided, where loud and random phases have about 0.6: pairs
of which one is empty say nothing."""

CHANCE = 0.6
"""Over the root of the number of pairs, taken off the bond: so chance, and what a decoder filled in at random, leave
noughts."""

STEEPNESS = 4.0
"""Numbers are log(1 + 4 bond): a bond of 2 tells little more than one of 1."""


@dataclass(frozen=True, slots=True)
class _Waves:
    """Complex numbers as two real arrays, shape=(n_blocks, BLOCK, n_bins): sums of their products are quick so."""

    real: Array
    imag: Array

    def bins(self, first: int, last: int) -> _Waves:
        return _Waves(self.real[:, :, first:last], self.imag[:, :, first:last])

    def upside_down(self) -> _Waves:
        """Return the conjugates, the highest bin first."""
        return _Waves(self.real[:, :, ::-1].copy(), -self.imag[:, :, ::-1])

    def turned_back(self, frequency: float) -> _Waves:
        """Return the waves, each frame turned back by what a tone of `frequency` (Hz) has turned until then."""
        if frequency % FRAME_RATE == 0.0:
            return self
        cosine, sine = _turn(frequency, self.real.shape[0])
        return _Waves(self.real * cosine + self.imag * sine, self.imag * cosine - self.real * sine)


@lru_cache(maxsize=256)
def _turn(frequency: float, n_blocks: int) -> tuple[Array, Array]:
    angle = (2.0 * np.pi * frequency / FRAME_RATE) * np.arange(n_blocks * BLOCK).reshape(n_blocks, BLOCK, 1)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def spectral_images(spectrum: Complex) -> Array:
    """Return how well phases agree, beyond chance, at exact shifts and mirrors (nat), shape=(23,), each 0 to about 4.

    `spectrum`: of a segment at 16 kHz and of unit power, shape=(n_frames, 257), frames every 10 ms. First `SHIFTS`,
    then `MIRRORS`. All 0 where the segment has fewer than `APART` + 1 blocks (80 frames, 0.82 s).
    """
    n_blocks = len(spectrum) // BLOCK
    if n_blocks <= APART:
        return np.zeros(len(SHIFTS) + len(MIRRORS), dtype=np.float32)
    waves, repeated = _phases(spectrum[: n_blocks * BLOCK])
    trust = _falling(repeated, REPEATS_FROM, REPEATS_TO)
    if trust == 0.0:
        return np.zeros(len(SHIFTS) + len(MIRRORS), dtype=np.float32)
    mirrored = waves.upside_down()
    found = [
        _beyond_chance(*_pairs_of_bins(waves, mirrored, place)) for place in range(len(SHIFTS) + len(MIRRORS))
    ]
    strongest = int(np.argmax(found))
    if found[strongest] > 0.0:
        share = _share_of_bursts(*_pairs_of_bins(waves, mirrored, strongest))
        trust *= _falling(share, BURSTS_FROM, BURSTS_TO)
    return np.asarray(np.log1p(STEEPNESS * trust * np.array(found)), dtype=np.float32)


def _falling(value: float, first: float, last: float) -> float:
    """Return 1 up to `first`, 0 from `last` on, and what lies between in proportion."""
    return min(max((last - value) / (last - first), 0.0), 1.0)


def _pairs_of_bins(waves: _Waves, mirrored: _Waves, place: int) -> tuple[_Waves, _Waves]:
    """Return the waves that may be copies at a place, turned back, and what they may be copies of.

    `mirrored`: all the waves upside down. `place`: a shift's number, or beyond those a mirror's.
    """
    if place < len(SHIFTS):
        shift = SHIFTS[place]
        n = round(shift / BIN)
        return waves.bins(LOW + n, HIGH).turned_back(shift), waves.bins(LOW, HIGH - n)
    mirror = MIRRORS[place - len(SHIFTS)]
    total = round(2.0 * mirror / BIN)
    first, last = max(LOW, total - HIGH), total // 2 - 1
    # Bins `total - first`, and so on downwards.
    other = mirrored.bins(N_FFT // 2 - total + first, N_FFT // 2 - total + last)
    return waves.bins(first, last).turned_back(2.0 * mirror), other


def _phases(spectrum: Complex) -> tuple[_Waves, float]:
    """Return the spectrum with every loudness made 1, and nought in bins with a steady tone, in blocks.

    Also the share of those bins between `LOWEST` and `HIGHEST`, each counting by how much of the time it is not empty.
    """
    size = np.sqrt(spectrum.real**2 + spectrum.imag**2 + np.float32(FLOOR))
    real, imag = spectrum.real / size, spectrum.imag / size
    line = _highest_line(real[:, LOW:HIGH], imag[:, LOW:HIGH])
    line /= max(STEADY, STEADY_BY_CHANCE / math.sqrt(len(spectrum)))
    kept = np.zeros(spectrum.shape[1], dtype=np.float32)
    kept[LOW:HIGH] = np.clip((1.0 + SOFTLY - line) / (2.0 * SOFTLY), 0.0, 1.0)
    filled = (real**2 + imag**2).mean(axis=0).astype(np.float64)
    repeated = 1.0 - float(filled @ kept) / max(float(filled[LOW:HIGH].sum()), 1e-9)
    shape = (-1, BLOCK, spectrum.shape[1])
    return _Waves((real * kept).reshape(shape), (imag * kept).reshape(shape)), repeated


def _highest_line(real: Array, imag: Array) -> NDArray[np.float64]:
    """Return the largest amplitude that a tone of one frequency has in each bin, 0 to 1, shape=(n_bins,).

    Where a spectrum rises above its mean `AROUND` the tone, it counts less by as much, at most by `WAVES`.

    By two transforms of real numbers, which are in use anyway: a browser would compile a complex one first. They are of
    a round length: 19 blocks take three times as long as 20.
    """
    length = -(-len(real) // FFT_STEP) * FFT_STEP
    one, other = (np.fft.rfft(part.T.astype(np.float64), length) for part in (real, imag))
    both = one.real**2 + one.imag**2 + other.real**2 + other.imag**2
    # A frequency's power has this added, its negative's has it taken off.
    apart = 2.0 * (one.imag * other.real - one.real * other.imag)
    power = np.concatenate([both + apart, (both - apart)[:, -2:0:-1]], axis=1)
    n, far = power.shape[1], AROUND[-1]
    ring = np.concatenate([power[:, -far:], power, power[:, :far]], axis=1)
    near = sum(ring[:, far + step : far + step + n] for step in (*AROUND, *(-step for step in AROUND)))
    near /= 2.0 * len(AROUND) * np.maximum(power.mean(axis=1, keepdims=True), 1e-9)
    return np.asarray(np.sqrt((power / np.clip(near, 1.0, WAVES)).max(axis=1)) / len(real))


def _share_of_bursts(one: _Waves, other: _Waves) -> float:
    """Return which share of what agrees over time lies in the tenth of the frames that agree most, from 0.1 on.

    A frame agrees by how much its differences in phase are like the sum of all other frames'.
    """
    n_frames = one.real.shape[0] * BLOCK
    shape = (n_frames, -1)
    real = (one.real * other.real + one.imag * other.imag).reshape(shape)
    imag = (one.imag * other.real - one.real * other.imag).reshape(shape)
    agree = real @ real.sum(axis=0) + imag @ imag.sum(axis=0)
    agree -= np.einsum("tf,tf->t", real, real) + np.einsum("tf,tf->t", imag, imag)
    most = np.sort(agree)[-max(n_frames // 10, 1) :]
    return float(most.sum()) / max(float(agree.sum()), 1e-9)


def _beyond_chance(one: _Waves, other: _Waves) -> float:
    """Return how much more than by chance pairs of waves keep their difference in phase, at most the number of blocks.

    Each pair's differences are added up over a block, and such sums point the same way in all blocks if there is a
    bond. What two blocks have in common is taken for those at least `APART` apart, over all pairs of waves.
    """
    real, imag = _products(one.real, other.real), _products(one.imag, other.real)
    real += _products(one.imag, other.imag)
    imag -= _products(one.real, other.imag)
    together = (_gram(real) + _gram(imag)).astype(np.float64)
    power = float(np.trace(together)) + EMPTY * one.real.size
    distance, first, second = _pairs(len(real))
    bond = 2.0 * _least(together[first, second], distance) / power
    return float(max(bond - CHANCE / math.sqrt(real.shape[1]), 0.0))


@lru_cache(maxsize=16)
def _pairs(n_blocks: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return how far beyond `APART` each two blocks lie apart, and their numbers; each shape=(n_pairs,)."""
    first, second = np.triu_indices(n_blocks, APART)
    return second - first - APART, first, second


def _least(pairs: NDArray[np.float64], distance: NDArray[np.intp]) -> float:
    """Return the sum of `pairs`, as if all were like the `LEAST_SHARE` at distances that agree least."""
    n_pairs = np.bincount(distance)
    common = np.bincount(distance, pairs)
    order = np.argsort(common / n_pairs)
    taken = np.cumsum(n_pairs[order])
    last = max(1, int((taken <= LEAST_SHARE * taken[-1]).sum()))
    return float(common[order[:last]].sum() / taken[last - 1] * taken[-1])


def _gram(waves: Array) -> Array:
    """Return waves @ waves.T; without a BLAS, as in a browser, this way is the quicker one."""
    return np.asarray(np.einsum("bf,cf->bc", waves, waves))


def _products(one: Array, other: Array) -> Array:
    return np.asarray(np.einsum("btf,btf->bf", one, other))
