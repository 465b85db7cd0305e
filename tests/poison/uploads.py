"""What people send: every wrapping that a phone, a browser, a messenger or a studio program makes."""

# ruff: noqa: E501 - a table reads best with a row a line.

from __future__ import annotations

import struct

import numpy as np

from tests.poison import boxes, ebml, riff
from tests.poison.sounds import (
    DONE,
    ERROR,
    NOTHING,
    RATE,
    Poison,
    good,
    muxed,
    noise,
    opus_packets,
    patched,
    speech,
)
from tests.recordings import FORMATS, encoded, encoded_by_av, wav_bytes


def stating(*, channels: int = 1, rate: int = RATE, n_bytes: int = 16 * RATE) -> bytes:
    """Return 8 s of 16-bit WAV whose header states other numbers."""
    header = patched(patched(good("wav"), 22, "<HI", channels, rate), 40, "<I", n_bytes)
    return patched(header, 4, "<I", min(n_bytes + 36, 2**32 - 1))


def flac_that_states(n_frames: int) -> bytes:
    """Return 8 s of FLAC whose header states another length."""
    packed = int.from_bytes(good("flac")[18:26], "big") >> 36 << 36 | n_frames
    return good("flac")[:18] + packed.to_bytes(8, "big") + good("flac")[26:]


def sndfile(subtype: str, file_format: str = "WAV", rate: int = RATE) -> bytes:
    return encoded(speech(8.0, rate), file_format=file_format, subtype=subtype, rate=rate)


def video(container: str, codec: str, sound: str | None = None) -> bytes:
    """Return a second of moving grey with four seconds of sound."""
    tracks = [(sound, speech(4.0, 48_000))] if sound else []
    return muxed(container, tracks, picture=codec)


def aac(**options: str) -> bytes:
    return muxed("ipod", [("aac", speech(8.0, 48_000))], options=options)


def surround() -> np.ndarray:
    """Return 5.1 channels as films have them: the voice in the centre, next to nothing elsewhere."""
    quiet = 0.001 * np.random.default_rng(4).normal(size=(6, 8 * 48_000))
    quiet[2] += speech(8.0, 48_000)
    return quiet.astype("f4")


def doubled_rate() -> bytes:
    """Return AAC whose configuration announces spectral band replication: 24 kHz in the header, 48 kHz out."""
    content = muxed("ipod", [("aac", speech(8.0, 24_000))], rate=24_000)
    # ISO 14496-3, 1.6.2.1: the extension's mark, type 5, then "present" and the index of 48 kHz.
    absent, present = b"\x56\xe5\x00", b"\x56\xe5\x98"
    return content.replace(absent, present, 1)


def index_first() -> bytes:
    """Return an M4A whose movie box stands before the samples, as a server's copy of it often does."""
    parts = dict(boxes.split(aac()))
    movie_size = len(parts[b"moov"]) + 8

    def moved(name: bytes, inside: bytes) -> bytes | None:
        if name != b"stco":
            return None
        offsets = struct.unpack(f">{(len(inside) - 8) // 4}I", inside[8:])
        return boxes.box(
            name, inside[:8] + struct.pack(f">{len(offsets)}I", *(at + movie_size for at in offsets))
        )

    movie = boxes.box(b"moov", boxes.rewrite(parts.pop(b"moov"), moved))
    rest = [boxes.box(name, inside) for name, inside in parts.items()]
    return rest[0] + movie + b"".join(rest[1:])


def id3(n_bytes: int) -> bytes:
    """Return an ID3v2.3 tag with a cover picture of so many bytes."""
    picture = b"\0image/jpeg\0\3\0\xff\xd8" + noise(n_bytes)
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    return b"ID3\3\0\0" + bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0)) + frame


def ape_tag() -> bytes:
    """Return an APEv2 tag of one item, with header and footer."""
    item = struct.pack("<II", 4, 0) + b"Title\0" + b"Memo"
    fields = struct.pack("<8sIII", b"APETAGEX", 2000, len(item) + 32, 1)
    return fields + struct.pack("<IQ", 0xA0000000, 0) + item + fields + struct.pack("<IQ", 0x80000000, 0)


def chained(kind: str) -> bytes:
    """Return two Ogg files one after the other, as internet radio and some recorders write them."""
    return FORMATS[kind](speech(4.0), RATE) * 2


def recorded_by_a_browser(seconds: float = 8.0) -> bytes:
    """Return what MediaRecorder writes: clusters of unknown size, no length, no cues."""
    packets = opus_packets(seconds)
    return ebml.webm(
        ebml.cluster(
            1000 * second,
            [
                ebml.block(packet, at_ms=20 * n)
                for n, packet in enumerate(packets[50 * second : 50 * second + 50])
            ],
            size=ebml.UNKNOWN_SIZE,
        )
        for second in range(-(-len(packets) // 50))
    )


def constant_offset() -> bytes:
    return wav_bytes(np.clip(0.5 * speech() + 0.4, -1, 1))


def in_chunks(*before: bytes, after: bytes = b"") -> bytes:
    return riff.wave(riff.fmt(), *before, riff.chunk(b"data", riff.pcm16(speech())), after)


# fmt: off
PEOPLE = (
    *(Poison(f"good.{kind}", lambda kind=kind: good(kind), DONE, "accept", about="as an encoder writes it", heard_s=8) for kind in FORMATS),
    Poison("video.mp4", lambda: video("mp4", "mpeg4", "aac"), DONE, "accept", about="a video's sound", heard_s=4),
    Poison("video.mov", lambda: video("mov", "mpeg4", "aac"), DONE, "accept", about="a video's sound", heard_s=4),
    Poison("video.webm", lambda: video("webm", "libvpx", "libopus"), DONE, "accept", about="a video's sound", heard_s=4),
    Poison("video-pcm.mov", lambda: video("mov", "mpeg4", "pcm_s16be"), DONE, "accept", about="a camera's plain sound", heard_s=4),
    Poison("video.mkv", lambda: video("matroska", "mpeg4", "aac"), DONE, "accept", about="a video's sound", heard_s=4),
    Poison("memo-index-last.m4a", aac, DONE, "accept", about="a phone's voice memo, its index behind the sound", heard_s=8),
    Poison("memo-index-first.m4a", index_first, DONE, "accept", about="its index before the sound", heard_s=8),
    Poison("fragmented.mp4", lambda: aac(movflags="frag_keyframe+empty_moov+default_base_moof", frag_duration="1000000"), DONE, "accept", about="in fragments, as streams and Safari's recorder write it", heard_s=8),
    Poison("announces-sbr.m4a", doubled_rate, DONE, "accept", about="HE-AAC: the decoder's rate is twice the header's", heard_s=8),
    Poison("lossless.m4a", lambda: muxed("ipod", [("alac", speech(8.0, 48_000))]), DONE, "accept", about="Apple Lossless", heard_s=8),
    Poison("opus.mp4", lambda: muxed("mp4", [("libopus", speech(8.0, 48_000))]), DONE, "accept", about="Opus in MP4, as newer recorders write it", heard_s=8),
    Poison("memo.3gp", lambda: muxed("3gp", [("aac", speech(8.0, 48_000))]), DONE, "accept", about="an older phone's AAC", heard_s=8),
    Poison("memo-amr.3gp", lambda: muxed("3gp", [("libopencore_amrnb", speech(8.0, 8_000))], rate=8_000), NOTHING, "reject", ("CODEC_NOT_SUPPORTED",), "an older phone's AMR, which no browser plays"),
    Poison("memo.amr", lambda: muxed("amr", [("libopencore_amrnb", speech(8.0, 8_000))], rate=8_000), NOTHING, "reject", ("NOT_AUDIO",), "AMR in its own file"),
    Poison("messenger.ogg", lambda: muxed("ogg", [("libopus", speech())], rate=RATE, codec_options={"application": "voip", "b": "16000"}), DONE, "accept", about="a messenger's voice note: Opus at 16 kb/s", heard_s=8),
    Poison("chained.ogg", lambda: chained("ogg"), DONE, "accept", about="two Vorbis streams, one after the other", heard_s=8),
    Poison("chained.opus", lambda: chained("opus"), DONE, "accept", about="two Opus streams, one after the other", heard_s=8),
    Poison("recorder.webm", recorded_by_a_browser, DONE, "accept", about="a browser's recorder: no length, no index", heard_s=8),
    Poison("cut-while-recording.webm", lambda: recorded_by_a_browser()[:-9], DONE, "accept", about="the same, the last packet cut", heard_s=8),
    Poison("stream.aac", lambda: encoded_by_av(speech(), container="adts", codec="aac"), DONE, "accept", about="AAC without a container", heard_s=8),
    Poison("cover.mp3", lambda: id3(3_000_000) + good("mp3"), DONE, "accept", about="3 MB of cover picture before the sound", heard_s=8),
    Poison("ape-tag.mp3", lambda: good("mp3") + ape_tag(), DONE, "accept", about="a tag of other programs behind the sound", heard_s=8),
    Poison("id3v1.mp3", lambda: good("mp3") + b"TAG" + bytes(125), DONE, "accept", about="the oldest tag behind the sound", heard_s=8),
    Poison("tagged.flac", lambda: id3(100_000) + good("flac"), DONE, "accept", about="FLAC behind a tag that is not FLAC's", heard_s=8),
    Poison("tagged-behind.flac", lambda: good("flac") + noise(40_000), DONE, "accept", about="40 KB of another program behind FLAC", heard_s=8),
    Poison("phone.wav", lambda: sndfile("ULAW", rate=8_000), DONE, "accept", about="a telephone's mu-law at 8 kHz", heard_s=8),
    Poison("a-law.wav", lambda: sndfile("ALAW", rate=8_000), DONE, "accept", about="a telephone's A-law at 8 kHz", heard_s=8),
    Poison("adpcm.wav", lambda: sndfile("MS_ADPCM"), DONE, "accept", about="an answering machine's ADPCM", heard_s=8),
    Poison("mp3-inside.wav", lambda: muxed("wav", [("libmp3lame", speech())], rate=RATE), DONE, "accept", about="MP3 inside a WAV", heard_s=8),
    Poison("8-bits.wav", lambda: sndfile("PCM_U8"), DONE, "accept", about="unsigned bytes", heard_s=8),
    Poison("24-bits.wav", lambda: sndfile("PCM_24"), DONE, "accept", about="24 bits", heard_s=8),
    Poison("32-bits.wav", lambda: sndfile("PCM_32"), DONE, "accept", about="32 bits", heard_s=8),
    Poison("float-32.wav", lambda: sndfile("FLOAT"), DONE, "accept", about="32-bit float", heard_s=8),
    Poison("float-64.wav", lambda: sndfile("DOUBLE"), DONE, "accept", about="64-bit float", heard_s=8),
    Poison("extensible.wav", lambda: sndfile("PCM_24", "WAVEX"), DONE, "accept", about="WAVE_FORMAT_EXTENSIBLE", heard_s=8),
    Poison("96-khz.wav", lambda: sndfile("PCM_24", rate=96_000), DONE, "accept", about="a studio's 96 kHz", heard_s=8),
    Poison("192-khz.flac", lambda: sndfile("PCM_24", "FLAC", rate=192_000), DONE, "accept", about="a studio's 192 kHz", heard_s=8),
    Poison("rf64.wav", lambda: riff.rf64(speech()), DONE, "accept", about="the form for more than 4 GiB", heard_s=8),
    Poison("tape.w64", lambda: sndfile("PCM_16", "W64"), DONE, "accept", about="Sony's form for more than 4 GiB", heard_s=8),
    Poison("tape.aiff", lambda: sndfile("PCM_16", "AIFF"), DONE, "accept", about="AIFF", heard_s=8),
    Poison("tape.caf", lambda: sndfile("PCM_16", "CAF"), DONE, "accept", about="Core Audio's own form", heard_s=8),
    Poison("surround.flac", lambda: muxed("flac", [("flac", surround())], layout="5.1"), DONE, "accept", about="5.1 channels, the voice in one of them", heard_s=8),
    Poison("surround.m4a", lambda: muxed("ipod", [("aac", surround())], layout="5.1"), DONE, "accept", about="5.1 channels, the voice in one of them", heard_s=8),
    Poison("cinema.m4a", lambda: muxed("ipod", [("aac", np.repeat(speech(8.0, 48_000)[None], 8, axis=0))], layout="7.1"), DONE, "accept", about="7.1 channels, the same in each", heard_s=8),
    Poison("constant-offset.wav", constant_offset, DONE, "accept", about="a microphone with a constant offset", heard_s=8),
    Poison("no-stated-length.flac", lambda: flac_that_states(0), DONE, "accept", about="a FLAC encoder that wrote into a pipe", heard_s=8),
    Poison("piped.wav", lambda: stating(n_bytes=2**32 - 1), DONE, "accept", about="a size of 2^32 - 1, by a program that wrote into a pipe", heard_s=8),
    Poison("piped-zero.wav", lambda: stating(n_bytes=0), DONE, "accept", about="a size of 0, by a recorder that never came back to it", heard_s=8),
    Poison("odd-chunk.wav", lambda: in_chunks(riff.chunk(b"LIST", b"odd")), DONE, "accept", about="a chunk of odd size, padded", heard_s=8),
    Poison("odd-chunk-unpadded.wav", lambda: in_chunks(riff.chunk(b"LIST", b"odd", is_padded=False)), ERROR, "reject", ("DAMAGED",), "a chunk of odd size without its pad byte, which no browser plays"),
    Poison("notes-behind.wav", lambda: in_chunks(after=riff.chunk(b"LIST", noise(5001))), DONE, "accept", about="notes behind the sound", heard_s=8),
    Poison("odd-data.wav", lambda: riff.wave(riff.fmt(), riff.chunk(b"data", riff.pcm16(speech()) + b"\1")), DONE, "accept", about="half a sample too much", heard_s=8),
    Poison("long-head.wav", lambda: in_chunks(riff.chunk(b"JUNK", bytes(2_000_000))), DONE, "accept", about="2 MB of padding before the sound", heard_s=8),
    Poison("junk-first.wav", lambda: riff.wave(riff.chunk(b"JUNK", bytes(36)), riff.chunk(b"bext", bytes(602)), riff.fmt(), riff.chunk(b"data", riff.pcm16(speech()))), DONE, "accept", about="a broadcast recorder's chunks first", heard_s=8),
)
# fmt: on
