"""The scored samples as a float32 WAV file: exactly what the detector got, for reviewers and for replay."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

IEEE_FLOAT = 3
SAMPLE_BYTES = 4
# RIFF, `fmt `, `fact` (which the format asks of anything but integer PCM) and `data`.
HEADER = struct.Struct("<4sI4s 4sIHHIIHH 4sII 4sI")


class PcmFile:
    """A mono float32 WAV file that grows block by block; the header's sizes are filled in at the end."""

    def __init__(self, path: Path, sample_rate: float) -> None:
        self._file = path.open("wb")
        self._rate = round(sample_rate)
        self.n_samples = 0

    def __enter__(self) -> Self:
        self._file.write(self._header())
        return self

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append mono samples, shape=(n,)."""
        self._file.write(samples.astype("<f4", copy=False).tobytes())
        self.n_samples += samples.size

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._file.seek(0)
            self._file.write(self._header())

    def _header(self) -> bytes:
        size = self.n_samples * SAMPLE_BYTES
        return HEADER.pack(
            *(b"RIFF", HEADER.size - 8 + size, b"WAVE"),
            *(
                b"fmt ",
                16,
                IEEE_FLOAT,
                1,
                self._rate,
                self._rate * SAMPLE_BYTES,
                SAMPLE_BYTES,
                8 * SAMPLE_BYTES,
            ),
            *(b"fact", 4, self.n_samples),
            *(b"data", size),
        )
