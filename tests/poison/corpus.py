"""What people and attackers send: a name, the bytes (made from seeds), and how it has to end.

`python -m tests.poison.corpus FOLDER` writes the files, to be tried by hand.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np

from tests.recordings import FORMATS, encoded, encoded_by_av, speech_like, wav_bytes

RATE = 16_000


@dataclass(frozen=True)
class Poison:
    """A file and its end: the codes that must be given, the finding's state, and the least strict decision."""

    name: str
    make: Callable[[], bytes]
    state: str
    action: str
    codes: tuple[str, ...] = ()


@cache
def speech(seconds: float = 8.0) -> np.ndarray:
    return speech_like(seconds, seed=3)


@cache
def good(kind: str) -> bytes:
    return FORMATS[kind](speech(), RATE)


def noise(n_bytes: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(n_bytes)


def patched(content: bytes, offset: int, layout: str, *values: int) -> bytes:
    """Return the bytes with some numbers written over."""
    changed = bytearray(content)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)


def stating(*, channels: int = 1, rate: int = RATE, n_bytes: int = 16 * RATE) -> bytes:
    """Return 8 s of 16-bit WAV whose header states other numbers."""
    header = patched(patched(good("wav"), 22, "<HI", channels, rate), 40, "<I", n_bytes)
    return patched(header, 4, "<I", min(n_bytes + 36, 2**32 - 1))


def half(kind: str) -> bytes:
    return good(kind)[: len(good(kind)) // 2]


def damaged(kind: str) -> bytes:
    """Return a file with 3,000 bytes of noise in its middle."""
    middle = len(good(kind)) // 2
    return good(kind)[:middle] + noise(3000) + good(kind)[middle + 3000 :]


def flac_that_states(n_frames: int) -> bytes:
    """Return 8 s of FLAC whose header states another length."""
    packed = int.from_bytes(good("flac")[18:26], "big") >> 36 << 36 | n_frames
    return good("flac")[:18] + packed.to_bytes(8, "big") + good("flac")[26:]


def not_finite() -> bytes:
    samples = speech().copy()
    samples[1000:2000], samples[3000], samples[3001] = np.nan, np.inf, 1e38
    return encoded(samples, file_format="WAV", subtype="FLOAT")


def all_nan() -> bytes:
    return encoded(np.full(2 * RATE, np.nan, "f4"), file_format="WAV", subtype="FLOAT")


def video(container: str, codec: str, *, sound: str | None = None) -> bytes:
    """Return a second of moving grey, with a sound track when `sound` names its codec."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as target:
        pictures = target.add_stream(codec, rate=5)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        voice = target.add_stream(sound, rate=48_000, layout="mono") if sound else None
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * number, "u1"), format="rgb24")
            frame.pts = number
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        if voice:
            add_sound(target, voice)
    return file.getvalue()


def add_sound(target: av.container.OutputContainer, voice: av.AudioStream) -> None:
    samples = speech_like(4.0, seed=5, rate=48_000)
    for start in range(0, samples.size - 1023, 1024):
        block = np.ascontiguousarray(samples[None, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        target.mux(voice.encode(frame))
    target.mux(voice.encode(None))


def picture() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as target:
        stream = target.add_stream("png", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb24"
        grey = np.random.default_rng(2).integers(0, 255, (64, 64, 3), dtype="u1")
        target.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        target.mux(stream.encode(None))
    return file.getvalue()


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile '/etc/hostname'\n"
# fmt: off
NOTHING, LIMIT, ERROR, DONE = "not_applicable", "limit", "error", "done"

CORPUS = (
    Poison("empty.wav", lambda: b"", NOTHING, "reject", ("EMPTY",)),
    Poison("text-named.wav", lambda: b"this is not a recording\n" * 50, NOTHING, "reject", ("NOT_AUDIO",)),
    Poison("page-named.mp3", lambda: b"<html><script>alert(1)</script></html>" * 30, NOTHING, "reject", ("NOT_AUDIO",)),
    Poison("archive-named.wav", lambda: b"PK\x03\x04" + noise(3000), NOTHING, "reject", ("NOT_AUDIO",)),
    Poison("random.bin", lambda: noise(200_000), NOTHING, "reject", ("NOT_AUDIO",)),
    Poison("picture-named.mp3", picture, NOTHING, "reject", ("NOT_AUDIO",)),
    Poison("hls-playlist-named.wav", lambda: HLS, NOTHING, "reject", ("NOT_AUDIO",)),
    Poison("concat-list-named.wav", lambda: CONCAT, NOTHING, "reject", ("NOT_AUDIO",)),
    Poison("video-without-sound.mp4", lambda: video("mp4", "mpeg4"), NOTHING, "reject", ("NO_SOUND_TRACK",)),
    Poison("header-alone.wav", lambda: good("wav")[:44], NOTHING, "reject", ("NO_SAMPLES",)),
    Poison("claims-1-hz.wav", lambda: stating(rate=1), LIMIT, "review", ("RATE_OUT_OF_RANGE",)),
    Poison("claims-0-hz.wav", lambda: stating(rate=0), LIMIT, "review", ("RATE_OUT_OF_RANGE",)),
    Poison("claims-4-ghz.wav", lambda: stating(rate=2**32 - 1), LIMIT, "review", ("RATE_OUT_OF_RANGE",)),
    Poison("claims-65535-channels.wav", lambda: stating(channels=65_535), LIMIT, "review", ("TOO_MANY_CHANNELS",)),
    Poison("claims-0-channels.wav", lambda: stating(channels=0), LIMIT, "review", ("TOO_MANY_CHANNELS",)),
    Poison("claims-10-hours.wav", lambda: stating(n_bytes=2 * RATE * 36_000), DONE, "label", ("TRUNCATED",)),
    Poison("claims-10-hours.flac", lambda: flac_that_states(RATE * 36_000), DONE, "label", ("TRUNCATED",)),
    Poison("claims-1-second-of-8.flac", lambda: flac_that_states(RATE), DONE, "label", ("LENGTH_MISSTATED",)),
    Poison("truncated.wav", lambda: half("wav"), DONE, "label", ("TRUNCATED",)),
    Poison("truncated.mp3", lambda: half("mp3"), DONE, "label", ("TRUNCATED",)),
    Poison("truncated.flac", lambda: half("flac"), DONE, "label", ("TRUNCATED",)),
    Poison("truncated.webm", lambda: half("webm"), DONE, "label", ("TRUNCATED",)),
    Poison("truncated-index-lost.m4a", lambda: half("m4a"), ERROR, "review", ("DAMAGED", "SCREENING_INCOMPLETE")),
    Poison("damaged.mp3", lambda: damaged("mp3"), DONE, "label", ("DAMAGED",)),
    Poison("damaged.m4a", lambda: damaged("m4a"), DONE, "label", ("DAMAGED",)),
    Poison("damaged.flac", lambda: damaged("flac"), DONE, "label", ("DAMAGED",)),
    Poison("damaged.ogg", lambda: damaged("ogg"), DONE, "label", ("TRUNCATED",)),
    Poison("noise-signed.flac", lambda: b"fLaC" + noise(50_000), ERROR, "review", ("DAMAGED",)),
    Poison("noise-signed.ogg", lambda: b"OggS" + noise(50_000), ERROR, "review", ("DAMAGED",)),
    Poison("noise-signed.m4a", lambda: b"\0\0\0\x18ftypM4A " + noise(50_000), ERROR, "review", ("DAMAGED",)),
    Poison("noise-signed.webm", lambda: b"\x1a\x45\xdf\xa3" + noise(50_000), ERROR, "review", ("DAMAGED",)),
    Poison("nan-inf-1e38.wav", not_finite, DONE, "accept", ("NOT_FINITE",)),
    Poison("all-nan.wav", all_nan, DONE, "label", ("NOT_FINITE",)),
    Poison("silence-of-2-s.wav", lambda: wav_bytes(np.zeros(2 * RATE, "f4")), DONE, "label", ("SILENCE",)),
    Poison("one-sample.wav", lambda: wav_bytes(np.full(1, 0.5, "f4")), DONE, "label"),
)

# What must be heard, whatever its name and wrapping.
HEARD = (
    *(Poison(f"good.{kind}", lambda kind=kind: good(kind), DONE, "accept") for kind in FORMATS),
    Poison("video.mp4", lambda: video("mp4", "mpeg4", sound="aac"), DONE, "accept"),
    Poison("video.mov", lambda: video("mov", "mpeg4", sound="aac"), DONE, "accept"),
    Poison("video.webm", lambda: video("webm", "libvpx", sound="libopus"), DONE, "accept"),
    Poison("stream.aac", lambda: encoded_by_av(speech(), container="adts", codec="aac"), DONE, "accept"),
    Poison("phone.wav", lambda: encoded(speech(), file_format="WAV", subtype="ULAW"), DONE, "accept"),
    Poison("adpcm.wav", lambda: encoded(speech(), file_format="WAV", subtype="MS_ADPCM"), DONE, "accept"),
    Poison("24-bits.wav", lambda: encoded(speech(), file_format="WAV", subtype="PCM_24"), DONE, "accept"),
    Poison("tape.aiff", lambda: encoded(speech(), file_format="AIFF", subtype="PCM_16"), DONE, "accept"),
    Poison("no-stated-length.flac", lambda: flac_that_states(0), DONE, "accept"),
    Poison("piped.wav", lambda: stating(n_bytes=2**32 - 1), DONE, "accept"),
)
# fmt: on

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for poison in (*CORPUS, *HEARD):
        (folder / poison.name).write_bytes(poison.make())
