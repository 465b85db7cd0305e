"""The signals: what each listens for, its headline number with a unit, and the numbers behind it.

A signal's `describe` turns the per-frame measures of a segment into `vector` (what the model weighs) and
`value` (what people are shown). No signal sees another's numbers, so that the score can be split exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wasm_detector.features import Features
from wasm_detector.frames import N_FFT, Array, energy, frame, relative_power, transform
from wasm_detector.patches import Shape, patch_moments
from wasm_detector.spectral_images import spectral_images
from wasm_detector.spectral_lines import FRAME_RATES, SPACINGS, frame_rate_lines, steady_tones

TINY = np.float32(1e-3)


@dataclass(frozen=True, slots=True)
class Description:
    """One signal of one segment: the headline `value` and the `vector` behind it, shape=(k,)."""

    value: float
    vector: Array


@dataclass(frozen=True, slots=True)
class SignalKind:
    """What a signal is.

    `direction` is +1 when in our recordings a higher `value` is more common in spoof, else -1. It is a weak word: the
    `value` is one number for people to look at, what weighs is the `vector`.
    """

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
    square = unit * unit  # Numpy's ** takes the slow road from the third power on.
    return (share * square * unit).sum(axis=0), np.log((share * square * square).sum(axis=0) + TINY)


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
    return Description(float(np.exp((bend - slope)[1:13]).mean()), np.concatenate([bend, bend - slope]))


def describe_frequency_jitter(features: Features) -> Description:
    """How far each band's instantaneous frequency jumps from frame to frame (bins of 31 Hz)."""
    mean, spread = moments(features.frequency_deviation, features.weight)
    step = features.band_frequency[1:] - features.band_frequency[:-1]
    jump = _log_spread(step, pairwise(features.weight))
    return Description(float(np.exp(jump).mean()), np.concatenate([mean, np.log(spread + TINY), jump]))


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
    """Share of the envelopes' motion that is faster than 100 Hz, where the voice's pulses are (log ratio)."""
    n_blocks = features.flutter.shape[0]
    at = np.minimum((np.arange(n_blocks) * 64 + 64) // 5, features.weight.size - 1)
    mean, _ = moments(features.flutter, features.weight[at])
    by_rate = mean.reshape(7, 8)
    return Description(float(by_rate[4:].mean() - by_rate[:4].mean()), mean)


def describe_fine_structure(features: Features) -> Description:
    """How much the fine pattern within each band changes between frames (0 never to 1 at random)."""
    mean, spread = moments(features.novelty, pairwise(features.weight))
    tilt = features.cells[:, :, 1:] - features.cells[:, :, :-1]
    values = tilt.transpose(0, 2, 1).reshape(-1, tilt.shape[1])
    weight = np.repeat(features.weight, tilt.shape[2])
    skew, kurtosis = shape_moments(values, weight)
    vector = np.concatenate([mean, np.log(spread + TINY), skew, kurtosis, _log_spread(values, weight)])
    return Description(float(mean.mean()), vector)


def cell_moments(values: Array, weight: Array) -> Array:
    """Return the weighted mean and log spread of each column, each weighted by its own; (n, k) -> (2k,)."""
    total = weight.sum(axis=0) + 1e-6
    mean = (weight * values).sum(axis=0) / total
    spread = np.sqrt((weight * (values - mean) ** 2).sum(axis=0) / total)
    return np.concatenate([mean, np.log(spread + TINY)]).astype(np.float32)


def roughness(step: Array) -> Array:
    """Return the log of the mean square over the bins of each cell (nat)."""
    return np.asarray(np.log(np.square(step).mean(axis=2) + np.float32(0.01)))


def cell_weight(level: Array, weight: Array, *, side: int) -> Array:
    """Return how much each cell counts as loud (`side` +1) or quiet (-1) within the speech, shape as `level`.

    A cell is quiet when it lies clearly below its band's usual level: between overtones and syllables, where a room
    and a microphone leave their noise and a synthesiser what it makes of it.
    """
    mean, spread = moments(level, weight)
    below = 1.0 - side * (level - mean) / (0.3 * spread + 0.05)
    share = 1.0 / (1.0 + np.exp(np.minimum(below, 60.0)))
    return np.asarray(share * weight[:, None], dtype=np.float32)


def _cell_texture(
    features: Features, weight: Array, bins: Sequence[int], steps: Sequence[int]
) -> list[Array]:
    """Return flatness, roughness over `bins` and roughness over `steps` frames of the cells, by `weight`."""
    cells = features.cells
    parts = [cell_moments(cells.mean(axis=2) - features.cell_level, weight)]
    parts += [cell_moments(roughness(cells[:, :, d:] - cells[:, :, :-d]), weight) for d in bins]
    for d in steps:
        parts.append(cell_moments(roughness(cells[d:] - cells[:-d]), np.minimum(weight[d:], weight[:-d])))
    return parts


def describe_noise_floor(features: Features) -> Description:
    """How restless the quiet cells within speech are from frame to frame (log mean square step, nat)."""
    weight = cell_weight(features.cell_level, features.weight, side=-1)
    parts = _cell_texture(features, weight, (1, 2), (1, 2, 4, 7))
    return Description(float(parts[3][:16].mean()), np.concatenate(parts))


def describe_voice_texture(features: Features) -> Description:
    """How restless the loud cells are from frame to frame (log mean square step, nat)."""
    weight = cell_weight(features.cell_level, features.weight, side=1)
    parts = _cell_texture(features, weight, (1,), (1, 2))
    return Description(float(parts[2][:16].mean()), np.concatenate(parts))


def _phase_sizes(features: Features, side: int) -> list[Array]:
    weight = cell_weight(features.phase_level, features.weight, side=side)
    return [cell_moments(features.phase_sizes[:, 20 * k : 20 * k + 20], weight) for k in range(3)]


def describe_quiet_phase(features: Features) -> Description:
    """How steadily the phase turns in the quiet parts of the speech (mean cosine, -1 to 1)."""
    parts = _phase_sizes(features, -1)
    return Description(float(parts[2][:20].mean()), np.concatenate(parts))


def describe_loud_phase(features: Features) -> Description:
    """How steadily the phase turns in the loud parts of the speech (mean cosine, -1 to 1)."""
    parts = _phase_sizes(features, 1)
    return Description(float(parts[2][:20].mean()), np.concatenate(parts))


def describe_spectral_steps(features: Features) -> Description:
    """How far every bin steps from frame to frame (log mean square, nat)."""
    parts: list[Array] = []
    for distance in (1, 2, 4):
        step = roughness(features.cells[distance:] - features.cells[:-distance])
        mean, spread = moments(step, pairwise(features.weight, distance))
        parts += [mean, np.log(spread + TINY)]
    return Description(float(parts[0].mean()), np.concatenate(parts))


def describe_overtones(features: Features) -> Description:
    """How far the strongest overtones stand out of their band (crest, nat)."""
    at = np.minimum(np.arange(features.texture.shape[0]) * 2 + 1, features.weight.size - 1)
    mean, spread = moments(features.texture, features.weight[at])
    return Description(float(mean[:16].mean()), np.concatenate([mean, np.log(spread + TINY)]))


def describe_phase_spread(features: Features) -> Description:
    """How far the strong bins of a band disagree about when they sound (log of the spread, share of the window)."""
    parts: list[Array] = []
    for values in (features.frequency_spread, features.delay_spread):
        mean, spread = moments(values, features.weight)
        parts += [mean, np.log(spread + TINY)]
    return Description(float(parts[2].mean()), np.concatenate(parts))


def describe_resonances(features: Features) -> Description:
    """How fast the resonances of the mouth move (spread of the steps of their cepstra, nat per frame)."""
    c, w = features.resonances, features.weight
    step = _log_spread(c[1:] - c[:-1], pairwise(w))
    bend = _log_spread(c[2:] - 2.0 * c[1:-1] + c[:-2], pairwise(w, 2))
    return Description(float(np.exp(step).mean()), np.concatenate([_log_spread(c, w), step, bend]))


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


N_PATCH_BANDS = 60
"""Bands of 125 Hz from 31 Hz on; above them decoders differ."""

DETAIL, LINES, BLOCKS = Shape(6, 6, 20), Shape(4, 12, 24), Shape(8, 8, 24)
MOMENTS = Shape(12, 4, 24)
FINE = Shape(6, 6, 20, hop_bands=3)
OVERTONE_LINES = Shape(4, 10, 20, hop_bands=4)
PULSE_LINES = Shape(10, 4, 20, hop_frames=4)


def _describe_patches(features: Features, shape: Shape) -> Description:
    """Return the patches of the 32 ms spectrogram; the headline is how large the quickest kept coefficients are."""
    vector = patch_moments(features.log_band[:, :N_PATCH_BANDS], features.weight, shape)
    return Description(float(vector[: shape.n_kept][-6:].mean()), vector)


def describe_detail(features: Features) -> Description:
    """How rough small patches of the spectrogram are, 60 ms by 750 Hz (log size of the quick patterns)."""
    return _describe_patches(features, DETAIL)


def describe_lines(features: Features) -> Description:
    """How rough patches are that are short and tall, 40 ms by 1.5 kHz (log size of the quick patterns)."""
    return _describe_patches(features, LINES)


def describe_blocks(features: Features) -> Description:
    """How rough larger patches are, 80 ms by 1 kHz (log size of the quick patterns)."""
    return _describe_patches(features, BLOCKS)


def describe_spectral_images(features: Features) -> Description:
    """How much more than by chance parts of the sound follow others at the clearest exact shift or mirror (nat)."""
    vector = spectral_images(features.spectrum)
    return Description(float(vector.max()), vector)


def describe_frame_rate(features: Features) -> Description:
    """How far the flutter of the high tones stands out at the clearest of the known frame rates (nat)."""
    vector = frame_rate_lines(features.samples)
    return Description(float(vector[: 2 * len(FRAME_RATES) : 2].max()), vector)


def describe_steady_tones(features: Features) -> Description:
    """How far tones at the clearest of the known spacings stand out of what is around them (nat, of power)."""
    vector = steady_tones(features.samples)
    return Description(float(vector[-len(SPACINGS) :].max()), vector)


def describe_moments(features: Features) -> Description:
    """How rough patches are that are long and low, 120 ms by 500 Hz (log size of the quick patterns)."""
    return _describe_patches(features, MOMENTS)


def _other_patches(power: Array, weight: Array, n_bands: int, shape: Shape) -> Description:
    """As `_describe_patches`, for power of another resolution, shape=(n_times, n_bins), two bins to a band."""
    bands = power[:, 1 : 1 + 2 * n_bands].reshape(power.shape[0], n_bands, 2).mean(axis=2)
    at = np.minimum(np.arange(power.shape[0]) * weight.size // power.shape[0], weight.size - 1)
    vector = patch_moments(np.log(bands), weight[at], shape)
    return Description(float(vector[: shape.n_kept][-6:].mean()), vector)


def _spectrogram(samples: Array, n_fft: int, hop_length: int) -> Array:
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    return relative_power(energy(transform(frame(samples, n_fft, hop_length), window)))


def describe_fine_detail(features: Features) -> Description:
    """As `detail`, from steps of 5 ms and bands of 62 Hz (log size of the quick patterns)."""
    return _other_patches(_spectrogram(features.samples, N_FFT, 80), features.weight, 120, FINE)


def describe_overtone_lines(features: Features) -> Description:
    """As `lines`, from 64 ms windows, which show single overtones (log size of the quick patterns)."""
    return _other_patches(_spectrogram(features.samples, 1024, 160), features.weight, 240, OVERTONE_LINES)


def describe_pulse_lines(features: Features) -> Description:
    """As `moments`, from 6 ms windows, which show single pulses of the voice (log size of the quick patterns)."""
    return _other_patches(features.short, features.weight, 24, PULSE_LINES)


def join(described: Sequence[Description]) -> Description:
    """Return all signals' numbers as one vector, for the part that weighs them together."""
    return Description(0.0, np.concatenate([one.vector for one in described]))


SIGNALS: tuple[SignalKind, ...] = (
    SignalKind("cepstral_spread", "nat", -1, "SOUND_RANGE", describe_cepstral_spread),
    SignalKind("cepstral_velocity", "nat/frame", -1, "SOUND_MOTION", describe_cepstral_velocity),
    SignalKind("cepstral_acceleration", "ratio", 1, "SOUND_TURNS", describe_cepstral_acceleration),
    SignalKind("frequency_jitter", "bins", 1, "TONE_JITTER", describe_frequency_jitter),
    SignalKind("delay_concentration", "ratio", 1, "TIMING_SCATTER", describe_delay_concentration),
    SignalKind("phase_drift", "ratio", -1, "PHASE_DRIFT", describe_phase_drift),
    SignalKind("modulation", "nat", -1, "RHYTHM", describe_modulation),
    SignalKind("fine_structure", "ratio", 1, "FINE_TEXTURE", describe_fine_structure),
    SignalKind("noise_floor", "nat", -1, "QUIET_MOMENTS", describe_noise_floor),
    SignalKind("pitch_steadiness", "octaves/frame", -1, "PITCH", describe_pitch_steadiness),
    SignalKind("excitation", "nat", 1, "VOICE_PULSES", describe_excitation),
    SignalKind("pulse_alignment", "correlation", 1, "PULSES_APART", describe_pulse_alignment),
    SignalKind("spectral_steps", "nat", -1, "MOMENT_STEPS", describe_spectral_steps),
    SignalKind("voice_texture", "nat", -1, "VOICE_TEXTURE", describe_voice_texture),
    SignalKind("quiet_phase", "cosine", -1, "QUIET_WAVES", describe_quiet_phase),
    SignalKind("loud_phase", "cosine", -1, "LOUD_WAVES", describe_loud_phase),
    SignalKind("overtones", "nat", -1, "OVERTONES", describe_overtones),
    SignalKind("phase_spread", "nat", 1, "WAVE_SPREAD", describe_phase_spread),
    SignalKind("resonances", "nat/frame", -1, "RESONANCES", describe_resonances),
    SignalKind("rebuilt_phase", "ratio", 1, "REBUILT_SOUND", describe_rebuilt_phase),
    SignalKind("detail", "nat", -1, "PICTURE_DETAIL", describe_detail),
    SignalKind("lines", "nat", -1, "PICTURE_LINES", describe_lines),
    SignalKind("blocks", "nat", -1, "PICTURE_BLOCKS", describe_blocks),
    SignalKind("spectral_images", "nat", 1, "SPECTRAL_IMAGES", describe_spectral_images),
)
"""What the browser's detector listens for, in the order of its weights."""

FORENSIC_SIGNALS: tuple[SignalKind, ...] = (
    *SIGNALS,
    SignalKind("frame_rate", "nat", 1, "FRAME_RATE", describe_frame_rate),
    SignalKind("steady_tones", "nat", 1, "STEADY_TONES", describe_steady_tones),
    SignalKind("moments", "nat", -1, "PICTURE_MOMENTS", describe_moments),
    SignalKind("fine_detail", "nat", -1, "PICTURE_FINE", describe_fine_detail),
    SignalKind("overtone_lines", "nat", -1, "PICTURE_OVERTONES", describe_overtone_lines),
    SignalKind("pulse_lines", "nat", -1, "PICTURE_PULSES", describe_pulse_lines),
)
"""What the server's stronger model listens for.

Where decoders fill high bands with noise of their own (AAC), `frame_rate` and `steady_tones` differ between browser and
server by more than a claim may, so that the browser's detector does without.
"""

TOGETHER = "together"
"""The part of a model that weighs all signals' numbers at once; it comes last."""

KINDS: Mapping[str, SignalKind] = {kind.name: kind for kind in FORENSIC_SIGNALS} | {
    TOGETHER: SignalKind(
        TOGETHER, "similarity", 1, "ALL_TOGETHER", lambda _: Description(0.0, np.zeros(0, np.float32))
    )
}
"""Every signal by its name. The headline of `together` is how near the nearest known recording is (0 to 1)."""

REBUILT_FAMILY = (
    "frequency_jitter", "delay_concentration", "phase_drift", "quiet_phase", "loud_phase", "phase_spread",
    "rebuilt_phase",
)  # fmt: skip
"""The signals for sound that was rebuilt from a spectrogram: inverting its phase leaves traces in all of these."""


def describe_all(
    features: Features, names: Sequence[str], known: dict[str, Description] | None = None
) -> list[Description]:
    """Return the named signals' descriptions, in order; `together` joins those before it.

    What is in `known` is not computed again, and what is computed is added: models that share signals share the work.
    """
    known = {} if known is None else known
    described: list[Description] = []
    for name in names:
        if name == TOGETHER:
            described.append(join(described))
            continue
        if name not in known:
            known[name] = KINDS[name].describe(features)
        described.append(known[name])
    return described
