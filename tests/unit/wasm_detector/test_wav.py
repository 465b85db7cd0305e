"""WAV samples: mono, exact sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import encoded
from wasm_detector.container import identify
from wasm_detector.errors import UnreadableContainerError
from wasm_detector.wav import ExactSums, WavLayout, decode_frames

SUBTYPES = {"PCM_U8": 8e-3, "PCM_16": 3.1e-5, "PCM_24": 2e-7, "PCM_32": 1e-7, "FLOAT": 1e-7, "DOUBLE": 1e-7}
STEREO = WavLayout(0, 0, 4, "s16", 2, 16_000)


def wave(n: int = 400) -> np.ndarray:
    return (0.8 * np.sin(np.arange(n) * 0.07)).astype(np.float32)


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_every_sample_format_gives_the_samples_back(subtype):
    """What libsndfile wrote is what we read, within a step of the format."""
    file = encoded(wave(), file_format="WAV", subtype=subtype)
    layout = identify(file, len(file)).wav
    raw = file[layout.data_offset :][: layout.n_frames * layout.frame_bytes]
    mono, sums = decode_frames(raw, layout)
    np.testing.assert_allclose(mono, wave(), atol=SUBTYPES[subtype])
    assert sums.n_frames == 400


def test_channels_are_averaged_and_opposite_ones_cancel():
    """Out-of-phase stereo is silence in mono, on both sides of the wire."""
    frames = np.array([[1_000, -1_000], [30_000, 10_000]], "<i2")
    mono, _ = decode_frames(frames.tobytes(), STEREO)
    np.testing.assert_allclose(mono, [0.0, 20_000 / 32_768])


@settings(max_examples=30)
@given(st.binary(max_size=400).map(lambda raw: raw[: len(raw) // 4 * 4]), st.integers(0, 100))
def test_sums_of_pieces_are_the_sum_of_the_whole(raw, cut):
    """The browser reads slices; the server may read other slices."""
    at = min(4 * cut, len(raw))
    first, second = decode_frames(raw[:at], STEREO)[1], decode_frames(raw[at:], STEREO)[1]
    assert first + second == decode_frames(raw, STEREO)[1]


def test_one_changed_bit_changes_the_sums():
    """The exact group binds the samples."""
    raw = bytearray(wave(100).astype("<f4").tobytes())
    layout = WavLayout(0, 100, 4, "f32", 1, 16_000)
    before = decode_frames(bytes(raw), layout)[1]
    raw[37] ^= 1
    assert decode_frames(bytes(raw), layout)[1] != before


@pytest.mark.parametrize("sample_format", ["s32", "f64"])
def test_sums_stay_whole_numbers_that_javascript_keeps(sample_format):
    """Squares of 32-bit samples overflow 64 bits; the sums wrap the same way everywhere."""
    width = 4 if sample_format == "s32" else 8
    sums = decode_frames(b"\x7f" * 8_000, WavLayout(0, 0, width, sample_format, 1, 16_000))[1]
    assert all(0 <= value < 2**53 for value in sums.to_dict().values())
    assert sums != ExactSums(n_frames=sums.n_frames)


def test_half_a_frame_is_refused():
    """Cutting inside a frame would swap the channels from there on."""
    with pytest.raises(UnreadableContainerError, match="multiple of 4"):
        decode_frames(b"\0" * 6, STEREO)


def test_absurd_doubles_become_infinite_and_not_an_error():
    """The gate counts them."""
    raw = np.array([1e300, 0.5], "<f8").tobytes()
    mono, _ = decode_frames(raw, WavLayout(0, 2, 8, "f64", 1, 16_000))
    assert mono[0] == np.inf
    assert mono[1] == 0.5
