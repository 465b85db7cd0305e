"""What the detector does for a page, run inside Pyodide by the build: the modules that it loads are the first load.

Only what a screening does belongs here. Extensions do not, those of a model that was trained with some neither: the
build has no wheels, and what they import is fetched when they do.
"""

from __future__ import annotations

import json
import struct
import sys
import traceback
import warnings

import numpy as np

RATE = 48_000
SECONDS = 9
HEADS = (
    b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64",
    b"\xff\xfb\x90\x64" + bytes(413),
    b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(64),
    b"fLaC\0\0\0\x22" + bytes(34),
    b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0",
    b"OggS\0\x02" + bytes(20) + b"\x01\x1e\x01vorbis" + bytes(23),
    b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + bytes(64),
    b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0\0\0\0\x08moov",
    b"FORM\0\0\0\x40AIFFCOMM\0\0\0\x12\0\x01" + bytes(64),
    b"riff\x2e\x91\xcf\x11" + bytes(64),
    b"caff\0\x01\0\0desc" + bytes(64),
    b"RIFF\xff\xff\xff\xffWAVE",
    b"no recording",
)


class Nothing:
    """In the place of an operator's own signal."""

    api, unit, title, sentence = 1, "", {"en": ""}, {"en": ""}

    def measure(self, _samples: np.ndarray) -> float:
        """Return 0."""
        return 0.0


def stand_in() -> None:
    """Give the model what it requires of extensions, if it does; the screening imports what runs them."""
    from wasm_detector import browser, model

    required = model.load_model().requires
    if required:
        from wasm_detector.extensions import Loaded

        for one in required:
            browser.installed[one.sha256] = (
                *browser.installed.get(one.sha256, ()),
                Loaded(one.name, Nothing()),
            )


def wav(kind: int, bits: int, channels: int, payload: bytes) -> bytes:
    """Return a WAV file of format tag `kind`."""
    block = channels * bits // 8
    layout = struct.pack("<HHIIHH", kind, channels, RATE, RATE * block, block, bits)
    head = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", len(payload))
    return b"RIFF" + struct.pack("<I", len(head) + len(payload)) + head + payload


def sound() -> np.ndarray:
    """Return a harmonic sound with a slow envelope, a second of noise, and silence. shape=(SECONDS * RATE,)"""
    time = np.arange(SECONDS * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    heard = tone * (0.1 + 0.1 * np.sin(2 * np.pi * 3 * time)) * (time < SECONDS - 1)
    noise = np.modf(np.sin(np.arange(time.size) * 12.9898) * 43758.5453)[0]
    return (heard + 0.01 * noise * (time < 1)).astype(np.float32)


def screen_wav(content: bytes) -> None:
    """Screen a WAV file as the worker does."""
    from wasm_detector import browser

    probed = browser.probe(content[: 1 << 20], len(content))
    analysis = browser.Analysis(probed["sample_rate"], SECONDS, browser.MAX_SECONDS, probed, probed["facts"])
    offset, size = probed["data_offset"], probed["frame_bytes"]
    for start, end in analysis.windows():
        end = min(end, probed["n_frames"])
        analysis.push_wav(content[offset + start * size : offset + end * size], start)
        analysis.peek()
    analysis.finish()


def screen_samples(samples: np.ndarray, rate: float) -> None:
    """Screen what the page decoded, as the worker does."""
    from wasm_detector import browser

    analysis = browser.Analysis(rate, samples.size / rate)
    for start, end in analysis.windows():
        analysis.push(samples[start:end], start)
    analysis.finish()


def fail() -> None:
    """Take the ways of a failure: an exception is told with its traceback, a warning is written."""
    from wasm_detector import browser

    for wrong in (lambda: browser.Analysis(-1.0), lambda: browser.Analysis(16_000.0).push_wav(b"", 0)):
        try:
            wrong()
        except Exception as error:
            "".join(traceback.format_exception(error))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("a warning as numpy gives them", RuntimeWarning, stacklevel=1)
        np.log(np.zeros(1))


def run() -> str:
    """Do it all; return, as JSON, the names of the modules that are loaded then, and what the detector is."""
    from wasm_detector import browser

    stand_in()
    for head in HEADS:
        browser.probe(head, 1 << 20)
    samples = sound()
    pcm = (samples * 20_000).astype("<i2")
    for content in (
        wav(1, 16, 1, pcm.tobytes()),
        wav(1, 16, 2, np.repeat(pcm, 2).tobytes()),
        wav(3, 32, 1, samples.astype("<f4").tobytes()),
    ):
        screen_wav(content)
    for rate in (8_000.0, 16_000.0, 44_100.0):
        screen_samples(samples, rate)
    screen_samples(np.zeros(RATE, np.float32), RATE)
    digest = browser.FileDigest()
    digest.update(b"bytes")
    digest.hexdigest()
    fail()
    return json.dumps({"modules": sorted(sys.modules), "detector": browser.describe()})
