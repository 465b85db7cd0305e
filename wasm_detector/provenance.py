"""What a file's notes say of its making: generators of sound, the program that wrote it, Content Credentials (C2PA).

All of it is the file's own word: anybody can write it, and leave it out. Nothing here is checked, and no score rests
on it. Only notes are read, never encoded sound, in which any short name turns up by chance.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from wasm_detector.container import HEAD_BYTES, Container, encoder_of

NAMES = {
    "elevenlabs": "ElevenLabs", "suno": "Suno", "udio": "Udio", "play.ht": "PlayHT",
    "playht": "PlayHT", "murf.ai": "Murf", "resemble.ai": "Resemble AI", "wellsaid": "WellSaid",
    "speechify": "Speechify", "cartesia": "Cartesia", "hume.ai": "Hume AI",
    "fish.audio": "Fish Audio", "tortoise-tts": "Tortoise TTS", "azure speech": "Azure Speech",
    "amazon polly": "Amazon Polly", "google cloud text-to-speech": "Google Cloud Text-to-Speech",
    "trainedalgorithmicmedia": "trainedAlgorithmicMedia",
}  # fmt: skip
"""How a generator's name is shown, by how it stands in notes. Names that titles and comments have in other senses
(bark, coqui, minimax, openai) are left out."""

MOST_NAMES = 4
_MARKS = tuple(
    (shown, name.encode(), re.compile(rb"(?<![a-z0-9])" + re.escape(name.encode()) + rb"(?![a-z0-9])"))
    for name, shown in NAMES.items()
)
_SILENT_BOXES = (b"mdat", b"free", b"skip", b"wide")


def provenance(head: bytes, found: Container, later: bytes = b"") -> dict[str, Any]:
    """Return {"generators", "encoder", "content_credentials"} of a file's first bytes (up to 1 MiB). Never raises.

    `found` is what `identify` makes of them; `later` are boxes of an MP4 that lie behind them.

    `encoder` has printable ASCII alone, 60 characters at most; `generators` are names of ours, four at most.
    """
    try:
        notes = b"\n".join((*_notes(bytes(head[:HEAD_BYTES]), found), *_boxes(bytes(later))))
    except (struct.error, IndexError):
        notes = b""
    # UTF-16, as ID3 may have it, without its zeros.
    lower = notes.lower() + b"\n" + notes.replace(b"\0", b"").lower()
    names = dict.fromkeys(shown for shown, name, mark in _MARKS if name in lower and mark.search(lower))
    has_box = b"jumb" in notes and b"c2pa" in notes
    return {
        "generators": list(names)[:MOST_NAMES],
        "encoder": found.encoder or encoder_of(bytes(later)),
        "content_credentials": has_box,
    }


def _notes(head: bytes, found: Container) -> Iterator[bytes]:
    """Yield the parts of the head that are no encoded sound."""
    if found.format in ("wav", "aiff"):
        yield from _chunks(head, "<" if found.format == "wav" else ">")
    elif found.format == "mp4":
        yield from _boxes(head)
    elif found.format == "ogg":
        yield from _ogg_heads(head)
    elif found.format == "webm":
        yield head.partition(b"\x1f\x43\xb6\x75")[0]  # What is in front of the first cluster.
    elif found.format in ("mp3", "aac", "flac"):
        yield from _tags(head)


def _chunks(head: bytes, order: str) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(head):
        (length,) = struct.unpack_from(order + "I", head, at + 4)
        if head[at : at + 4] not in (b"data", b"SSND"):
            yield head[at : at + 8 + length]
        at += 8 + length + (length & 1)


def _boxes(head: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(head):
        (length,) = struct.unpack_from(">I", head, at)
        if length == 1:
            (length,) = struct.unpack_from(">Q", head, at + 8)
        if length == 0:
            length = len(head) - at
        if length < 8:
            return
        if head[at + 4 : at + 8] not in _SILENT_BOXES:
            yield head[at : at + length]
        at += length


def _ogg_heads(head: bytes) -> Iterator[bytes]:
    """Yield the pages before the first sample."""
    at = 0
    while head[at : at + 4] == b"OggS" and at + 27 <= len(head):
        (granule,) = struct.unpack_from("<q", head, at + 6)
        if granule > 0:
            return
        lacing = head[at + 27 : at + 27 + head[at + 26]]
        end = at + 27 + len(lacing) + sum(lacing)
        yield head[at + 27 + len(lacing) : end]
        at = end


def _tags(head: bytes) -> Iterator[bytes]:
    """Yield the ID3 tag, and FLAC's blocks."""
    at = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        for byte in head[6:10]:
            at = at << 7 | byte & 0x7F
        at += 10
        yield head[:at]
    if head[at : at + 4] != b"fLaC":
        return
    at += 4
    is_last = False
    while not is_last and at + 4 <= len(head):
        is_last, length = head[at] >= 0x80, int.from_bytes(head[at + 1 : at + 4], "big")
        yield head[at + 4 : at + 4 + length]
        at += 4 + length
