"""Everything but plain WAV and FLAC, by PyAV with its own FFmpeg."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Any

import av
import numpy as np
from av.audio.plane import AudioPlane
from numpy.typing import NDArray

from prelisten.media.limits import MAX_CHANNELS
from prelisten.media.readers.reader import Block, Check, Mono, Reading, UnreadableError, Windows, clip
from wasm_detector.container import Container

# What ffmpeg may recognise. An HLS playlist or a concat list would open other files and addresses.
FORMATS = "wav,w64,mp3,flac,ogg,mov,matroska,aac,aiff,caf"
# Nothing but the file at hand: PyAV reads it through our own object, so no protocol is needed at all.
PROTOCOLS = "none"
DECODERS = frozenset(
    {"aac", "alac", "flac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "vorbis"}
)
DECODER_FAMILIES = ("pcm_", "adpcm_")
# FFmpeg's names of interleaved sample formats.
SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
# Jump over a gap that takes longer to decode than to find; land early, so that codecs with memory settle.
SEEK_GAP_S, PREROLL_S = 10.0, 2.0
# Of the frames after a jump, so many are asked where it led.
SETTLING_FRAMES = 3
# A header may promise a little less than there is (padding, rounding); past this a part was hidden.
LENGTH_MARGIN_S = 1.0
# The frame count of an MP3; without it a length is only guessed from the first frame's bit rate.
XING_MARKS = (b"Xing", b"Info")
# A file may be damaged here and there; one that is damaged everywhere must not cost the whole clock.
MAX_DAMAGED = 10_000
# What PyAV raises on bytes that are wrong; `IndexError` when a track begins in the middle of a file.
BROKEN = (av.error.FFmpegError, ValueError, IndexError)
# Scanning the packets of a file that does not state its length: two hours of the shortest usual packets.
MAX_SCANNED_PACKETS = 3_000_000


class AvReader(Reading):
    """The first sound track that may be decoded; browsers play the same one."""

    def __init__(self, descriptor: int, container: Container, check: Check) -> None:
        super().__init__()
        self._file = UnnamedFile(descriptor)
        self._is_known_format = container.format != "unknown"
        self._is_mp4 = container.format == "mp4"
        self._open()
        context = self._stream.codec_context
        check(context.sample_rate, self._stream.channels)
        self.codec = str(context.codec.name)
        length_s = self._scan()
        self._open()
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise self._unreadable()
        # The frame's rate, not the header's: AAC with spectral band replication doubles it.
        check(first.sample_rate, first.layout.nb_channels)
        self.sample_rate = float(first.sample_rate)
        self.channels = first.layout.nb_channels
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
        except MemoryError:  # FFmpeg's own is an `FFmpegError` too, and a limit rather than damage.
            raise
        except BROKEN as error:
            raise self._unreadable() from error
        streams = self._input.streams.audio
        if not streams:
            raise UnreadableError("no_sound_track" if self._input.streams.video else "not_audio")
        readable = [stream for stream in streams if is_allowed(stream)]
        if not readable:
            raise UnreadableError("codec_not_supported")
        self.other_tracks = len(readable) - 1
        self._stream: Any = readable[0]
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
        except BROKEN:
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
            except MemoryError:
                raise
            except BROKEN:
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
            if frame is None or not self._is_alike(frame):
                self.damaged += frame is not None
                self.end_frame = position
                return
            samples, frames = self._without_padding(self._mono(frame), position, frames)
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
                first = list(islice(frames, SETTLING_FRAMES))
                position = self._position(first) if first else position
                frames = chain(first, frames)
        self.is_longer = self._goes_on(frames, position)

    def _is_alike(self, frame: Any) -> bool:
        """Return whether a frame may follow: the rate may not change, and channels may not multiply."""
        return bool(frame.sample_rate == self.sample_rate and frame.layout.nb_channels <= MAX_CHANNELS)

    def _mono(self, frame: Any) -> Mono:
        return self.mixed(channels_of(frame))

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
        except (av.error.FFmpegError, OverflowError):
            return False
        self._context.flush_buffers()
        return True

    def _position(self, frames: Sequence[Any]) -> int:
        """Return the absolute index of the first of the frames that were reached by seeking.

        With Vorbis those after it have a say: FFmpeg dates a frame 128 too late where blocks change their length.
        """
        if self.codec != "vorbis":
            return self._dated(frames[0])
        before = accumulate((int(frame.samples) for frame in frames), initial=0)
        told = [self._dated(frame) - n for frame, n in zip(frames, before, strict=False)]
        return told[1] if len(set(told[1:])) == 1 else told[0]

    def _dated(self, frame: Any) -> int:
        """Return the absolute index of a frame by its time stamp.

        WebM counts in milliseconds; packets all of one length give the exact place back.
        """
        tick = float(self._stream.time_base) * self.sample_rate
        position = round(((frame.pts or 0) - (self._first.pts or 0)) * tick)
        snapped = round(position / self._longest) * self._longest
        return snapped if tick > 1 and abs(snapped - position) <= tick else position

    def _goes_on(self, frames: Iterator[Any], position: int) -> bool:
        """Return whether much more than the stated length can be decoded: the header hides a part."""
        if self.n_frames is None:
            return next(frames, None) is not None
        if position < self.n_frames:
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


def is_allowed(stream: Any) -> bool:
    """Return whether a track's decoder is known, and may run on strangers' bytes."""
    context = stream.codec_context
    name = "" if context is None else context.codec.name
    return name in DECODERS or name.startswith(DECODER_FAMILIES)


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


def channels_of(frame: Any) -> NDArray[Any]:
    """Return a frame as float, shape=(channels, n); integers are divided by their negative full scale.

    `frame.planes` and `frame.to_ndarray()` must not be used: PyAV 18 looks for the planes' end by a null pointer,
    which is not there from eight separate channels on, and reads wild memory then. Here each plane is asked for
    by its number.
    """
    n_channels, kind = frame.layout.nb_channels, frame.format
    is_planar = kind.is_planar and n_channels > 1
    dtype = np.dtype(SAMPLE_TYPES[kind.packed.name])
    count = frame.samples if is_planar else frame.samples * n_channels
    # Any: a plane has the buffer protocol, which its type does not say.
    buffers: list[Any] = [AudioPlane(frame, index) for index in range(n_channels if is_planar else 1)]
    planes = [np.frombuffer(buffer, dtype, count) for buffer in buffers]
    by_channel: NDArray[Any] = np.stack(planes) if is_planar else planes[0].reshape(-1, n_channels).T
    if dtype == np.uint8:
        return np.asarray((by_channel.astype(np.float32) - 128.0) / 128.0)
    if np.issubdtype(dtype, np.integer):
        return np.asarray(by_channel.astype(np.float64) / -float(np.iinfo(dtype).min))
    return by_channel
