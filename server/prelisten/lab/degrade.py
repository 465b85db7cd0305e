"""Copies of recordings as they come over codecs, telephones, rooms and cleaning filters; the label stays.

`CONDITIONS` are the fixed ones of the robustness table, `NOISES` and `BACKGROUNDS` more of them; `degrade` draws one or
two at random for training, and `in_noise` and `telephone` are what the experts are trained on.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import cast

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import fftconvolve, firwin2, istft, lfilter, resample_poly, stft

from wasm_detector.waveform import resample

Samples = NDArray[np.float64]
Change = Callable[[Samples, np.random.Generator], Samples]
Scene = Callable[[Samples, np.random.Generator, Samples], Samples]
"""A change that puts the last sound behind the first one."""
RATE = 16_000


def through_codec(samples: Samples, codec: str, container: str, kbit: int, rate: int) -> Samples:
    """Return `samples` (16 kHz) encoded at `rate` with so many kbit/s, decoded and brought back to 16 kHz."""
    file = io.BytesIO()
    sound = samples if rate == RATE else resample_poly(samples, rate // 100, RATE // 100)
    with av.open(file, "w", format=container) as out:
        stream = cast(av.AudioStream, out.add_stream(codec, rate=rate, layout="mono", bit_rate=1000 * kbit))
        frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=(stream.codec_context.codec.audio_formats or [])[0].name,
            layout="mono",
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1024,
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    file.seek(0)
    decoded, found_rate = _decode(file)
    return decoded if found_rate == RATE else resample_poly(decoded, RATE // 100, found_rate // 100)


def _decode(file: io.BytesIO) -> tuple[Samples, int]:
    with av.open(file, "r") as opened:
        stream = opened.streams.audio[0]
        decoder = stream.codec_context
        if decoder.name == "opus":  # FFmpeg's own decoder is not the one that people have.
            decoder = av.CodecContext.create("libopus", "r")
            decoder.extradata, decoder.layout = stream.codec_context.extradata, stream.codec_context.layout
            decoder.sample_rate = 48_000
        pieces, rate = [], RATE
        for packet in opened.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                piece = np.atleast_2d(frame.to_ndarray()).reshape(-1)
                scale = 1.0 if piece.dtype.kind == "f" else 32768.0
                pieces.append(piece.astype(np.float64) / scale)
                rate = frame.sample_rate
    return np.concatenate(pieces), rate


def mp3(samples: Samples, rng: np.random.Generator) -> Samples:
    """MP3 of 32 to 128 kbit/s."""
    kbit = int(rng.choice([32, 48, 64, 96, 128]))
    return through_codec(samples, "libmp3lame", "mp3", kbit, int(rng.choice([RATE, 44_100])))


def aac(samples: Samples, rng: np.random.Generator) -> Samples:
    """AAC of 32 to 96 kbit/s."""
    kbit = int(rng.choice([32, 48, 64, 96]))
    return through_codec(samples, "aac", "adts", kbit, int(rng.choice([RATE, 44_100, 44_100])))


def opus(samples: Samples, rng: np.random.Generator) -> Samples:
    """Opus of 12 to 48 kbit/s, as messengers send."""
    return through_codec(samples, "libopus", "ogg", int(rng.choice([12, 16, 24, 24, 32, 48])), 48_000)


def vorbis(samples: Samples, rng: np.random.Generator) -> Samples:
    """Ogg Vorbis of varying quality."""
    file = io.BytesIO()
    quality = float(rng.uniform(0.3, 1.0))
    soundfile.write(
        file, np.clip(samples, -1, 1), RATE, format="OGG", subtype="VORBIS", compression_level=quality
    )
    file.seek(0)
    return np.asarray(soundfile.read(file)[0])


def telephone(samples: Samples, rng: np.random.Generator) -> Samples:
    """8 kHz and back, one time in six through 8 bits of mu-law, one in three as a mobile phone codes (GSM 06.10)."""
    narrow = resample_poly(samples, 1, 2)
    way = rng.random()
    if way < 1 / 6:
        squeezed = np.sign(narrow) * np.log1p(255.0 * np.abs(np.clip(narrow, -1, 1))) / np.log(256.0)
        squeezed = np.round(squeezed * 127.0) / 127.0
        narrow = np.sign(squeezed) * (256.0 ** np.abs(squeezed) - 1.0) / 255.0
    elif way < 1 / 2:
        narrow = _gsm(narrow)
    return _brought_back(narrow, RATE // 2, rng)


def narrowed(samples: Samples, rng: np.random.Generator) -> Samples:
    """11.025 or 12 kHz and back, as old files and some messengers have it."""
    rate = int(rng.choice([11_025, 12_000]))
    return _brought_back(np.asarray(resample_poly(samples, rate, RATE)), rate, rng)


def _brought_back(narrow: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Return `narrow` at 16 kHz, half of the time by another filter than the detector's own."""
    if rng.random() < 1 / 2:
        return np.asarray(resample_poly(narrow, RATE, rate))
    return resample(narrow.astype(np.float32), rate).astype(np.float64)


def _gsm(narrow: Samples) -> Samples:
    """Return `narrow` (8 kHz) through GSM 06.10 at 13 kbit/s; the padding of the last block is cut off."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(narrow, -1, 1), RATE // 2, format="WAV", subtype="GSM610")
    file.seek(0)
    return np.asarray(soundfile.read(file)[0][: narrow.size])


def noisy(
    samples: Samples, rng: np.random.Generator, snr_db: float | tuple[float, float] = (14.0, 30.0)
) -> Samples:
    """Noise, white or darker, so far below, between 14 and 30 dB; white at exactly `snr_db` when it is one number."""
    noise = rng.standard_normal(samples.size)
    if isinstance(snr_db, tuple):
        snr_db = float(rng.uniform(*snr_db))
        if rng.random() < 0.3:
            noise = lfilter([1.0], [1.0, -rng.uniform(0.3, 0.97)], noise)
    return _with(samples, noise, snr_db)


def _with(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    return np.asarray(samples + noise / noise.std() * samples.std() * 10.0 ** (-snr_db / 20.0))


def pink(samples: Samples, rng: np.random.Generator, snr_db: float) -> Samples:
    """Noise that falls by 3 dB an octave from 40 Hz on."""
    spectrum = np.fft.rfft(rng.standard_normal(samples.size))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(samples.size, 1.0 / RATE), 40.0))
    spectrum[0] = 0.0
    return _with(samples, np.fft.irfft(spectrum, samples.size), snr_db)


def fan(samples: Samples, rng: np.random.Generator, snr_db: float) -> Samples:
    """Dark noise and six overtones of 80 to 160 Hz, as machines hum."""
    seconds, pitch = np.arange(samples.size) / RATE, rng.uniform(80.0, 160.0)
    air = lfilter([1.0], [1.0, -0.9], rng.standard_normal(samples.size))
    tones = sum(np.sin(2.0 * np.pi * (pitch * k * seconds + rng.uniform())) / k for k in range(1, 7))
    tones = np.asarray(tones)
    return _with(samples, air / air.std() + 0.7 * tones / tones.std(), snr_db)


def in_front_of(samples: Samples, rng: np.random.Generator, background: Samples, snr_db: float) -> Samples:
    """`background` (16 kHz) so far below, over and over again from any moment of it on; nothing where it is silent."""
    if background.size == 0 or background.std() == 0.0:
        return samples
    begun = np.roll(background, -int(rng.integers(background.size)))
    return _with(samples, np.tile(begun, samples.size // begun.size + 1)[: samples.size], snr_db)


def tilted(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another microphone: a filter with random gains of -10 to 6 dB."""
    taps = firwin2(255, np.linspace(0.0, 1.0, 9), 10.0 ** (rng.uniform(-10.0, 6.0, 9) / 20.0))
    return np.asarray(lfilter(taps, 1.0, samples))


def in_a_room(samples: Samples, rng: np.random.Generator) -> Samples:
    """Reverberation of 80 to 500 ms."""
    n = int(rng.uniform(0.08, 0.5) * RATE)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n) * rng.uniform(0.02, 0.15)
    tail[0] = 1.0
    return np.asarray(fftconvolve(samples, tail)[: samples.size])


def cleaned(samples: Samples, rng: np.random.Generator) -> Samples:
    """What a noise filter makes of it: spectral subtraction of the quietest tenth."""
    spectra = stft(samples, nperseg=512, noverlap=384)[2]
    size = np.abs(spectra)
    floor = np.quantile(size, 0.1, axis=1, keepdims=True) * rng.uniform(1.0, 2.5)
    gain = np.maximum(1.0 - (floor / np.maximum(size, 1e-9)) ** 2, 10.0 ** (-rng.uniform(10.0, 25.0) / 20.0))
    gain = lfilter([0.5], [1.0, -0.5], gain, axis=1)
    return np.asarray(istft(spectra * gain, nperseg=512, noverlap=384)[1][: samples.size])


def quicker(samples: Samples, rng: np.random.Generator) -> Samples:
    """Speed and pitch changed by 3 or 5 %."""
    return np.asarray(resample_poly(samples, 100, int(rng.choice([95, 97, 103, 105]))))


def levelled(samples: Samples, rng: np.random.Generator) -> Samples:
    """An automatic gain."""
    level = lfilter([0.002], [1.0, -0.998], np.abs(samples)) + 1e-3
    return np.asarray(samples / level ** rng.uniform(0.2, 0.7))


def echoing(samples: Samples, rng: np.random.Generator) -> Samples:
    """One echo after 50 to 300 ms."""
    delay = int(rng.uniform(0.05, 0.3) * RATE)
    out = samples.copy()
    out[delay:] += rng.uniform(0.2, 0.5) * samples[: samples.size - delay]
    return out


def looping(samples: Samples, rng: np.random.Generator) -> Samples:
    """A beat, an alarm or a buzz behind the voice, 3 to 25 dB below, that repeats itself exactly.

    Every 0.2 to 1.2 s, half of the time a multiple of 50 ms; one time in four every 4 to 100 ms.
    """
    seconds = (
        rng.uniform(0.2, 1.2) if rng.random() < 3 / 4 else np.exp(rng.uniform(np.log(0.004), np.log(0.1)))
    )
    n = int((np.ceil(20.0 * seconds) / 20.0 if rng.random() < 1 / 2 and seconds > 0.1 else seconds) * RATE)
    loop = np.zeros(n)
    for _ in range(int(rng.integers(1, 5))):
        sound = rng.standard_normal(n) if rng.random() < 1 / 2 else _overtones(n, rng)
        loop += rng.uniform(0.3, 1.0) * np.roll(sound / sound.std() * _strike(n, rng), int(rng.integers(n)))
    beat = np.tile(loop, samples.size // n + 1)[: samples.size]
    return _with(samples, beat, float(rng.uniform(3.0, 25.0)))


def _overtones(n: int, rng: np.random.Generator) -> Samples:
    """Return a tone of 50 to 1000 Hz with up to 30 overtones; half of the time of a round pitch, as devices have."""
    pitch = 50.0 * rng.integers(1, 21) if rng.random() < 1 / 2 else rng.uniform(50.0, 1000.0)
    number = np.arange(1, 1 + min(int(rng.integers(1, 31)), int(0.5 * RATE / pitch)))
    turns = np.outer(np.arange(n) / RATE, pitch * number)
    return np.asarray((np.sin(2.0 * np.pi * turns) / number ** rng.uniform(0.5, 1.5)).sum(axis=1))


def _strike(n: int, rng: np.random.Generator) -> Samples:
    """Return a level over time that falls as a drum's or, quicker, a click's does, or is switched off after a while."""
    seconds = np.arange(n) / RATE
    if rng.random() < 2 / 3:
        return np.asarray(np.exp(-seconds * np.exp(rng.uniform(np.log(2.0), np.log(1000.0)))))
    return np.where(seconds < rng.uniform(0.1, 0.8) * n / RATE, 1.0, 0.0)


in_noise: Change = partial(noisy, snr_db=(14.0, 26.0))
"""What the expert for noise is trained on."""

CODECS: tuple[Change, ...] = (mp3, aac, opus, vorbis, telephone, narrowed)
CHANGES: dict[Change, float] = {
    mp3: 2, aac: 1.5, opus: 4.5, vorbis: 0.7, telephone: 3, noisy: 5, tilted: 2, in_a_room: 1.5, cleaned: 1.5,
    quicker: 1, levelled: 1, echoing: 1, narrowed: 1.5, looping: 2,
}  # fmt: skip
"""What may happen to a recording, and how often (relative). Noise, telephones and messengers do the most harm."""


def degrade(samples: Samples, rng: np.random.Generator) -> Samples:
    """Return `samples` (16 kHz) after one or two random changes, the codec last, as it happens on the way."""
    changes, share = list(CHANGES), np.array(list(CHANGES.values()))
    n_changes = 1 if rng.random() < 0.7 else 2
    chosen = rng.choice(len(changes), n_changes, replace=False, p=share / share.sum())
    for change in sorted((changes[index] for index in chosen), key=lambda one: one in CODECS):
        samples = change(samples, rng)
    return samples


def _codec(codec: str, container: str, kbit: int, rate: int) -> Change:
    return lambda samples, rng: through_codec(samples, codec, container, kbit, rate)


CONDITIONS: dict[str, Change] = {
    "MP3 64": _codec("libmp3lame", "mp3", 64, 44_100),
    "MP3 128": _codec("libmp3lame", "mp3", 128, 44_100),
    "AAC 96": _codec("aac", "adts", 96, 44_100),
    "Opus 24": _codec("libopus", "ogg", 24, 48_000),
    "Opus 48": _codec("libopus", "ogg", 48, 48_000),
    "8 kHz and back": lambda samples, rng: np.asarray(resample_poly(resample_poly(samples, 1, 2), 2, 1)),
    "noise at 20 dB": partial(noisy, snr_db=20.0),
    "5 % faster": lambda samples, rng: np.asarray(resample_poly(samples, 100, 105)),
    "echo": echoing,
}
"""The robustness table. Gain and polarity are not in it: the detector gives the same numbers for both, by a test."""

NOISES: dict[str, Change] = {
    "noise at 10 dB": partial(noisy, snr_db=10.0),
    "noise at 15 dB": partial(noisy, snr_db=15.0),
    "noise at 30 dB": partial(noisy, snr_db=30.0),
    "pink noise at 20 dB": partial(pink, snr_db=20.0),
    "fan at 20 dB": partial(fan, snr_db=20.0),
}
"""Other noise than that of the robustness table, for a table of its own."""

BACKGROUNDS: dict[str, Scene] = {
    "background at 10 dB": partial(in_front_of, snr_db=10.0),
    "background at 20 dB": partial(in_front_of, snr_db=20.0),
}
"""Music, noise and other recordings behind the voice, in that table too."""
