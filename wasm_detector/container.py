"""Bytes -> what the container says: format, codec, rate, length, encoder. Standard library only.

Nothing here decodes audio, and nothing here raises: whatever the bytes are, there is a `Container`, and its
format is `unknown` when they are none that we know. Every field is a claim of the file, not a fact.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

HEAD_BYTES = 1 << 20
"""The most that is looked at."""

FORMATS = ("unknown", "wav", "flac", "mp3", "mp4", "ogg", "webm", "aac", "aiff")
"""Every `Container.format`. A claim names a format by its place here, so new ones go to the end."""

SAMPLE_FORMATS = {
    (1, 8): "u8", (1, 16): "s16", (1, 24): "s24", (1, 32): "s32", (3, 32): "f32", (3, 64): "f64",
}  # fmt: skip
"""(format tag, bits) of the WAV files that we read ourselves."""

MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
AAC_RATES = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)
MP3_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


@dataclass(frozen=True, slots=True)
class WavLayout:
    """Where the samples of a WAV lie: `n_frames` frames of `frame_bytes` bytes from `data_offset` on.

    `sample_format` is one of `u8 s16 s24 s32 f32 f64`, little-endian, channels interleaved.
    """

    data_offset: int
    n_frames: int
    frame_bytes: int
    sample_format: str
    channels: int
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Container:
    """What the file says of itself; `None` = it does not say, or not in the bytes that were looked at.

    `format` is one of `FORMATS`.
    """

    format: str = "unknown"
    codec: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    duration_s: float | None = None
    encoder: str | None = None
    wav: WavLayout | None = None

    @property
    def facts(self) -> dict[str, int]:
        """Return what a claim's `exact` group says of the container, as whole numbers.

        `format` is the place in `FORMATS`, `rate` in Hz, `duration_ms` the stated length; what the file does not say is
        left out. The same bytes give the same numbers wherever this code runs.
        """
        stated = {
            "rate": self.sample_rate,
            "channels": self.channels,
            "duration_ms": None if self.duration_s is None else round(1000 * self.duration_s),
        }
        known = {name: value for name, value in stated.items() if value is not None}
        return {"format": FORMATS.index(self.format), **known}


def _chunks(head: bytes, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield (id, offset, claimed size) of the RIFF or AIFF chunks whose header lies within `head`."""
    at = 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], struct.unpack_from(order + "I", head, at + 4)[0]
        yield name, at + 8, size
        at += 8 + size + (size & 1)


def _read_wav(head: bytes, size: int) -> Container:
    """WAVE: `fmt ` then `data` (RFC 2361; the extensible form carries the tag in its GUID)."""
    found = Container("wav")
    form: tuple[int, int, int, int, int] | None = None
    for name, offset, length in _chunks(head, "<"):
        if name == b"fmt " and length >= 16 and offset + 16 <= len(head):
            tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", head, offset)
            if tag == 0xFFFE and length >= 26 and offset + 26 <= len(head):
                tag = struct.unpack_from("<H", head, offset + 24)[0]
            form = tag, channels, rate, block, bits
            found = replace(found, codec=f"pcm-{tag}-{bits}", sample_rate=rate, channels=channels)
        elif name == b"data":
            # A recorder that never came back to its header left 0: players play all that follows.
            return _with_layout(found, form, offset, max(0, min(length or size, size - offset)))
    return found


def _with_layout(
    found: Container, form: tuple[int, int, int, int, int] | None, offset: int, length: int
) -> Container:
    """Add the layout when we can read it. The length is what is there, not what the header claims."""
    if form is None:
        return found
    tag, channels, rate, block, bits = form
    sample_format = SAMPLE_FORMATS.get((tag, bits))
    if sample_format is None or not 1 <= channels <= 64 or block != channels * bits // 8 or not rate:
        return found
    n_frames = length // block
    layout = WavLayout(offset, n_frames, block, sample_format, channels, rate)
    return replace(found, codec=sample_format, duration_s=n_frames / rate, wav=layout)


def _read_aiff(head: bytes, size: int) -> Container:
    """AIFF: `COMM` holds channels, frames and the rate as an 80-bit float."""
    for name, offset, length in _chunks(head, ">"):
        if name == b"COMM" and length >= 18 and offset + 18 <= len(head):
            channels, n_frames, bits = struct.unpack_from(">HIH", head, offset)
            exponent, mantissa = struct.unpack_from(">HQ", head, offset + 8)
            shift = 16383 + 63 - (exponent & 0x7FFF)
            rate = mantissa >> shift if 0 <= shift < 64 else 0
            duration = n_frames / rate if rate else None
            return Container("aiff", f"pcm-{bits}", rate or None, channels, duration)
    return Container("aiff")


def _read_flac(head: bytes, size: int) -> Container:
    """FLAC: STREAMINFO is always the first metadata block (RFC 9639, 8.2)."""
    if len(head) < 26:
        return Container("flac", "flac")
    packed = int.from_bytes(head[18:26], "big")
    rate, channels, n_frames = packed >> 44, (packed >> 41 & 7) + 1, packed & ((1 << 36) - 1)
    return Container("flac", "flac", rate or None, channels, n_frames / rate if rate and n_frames else None)


def _read_ogg(head: bytes, size: int, tail: bytes) -> Container:
    """Ogg: the first page's packet names the codec; the last page's granule position gives the length."""
    found, clock = Container("ogg"), 0
    if (at := head.find(b"\x01vorbis", 0, 4096)) >= 0 and at + 16 <= len(head):
        channels, clock = head[at + 11], struct.unpack_from("<I", head, at + 12)[0]
        found = Container("ogg", "vorbis", clock or None, channels)
    elif (at := head.find(b"OpusHead", 0, 4096)) >= 0 and at + 16 <= len(head):
        clock = 48_000  # RFC 7845: granule positions and decoding are at 48 kHz whatever the input was.
        found = Container("ogg", "opus", clock, head[at + 9])
    last = tail.rfind(b"OggS")
    if clock and last >= 0 and last + 14 <= len(tail):
        granule = struct.unpack_from("<q", tail, last + 6)[0]
        found = replace(found, duration_s=granule / clock if granule > 0 else None)
    return found


def _skip_id3(head: bytes) -> int:
    """Return where the audio starts after an ID3v2 tag (its size has seven bits a byte)."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _mp3_frame(head: bytes, at: int) -> tuple[int, int, int, int, int] | None:
    """Return (rate, channels, bytes of the frame, samples a frame, kbit/s) of an MPEG Layer III header."""
    if at + 4 > len(head) or head[at] != 0xFF or head[at + 1] & 0xE6 != 0xE2:
        return None
    version, rate_index, rate_kbps = head[at + 1] >> 3 & 3, head[at + 2] >> 2 & 3, head[at + 2] >> 4
    if version == 1 or rate_index == 3 or rate_kbps in (0, 15):
        return None
    rate = MP3_RATES[version][rate_index]
    kbps = (MP3_KBPS_1 if version == 3 else MP3_KBPS_2)[rate_kbps]
    n_samples = 1152 if version == 3 else 576
    length = n_samples // 8 * kbps * 1000 // rate + (head[at + 2] >> 1 & 1)
    return rate, 1 if head[at + 3] >> 6 == 3 else 2, length, n_samples, kbps


def _read_mp3(head: bytes, size: int, start: int) -> Container:
    """MP3: two headers in a row; the length from the Xing/Info count where there is one, else the bit rate."""
    for at in range(start, min(len(head), start + 8192)):
        first = _mp3_frame(head, at)
        if first is None:
            continue
        rate, channels, length, n_samples, kbps = first
        after = _mp3_frame(head, at + length)
        if after is None and at + length + 4 <= len(head):
            continue
        duration = max(0, size - at) * 8 / (kbps * 1000)
        for mark in (b"Xing", b"Info"):
            info = head.find(mark, at, at + 64)
            if 0 <= info <= len(head) - 12 and head[info + 7] & 1:
                duration = struct.unpack_from(">I", head, info + 8)[0] * n_samples / rate
        return Container("mp3", "mp3", rate, channels, duration)
    return Container()


def _read_adts(head: bytes, at: int) -> Container:
    """AAC in ADTS frames (ISO 14496-3, 1.A.2): two headers in a row."""
    if at + 7 > len(head) or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0:
        return Container()
    index = head[at + 2] >> 2 & 15
    length = (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5
    after = head[at + length : at + length + 2]
    if (
        index >= len(AAC_RATES)
        or length < 7
        or (len(after) == 2 and (after[0] != 0xFF or after[1] & 0xF6 != 0xF0))
    ):
        return Container()
    channels = (head[at + 2] & 1) << 2 | head[at + 3] >> 6
    return Container("aac", "aac", AAC_RATES[index], channels or None)


def _boxes(head: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end of the payload) of the ISO boxes between two offsets."""
    at = start
    while at + 8 <= min(end, len(head)):
        size, name, skip = *struct.unpack_from(">I4s", head, at), 8
        if size == 1 and at + 16 <= len(head):
            size, skip = struct.unpack_from(">Q", head, at + 8)[0], 16
        elif size == 0:
            size = end - at
        if size < skip:
            return
        yield name, at + skip, min(at + size, end)
        at += size


def _box_paths(head: bytes, start: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes that describe a track, wherever they lie, never deeper than the standard nests them."""
    for name, first, last in _boxes(head, start, end):
        yield name, first, last
        if name in (b"moov", b"trak", b"mdia", b"minf", b"stbl") and depth < 6:
            yield from _box_paths(head, first, last, depth + 1)


def _read_mp4(head: bytes, size: int) -> Container:
    """MP4/M4A/MOV (ISO 14496-12): `mdhd` has the track's clock, `stsd` its codec, channels and rate."""
    found, clock = Container("mp4"), None
    for name, first, last in _box_paths(head, 0, size):
        if name == b"mdhd" and first + 24 <= len(head) and head[first] == 0:
            clock = struct.unpack_from(">II", head, first + 12)
        elif name == b"stsd" and first + 44 <= min(last, len(head)):
            codec = head[first + 12 : first + 16]
            channels, rate = (struct.unpack_from(">H", head, first + offset)[0] for offset in (32, 40))
            if codec in (b"mp4a", b"Opus", b"alac", b"fLaC", b"sowt", b"twos", b"lpcm", b".mp3"):
                duration = clock[1] / clock[0] if clock and clock[0] else None
                known = {b"mp4a": "aac", b"Opus": "opus"}.get(codec, codec.decode("ascii", "replace").lower())
                return replace(
                    found, codec=known, sample_rate=rate or None, channels=channels, duration_s=duration
                )
    return found


def _vint(head: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return an EBML number and its length in bytes, (-1, 0) when it is not there."""
    if at >= len(head) or head[at] == 0:
        return -1, 0
    length = 9 - head[at].bit_length()
    raw = int.from_bytes(head[at : at + length], "big")
    if at + length > len(head):
        return -1, 0
    return (raw if keep_marker else raw & ~(1 << 7 * length)), length


def _elements(head: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (id, start, end) of EBML elements; those that only hold others are entered (RFC 8794)."""
    at, end = start, min(end, len(head))
    while at < end:
        name, n_name = _vint(head, at, keep_marker=True)
        length, n_length = _vint(head, at + n_name, keep_marker=False)
        if not n_name or not n_length:
            return
        first = at + n_name + n_length
        is_unknown = length == (1 << 7 * n_length) - 1
        last = end if is_unknown else min(end, first + length)
        yield name, first, last
        # Segment, Info, Tracks, TrackEntry, Audio: step inside; anything else: step over.
        at = first if name in (0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE1) else max(last, first)


def _ebml_float(raw: bytes) -> float | None:
    if len(raw) == 4:
        return float(struct.unpack(">f", raw)[0])
    return float(struct.unpack(">d", raw)[0]) if len(raw) == 8 else None


def _read_webm(head: bytes, size: int) -> Container:
    """WebM/Matroska: codec, rate and channels of the audio track, length from Info where it is given."""
    found, scale, ticks = Container("webm"), 1_000_000, None
    for name, first, last in _elements(head, 0, size):
        raw = head[first : min(last, first + 64)]
        if name == 0x86 and raw.startswith(b"A_"):
            found = replace(found, codec=raw.decode("ascii", "replace").removeprefix("A_").lower())
        elif name == 0xB5 and (rate := _ebml_float(raw)) and 0 < rate < 1e7:
            found = replace(found, sample_rate=round(rate))
        elif name == 0x9F:
            found = replace(found, channels=int.from_bytes(raw[:4], "big"))
        elif name == 0x2AD7B1:
            scale = int.from_bytes(raw[:8], "big")
        elif name == 0x4489:
            ticks = _ebml_float(raw)
        elif name == 0x1F43B675:  # A cluster: sound starts here.
            break
    if ticks and 0 < ticks * scale < 1e15:
        found = replace(found, duration_s=ticks * scale / 1e9)
    return replace(found, sample_rate=48_000) if found.codec == "opus" else found


def _recognise(head: bytes, size: int, tail: bytes) -> Container:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _read_wav(head, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _read_aiff(head, size)
    if head[:4] == b"OggS":
        return _read_ogg(head, size, tail)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return _read_mp4(head, size)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _read_webm(head, size)
    start = _skip_id3(head)
    if head[start : start + 4] == b"fLaC":
        return _read_flac(head[start:], size - start)
    found = _read_adts(head, start)
    if found.format == "unknown":
        found = _read_mp3(head, size, start)
    # An ID3 tag longer than what we look at (a cover picture) still says MP3.
    return Container("mp3", "mp3") if found.format == "unknown" and start >= len(head) > 10 else found


def encoder_of(head: bytes) -> str | None:
    """Return the name of the encoding program from the commonest places, printable characters only."""
    for mark in (b"ISFT", b"TSSE", b"encoder=", b"ENCODER=", b"\xa9too", b"LAME"):
        at = head.find(mark, 0, 65_536)
        if at < 0:
            continue
        text = head[at if mark == b"LAME" else at + len(mark) :][:80]
        kept = "".join(chr(byte) if 32 <= byte < 127 else "\0" for byte in text)
        words = (part.strip() for part in kept.split("\0"))
        # In an MP4 the text has a box around it, named `data`.
        named = next((word for word in words if len(word) >= 4 and word != "data"), None)
        if named:
            return named[:60]
    return None


def identify(head: bytes, size: int, *, tail: bytes = b"") -> Container:
    """Return what the first bytes (up to 1 MiB) of a file of `size` bytes say. Never raises.

    `tail`, the last bytes of the file (64 KiB will do), gives the length of an Ogg recording.
    """
    head = bytes(head[:HEAD_BYTES])
    try:
        found = _recognise(head, max(size, len(head)), bytes(tail))
    except (struct.error, IndexError, ValueError, OverflowError):
        return Container()
    if found.format == "unknown":
        return found
    return replace(found, encoder=encoder_of(head))
