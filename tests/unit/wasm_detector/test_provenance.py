"""What a file's notes say of its making, and that sound is never taken for a note."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import FORMATS, speech_like
from wasm_detector.container import identify
from wasm_detector.provenance import provenance

VOICE = speech_like(1.0, seed=3)
FILES = {ending: FORMATS[ending](VOICE, 16_000) for ending in FORMATS}
NOTHING = {"generators": [], "content_credentials": False}
C2PA = b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa" + bytes(16)


def id3(text: bytes) -> bytes:
    """Return an ID3 tag with one text."""
    frame = b"TENC" + struct.pack(">I", len(text)) + b"\0\0" + text
    return b"ID3\x04\0\0" + bytes((len(frame) >> shift) & 127 for shift in (21, 14, 7, 0)) + frame


def info(text: bytes) -> bytes:
    """Return the RIFF chunk that names a program."""
    inside = b"INFOISFT" + struct.pack("<I", len(text)) + text
    return b"LIST" + struct.pack("<I", len(inside)) + inside


def box(name: bytes, inside: bytes) -> bytes:
    """Return an MP4 box."""
    return struct.pack(">I", 8 + len(inside)) + name + inside


def told(file: bytes) -> dict:
    """Return what is told of a file."""
    return provenance(file, identify(file, len(file)))


M4A = box(b"ftyp", b"M4A ")


def found(file: bytes) -> dict:
    """Return the same without the encoder's name."""
    return {name: value for name, value in told(file).items() if name != "encoder"}


@pytest.mark.parametrize("ending", FILES)
def test_an_ordinary_recording_says_nothing(ending: str) -> None:
    """Nothing is told of a file that says nothing."""
    assert found(FILES[ending]) == NOTHING


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (FILES["wav"] + info(b"ElevenLabs API"), ["ElevenLabs"]),
        (id3(b"\0Suno AI") + FILES["mp3"], ["Suno"]),
        (id3("\1\ufeffElevenLabs".encode("utf-16-le")) + FILES["mp3"], ["ElevenLabs"]),
        (M4A + box(b"uuid", b"/digitalsourcetype/trainedAlgorithmicMedia"), ["trainedAlgorithmicMedia"]),
    ],
    ids=["wav", "mp3", "utf-16", "mp4"],
)
def test_generators_that_are_named_are_told(file: bytes, names: list[str]) -> None:
    """By the names that people know them by."""
    assert found(file) == {**NOTHING, "generators": names}


def test_boxes_behind_the_head_are_read_too() -> None:
    """An MP4 whose tables lie at its end: notes and program are found there, and sound is still none."""
    note = box(b"udta", box(b"\xa9too", box(b"data", b"\0\0\0\x01\0\0\0\0Lavf61.1.100"))) + box(
        b"uuid", C2PA + b"suno"
    )
    told = provenance(M4A, identify(M4A, 1 << 24), note + box(b"mdat", b" udio "))
    assert told == {"generators": ["Suno"], "encoder": "Lavf61.1.100", "content_credentials": True}
    assert provenance(M4A, identify(M4A, 1 << 24), b"\0\0\0\x01uuid")["generators"] == []


def test_names_inside_other_words_and_inside_sound_are_none() -> None:
    """FL Studio is not Udio, and samples may spell anything."""
    studio = FILES["wav"] + info(b"FL Studio 21, sunoco, barking")
    spelt = bytearray(FILES["wav"])
    spelt[400:412] = b" suno  udio "
    movie = box(b"ftyp", b"M4A ") + box(b"mdat", b" suno jumb c2pa ") + box(b"moov", b"")
    for file in (studio, bytes(spelt), movie, FILES["mp3"] + b" suno udio elevenlabs "):
        assert found(file) == NOTHING


@pytest.mark.parametrize(
    "file",
    [
        FILES["wav"] + b"C2PA" + struct.pack("<I", len(C2PA)) + C2PA,
        box(b"ftyp", b"M4A ") + box(b"uuid", C2PA) + box(b"mdat", b""),
        id3(b"\0" + C2PA) + FILES["mp3"],
    ],
    ids=["wav", "mp4", "mp3"],
)
def test_content_credentials_are_noticed(file: bytes) -> None:
    """That a box is there is all that is said."""
    assert found(file) == {**NOTHING, "content_credentials": True}


def test_what_the_file_brings_is_short_and_plain() -> None:
    """Controls, marks of direction and what is too long never leave here."""
    hostile = "‮\x07<b>" + "x" * 5_000
    encoder = told(FILES["wav"] + info(hostile.encode()))["encoder"]
    assert encoder.isascii()
    assert encoder.isprintable()
    assert len(encoder) <= 60


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([file[:200] for file in FILES.values()]), st.binary(max_size=300))
def test_no_bytes_make_it_fail(start: bytes, rest: bytes) -> None:
    """Whatever follows a header."""
    assert len(told(start + rest)["generators"]) <= 4
