"""Spectral images: each copy stands at its own shift or mirror, and other sounds have next to nothing."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve, firwin, hilbert, lfilter, resample, resample_poly

from tests.recordings import encoded_by_av, in_noise, speech_like
from wasm_detector.frames import analyse
from wasm_detector.spectral_images import MIRRORS, RATE, SHIFTS, spectral_images

Samples = NDArray[np.float64]
N = 4 * RATE
TIME = np.arange(N) / RATE
TONES_OF_1_KHZ = 1_000.0 * np.arange(1, 8)
PLACES = [*(("moved", hz) for hz in SHIFTS), *(("mirrored", hz) for hz in MIRRORS)]


def images(samples: Samples) -> dict[tuple[str, float], float]:
    """Return each number by its kind and its frequency."""
    found = spectral_images(analyse(samples.astype(np.float32)).spectrum)
    return dict(zip(PLACES, found.tolist(), strict=True))


def white(seed: int) -> Samples:
    return np.random.default_rng(seed).normal(size=N)


def dark(seed: int) -> Samples:
    """Noise that falls by 30 dB from the lowest to the highest tones."""
    return lfilter([1.0], [1.0, -0.94], white(seed))


def voice(seed: int) -> Samples:
    return speech_like(4.0, seed=seed).astype(np.float64)


def band(sound: Samples, low: float, high: float) -> Samples:
    """Return nothing but what is between two frequencies."""
    spectrum, hertz = np.fft.rfft(sound), np.fft.rfftfreq(sound.size, 1 / RATE)
    return np.fft.irfft(np.where((hertz >= low) & (hertz < high), spectrum, 0.0), sound.size)


def moved(sound: Samples, hertz: float) -> Samples:
    """Return the sound with every tone so much higher, as loud as before."""
    return (hilbert(sound) * np.exp(2j * np.pi * hertz * TIME)).real


def mirrored(sound: Samples, hertz: float) -> Samples:
    """Return the sound with every tone as far above a frequency as it was below."""
    return (hilbert(sound).conj() * np.exp(4j * np.pi * hertz * TIME)).real


def with_tones(sound: Samples, hertz: Samples, below_db: float) -> Samples:
    """Return the sound with steady tones, the higher ones fainter, all together so far below it."""
    tones = sum(np.sin(2 * np.pi * hz * TIME + k * k) / np.sqrt(hz) for k, hz in enumerate(hertz))
    return sound + tones * (sound.std() / tones.std()) * 10.0 ** (-below_db / 20.0)


def buzz(mains_hz: float) -> Samples:
    """Return the tones of lamps and chargers: twice the mains' and its multiples, up to 4 kHz."""
    return np.arange(2.0 * mains_hz, 4_000.0, 2.0 * mains_hz)


def added(sound: Samples, plain: Samples) -> float:
    """Return by how much the number that grew most has grown."""
    before, after = images(plain), images(sound)
    return max(after[place] - before[place] for place in PLACES)


def decoded(file: bytes, decoder: str) -> Samples:
    """Return an MP3 at 16 kHz as one of two decoders has it."""
    context = av.CodecContext.create(decoder, "r")
    with av.open(io.BytesIO(file)) as opened:
        frames = [one.to_ndarray()[0] for packet in opened.demux(audio=0) for one in context.decode(packet)]
    pieces = [one / 32_768.0 if one.dtype == np.int16 else one for one in frames]
    return np.concatenate(pieces).astype(np.float64)


def stretched(sound: Samples, factor: int, rate: int = RATE, leak: float = 0.1) -> Samples:
    """Return a sound whose samples were made at `rate` from one in `factor`, by a filter that leaks images.

    Noughts go between the samples that are kept, then the filter passes a share of `leak` of everything.
    """
    work = resample(sound, N * rate // RATE)
    spread = np.zeros(work.size)
    spread[::factor] = resample_poly(work, 1, factor)
    smooth = lfilter(firwin(64 * factor + 1, 0.95 / factor) * factor, 1.0, spread)
    return resample(smooth + leak * spread, N)


def images_of_steps(hertz: float) -> set[tuple[str, float]]:
    """Return where one must expect images when every `hertz` the spectrum is repeated."""
    return {
        (kind, place)
        for kind, place in PLACES
        if (place if kind == "moved" else 2.0 * place) / hertz % 1.0 == 0.0
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [white, dark, voice])
def test_sounds_without_copies_have_next_to_nothing(make, seed):
    """Chance and a voice's own overtones stay low: 0 nearly everywhere, and nowhere much."""
    found = np.array(list(images(make(seed)).values()))
    assert found.max() < 0.8
    assert found.mean() < 0.04
    assert np.median(found) == 0.0


@pytest.mark.parametrize(
    ("make", "rate", "factor"),
    [
        *((white, rate, factor) for rate in (16_000, 22_050, 24_000) for factor in (4, 8, 16)),
        *((voice, rate, factor) for rate in (16_000, 22_050, 24_000) for factor in (4, 8)),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_stretched_sounds_have_the_images_of_their_rate_and_no_others(make, rate, factor, seed):
    """Multiples of the rate from which they were stretched, and mirrors at multiples of half of it.

    The same waves are in several places, so chance counts several times: elsewhere it stays low, not nought.
    """
    found, expected = images(stretched(make(seed), factor, rate)), images_of_steps(rate / factor)
    assert expected
    assert min(found[place] for place in expected) > 3.5
    assert max(height for place, height in found.items() if place not in expected) < 2.0


@pytest.mark.parametrize("hertz", SHIFTS)
def test_a_copy_that_was_moved_stands_at_its_shift_alone(hertz):
    """One copy only, of noise, so that there are no images of images."""
    below = band(white(3), 600.0, 7_900.0 - hertz)
    found = images(white(4) * 0.02 + below + 0.5 * moved(below, hertz))
    assert found.pop(("moved", hertz)) > 2.0
    assert max(found.values()) < 0.6


@pytest.mark.parametrize("hertz", MIRRORS)
def test_a_copy_that_was_mirrored_stands_at_its_mirror_alone(hertz):
    """What is above the mirror is what is below it, upside down."""
    below = band(white(5), max(600.0, 2.0 * hertz - 7_800.0), hertz)
    found = images(white(6) * 0.02 + below + 0.3 * mirrored(below, hertz))
    assert found.pop(("mirrored", hertz)) > 3.5
    assert max(found.values()) < 0.6


@pytest.mark.parametrize("beside", [-100.0, -25.0, -20.0, -5.0, 3.0, 12.5, 20.0, 50.0])
@pytest.mark.parametrize("make", [white, voice])
def test_a_copy_that_was_moved_by_another_amount_is_none(make, beside):
    """Nobody's steps are there: what is exact counts, not what is near."""
    sound = make(2)
    below = band(sound, 600.0, 6_500.0)

    def height(hertz: float) -> float:
        return images(sound + 0.3 * moved(below, hertz))["moved", 1_200.0]

    assert height(1_200.0) > 1.5
    assert height(1_200.0 + beside) == 0.0


@pytest.mark.parametrize("beside", [-10.0, -2.0, -1.0, 2.5, 10.0])
def test_a_copy_that_was_mirrored_elsewhere_is_none(beside):
    """Near 6 kHz is not at 6 kHz."""
    below = band(white(7), 4_300.0, 5_900.0)
    at, near = (
        images(below + 0.01 * white(8) + 0.3 * mirrored(below, hertz))["mirrored", 6_000.0]
        for hertz in (6_000.0, 6_000.0 + beside)
    )
    assert at > 4.0
    assert near < 0.3


@pytest.mark.parametrize("make", [voice, lambda seed: stretched(voice(seed), 8)], ids=["voice", "stretched"])
def test_gain_and_polarity_change_nothing(make):
    """Polarity and powers of two not by a bit, other gains by no more than rounding."""
    sound = make(9)
    found = list(images(sound).values())
    assert list(images(-sound).values()) == found
    assert list(images(0.25 * sound).values()) == found
    np.testing.assert_allclose(list(images(0.0123 * sound).values()), found, atol=1e-4)


@pytest.mark.parametrize("below_db", [20.0, 40.0, 50.0])
def test_a_faint_copy_is_found_where_nothing_covers_it(below_db):
    """Phases count, loudness does not: it is far below the voice, and as clear as ever."""
    low = band(voice(3), 600.0, 3_700.0)
    copy = 10.0 ** (-below_db / 20.0) * moved(low, 4_000.0)
    assert images(in_noise(low + copy, snr_db=below_db + 25.0))["moved", 4_000.0] > 2.0


def test_a_faint_copy_is_not_found_where_something_covers_it():
    """Noise that is 30 dB louder than it has phases of its own."""
    low = band(voice(3), 600.0, 3_700.0)
    copy = 0.01 * moved(low, 4_000.0)
    assert images(in_noise(low + copy, snr_db=10.0))["moved", 4_000.0] < 0.3


def test_the_copy_may_pause():
    """It need not be there all the time: half of it is enough."""
    sound = white(10)
    below = band(sound, 600.0, 3_700.0)
    there = ((TIME > 0.2) & (TIME < 0.9)) | ((TIME > 1.6) & (TIME < 2.9))
    part = np.where(there, moved(below, 4_000.0), band(sound, 4_600.0, 7_800.0))
    assert images(below + part)["moved", 4_000.0] > 1.5


@pytest.mark.parametrize("seconds", [0.25, 0.4, 0.47, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(2))
def test_what_repeats_itself_is_no_copy(seconds, seed):
    """Drums in a loop behind a voice: they come back exactly, at their own distance alone."""
    n = int(seconds * RATE)
    beat = white(seed + 20)[:n] * np.exp(-TIME[:n] * 30.0)
    found = images(voice(seed) + np.resize(beat, N) * voice(seed).std() / beat.std() * 0.5)
    assert np.mean(list(found.values())) < 0.25


@pytest.mark.parametrize(
    "sound",
    [np.zeros(N), np.full(N, 0.3), np.eye(1, N, 30_000)[0], white(0)[:1_280], white(0)[:512]],
    ids=["silence", "constant", "one click", "0.08 s", "32 ms"],
)
def test_where_there_is_nothing_all_is_nought(sound):
    """No number is undefined."""
    assert set(images(sound).values()) == {0.0}


@pytest.mark.parametrize("n_samples", [512, 1_631, 1_632, 1_793, 8_000, 9_973, 64_001])
@pytest.mark.parametrize("factor", [1, 8])
def test_segments_of_any_length_have_as_many_numbers(n_samples, factor):
    """From one frame on, finite and never below nought."""
    sound = stretched(white(11), factor)[20_000 : 20_000 + n_samples]
    if n_samples > sound.size:
        sound = np.pad(sound, (0, n_samples - sound.size))
    found = spectral_images(analyse(sound.astype(np.float32)).spectrum)
    assert found.shape == (len(SHIFTS) + len(MIRRORS),) == (23,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (found >= 0.0).all()


def test_the_numbers_keep_their_places():
    """Weights are learnt by place: rates ascend, and a new one among them is a new model."""
    assert list(SHIFTS) == sorted(set(SHIFTS))
    assert list(MIRRORS) == sorted(set(MIRRORS))
    rates = (24_000, 22_050, 16_000)
    counts = [[len(images_of_steps(rate / factor)) for factor in (4, 8, 16)] for rate in rates]
    assert counts == [[2, 2, 3], [1, 2, 3], [2, 4, 4]]


@pytest.mark.parametrize(
    ("seconds", "least"), [(0.5, 0.0), (0.8, 0.0), (1.0, 0.3), (1.5, 2.0), (2.0, 2.5), (4.0, 3.5)]
)
@pytest.mark.parametrize("make", [white, voice])
def test_a_copy_is_the_clearer_the_longer_it_lasts(make, seconds, least):
    """A second is the least; in shorter segments no blocks are far enough apart, and all is nought."""
    n = round(seconds * RATE)
    plain, copied = (list(images(sound[-n:]).values()) for sound in (make(12), stretched(make(12), 8)))
    expected = [place in images_of_steps(2_000.0) for place in PLACES]
    assert sum(expected) == 4
    assert max(plain) < 0.8
    assert min(np.array(copied)[expected]) >= least
    assert any(copied) == (least > 0.0)


def test_the_spectrum_is_left_as_it_was():
    """Other signals read it too."""
    spectrum = analyse(white(13).astype(np.float32)).spectrum
    before = spectrum.copy()
    first, second = spectral_images(spectrum), spectral_images(spectrum)
    np.testing.assert_array_equal(spectrum, before)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("gain", [1.0, 0.99, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_what_rounding_leaves_in_an_empty_band_tells_nothing(seed, gain):
    """A narrow voice as 16 bits, a little louder or softer: what is above it differs, the numbers do not."""
    narrow = lfilter(firwin(801, 3_600.0, fs=RATE), 1.0, voice(seed))
    before, after = (
        np.array(list(images(sound).values()))
        for sound in (narrow, np.round(gain * narrow * 32_767) / 32_768)
    )
    np.testing.assert_allclose(after, before, atol=0.12)


@pytest.mark.parametrize("seed", range(3))
def test_two_decoders_have_the_same_images(seed):
    """One counts in fractions, one in whole numbers: what they leave in the empty band differs."""
    narrow = lfilter(firwin(801, 3_600.0, fs=RATE), 1.0, voice(seed))
    file = encoded_by_av(narrow, container="mp3", codec="libmp3lame")
    one, other = (list(images(decoded(file, decoder)).values()) for decoder in ("mp3float", "mp3"))
    np.testing.assert_allclose(one, other, atol=0.1)


@pytest.mark.parametrize("below_db", [20.0, 30.0, 40.0])
@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
@pytest.mark.parametrize("seed", range(3))
def test_mains_buzz_adds_little(seed, mains_hz, below_db):
    """All its tones are exact multiples, so that each is a copy of each other one, and yet no image."""
    assert added(with_tones(voice(seed), buzz(mains_hz), below_db), voice(seed)) < 1.2


@pytest.mark.parametrize("below_db", [20.0, 30.0, 40.0])
@pytest.mark.parametrize("make", [white, voice])
@pytest.mark.parametrize("seed", range(3))
def test_tones_at_multiples_of_1_khz_add_nearly_nothing(seed, make, below_db):
    """Such as a computer's USB leaves in a microphone's cable."""
    assert added(with_tones(make(seed), TONES_OF_1_KHZ, below_db), make(seed)) < 0.5


@pytest.mark.parametrize("below_db", [5.0, 20.0])
@pytest.mark.parametrize("seed", range(2))
def test_images_are_found_under_steady_tones(seed, below_db):
    """Bins with a tone are left out, the others tell enough."""
    found = images(with_tones(stretched(voice(seed), 8), TONES_OF_1_KHZ, below_db))
    assert found["moved", 2_000.0] > 3.5
    assert found["mirrored", 6_000.0] > 3.5


def alarm(pitch: float, on: float, period: float) -> Samples:
    """Return a tone with overtones that is switched on and off, always in the same way."""
    tone = sum(np.sin(2 * np.pi * pitch * k * TIME) / k for k in range(1, int(RATE / 2 / pitch)))
    return tone * (TIME % period < on * period)


@pytest.mark.parametrize("below_db", [5.0, 15.0])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "repeated",
    [
        *(alarm(pitch, 0.5, 0.4) for pitch in (100.0, 200.0, 400.0)),
        np.resize(white(9)[: RATE // 2] * np.exp(-30.0 * TIME[: RATE // 2]), N),
        sum(np.sin(2 * np.pi * hertz * TIME) for hertz in buzz(50.0)),
    ],
    ids=["alarm of 100 Hz", "alarm of 200 Hz", "alarm of 400 Hz", "drums", "buzz"],
)
def test_where_much_repeats_itself_exactly_nothing_is_said(seed, repeated, below_db):
    """An alarm's overtones, and the strokes of a loop, follow each other's phases as copies do."""
    sound = voice(seed)
    found = images(sound + repeated * sound.std() / repeated.std() * 10.0 ** (-below_db / 20.0))
    assert max(found.values()) < 0.5


@pytest.mark.parametrize("delay_s", [0.05, 0.1, 0.2, 0.3, 0.35])
@pytest.mark.parametrize("seed", range(3))
def test_an_echo_adds_nothing(seed, delay_s):
    """It repeats phases exactly, wherever a shift has whole turns within the delay."""
    plain, n = voice(seed), round(delay_s * RATE)
    assert added(plain + 0.5 * np.pad(plain, (n, 0))[:N], plain) < 0.8


@pytest.mark.parametrize("delay_s", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_images_are_found_through_an_echo(seed, delay_s):
    """An echo brings waves into a spectrum, no lines: nothing repeats itself for long."""
    sound = stretched(voice(seed), 8)
    found = images(sound + 0.5 * np.pad(sound, (round(delay_s * RATE), 0))[:N])
    assert found["moved", 2_000.0] > 3.5
    assert found["mirrored", 6_000.0] > 3.5


@pytest.mark.parametrize("seed", range(3))
def test_images_are_found_in_a_room(seed):
    """A tail of 0.3 s moves the copies' phases against each other, and leaves some of them."""
    tail = white(seed + 30)[:4_800] * np.exp(-6.9 * np.arange(4_800) / 4_800) * 0.1
    tail[0] = 1.0
    found = images(fftconvolve(stretched(voice(seed), 8), tail)[:N])
    assert found["moved", 2_000.0] > 2.5


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.35, 0.5])
@pytest.mark.parametrize("below_db", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("seed", range(3))
def test_clicks_that_are_all_alike_are_no_copies(seed, below_db, seconds):
    """A metronome, a car's indicator: all tones of a click are bound to each other, for a few frames each time."""
    click = white(seed + 40)[:160] * np.exp(-np.arange(160) / 30.0)
    train = np.zeros(N)
    train[:: round(seconds * RATE)] = 1.0
    clicks = fftconvolve(train, click)[:N]
    assert (
        added(
            voice(seed) + clicks * (voice(seed).std() / clicks.std()) * 10.0 ** (-below_db / 20.0),
            voice(seed),
        )
        < 0.3
    )


def pulses(hertz: float, seed: int, *, jitter: float = 0.0, drift: float = 0.0) -> Samples:
    """Return pulses that are all alike, each a little early or late, or at a rate that goes up and down slowly."""
    rng = np.random.default_rng(seed)
    at, fine = 0.001, np.zeros(4 * N)
    while at < 4.0 - 0.001:
        fine[round(at * 4 * RATE)] = 1.0
        rate = hertz * (1.0 + drift * np.sin(4.4 * at))
        at += (1.0 + jitter * rng.normal()) / rate
    shape = rng.normal(size=60) * np.exp(-np.arange(60) / 10.0)
    return fftconvolve(fine.reshape(-1, 4).sum(axis=1), shape)[:N]


@pytest.mark.parametrize(
    ("wander", "below_db"), [({"jitter": 0.003}, 8.0), ({"drift": 0.001}, 15.0), ({"drift": 0.001}, 25.0)]
)
@pytest.mark.parametrize("hertz", [100.0, 200.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_buzz_that_wanders_a_little_is_no_copy(seed, hertz, wander, below_db):
    """Of a shaver, or of mains on a tape: too wide for one line, and bound to itself all the same."""
    buzz = pulses(hertz, seed, **wander)
    level = voice(seed).std() / buzz.std() * 10.0 ** (-below_db / 20.0)
    assert added(voice(seed) + level * buzz, voice(seed)) < 1.0
