"""FLAC by libsndfile, and by FFmpeg from the first damaged block or from a wrong end on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import soundfile

from prelisten.media.readers.ffmpeg import LENGTH_MARGIN_S, AvReader
from prelisten.media.readers.reader import Block, Check, Mono, Reading, UnreadableError, Windows
from wasm_detector.container import Container

# The usual block of a FLAC encoder: a damaged one costs no more than itself.
FLAC_STEP = 4096
# What may follow the last block (tags of other programs); libFLAC reads ahead by 8 kB at most.
FLAC_REST_BYTES = 16_384
# Beyond this a length in a FLAC header is not meant.
MAX_STATED_FRAMES = 2**36 - 1


class FlacReader(Reading):
    """libsndfile stops at a wrong sum and at the stated end. Players do not: so FFmpeg reads what follows."""

    def __init__(
        self, descriptor: int, container: Container, check: Check, sound: soundfile.SoundFile
    ) -> None:
        super().__init__()
        self.sample_rate = float(sound.samplerate)
        self.channels = sound.channels
        self.codec = "flac"
        self.n_frames: int | None = sound.frames
        self.claimed_s = sound.frames / self.sample_rate
        self._sound = sound
        self._descriptor = descriptor
        self._container = container
        self._check = check

    @classmethod
    def try_open(cls, descriptor: int, container: Container, check: Check) -> FlacReader | None:
        """Return a reader, or `None` where libsndfile cannot open it or the length is not stated."""
        try:
            sound = soundfile.SoundFile(descriptor, closefd=False)
        except soundfile.LibsndfileError:
            return None
        if sound.format != "FLAC" or not 0 < sound.frames < MAX_STATED_FRAMES:
            return None
        check(sound.samplerate, sound.channels)
        return cls(descriptor, container, check, sound)

    def blocks(self, windows: Windows) -> Iterator[Block]:
        """Yield (first frame, samples) inside the windows, in order."""
        for number, (first, last) in enumerate(windows):
            for start in range(first, last, FLAC_STEP):
                wanted = min(FLAC_STEP, last - start)
                samples = self._read(start, wanted)
                if samples.size:
                    yield start, samples
                if samples.size == wanted:
                    continue
                self.end_frame = start + samples.size
                is_over = not self.damaged and self.end_frame >= self._sound.frames
                if not is_over or self._has_bytes_left():
                    self.damaged += not is_over and not self.damaged
                    yield from self._go_on(((self.end_frame, last), *windows[number + 1 :]), is_over=is_over)
                return
        self.is_longer = self._sound.tell() == self._sound.frames and self._has_bytes_left()

    def _go_on(self, windows: Windows, *, is_over: bool) -> Iterator[Block]:
        """Yield what FFmpeg makes of what follows a damaged block, or the stated end when that `is_over`."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        try:
            other = AvReader(self._descriptor, self._container, self._check)
        except UnreadableError:
            return
        if (other.sample_rate, other.channels) != (self.sample_rate, self.channels):
            return
        n_more = 0
        for start, samples in other.blocks(windows):
            n_more += samples.size
            yield start, samples
        if n_more:
            self.end_frame = other.end_frame
        self.damaged += other.damaged
        self.cancelled += other.cancelled
        # A few bytes behind the end may be another program's tag, which makes no sound.
        self.is_longer = other.is_longer or (is_over and n_more > LENGTH_MARGIN_S * self.sample_rate)

    def _has_bytes_left(self) -> bool:
        """Return whether much follows the stated end: libsndfile believes the header, players play it all."""
        left = os.fstat(self._descriptor).st_size - os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return left > FLAC_REST_BYTES

    def _read(self, start: int, n_frames: int) -> Mono:
        try:
            if self._sound.tell() != start:
                self._sound.seek(start)
            return self.mixed(self._sound.read(n_frames, dtype="float32", always_2d=True).T)
        except soundfile.LibsndfileError:
            self.damaged += 1
            return np.zeros(0, dtype=np.float32)
