"""Every signal: what should raise it does raise it, and nothing that must not matter does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prelisten.lab import pictures
from tests.recordings import speech_like
from tests.unit.wasm_detector import sounds
from wasm_detector.features import measure
from wasm_detector.frames import analyse
from wasm_detector.reasons import retired_codes, signal_codes
from wasm_detector.signals import FORENSIC_SIGNALS, KINDS, REBUILT_FAMILY, SIGNALS, TOGETHER, describe_all

RAISED_BY = {  # name: (what has less of it, what has more)
    "cepstral_spread": (sounds.gliding(2.0, 100.0), sounds.gliding(2.0)),
    "cepstral_velocity": (sounds.gliding(1.0), sounds.gliding(6.0)),
    "cepstral_acceleration": (sounds.gliding(3.0, source=sounds.overtones()), sounds.noise()),
    "frequency_jitter": (sounds.overtones(), sounds.noise()),
    "delay_concentration": (sounds.noise(), sounds.pulses(60.0)),
    "phase_drift": (sounds.noise(), sounds.overtones()),
    "modulation": (sounds.beating(sounds.noise(), 20.0), sounds.beating(sounds.noise(), 170.0)),
    "fine_structure": (sounds.overtones(), sounds.noise()),
    "noise_floor": (sounds.overtones(), sounds.overtones() + 0.3 * sounds.noise()),
    "pitch_steadiness": (sounds.pulses(), sounds.jumping_pitch()),
    "excitation": (sounds.noise(), sounds.pulses()),
    "pulse_alignment": (sounds.noise(), sounds.pulses()),
    "spectral_steps": (sounds.overtones(), sounds.noise()),
    "voice_texture": (sounds.overtones(), sounds.noise()),
    "quiet_phase": (sounds.overtones() + sounds.noise() * 3, sounds.overtones()),
    "loud_phase": (sounds.noise(), sounds.overtones()),
    "overtones": (sounds.noise(), sounds.overtones()),
    "phase_spread": (sounds.pulses(60.0), sounds.noise()),
    "resonances": (sounds.gliding(1.0), sounds.gliding(6.0)),
    "detail": (sounds.overtones(), sounds.noise()),
    "lines": (sounds.overtones(), sounds.noise()),
    "blocks": (sounds.overtones(), sounds.noise()),
    "spectral_images": (sounds.noise(), sounds.beating(sounds.noise(), 1_000.0)),
    "frame_rate": (sounds.noise(), sounds.beating(sounds.noise(), 100.0)),
    "steady_tones": (sounds.noise(), sounds.noise() + 0.1 * sounds.overtones(689.06)),
    "moments": (sounds.overtones(), sounds.noise()),
    "fine_detail": (sounds.overtones(), sounds.noise()),
    "overtone_lines": (sounds.overtones(), sounds.noise()),
    "pulse_lines": (sounds.overtones(), sounds.noise()),
    "rebuilt_phase": (sounds.voiced_and_unvoiced(steady=False), sounds.voiced_and_unvoiced(steady=True)),
}


def described(name: str, samples: np.ndarray):
    return KINDS[name].describe(measure(analyse(samples.astype(np.float32))))


def test_every_signal_has_its_direction_test():
    """A new signal must say what raises it."""
    assert set(RAISED_BY) == {kind.name for kind in FORENSIC_SIGNALS}


@pytest.mark.parametrize("name", RAISED_BY)
def test_what_should_raise_a_signal_raises_it(name):
    """The headline value is higher by a clear step."""
    less, more = (described(name, sound).value for sound in RAISED_BY[name])
    assert more > less + 0.02 * abs(less)


@pytest.mark.parametrize("name", RAISED_BY)
def test_gain_and_polarity_move_no_signal(name):
    """Loudness must not tell genuine from synthetic."""
    voice = speech_like(2.0, seed=2)
    np.testing.assert_allclose(described(name, -0.1 * voice).vector, described(name, voice).vector, atol=2e-3)


@pytest.mark.parametrize("name", RAISED_BY)
def test_every_number_is_finite_at_the_edges(name):
    """Pure tones, one click and near silence give numbers, whatever they are worth."""
    click = np.zeros(8_000)
    click[4_000] = 1.0
    for sound in (np.sin(np.arange(8_000) * 0.3), click, 1e-4 * np.random.default_rng(0).normal(size=8_000)):
        assert np.isfinite(described(name, sound).vector).all()


def test_a_sound_rebuilt_from_its_spectrogram_loses_its_phases():
    """Griffin and Lim's method keeps the magnitudes; the phase signals notice, in at least two ways."""
    voice = pictures.voice(2.0, seed=1)
    rebuilt = sounds.griffin_lim(voice)
    assert described("phase_spread", rebuilt).value > described("phase_spread", voice).value
    assert described("delay_concentration", rebuilt).value < described("delay_concentration", voice).value


def test_codes_units_and_names_are_unique_and_catalogued():
    """Each signal has a stable code of its own, in the order of the catalogue."""
    assert tuple(kind.code for kind in KINDS.values()) == signal_codes()
    assert not set(signal_codes()) & set(retired_codes())
    assert FORENSIC_SIGNALS[: len(SIGNALS)] == SIGNALS
    assert all(kind.unit and kind.direction in (-1, 1) for kind in KINDS.values())
    assert set(REBUILT_FAMILY) < {kind.name for kind in SIGNALS}


@pytest.mark.parametrize("name", [kind.name for kind in FORENSIC_SIGNALS])
@pytest.mark.parametrize(
    "change", [lambda voice: 0.01 * voice, lambda voice: -voice], ids=["gain", "polarity"]
)
def test_gain_and_polarity_do_not_matter(name, change):
    """A louder recording, or a microphone wired the other way round, is the same recording."""
    voice = speech_like(2.0, seed=3).astype(np.float64)
    assert np.allclose(described(name, change(voice)).vector, described(name, voice).vector, atol=2e-2)


def test_the_joined_numbers_are_all_numbers():
    """The part over all signals sees what they see, in their order, and nothing else."""
    features = measure(analyse(speech_like(1.0, seed=2)))
    names = [kind.name for kind in SIGNALS]
    *own, joined = describe_all(features, [*names, TOGETHER])
    assert np.array_equal(joined.vector, np.concatenate([one.vector for one in own]))


def test_the_page_tells_of_every_signal():
    """Its measure, and what fools it."""
    page = (Path(__file__).parents[3] / "web/docs/detector.md").read_text("utf-8")
    assert [name for name in KINDS if f"`{name}`" not in page] == []
