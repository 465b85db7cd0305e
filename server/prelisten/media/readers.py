"""Samples from an open file, format by format. Runs in the child only.

Every reader states rate, channels and length before it decodes anything, and then gives mono float32 blocks at
the recording's own rate, inside the asked windows only. Mono is the mean of the channels.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from wasm_detector.container import Container
from wasm_detector.wav import ExactSums, WavLayout, decode_frames

Mono = NDArray[np.float32]
Block = tuple[int, Mono]
Windows = Sequence[tuple[int, int]]

BLOCK_S = 1.0
# What ffmpeg may recognise. An HLS playlist or a concat list would open other files and addresses.
FORMATS = "wav,w64,mp3,flac,ogg,mov,matroska,aac,aiff,caf"
# Nothing but the file at hand: PyAV reads it through our own object, so no protocol is needed at all.
PROTOCOLS = "none"
DECODERS = frozenset(
    {"aac", "alac", "flac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "vorbis"}
)
DECODER_FAMILIES = ("pcm_", "adpcm_")
# Jump over a gap that takes longer to decode than to find; land early, so that codecs with memory settle.
SEEK_GAP_S, PREROLL_S = 10.0, 2.0
# A header may promise a little less than there is (padding, rounding); past this a part was hidden.
LENGTH_MARGIN_S = 1.0
# Programs that write WAV into a pipe put a size from here on into its header, or 0.
STREAMED_WAV_BYTES = 0x7FFF0000
# The usual block of a FLAC encoder: a damaged one costs no more than itself.
FLAC_STEP = 4096
# What may follow the last block (tags of other programs); libFLAC reads ahead by 8 kB at most.
FLAC_REST_BYTES = 16_384
# Beyond this a length in a FLAC header is not meant.
MAX_STATED_FRAMES = 2**36 - 1
# The frame count of an MP3; without it a length is only guessed from the first frame's bit rate.
XING_MARKS = (b"Xing", b"Info")
# A file may be damaged here and there; one that is damaged everywhere must not cost the whole clock.
MAX_DAMAGED = 10_000
# Scanning the packets of a file that does not state its length: two hours of the shortest usual packets.
MAX_SCANNED_PACKETS = 3_000_000


class UnreadableError(Exception):
    """The file cannot be read; `code` is one of `failures.FAILURES`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Reader(Protocol):
    """An opened recording.

    `n_frames` is its length as far as it is known beforehand, `claimed_s` what the header says. After
    `blocks`: `end_frame` is where the recording ended when that was inside a window (else `None`),
    `is_longer` whether it goes on well beyond its stated length, `damaged` how many packets could not be
    decoded, `exact` the integer sums of the PCM where this code read the PCM itself.
    """

    sample_rate: float
    channels: int
    codec: str
    n_frames: int | None
    claimed_s: float | None
    damaged: int
    end_frame: int | None
    is_longer: bool
    exact: dict[str, int]

    def blocks(self, windows: Windows) -> Iterator[Block]:
        """Yield (first frame, samples) inside the windows, in order."""


Check = Callable[[float, int], None]


def open_reader(descriptor: int, container: Container, check: Check) -> Reader:
    """Return the reader for what the bytes are. `check` gets rate and channels before anything is decoded.

    Raises `UnreadableError`.
    """
    if container.format == "wav" and container.sample_rate is not None:
        check(container.sample_rate, container.channels or 0)
    if container.wav is not None:
        return WavReader(descriptor, container.wav)
    if container.format == "flac" and (reader := FlacReader.try_open(descriptor, check)):
        return reader
    return AvReader(descriptor, container, check)


class _Reading:
    """What every reader counts."""

    def __init__(self) -> None:
        self.damaged = 0
        self.end_frame: int | None = None
        self.is_longer = False
        self.exact: dict[str, int] = {}


class WavReader(_Reading):
    """Plain PCM, by the same code as in the browser; reads exactly the bytes of the windows."""

    def __init__(self, descriptor: int, layout: WavLayout) -> None:
        super().__init__()
        self.sample_rate = float(layout.sample_rate)
        self.channels = layout.channels
        self.codec = layout.sample_format
        self.n_frames: int | None = layout.n_frames
        self._descriptor = descriptor
        self._layout = layout
        self.claimed_s = self._claimed_s()

    def _claimed_s(self) -> float | None:
        """Return the length that the data chunk's size states; a recorder that was streaming states none."""
        (size,) = struct.unpack("<I", os.pread(self._descriptor, 4, self._layout.data_offset - 4))
        is_stated = 0 < size < STREAMED_WAV_BYTES
        return size // self._layout.frame_bytes / self.sample_rate if is_stated else None

    def blocks(self, windows: Windows) -> Iterator[Block]:
        """Yield (first frame, samples) inside the windows, in order."""
        step = max(1, int(self.sample_rate * BLOCK_S))
        sums = ExactSums()
        for first, asked in windows:
            last = min(asked, self._layout.n_frames)
            if last < asked:
                self.end_frame = last
            for start in range(first, last, step):
                mono, of_block = self._read(start, min(step, last - start))
                sums = sums + of_block
                yield start, mono
        self.exact = sums.to_dict()

    def _read(self, start: int, n_frames: int) -> tuple[Mono, ExactSums]:
        size = self._layout.frame_bytes
        raw = os.pread(self._descriptor, n_frames * size, self._layout.data_offset + start * size)
        return decode_frames(raw, self._layout)


class FlacReader(_Reading):
    """FLAC by libsndfile."""

    def __init__(self, descriptor: int, sound: soundfile.SoundFile) -> None:
        super().__init__()
        self.sample_rate = float(sound.samplerate)
        self.channels = sound.channels
        self.codec = "flac"
        self.n_frames: int | None = sound.frames
        self.claimed_s = sound.frames / self.sample_rate
        self._sound = sound
        self._descriptor = descriptor

    @classmethod
    def try_open(cls, descriptor: int, check: Check) -> FlacReader | None:
        """Return a reader, or `None` where libsndfile cannot open it or the length is not stated."""
        try:
            sound = soundfile.SoundFile(descriptor, closefd=False)
        except soundfile.LibsndfileError:
            return None
        if sound.format != "FLAC" or not 0 < sound.frames < MAX_STATED_FRAMES:
            return None
        check(sound.samplerate, sound.channels)
        return cls(descriptor, sound)

    def blocks(self, windows: Windows) -> Iterator[Block]:
        """Yield (first frame, samples) inside the windows, in order; a damaged frame ends the recording."""
        for first, last in windows:
            for start in range(first, last, FLAC_STEP):
                wanted = min(FLAC_STEP, last - start)
                samples = self._read(start, wanted)
                if samples.size:
                    yield start, samples
                if samples.size < wanted:
                    self.end_frame = start + samples.size
                    self.is_longer = self._has_bytes_left()
                    return
        self.is_longer = self._sound.tell() == self._sound.frames and self._has_bytes_left()

    def _has_bytes_left(self) -> bool:
        """Return whether much follows the stated end: libsndfile believes the header, players play it all."""
        left = os.fstat(self._descriptor).st_size - os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return not self.damaged and left > FLAC_REST_BYTES

    def _read(self, start: int, n_frames: int) -> Mono:
        try:
            if self._sound.tell() != start:
                self._sound.seek(start)
            return mix(self._sound.read(n_frames, dtype="float32", always_2d=True).T)
        except soundfile.LibsndfileError:
            self.damaged += 1
            return np.zeros(0, dtype=np.float32)


class AvReader(_Reading):
    """Everything else, by PyAV with its own FFmpeg."""

    def __init__(self, descriptor: int, container: Container, check: Check) -> None:
        super().__init__()
        self._file = UnnamedFile(descriptor)
        self._is_known_format = container.format != "unknown"
        self._is_mp4 = container.format == "mp4"
        self._open()
        context = self._stream.codec_context
        if not is_allowed(context.codec.name):
            raise UnreadableError("codec_not_supported")
        check(context.sample_rate, self._stream.channels)
        self.codec = str(context.codec.name)
        length_s = self._scan()
        self._open()
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise self._unreadable()
        # The frame's rate, not the header's: AAC with spectral band replication doubles it.
        check(first.sample_rate, len(first.layout.channels))
        self.sample_rate = float(first.sample_rate)
        self.channels = len(first.layout.channels)
        self._first = first
        self._longest = 1
        self.n_frames: int | None = None if length_s is None else round(length_s * self.sample_rate)
        self.claimed_s = self._claimed_s(container, descriptor)

    def _claimed_s(self, container: Container, descriptor: int) -> float | None:
        """Return the length that the header states for the sound, where the format has one to state."""
        streams = self._input.streams
        if container.format == "mp4" and self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        if container.format == "webm" and not streams.video:
            return container.duration_s
        if container.format == "mp3" and any(mark in os.pread(descriptor, 1 << 20, 0) for mark in XING_MARKS):
            return container.duration_s
        return None

    def _open(self) -> None:
        """Open the file (again) at its beginning."""
        self._file.seek(0)
        options = {"format_whitelist": FORMATS, "protocol_whitelist": PROTOCOLS}
        try:
            self._input: Any = av.open(self._file, container_options=options)
        except (av.error.FFmpegError, ValueError) as error:
            raise self._unreadable() from error
        streams = self._input.streams.audio
        if not streams:
            raise UnreadableError("no_sound_track" if self._input.streams.video else "not_audio")
        self._stream: Any = streams[0]
        self._context = decoder_of(self._stream)

    def _unreadable(self) -> UnreadableError:
        return UnreadableError("damaged" if self._is_known_format else "not_audio")

    def _scan(self) -> float | None:
        """Return the length in seconds by its packets, without decoding: a header may say anything or nothing."""
        end = start = None
        try:
            for index, packet in enumerate(self._input.demux(self._stream)):
                if index > MAX_SCANNED_PACKETS:
                    return None
                if packet.pts is not None and packet.size:
                    start = packet.pts if start is None else start
                    end = max(end or 0, packet.pts + (packet.duration or 0))
        except av.error.FFmpegError:
            # What comes before the damage counts; decoding meets it again, and says so.
            pass
        return None if end is None or start is None else float((end - max(0, start)) * self._stream.time_base)

    def _decode(self) -> Iterator[Any]:
        """Yield audio frames from where the file stands; damaged packets are skipped and counted."""
        packets = self._input.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                # PyAV ends with an empty packet; its own decoders take it as the end, ours wants None.
                yield from self._context.decode(packet if packet.size else None)
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, ValueError):
                self.damaged += 1
                if self.damaged > MAX_DAMAGED:
                    return

    def blocks(self, windows: Windows) -> Iterator[Block]:
        """Yield (first frame, samples) inside the windows, in order."""
        remaining = deque(windows)
        frames: Iterator[Any] = chain([self._first], self._frames)
        position, sought, gap = 0, 0, int(SEEK_GAP_S * self.sample_rate)
        while remaining:
            frame = next(frames, None)
            if frame is None or frame.sample_rate != self.sample_rate:
                self.damaged += frame is not None
                self.end_frame = position
                return
            samples, frames = self._without_padding(mono_of(frame), position, frames)
            self._longest = max(self._longest, samples.size)
            yield from clip(position, samples, remaining)
            position += samples.size
            while remaining and remaining[0][1] <= position:
                remaining.popleft()
            # Once for a window: where pages are long, a seek lands far before it, and would do so for ever.
            if remaining and sought < remaining[0][0] and remaining[0][0] - position > gap:
                sought = remaining[0][0]
                if not self._seek(sought):
                    continue
                frames = self._decode()
                frame = next(frames, None)
                position = position if frame is None else self._position(frame)
                frames = frames if frame is None else chain([frame], frames)
        self.is_longer = self._goes_on(frames, position)

    def _without_padding(
        self, samples: Mono, position: int, frames: Iterator[Any]
    ) -> tuple[Mono, Iterator[Any]]:
        """Cut what an MP4's last packet holds beyond the stated length: the encoder's padding.

        Browsers cut it; PyAV gives it. Where more packets follow, the stated length is wrong, and all is kept.
        """
        left = None if self.n_frames is None else self.n_frames - position
        if not self._is_mp4 or left is None or not 0 < left < samples.size:
            return samples, frames
        following = next(frames, None)
        return (samples[:left], frames) if following is None else (samples, chain([following], frames))

    def _seek(self, frame_index: int) -> bool:
        """Jump to shortly before a frame; `False` where the format cannot."""
        seconds = frame_index / self.sample_rate - PREROLL_S
        origin = self._first.pts or 0
        try:
            self._input.seek(origin + round(seconds / self._stream.time_base), stream=self._stream)
        except av.error.FFmpegError:
            return False
        self._context.flush_buffers()
        return True

    def _position(self, frame: Any) -> int:
        """Return the absolute index of a frame that was reached by seeking.

        WebM counts in milliseconds; packets all of one length give the exact place back.
        """
        tick = float(self._stream.time_base) * self.sample_rate
        position = round(((frame.pts or 0) - (self._first.pts or 0)) * tick)
        snapped = round(position / self._longest) * self._longest
        return snapped if tick > 1 and abs(snapped - position) <= tick else position

    def _goes_on(self, frames: Iterator[Any], position: int) -> bool:
        """Return whether much more than the stated length can be decoded: the header hides a part."""
        if self.n_frames is None or position < self.n_frames:
            return False
        margin = self.n_frames + int(LENGTH_MARGIN_S * self.sample_rate)
        for frame in frames:
            position += frame.samples
            if position > margin:
                return True
        return False


class UnnamedFile:
    """The open file as PyAV may see it: bytes without a name, so that only they say what it is."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb", closefd=False)

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()


def is_allowed(decoder: str) -> bool:
    """Return whether this decoder may run on strangers' bytes."""
    return decoder in DECODERS or decoder.startswith(DECODER_FAMILIES)


def decoder_of(stream: Any) -> Any:
    """Return the stream's decoder, single-threaded; for Opus libopus instead of FFmpeg's own.

    FFmpeg's native Opus decoder is off by up to 0.24 of full scale from what browsers decode, and no option
    of the container chooses the decoder.
    """
    context = stream.codec_context
    if context.codec.name == "opus":
        own = av.CodecContext.create("libopus", "r")
        own.extradata = context.extradata
        own.layout = context.layout
        own.sample_rate = 48_000
        own.options = {"request_sample_fmt": "flt"}
        return own
    context.thread_count = 1
    return context


def mono_of(frame: Any) -> Mono:
    """Return a frame as mono float32, full scale 1.0; integers are divided by their negative full scale."""
    samples = frame.to_ndarray()
    n_channels = len(frame.layout.channels)
    by_channel = samples if frame.format.is_planar else samples.reshape(-1, n_channels).T
    if samples.dtype == np.uint8:
        return mix((by_channel.astype(np.float32) - 128.0) / 128.0)
    if np.issubdtype(samples.dtype, np.integer):
        return mix(by_channel.astype(np.float64) / -float(np.iinfo(samples.dtype).min))
    return mix(by_channel)


def mix(by_channel: NDArray[Any]) -> Mono:
    """Return the mean of the channels, shape=(channels, n) -> (n,), as contiguous float32."""
    with np.errstate(invalid="ignore", over="ignore"):  # Float files may hold NaN, Inf and 1e38.
        return np.ascontiguousarray(by_channel.mean(axis=0), dtype=np.float32)


def clip(position: int, samples: Mono, windows: Iterable[tuple[int, int]]) -> Iterator[Block]:
    """Yield the parts of `samples`, which start at frame `position`, that lie inside the windows."""
    for first, last in windows:
        start, end = max(first, position), min(last, position + samples.size)
        if start < end:
            yield start, samples[start - position : end - position]
        if last > position + samples.size:
            return
