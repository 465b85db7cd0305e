"""What files say of themselves, and bytes that lie."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import FORMATS, encoded, encoded_by_av, speech_like
from wasm_detector.container import FORMATS as CONTAINER_FORMATS
from wasm_detector.container import Container, identify

VOICE = speech_like(1.0, rate=44_100)
EXPECTED = {
    "wav": ("wav", "s16", 44_100),
    "flac": ("flac", "flac", 44_100),
    "mp3": ("mp3", "mp3", 44_100),
    "ogg": ("ogg", "vorbis", 44_100),
    "m4a": ("mp4", "aac", 44_100),
    "opus": ("ogg", "opus", 48_000),
    "webm": ("webm", "opus", 48_000),
}
FILES = {name: write(VOICE, 44_100) for name, write in FORMATS.items()}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_files_are_recognised(name):
    """Format, codec, rate and channels of what people upload, as libsndfile and FFmpeg write it."""
    found = identify(FILES[name], len(FILES[name]))
    assert (found.format, found.codec, found.sample_rate) == EXPECTED[name]
    assert found.channels == 1


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "m4a", "webm", "ogg", "opus"])
def test_the_length_is_told_where_the_file_tells_it(name):
    """Within a tenth of a second: codecs pad. Ogg tells it in its last bytes."""
    file = FILES[name]
    found = identify(file, len(file), tail=file[-65_536:] if name in ("ogg", "opus") else b"")
    assert found.duration_s == pytest.approx(1.0, abs=0.1)


def test_aiff_and_adts_are_recognised():
    """Two more formats that phones and old programs write."""
    aiff = encoded(VOICE, file_format="AIFF", subtype="PCM_16", rate=44_100)
    adts = encoded_by_av(VOICE, container="adts", codec="aac", rate=44_100)
    found = identify(aiff, len(aiff))
    assert (found.format, found.sample_rate, found.channels) == ("aiff", 44_100, 1)
    assert found.duration_s == pytest.approx(1.0)
    assert (identify(adts, len(adts)).format, identify(adts, len(adts)).sample_rate) == ("aac", 44_100)


def test_an_id3_tag_before_the_sound_is_skipped():
    """Players put pictures and titles first."""
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 0]) + b"\0" * 256
    file = tag + FILES["mp3"]
    assert identify(file, len(file)).format == "mp3"


@pytest.mark.parametrize(
    "junk", [b"", b"RIFF", b"hello, this is text", b"\0" * 5_000, b"\xff" * 5_000, b"#EXTM3U\n"]
)
def test_what_is_no_recording_is_unknown(junk):
    """Text named .wav stays text."""
    assert identify(junk, len(junk)) == Container()


def test_a_wav_that_claims_ten_hours_has_the_frames_that_are_there():
    """The size of the file is a fact, the header a claim."""
    file = bytearray(FILES["wav"])
    at = file.index(b"data") + 4
    file[at : at + 4] = struct.pack("<I", 2**31)
    assert identify(bytes(file), len(file)).duration_s == pytest.approx(1.0)


@pytest.mark.parametrize(("offset", "value"), [(22, 65_535), (22, 0), (34, 13), (32, 1)])
def test_an_impossible_wav_has_no_layout(offset, value):
    """65,535 channels, none, 13 bits, a wrong block size: recognised, and not ours to read."""
    file = bytearray(FILES["wav"])
    struct.pack_into("<H", file, offset, value)
    found = identify(bytes(file), len(file))
    assert (found.format, found.wav) == ("wav", None)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 2**40))
def test_hostile_bytes_never_raise(head, size):
    """Whatever the bytes are, there is an answer."""
    assert isinstance(identify(head, size, tail=head[-50:]), Container)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(FILES)),
    st.integers(0, 300),
    st.binary(min_size=1, max_size=8),
    st.integers(1, 4_000),
)
def test_damaged_headers_never_raise(name, at, bytes_, length):
    """Real files with bytes overwritten and the end cut off."""
    file = bytearray(FILES[name][:length])
    file[at : at + len(bytes_)] = bytes_
    assert isinstance(identify(bytes(file), len(FILES[name])), Container)


def test_a_wav_that_states_no_length_goes_on_to_its_end():
    """A recorder that was cut off leaves 0 in its header; players play all that follows."""
    file = bytearray(FILES["wav"])
    file[40:44] = bytes(4)
    assert identify(bytes(file), len(file)).wav.n_frames == VOICE.size
    assert identify(bytes(file[:44]), 44).wav.n_frames == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_facts_for_a_claim_are_whole_numbers(kind):
    """Format, rate and channels of every format; the length where the header states it."""
    found = identify(FILES[kind], len(FILES[kind]))
    assert found.facts["format"] == CONTAINER_FORMATS.index(found.format) > 0
    assert found.facts["rate"] == found.sample_rate
    assert found.facts["channels"] == 1
    states_length = kind in ("wav", "flac", "mp3", "m4a", "webm")
    assert ("duration_ms" in found.facts) == states_length
    assert all(type(value) is int for value in found.facts.values())


def test_facts_leave_out_what_the_file_does_not_say():
    """Nothing is made up."""
    assert identify(b"no container at all", 19).facts == {"format": 0}
