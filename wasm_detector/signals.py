"""The signals: what each listens for, its headline number with a unit, and the numbers behind it.

A signal's `describe` turns the per-frame measures of a segment into `vector` (what the model weighs) and
`value` (what people are shown). No signal sees another's numbers, so that the score can be split exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wasm_detector.features import FRAME_RATE, Features, dct_basis
from wasm_detector.frames import Array

MODULATION_EDGES_HZ = (1.0, 2.5, 4.5, 7.0, 10.0, 14.0, 19.0, 26.0, 36.0, 50.0)
TINY = np.float32(1e-3)


@dataclass(frozen=True, slots=True)
class Description:
    """One signal of one segment: the headline `value` and the `vector` behind it, shape=(k,)."""

    value: float
    vector: Array


@dataclass(frozen=True, slots=True)
class SignalKind:
    """What a signal is. `direction` is +1 when a higher `value` means more like spoof, else -1."""

    name: str
    unit: str
    direction: int
    code: str
    describe: Callable[[Features], Description]


def moments(values: Array, weight: Array) -> tuple[Array, Array]:
    """Return the weighted mean and standard deviation over frames; (n_frames, k) -> two of shape (k,)."""
    share = (weight / (weight.sum() + 1e-9)).astype(np.float32)[:, None]
    mean = (share * values).sum(axis=0)
    return mean, np.sqrt((share * (values - mean) ** 2).sum(axis=0))


def shape_moments(values: Array, weight: Array) -> tuple[Array, Array]:
    """Return the weighted skewness and the log of the kurtosis over frames, each shape=(k,)."""
    mean, spread = moments(values, weight)
    share = (weight / (weight.sum() + 1e-9)).astype(np.float32)[:, None]
    unit = (values - mean) / (spread + TINY)
    return (share * unit**3).sum(axis=0), np.log((share * unit**4).sum(axis=0) + TINY)


def pairwise(weight: Array, distance: int = 1) -> Array:
    """Return the weight of differences between frames `distance` apart."""
    return np.asarray(weight[distance:] * weight[:-distance])


def _log_spread(values: Array, weight: Array) -> Array:
    return np.asarray(np.log(moments(values, weight)[1] + TINY))


def describe_cepstral_spread(features: Features) -> Description:
    """Spread of the cepstra: how far the sound moves between its extremes (nat)."""
    spread = _log_spread(features.lfcc[:, 1:], features.weight)
    return Description(float(np.exp(spread[12:]).mean()), spread)


def describe_cepstral_velocity(features: Features) -> Description:
    """Spread of the cepstra's steps from frame to frame (nat per frame)."""
    step = features.lfcc[1:] - features.lfcc[:-1]
    spread = _log_spread(step, pairwise(features.weight))
    return Description(float(np.exp(spread[12:]).mean()), spread)


def describe_cepstral_acceleration(features: Features) -> Description:
    """Spread of the second difference of the cepstra over 40 ms, relative to the first (ratio)."""
    c, w = features.lfcc, features.weight
    bend = _log_spread(c[4:] - 2.0 * c[2:-2] + c[:-4], pairwise(w, 4) * w[2:-2])
    slope = _log_spread(c[4:] - c[:-4], pairwise(w, 4))
    return Description(float(np.exp((bend - slope)[12:]).mean()), np.concatenate([bend, bend - slope]))


def describe_frequency_jitter(features: Features) -> Description:
    """How far the energy lies from where a steady tone in its bin would be (bins of 31 Hz)."""
    mean, spread = moments(features.frequency_deviation, features.weight)
    step = features.band_frequency[1:] - features.band_frequency[:-1]
    return Description(
        float(mean.mean()),
        np.concatenate([mean, np.log(spread + TINY), _log_spread(step, pairwise(features.weight))]),
    )


def describe_delay_concentration(features: Features) -> Description:
    """How well the bins of a band agree on when their sound happens (0 scattered to 1 together)."""
    mean, spread = moments(features.delay_concentration, features.weight)
    step = features.band_delay[1:] - features.band_delay[:-1]
    return Description(
        float(mean.mean()),
        np.concatenate([mean, np.log(spread + TINY), _log_spread(step, pairwise(features.weight))]),
    )


def describe_phase_drift(features: Features) -> Description:
    """How steadily the phase turns from frame to frame (0 at random to 1 like a clock)."""
    mean, spread = moments(features.drift_concentration, features.weight[1:-1])
    return Description(float(mean[:10].mean()), np.concatenate([mean, np.log(spread + TINY)]))


def describe_modulation(features: Features) -> Description:
    """Share of the envelopes' motion between 10 and 50 Hz, faster than syllables (share of power)."""
    n = features.log_band.shape[0]
    bands = features.log_band.reshape(n, 16, 4).mean(axis=2)
    weight = features.weight[:, None]
    centred = (bands - moments(bands, features.weight)[0]) * weight
    window = np.hanning(n).astype(np.float32)[:, None]
    spectrum = np.fft.rfft(centred * window, axis=0)
    power = spectrum.real**2 + spectrum.imag**2
    rate = np.fft.rfftfreq(n, 1.0 / FRAME_RATE)
    slices = [
        power[(rate >= low) & (rate < high)].mean(axis=0)
        for low, high in itertools.pairwise(MODULATION_EDGES_HZ)
    ]
    level = np.log(np.stack(slices) + TINY)
    in_range = power[rate >= 1.0].sum(axis=0) + TINY
    fast = power[rate >= 10.0].sum(axis=0) / in_range
    return Description(float(fast.mean()), (level - level.mean(axis=0)).ravel())


def describe_fine_structure(features: Features) -> Description:
    """How much the fine pattern within each band changes between frames (0 never to 1 at random)."""
    mean, spread = moments(features.novelty, pairwise(features.weight))
    tilt = features.log_power[:, 2:257] - features.log_power[:, 1:256]
    weight = np.repeat(features.weight, 15)
    per_band = [tilt[:, 16 * k : 16 * k + 15].reshape(-1, 1) for k in range(16)]
    shapes = [shape_moments(values, weight) for values in per_band]
    scale = [np.log(moments(values, weight)[1] + TINY) for values in per_band]
    skew, kurtosis = (np.concatenate(column) for column in zip(*shapes, strict=True))
    return Description(
        float(mean.mean()),
        np.concatenate([mean, np.log(spread + TINY), skew, kurtosis, np.concatenate(scale)]),
    )


def describe_noise_floor(features: Features) -> Description:
    """How the quiet moments within speech are distributed in each band (depth below the mean, nat)."""
    n = features.log_band.shape[0]
    bands = features.log_band.reshape(n, 16, 4).mean(axis=2)
    skew, kurtosis = shape_moments(bands, features.weight)
    mean, spread = moments(bands, features.weight)
    share = (features.weight / (features.weight.sum() + 1e-9))[:, None]
    soft_low = -np.log((share * np.exp(mean - bands)).sum(axis=0) + TINY)  # A soft minimum.
    soft_high = np.log((share * np.exp(bands - mean)).sum(axis=0) + TINY)
    vector = np.concatenate([skew, kurtosis, np.log(spread + TINY), soft_low, soft_high])
    return Description(float(-soft_low.mean()), vector)


def describe_pitch_steadiness(features: Features) -> Description:
    """How little the pitch moves between voiced frames (octaves per frame)."""
    voiced = features.weight * np.clip((features.periodicity - 0.4) / 0.4, 0.0, 1.0)
    step = np.clip(np.abs(features.lag[1:] - features.lag[:-1]), 0.0, 0.15)[:, None]
    bend = np.clip(np.abs(features.lag[2:] - 2 * features.lag[1:-1] + features.lag[:-2]), 0.0, 0.15)[:, None]
    mean_step, spread_step = moments(step, pairwise(voiced))
    mean_bend, spread_bend = moments(bend, pairwise(voiced, 2))
    strength = features.periodicity[:, None]
    mean_strength, spread_strength = moments(strength, features.weight)
    mean_change, spread_change = moments(np.abs(strength[1:] - strength[:-1]), pairwise(features.weight))
    _, lag_spread = moments(features.lag[:, None], voiced)
    vector = np.concatenate(
        [
            np.log(mean_step + TINY), np.log(spread_step + TINY),
            np.log(mean_bend + TINY), np.log(spread_bend + TINY),
            mean_strength, np.log(spread_strength + TINY),
            np.log(mean_change + TINY), np.log(spread_change + TINY),
            np.log(lag_spread + 0.01),
            *shape_moments(strength, features.weight),
        ]
    )  # fmt: skip
    return Description(float(mean_step[0]), vector.astype(np.float32))


def describe_bandwidth(features: Features) -> Description:
    """How the high bands follow the low ones (correlation, -1 to 1)."""
    n = features.log_band.shape[0]
    bands = features.log_band.reshape(n, 8, 8).mean(axis=2)
    mean, spread = moments(bands, features.weight)
    unit = (bands - mean) / (spread + np.float32(0.05))
    share = features.weight / (features.weight.sum() + 1e-9)
    correlation = (unit * share[:, None]).T @ unit
    upper = correlation[np.triu_indices(8, 1)]
    tilt = unit @ dct_basis(8, 4)
    step = _log_spread(tilt[1:] - tilt[:-1], pairwise(features.weight))
    return Description(float(correlation[:3, 4:].mean()), np.concatenate([upper, step]).astype(np.float32))


def describe_excitation(features: Features) -> Description:
    """How peaky the sound is once the resonances are taken out (log kurtosis of the residual)."""
    voiced = features.weight * np.clip((features.periodicity - 0.4) / 0.4, 0.0, 1.0)
    parts = []
    for weight in (features.weight, voiced):
        mean, spread = moments(features.residual, weight)
        mean[1] = abs(mean[1])  # Polarity must not matter.
        parts += [mean, np.log(spread + TINY)]
    step = features.residual[1:] - features.residual[:-1]
    parts.append(_log_spread(step, pairwise(features.weight)))
    return Description(float(parts[0][2]), np.concatenate(parts))


def describe_pulse_alignment(features: Features) -> Description:
    """How well the voice's pulses reach all bands at once (correlation, -1 to 1)."""
    n = features.pulse_alignment.shape[0]
    at = np.minimum(np.arange(n) * 32 // 10 + 2, features.weight.size - 1)
    weight = features.weight[at]
    parts: list[Array] = []
    for values in (features.pulse_alignment, features.pulse_sharpness):
        mean, spread = moments(values, weight)
        parts += [mean, np.log(spread + TINY)]
    return Description(float(parts[0][-1]), np.concatenate(parts))


def describe_energy_dynamics(features: Features) -> Description:
    """How abruptly loudness changes while there is speech (nat per frame)."""
    bands = features.log_band.reshape(features.log_band.shape[0], 4, 16).mean(axis=2)
    parts = []
    for distance in (1, 3, 8):
        step = bands[distance:] - bands[:-distance]
        weight = pairwise(features.weight, distance)
        skew, kurtosis = shape_moments(step, weight)
        parts += [_log_spread(step, weight), skew, kurtosis]
    return Description(float(np.exp(parts[0]).mean()), np.concatenate(parts))


def describe_splices(features: Features) -> Description:
    """How far the sharpest breaks stand out from the usual change between moments (ratio)."""
    at = np.minimum(np.arange(features.flux.size) // 5, features.weight.size - 1)
    weight = features.weight[at]
    flux = np.log(features.flux[:, None] + 0.1)
    mean, spread = moments(flux, weight)
    skew, kurtosis = shape_moments(flux, weight)
    share = (weight / (weight.sum() + 1e-9))[:, None]
    sharp = np.log((share * np.exp(4.0 * (flux - mean))).sum(axis=0) + TINY) / 4.0  # A soft maximum.
    step = np.abs(flux[1:] - flux[:-1])
    step_mean, step_spread = moments(step, pairwise(weight))
    vector = np.concatenate([mean, np.log(spread), skew, kurtosis, sharp, step_mean, np.log(step_spread)])
    return Description(float(np.exp(sharp[0])), vector.astype(np.float32))


def describe_rebuilt_phase(features: Features) -> Description:
    """How much steadier the phase is in voiced than in other sound (difference of concentration)."""
    voiced = np.clip((features.periodicity - 0.4) / 0.4, 0.0, 1.0)
    parts = []
    for values, cut in (
        (features.drift_concentration, slice(1, -1)),
        (features.delay_concentration, slice(None)),
        (features.frequency_deviation, slice(None)),
    ):
        weight, tone = features.weight[cut], voiced[cut]
        inside, _ = moments(values, weight * tone + TINY)
        outside, _ = moments(values, weight * (1.0 - tone) + TINY)
        parts += [inside, inside - outside]
    return Description(float(parts[1][:10].mean()), np.concatenate(parts))


SIGNALS: tuple[SignalKind, ...] = (
    SignalKind("cepstral_spread", "nat", -1, "SOUND_RANGE", describe_cepstral_spread),
    SignalKind("cepstral_velocity", "nat/frame", -1, "SOUND_MOTION", describe_cepstral_velocity),
    SignalKind("cepstral_acceleration", "ratio", -1, "SOUND_TURNS", describe_cepstral_acceleration),
    SignalKind("frequency_jitter", "bins", 1, "TONE_JITTER", describe_frequency_jitter),
    SignalKind("delay_concentration", "ratio", -1, "TIMING_SCATTER", describe_delay_concentration),
    SignalKind("phase_drift", "ratio", -1, "PHASE_DRIFT", describe_phase_drift),
    SignalKind("modulation", "share", -1, "RHYTHM", describe_modulation),
    SignalKind("fine_structure", "ratio", -1, "FINE_TEXTURE", describe_fine_structure),
    SignalKind("noise_floor", "nat", 1, "QUIET_MOMENTS", describe_noise_floor),
    SignalKind("pitch_steadiness", "octaves/frame", -1, "PITCH", describe_pitch_steadiness),
    SignalKind("bandwidth", "correlation", 1, "HIGH_BANDS", describe_bandwidth),
    SignalKind("excitation", "nat", -1, "VOICE_PULSES", describe_excitation),
    SignalKind("pulse_alignment", "correlation", -1, "PULSES_APART", describe_pulse_alignment),
    SignalKind("energy_dynamics", "nat/frame", -1, "LOUDNESS_STEPS", describe_energy_dynamics),
    SignalKind("splices", "ratio", 1, "BREAKS", describe_splices),
    SignalKind("rebuilt_phase", "ratio", 1, "REBUILT_SOUND", describe_rebuilt_phase),
)
"""Every signal, in the order of the model's weights."""
