"""What attackers send, and what is broken by accident in the same ways."""

# ruff: noqa: E501 - a table reads best with a row a line.

from __future__ import annotations

import io
import struct
import zipfile

import av
import numpy as np

from tests.poison import boxes, ebml, flacs, oggs, riff
from tests.poison.sounds import (
    DONE,
    ERROR,
    LIMIT,
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
from tests.poison.uploads import aac, flac_that_states, id3, stating, video
from tests.recordings import encoded, wav_bytes


def half(kind: str) -> bytes:
    return good(kind)[: len(good(kind)) // 2]


def damaged(kind: str) -> bytes:
    """Return a file with 3,000 bytes of noise in its middle."""
    middle = len(good(kind)) // 2
    return good(kind)[:middle] + noise(3000) + good(kind)[middle + 3000 :]


def not_finite() -> bytes:
    samples = speech().copy()
    samples[1000:2000], samples[3000], samples[3001] = np.nan, np.inf, 1e38
    return encoded(samples, file_format="WAV", subtype="FLOAT")


def all_nan() -> bytes:
    return encoded(np.full(2 * RATE, np.nan, "f4"), file_format="WAV", subtype="FLOAT")


def opposed() -> bytes:
    """Return stereo whose sides cancel: a listener hears the voice, the mean of both sides is silent."""
    left = speech()
    return encoded(np.stack([left, -left], axis=1), file_format="WAV", subtype="PCM_16")


def masked() -> bytes:
    """Return stereo that plays one voice, while the mean of its sides is another, quiet one."""
    loud, quiet = speech(), 0.05 * speech()[::-1]
    return encoded(np.stack([quiet + loud, quiet - loud], axis=1), file_format="FLAC", subtype="PCM_16")


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


def archive(before: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("run.html", "<script>alert(1)</script>")
    return before + file.getvalue()


def two_tracks(container: str, codec: str) -> bytes:
    """Return a file whose first sound track is silent; players let people choose the second."""
    voice = speech(8.0, 48_000)
    return muxed(container, [(codec, np.zeros_like(voice)), (codec, voice)])


def wrong_sums(every: int) -> bytes:
    """Return FLAC in which the last byte of every so-manieth frame's sum is wrong."""
    frames = [flacs.frame(number, 4096) for number in range(32)]
    spoilt = [
        frame[:-1] + bytes([frame[-1] ^ 1]) if number % every == 0 else frame
        for number, frame in enumerate(frames)
    ]
    return b"fLaC" + flacs.stream_info(32 * 4096, rate=RATE) + b"".join(spoilt)


def flac_with_blocks(shortest: int, longest: int) -> bytes:
    return patched(good("flac"), 8, ">HH", shortest, longest)


def giant_comment() -> bytes:
    """Return FLAC with 12 MB of text between its description and its sound."""
    info, rest = bytearray(good("flac")[:42]), good("flac")[42:]
    info[4] = 0  # No longer the last block.
    text = b"COMMENT=" + b"A" * 12_000_000
    body = struct.pack("<II", 0, 1) + struct.pack("<I", len(text)) + text
    return bytes(info) + b"\x04" + len(body).to_bytes(3, "big") + body + rest


def mp3_that_states(n_frames: int) -> bytes:
    """Return 8 s of MP3 whose first frame states another count."""
    return patched(
        good("mp3"), max(good("mp3").find(mark) for mark in (b"Xing", b"Info")) + 8, ">I", n_frames
    )


def ogg_that_ends_at(granule: int) -> bytes:
    """Return 8 s of Ogg Vorbis whose last page states another time, with the right sum."""
    last = good("ogg").rfind(b"OggS")
    page = patched(
        good("ogg")[last:], 6, "<qIIi", granule, *struct.unpack_from("<II", good("ogg"), last + 14), 0
    )
    return good("ogg")[:last] + patched(page, 22, "<I", oggs.crc(page))


def many_boxes(n_boxes: int) -> bytes:
    return aac() + b"\0\0\0\x08free" * n_boxes


def mp4_with(name: bytes, made: bytes) -> bytes:
    return boxes.rewrite(aac(), boxes.replacing(name, made))


def elsewhere() -> bytes:
    """Return a MOV whose sound is said to lie in another file (a data reference with a path)."""
    reference = boxes.full(b"url ", b"file:///etc/passwd\0")
    return boxes.rewrite(
        muxed("mov", [("pcm_s16le", speech())], rate=RATE),
        boxes.replacing(b"dref", boxes.full(b"dref", struct.pack(">I", 1) + reference)),
    )


def edited(n_edits: int) -> bytes:
    """Return an M4A whose edit list plays its first second again and again."""
    edits = struct.pack(">IiHH", 1000, 0, 1, 0) * n_edits
    return mp4_with(b"edts", boxes.box(b"edts", boxes.full(b"elst", struct.pack(">I", n_edits) + edits)))


def opus_webm(times: list[int], packets: list[bytes] | None = None, **fields) -> bytes:
    """Return WebM with one packet in each cluster, at the given milliseconds."""
    packets = list(opus_packets()) if packets is None else packets
    return ebml.webm(
        (ebml.cluster(at, [ebml.block(packet)]) for at, packet in zip(times, packets, strict=False)), **fields
    )


def tiny_blocks(n_blocks: int) -> bytes:
    """Return WebM of very many packets, each two bytes of lost sound."""
    per = 30_000
    return ebml.webm(
        ebml.cluster(per * number, [ebml.block(b"\x03\x01", at_ms=n) for n in range(per)])
        for number in range(n_blocks // per)
    )


def one_sample_a_packet() -> bytes:
    """Return Matroska in which every packet holds one sample; each costs whoever reads it a fixed time."""
    samples = riff.pcm16(speech())
    audio = ebml.element(0xB5, struct.pack(">d", RATE)) + ebml.number(0x9F, 1) + ebml.number(0x6264, 16)
    track = ebml.element(
        ebml.TRACK,
        ebml.number(0xD7, 1)
        + ebml.number(0x73C5, 1)
        + ebml.number(0x83, 2)
        + ebml.element(0x86, b"A_PCM/INT/LIT")
        + ebml.element(0xE1, audio),
    )
    return ebml.webm(
        (
            ebml.cluster(
                1000 * number,
                [
                    ebml.block(samples[2 * at : 2 * at + 2], at_ms=(at - 16_000 * number) // 16)
                    for at in range(16_000 * number, min(60_000, 16_000 * number + 16_000))
                ],
            )
            for number in range(4)
        ),
        tracks=[track],
    )


def patched_name(content: bytes) -> bytes:
    """Return an MP4 whose first track names a codec that does not exist."""
    return content.replace(b"mp4a", b"zz9x", 1).replace(b"esds", b"free", 1)


def ogg_flood(n_streams: int) -> bytes:
    """Return an Ogg file that begins very many streams before the first one goes on."""
    starts = b"".join(oggs.opus_start(serial)[0] for serial in range(2, n_streams))
    return (
        oggs.opus_start()[0]
        + starts
        + oggs.opus_start()[1]
        + oggs.page([b"\x0b\x06"] * 9, granule=9 * 5760, number=2)
    )


def rate_change() -> bytes:
    """Return two AAC streams of different rates, one after the other."""
    return b"".join(muxed("adts", [("aac", speech(4.0, rate))], rate=rate) for rate in (48_000, 16_000))


def opus_of_many_channels() -> bytes:
    """Return Opus that states 255 channels (RFC 7845, mapping family 255)."""
    head = ebml.opus_head(255, family=255, mapping=bytes([255, 0, *range(255)]))
    page = oggs.page([head[:254]], flags=oggs.FIRST) if len(head) < 255 else None
    if page is None:  # Longer than one lacing value: two of them.
        made = bytearray(struct.pack("<4sBBqIIIB", b"OggS", 0, oggs.FIRST, 0, 1, 0, 0, 2))
        made += bytes([255, len(head) - 255]) + head
        struct.pack_into("<I", made, 22, oggs.crc(bytes(made)))
        page = bytes(made)
    return page + oggs.opus_start()[1] + oggs.page([b"\x0b\x06"] * 9, granule=9 * 5760, number=2)


def attachments() -> bytes:
    """Return WebM that carries an executable of 4 MB beside its sound."""
    file = (
        ebml.element(0x466E, b"run.exe")
        + ebml.element(0x4660, b"audio/wav")
        + ebml.element(0x465C, noise(4_000_000))
    )
    attached = ebml.element(ebml.ATTACHMENTS, ebml.element(ebml.ATTACHED, file + ebml.number(0x46AE, 7)))
    return opus_webm([20 * n for n in range(400)], before=attached)


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile '/etc/hostname'\n"
DASH = b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>http://127.0.0.1:9/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>'
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"
PAGE = b"<html><script>alert(1)</script></html>"
# fmt: off
ATTACKERS = (
    Poison("empty.wav", lambda: b"", NOTHING, "reject", ("EMPTY",), "no bytes at all"),
    Poison("text-named.wav", lambda: b"this is not a recording\n" * 50, NOTHING, "reject", ("NOT_AUDIO",), "text"),
    Poison("page-named.mp3", lambda: PAGE * 30, NOTHING, "reject", ("NOT_AUDIO",), "a web page"),
    Poison("archive-named.wav", lambda: b"PK\x03\x04" + noise(3000), NOTHING, "reject", ("NOT_AUDIO",), "an archive"),
    Poison("random.bin", lambda: noise(200_000), NOTHING, "reject", ("NOT_AUDIO",), "noise"),
    Poison("picture-named.mp3", picture, NOTHING, "reject", ("NOT_AUDIO",), "a picture"),
    Poison("hls-playlist-named.wav", lambda: HLS, NOTHING, "reject", ("NOT_AUDIO",), "a playlist that names an address"),
    Poison("concat-list-named.wav", lambda: CONCAT, NOTHING, "reject", ("NOT_AUDIO",), "a list that names a file of the server"),
    Poison("dash-named.mp4", lambda: DASH, NOTHING, "reject", ("NOT_AUDIO",), "a DASH description that names an address"),
    Poison("sdp-named.wav", lambda: SDP, NOTHING, "reject", ("NOT_AUDIO",), "a session description that asks to listen on the network"),
    Poison("video-without-sound.mp4", lambda: video("mp4", "mpeg4"), NOTHING, "reject", ("NO_SOUND_TRACK",), "a video without sound"),
    Poison("raw-pcm.wav", lambda: riff.pcm16(speech()), NOTHING, "reject", ("NOT_AUDIO",), "samples without a header"),

    Poison("page-inside.wav", lambda: riff.wave(riff.fmt(), riff.chunk(b"LIST", PAGE), riff.chunk(b"data", riff.pcm16(speech()))), DONE, "accept", (), "a web page inside a recording: heard as the recording it is", 8),
    Poison("archive-behind.wav", lambda: archive(good("wav")), DONE, "accept", (), "an archive behind a recording", 8),
    Poison("document-before.mp3", lambda: b"%PDF-1.4\n1 0 obj<<>>endobj\n" + good("mp3"), DONE, "accept", (), "a document's first line before a recording", 8.1),
    Poison("page-before.wav", lambda: PAGE + good("wav"), NOTHING, "reject", ("NOT_AUDIO",), "a web page before a recording"),

    Poison("header-alone.wav", lambda: good("wav")[:44], NOTHING, "reject", ("NO_SAMPLES",), "a header without samples"),
    Poison("claims-1-hz.wav", lambda: stating(rate=1), LIMIT, "review", ("RATE_OUT_OF_RANGE",), "1 Hz: 20 KB that would become 640 MB"),
    Poison("claims-0-hz.wav", lambda: stating(rate=0), LIMIT, "review", ("RATE_OUT_OF_RANGE",), "0 Hz"),
    Poison("claims-4-ghz.wav", lambda: stating(rate=2**32 - 1), LIMIT, "review", ("RATE_OUT_OF_RANGE",), "4 GHz"),
    Poison("claims-1-hz.flac", lambda: patched(good("flac"), 18, ">I", 1 << 12 | 0xF0), LIMIT, "review", ("RATE_OUT_OF_RANGE",), "1 Hz in FLAC"),
    Poison("claims-65535-channels.wav", lambda: stating(channels=65_535), LIMIT, "review", ("TOO_MANY_CHANNELS",), "65,535 channels"),
    Poison("claims-0-channels.wav", lambda: stating(channels=0), LIMIT, "review", ("TOO_MANY_CHANNELS",), "no channel"),
    Poison("255-channels.wav", lambda: riff.wave(riff.fmt(channels=255), riff.chunk(b"data", riff.pcm16(np.repeat(speech(2.0), 255)))), LIMIT, "review", ("TOO_MANY_CHANNELS",), "255 real channels"),
    Poison("255-channels.opus", opus_of_many_channels, LIMIT, "review", ("TOO_MANY_CHANNELS",), "255 channels in Opus"),
    Poison("claims-10-hours.wav", lambda: stating(n_bytes=2 * RATE * 36_000), DONE, "label", ("TRUNCATED",), "a size of 10 hours on 8 s"),
    Poison("claims-10-hours.flac", lambda: flac_that_states(RATE * 36_000), DONE, "label", ("TRUNCATED",), "10 hours on 8 s"),
    Poison("claims-1-second-of-8.flac", lambda: flac_that_states(RATE), DONE, "label", ("LENGTH_MISSTATED",), "1 s on 8 s: all of it is heard, and it is said"),
    Poison("claims-10-hours.mp3", lambda: mp3_that_states(1_000_000), DONE, "label", ("TRUNCATED",), "a count of frames for 10 hours on 8 s"),
    Poison("claims-1-second.mp3", lambda: mp3_that_states(28), DONE, "accept", (), "a count of frames for 1 s on 8 s: all of it is heard", 8),
    Poison("claims-10-hours.ogg", lambda: ogg_that_ends_at(36_000 * RATE), DONE, "label", ("TRUNCATED",), "a last page that states 10 hours"),
    Poison("ends-before-it-begins.ogg", lambda: ogg_that_ends_at(-5), DONE, "label", (), "a last page that states a time before the first"),
    Poison("no-time-a-packet.m4a", lambda: mp4_with(b"stts", boxes.full(b"stts", struct.pack(">III", 1, 378, 0))), DONE, "accept", (), "packets that state no time at all: all of them are heard"),
    Poison("huge-chunk.wav", lambda: riff.wave(riff.fmt(), riff.chunk(b"LIST", b"", size=2**32 - 9), riff.chunk(b"data", riff.pcm16(speech()))), ERROR, "reject", ("DAMAGED",), "a chunk of 4 GB before the sound"),
    Poison("chunk-to-itself.wav", lambda: riff.wave(riff.fmt(), riff.chunk(b"LIST", b"", size=2**32 - 8), riff.chunk(b"data", riff.pcm16(speech()))), ERROR, "reject", ("DAMAGED",), "a chunk whose size leads back to itself in 32 bits"),
    Poison("block-of-0.wav", lambda: riff.wave(riff.fmt(block=0), riff.chunk(b"data", riff.pcm16(speech()))), DONE, "accept", (), "0 bytes a frame in the header", 8),
    Poison("huge-adpcm-block.wav", lambda: riff.wave(riff.fmt(2, bits=4, block=65_535, rest=struct.pack("<HH", 2, 65_535)), riff.chunk(b"data", noise(100_000))), ERROR, "reject", ("DAMAGED",), "ADPCM with blocks of 64 KB of noise"),
    Poison("two-sounds.wav", lambda: riff.wave(riff.fmt(), riff.chunk(b"data", bytes(64_000)), riff.chunk(b"data", riff.pcm16(speech()))), DONE, "label", ("SILENCE",), "two data chunks, of which players play the first"),
    Poison("endless-riff.wav", lambda: riff.wave(riff.fmt(), *([riff.chunk(b"JUNK", b"")] * 200_000), riff.chunk(b"data", riff.pcm16(speech()))), DONE, "accept", (), "200,000 empty chunks before the sound", 8),

    Poison("truncated.wav", lambda: half("wav"), DONE, "label", ("TRUNCATED",), "the first half"),
    Poison("truncated.mp3", lambda: half("mp3"), DONE, "label", ("TRUNCATED",), "the first half"),
    Poison("truncated.flac", lambda: half("flac"), DONE, "label", ("TRUNCATED",), "the first half"),
    Poison("truncated.webm", lambda: half("webm"), DONE, "label", ("TRUNCATED",), "the first half"),
    Poison("truncated-index-lost.m4a", lambda: half("m4a"), ERROR, "reject", ("DAMAGED",), "the first half, its index lost"),
    Poison("damaged.mp3", lambda: damaged("mp3"), DONE, "label", ("DAMAGED",), "3,000 bytes of noise in the middle"),
    Poison("damaged.m4a", lambda: damaged("m4a"), DONE, "label", ("DAMAGED",), "3,000 bytes of noise in the middle"),
    Poison("damaged.flac", lambda: damaged("flac"), DONE, "label", ("DAMAGED",), "3,000 bytes of noise in the middle"),
    Poison("damaged.ogg", lambda: damaged("ogg"), DONE, "label", ("TRUNCATED",), "3,000 bytes of noise in the middle"),
    Poison("noise-signed.flac", lambda: b"fLaC" + noise(50_000), ERROR, "reject", ("DAMAGED",), "a signature, then noise"),
    Poison("noise-signed.ogg", lambda: b"OggS" + noise(50_000), ERROR, "reject", ("DAMAGED",), "a signature, then noise"),
    Poison("noise-signed.m4a", lambda: b"\0\0\0\x18ftypM4A " + noise(50_000), ERROR, "reject", ("DAMAGED",), "a signature, then noise"),
    Poison("noise-signed.webm", lambda: b"\x1a\x45\xdf\xa3" + noise(50_000), ERROR, "reject", ("DAMAGED",), "a signature, then noise"),

    Poison("nan-inf-1e38.wav", not_finite, DONE, "accept", ("NOT_FINITE",), "1,002 samples that are no numbers"),
    Poison("all-nan.wav", all_nan, DONE, "label", ("NOT_FINITE",), "nothing but NaN"),
    Poison("silence-of-2-s.wav", lambda: wav_bytes(np.zeros(2 * RATE, "f4")), DONE, "label", ("SILENCE",), "silence"),
    Poison("one-sample.wav", lambda: wav_bytes(np.full(1, 0.5, "f4")), DONE, "label", (), "a single sample"),
    Poison("sides-cancel.wav", opposed, DONE, "label", ("CHANNELS_CANCEL",), "stereo that is silent when mixed to mono"),
    Poison("sides-hide.flac", masked, DONE, "label", ("CHANNELS_CANCEL",), "stereo whose mono mix is another voice than the one that is heard"),
    Poison("second-track.mp4", lambda: two_tracks("mp4", "aac"), DONE, "label", ("OTHER_TRACKS",), "the voice in a second sound track"),
    Poison("second-track.mkv", lambda: two_tracks("matroska", "libopus"), DONE, "label", ("OTHER_TRACKS",), "the voice in a second sound track"),
    Poison("rate-change.aac", rate_change, DONE, "label", ("TRUNCATED", "DAMAGED"), "another sample rate from the middle on"),
    Poison("kinds-change.ogg", lambda: good("ogg") + good("opus"), DONE, "label", ("DAMAGED",), "a Vorbis stream, then an Opus stream that nobody announced"),

    Poison("10-hours-of-nothing.opus", lambda: oggs.hours_of_lost_frames(10), DONE, "label", ("SILENCE",), "10 hours in under a megabyte"),
    Poison("10-hours-of-nothing.flac", lambda: flacs.silence(36_000), DONE, "label", ("SILENCE",), "10 hours in 400 KB"),
    Poison("wrong-sums.flac", lambda: wrong_sums(4), DONE, "label", ("DAMAGED",), "every fourth block with a wrong sum"),
    Poison("all-sums-wrong.flac", lambda: wrong_sums(1), DONE, "label", ("DAMAGED",), "every block with a wrong sum"),
    Poison("blocks-of-0.flac", lambda: flac_with_blocks(0, 0), ERROR, "reject", ("DAMAGED",), "a header with blocks of 0 samples"),
    Poison("blocks-of-16.flac", lambda: flac_with_blocks(16, 16), DONE, "label", ("TRUNCATED", "DAMAGED"), "a header with blocks smaller than the real ones"),
    Poison("giant-comment.flac", giant_comment, DONE, "accept", (), "12 MB of text before the sound", 8),
    Poison("giant-cover.mp3", lambda: id3(24_000_000) + good("mp3"), DONE, "accept", (), "24 MB of cover picture before the sound", 8),
    Poison("endless-tag.mp3", lambda: b"ID3\3\0\0\x7f\x7f\x7f\x7f" + good("mp3"), ERROR, "reject", ("DAMAGED",), "a tag that states 256 MB"),

    Poison("boxes-without-end.m4a", lambda: many_boxes(300_000), DONE, "accept", (), "300,000 empty boxes", 8),
    Poison("boxes-in-boxes.m4a", lambda: aac() + boxes.nested(b"moov", 20_000), DONE, "accept", (), "20,000 boxes inside each other", 8),
    Poison("boxes-in-boxes-first.m4a", lambda: aac()[:28] + boxes.nested(b"udta", 20_000) + aac()[28:], ERROR, "reject", ("DAMAGED",), "the same before the sound"),
    Poison("box-of-minus-1.m4a", lambda: aac() + boxes.box(b"free", b"", size=1) + b"\xff" * 8, DONE, "accept", (), "a box of 2^64 - 1 bytes", 8),
    Poison("box-of-7.m4a", lambda: aac() + boxes.box(b"free", b"", size=7), DONE, "accept", (), "a box smaller than its own header", 8),
    Poison("huge-index.m4a", lambda: mp4_with(b"stsz", boxes.full(b"stsz", struct.pack(">II", 1, 2**31 - 1))), ERROR, "reject", ("DAMAGED",), "an index that states 2^31 packets"),
    Poison("huge-times.m4a", lambda: mp4_with(b"stts", boxes.full(b"stts", struct.pack(">III", 1, 2**31 - 1, 2**31 - 1))), DONE, "label", ("TRUNCATED",), "packets that state hours each"),
    Poison("no-clock.m4a", lambda: boxes.rewrite(aac(), lambda name, inside: boxes.box(name, patched(inside, 12, ">I", 0)) if name == b"mdhd" else None), DONE, "label", ("TRUNCATED",), "a track with 0 ticks a second"),
    Poison("edits-of-edits.m4a", lambda: edited(5_000), DONE, "accept", (), "an edit list that plays one second 5,000 times: heard in windows, as any long recording"),
    Poison("elsewhere.mov", elsewhere, DONE, "accept", (), "a reference to a file of the server: what is played lies in the file itself", 8),

    Poison("backward.webm", lambda: opus_webm([20 * (399 - n) for n in range(400)]), DONE, "accept", (), "times that run backward"),
    Poison("hours-ahead.webm", lambda: opus_webm([20 * n + (36_000_000 if n > 200 else 0) for n in range(400)]), DONE, "label", ("TRUNCATED",), "a jump of ten hours in the middle"),
    Poison("million-years-ahead.webm", lambda: opus_webm([20 * n + (2**62 if n > 200 else 0) for n in range(400)]), DONE, "accept", (), "a jump of millions of years, which counts as no stated length"),
    Poison("all-at-once.webm", lambda: opus_webm([0] * 400), DONE, "accept", (), "all packets at the same time"),
    Poison("one-sample-a-packet.mkv", one_sample_a_packet, DONE, "accept", (), "60,000 packets of a single sample", 3.75),
    Poison("unknown-codec.mp4", lambda: patched_name(muxed("mp4", [("aac", speech(4.0, 48_000))])), NOTHING, "reject", ("CODEC_NOT_SUPPORTED",), "a kind of sound that nobody knows"),
    Poison("second-unknown.mp4", lambda: patched_name(two_tracks("mp4", "aac")), DONE, "accept", (), "a first track that nobody knows, as newer phones write beside the common one", 8),
    Poison("tiny-blocks.webm", lambda: tiny_blocks(300_000), DONE, "label", ("SILENCE",), "300,000 packets of two bytes"),
    Poison("bad-lacing.webm", lambda: opus_webm([20 * n for n in range(50)], [bytes([255]) + b"\xff" * 50] * 50).replace(b"\x80" + bytes([255]), b"\x86" + bytes([255])), ERROR, "reject", ("DAMAGED",), "laced blocks that promise 256 packets"),
    Poison("endless-elements.webm", lambda: ebml.webm([ebml.element(ebml.CLUSTER, b"", size=ebml.UNKNOWN_SIZE)] * 50_000), ERROR, "reject", ("DAMAGED",), "50,000 open clusters inside each other"),
    Poison("carries-a-program.webm", attachments, DONE, "accept", (), "a program attached beside the sound", 8),
    Poison("claims-1-hz.webm", lambda: ebml.webm([ebml.cluster(0, [ebml.block(packet, at_ms=20 * n) for n, packet in enumerate(opus_packets())])], tracks=[ebml.opus_track().replace(struct.pack(">d", 48_000), struct.pack(">d", 1.0))]), DONE, "accept", (), "1 Hz stated for Opus, which is always 48 kHz"),
    Poison("streams-without-end.ogg", lambda: ogg_flood(20_000), LIMIT, "review", ("OUT_OF_MEMORY",), "20,000 streams begun at once"),
    Poison("pages-without-end.ogg", lambda: b"".join(oggs.opus_start()) + oggs.page([b""] * 255, number=2) * 20_000, ERROR, "reject", ("DAMAGED",), "five million empty packets"),
    Poison("recording-in-recording.wav", lambda: riff.wave(riff.fmt(), riff.chunk(b"data", good("ogg"))), DONE, "label", ("NOT_SPEECH",), "another recording as samples: heard as the noise that players make of it"),
    Poison("film-in-film.mp4", lambda: boxes.rewrite(aac(), lambda name, inside: boxes.box(name, inside) + boxes.box(b"mdat", video("mp4", "mpeg4", "aac")) if name == b"mdat" else None), DONE, "accept", (), "another video inside the sound's box"),
)
# fmt: on
