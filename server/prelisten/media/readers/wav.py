"""Plain PCM, by the same code as in the browser."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace

from prelisten.media.readers.reader import Block, Mono, Reading, Windows
from wasm_detector.wav import ExactSums, WavLayout, decode_frames

BLOCK_S = 1.0
# Programs that write WAV into a pipe put a size from here on into its header, or 0.
STREAMED_WAV_BYTES = 0x7FFF0000


class WavReader(Reading):
    """Reads exactly the bytes of the windows."""

    def __init__(self, descriptor: int, layout: WavLayout) -> None:
        super().__init__()
        self.sample_rate = float(layout.sample_rate)
        self.channels = layout.channels
        self.codec = layout.sample_format
        self.n_frames: int | None = layout.n_frames
        self._descriptor = descriptor
        self._layout = layout
        # One channel of as many frames: the samples as they lie in the file.
        self._flat = replace(layout, channels=1, frame_bytes=layout.frame_bytes // layout.channels)
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

    def sums(self, windows: Windows) -> dict[str, int]:
        """Return the exact sums of other windows; their bytes are read for that alone."""
        step, sums = max(1, int(self.sample_rate * BLOCK_S)), ExactSums()
        for first, asked in windows:
            last = min(asked, self._layout.n_frames)
            for start in range(first, last, step):
                sums = sums + decode_frames(self._raw(start, min(step, last - start)), self._layout)[1]
        return sums.to_dict()

    def _raw(self, start: int, n_frames: int) -> bytes:
        size = self._layout.frame_bytes
        return os.pread(self._descriptor, n_frames * size, self._layout.data_offset + start * size)

    def _read(self, start: int, n_frames: int) -> tuple[Mono, ExactSums]:
        raw = self._raw(start, n_frames)
        mono, sums = decode_frames(raw, self._layout)
        if self.channels > 1:
            interleaved, _ = decode_frames(raw, self._flat)
            self.count_cancelled(interleaved.reshape(-1, self.channels).T, mono)
        return mono, sums
