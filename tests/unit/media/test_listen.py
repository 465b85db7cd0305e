"""Listening to good recordings: what comes out, from where, and what a long one costs."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from prelisten.config import load_config
from prelisten.media.listen import listen
from prelisten.media.readers.ffmpeg import AvReader
from tests.poison.oggs import hours_of_lost_frames
from tests.recordings import FORMATS, speech_like, wav_bytes
from wasm_detector.container import identify

RATE = 16_000
# The encoder's own loss; a wrong decoder or an offset of a few samples is far above it.
LOSS = {"wav": 1e-4, "flac": 1e-4, "mp3": 0.2, "m4a": 0.2, "ogg": 0.2, "opus": 0.3, "webm": 0.3}

# An encoder's delay that this file does not state, so that nobody can take it away.
PRIMING = {"m4a": 1024}


def heard(path: Path, **settings) -> tuple[dict[int, np.ndarray], object]:
    with listen(path, load_config({}, **settings)) as recording:
        return dict(recording.blocks()), recording


def write(folder: Path, content: bytes) -> Path:
    path = folder / "named-nothing"
    path.write_bytes(content)
    return path


def joined(blocks: dict[int, np.ndarray]) -> np.ndarray:
    return np.concatenate(list(blocks.values()))


def merged(blocks: Iterable[tuple[int, np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    """Return the blocks, those that follow each other as one."""
    found: list[tuple[int, np.ndarray]] = []
    for start, samples in blocks:
        if found and start == found[-1][0] + found[-1][1].size:
            found[-1] = (found[-1][0], np.concatenate([found[-1][1], samples]))
        else:
            found.append((start, samples))
    return found


@pytest.mark.parametrize("kind", FORMATS)
def test_samples_are_those_that_were_encoded(kind: str, tmp_path: Path) -> None:
    """Every format gives the recording back, at its own rate, without an offset."""
    original = speech_like(4.0, seed=4, rate=48_000)
    blocks, recording = heard(write(tmp_path, FORMATS[kind](original, 48_000)))
    samples = joined(blocks)[PRIMING.get(kind, 0) :]
    assert samples.size == original.size
    assert (recording.sample_rate, recording.notes) == (48_000, ())
    assert np.corrcoef(samples, original)[0, 1] > 0.99
    assert np.abs(samples - original).max() < LOSS[kind]


def test_opus_is_decoded_by_libopus(tmp_path: Path) -> None:
    """FFmpeg's own decoder is off by up to a quarter of full scale; libsndfile uses libopus too."""
    path = write(tmp_path, FORMATS["opus"](speech_like(4.0, seed=4, rate=48_000), 48_000))
    reference, _ = soundfile.read(path, dtype="float32")
    samples = joined(heard(path)[0])
    assert samples.size == reference.size
    assert np.abs(samples - reference).max() < 1e-5


@pytest.mark.parametrize("kind", FORMATS)
def test_window_of_a_long_recording_is_the_same_stretch(kind: str, tmp_path: Path) -> None:
    """Jumping to a window gives what decoding all of it gives there."""
    path = write(tmp_path, FORMATS[kind](speech_like(60.0, seed=6), RATE))
    whole = joined(heard(path, max_seconds=120)[0])
    blocks, recording = heard(path, max_seconds=8)
    last = {start: samples for start, samples in blocks.items() if start > 20 * recording.sample_rate}
    assert sum(samples.size for samples in last.values()) >= 3.9 * recording.sample_rate
    for start, samples in last.items():
        # AAC fills some bands with noise, which starts anew after a jump; anything else is equal.
        assert np.abs(whole[start : start + samples.size] - samples).max() < (0.01 if kind == "m4a" else 1e-4)


def test_long_recording_is_heard_in_windows_with_stated_length(tmp_path: Path) -> None:
    """Of a minute 8 s are heard: the beginning and the end."""
    blocks, recording = heard(write(tmp_path, wav_bytes(speech_like(60.0))), max_seconds=8)
    assert (min(blocks), joined(blocks).size, recording.total_s) == (0, 8 * RATE, 60.0)
    assert max(start + samples.size for start, samples in blocks.items()) == 60 * RATE


def test_channels_are_mixed_to_their_mean(tmp_path: Path) -> None:
    """Left and right in opposite phase cancel; a louder side stays."""
    left = speech_like(2.0)
    file = io.BytesIO()
    soundfile.write(file, np.stack([left, -0.5 * left], axis=1), RATE, format="WAV", subtype="FLOAT")
    samples = joined(heard(write(tmp_path, file.getvalue()))[0])
    np.testing.assert_allclose(samples, 0.25 * left, atol=1e-6)


def test_wav_has_exact_sums_and_others_have_none(tmp_path: Path) -> None:
    """Only where this code reads the PCM itself can it vouch for every sample."""
    samples = speech_like(2.0)
    wav, other = (heard(write(tmp_path, FORMATS[kind](samples, RATE)))[1] for kind in ("wav", "mp3"))
    assert wav.exact["n_frames"] == samples.size
    assert set(other.exact) <= {"format", "rate", "channels", "duration_ms"}


def test_a_jump_into_vorbis_lands_where_it_says(tmp_path: Path) -> None:
    """To the sample, wherever it leads: FFmpeg dates frames 128 samples too late where blocks change their length."""
    path = write(
        tmp_path, FORMATS["ogg"](np.concatenate([speech_like(15.0, seed=k) for k in range(4)]), RATE)
    )
    whole = joined(heard(path)[0])
    with path.open("rb") as file:
        container = identify(file.read(4096), path.stat().st_size)
        for second in range(13, 59, 2):
            reader = AvReader(file.fileno(), container, lambda rate, channels: None)
            start = second * RATE + RATE // 2
            _, (first, samples) = merged(reader.blocks([(0, 160), (start, start + 800)]))
            assert first == start
            np.testing.assert_allclose(samples, whole[start : start + 800], atol=1e-3)


def test_ten_hours_in_a_megabyte_cost_two_minutes_of_decoding(tmp_path: Path) -> None:
    """The windows are reached without decoding what lies between; nothing is claimed about the rest."""
    content = hours_of_lost_frames(10)
    blocks, recording = heard(write(tmp_path, content))
    assert len(content) < 1_000_000
    assert recording.total_s == pytest.approx(36_000, abs=20)
    assert joined(blocks).size / 48_000 == pytest.approx(120, abs=2)
    assert (max(blocks) > 35_900 * 48_000, recording.cut_short) == (True, None)
