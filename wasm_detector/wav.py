"""Samples of a WAV file, the same in the browser and on the server: raw bytes -> mono float32 and exact sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wasm_detector.container import WavLayout
from wasm_detector.errors import UnreadableContainerError

__all__ = ["ExactSums", "WavLayout", "decode_frames"]

MODULUS = 1 << 53
"""Sums are kept below 2^53: the largest whole numbers that JavaScript and JSON keep exactly."""


@dataclass(frozen=True, slots=True)
class ExactSums:
    """Whole numbers that any change of the samples changes: frames, sum and sum of squares of all channels.

    Of integer formats the samples themselves are summed, of float formats their bit patterns; modulo 2^53.
    """

    n_frames: int = 0
    total: int = 0
    energy: int = 0

    def __add__(self, other: ExactSums) -> ExactSums:
        return ExactSums(
            self.n_frames + other.n_frames,
            (self.total + other.total) % MODULUS,
            (self.energy + other.energy) % MODULUS,
        )

    def to_dict(self) -> dict[str, int]:
        """Return the claim's `exact` group."""
        return {"n_frames": self.n_frames, "total": self.total, "energy": self.energy}


def _integers(raw: NDArray[np.uint8], sample_format: str) -> NDArray[np.int64]:
    """Return the samples as whole numbers, interleaved; of floats, their bit patterns."""
    if sample_format == "u8":
        return raw.astype(np.int64) - 128
    if sample_format == "s24":
        triples = raw.reshape(-1, 3).astype(np.int64)
        unsigned = triples[:, 0] | triples[:, 1] << 8 | triples[:, 2] << 16
        return unsigned - (unsigned >> 23 << 24)
    kind = {"s16": "<i2", "s32": "<i4", "f32": "<u4", "f64": "<i8"}[sample_format]
    return raw.view(kind).astype(np.int64)


FULL_SCALE = {"u8": 1 << 7, "s16": 1 << 15, "s24": 1 << 23, "s32": 1 << 31}


def decode_frames(
    raw: bytes | bytearray | memoryview, layout: WavLayout
) -> tuple[NDArray[np.float32], ExactSums]:
    """Decode whole frames to mono float32, shape=(n_frames,), the mean of the channels, and their exact sums.

    Integers are divided by their full scale (16 bit: 32768). Raises `UnreadableContainerError` when `raw` is not
    a whole number of frames.
    """
    if len(raw) % layout.frame_bytes:
        raise UnreadableContainerError(
            f"Got {len(raw)} bytes; expected a multiple of {layout.frame_bytes} (whole frames). Cut at frames."
        )
    octets = np.frombuffer(raw, np.uint8)
    whole = _integers(octets, layout.sample_format)
    wrapped = whole.astype(np.uint64)  # Wraps modulo 2^64, of which 2^53 is a divisor.
    sums = ExactSums(
        n_frames=whole.size // layout.channels,
        total=int(wrapped.sum(dtype=np.uint64)) % MODULUS,
        energy=int((wrapped * wrapped).sum(dtype=np.uint64)) % MODULUS,
    )
    if layout.sample_format in FULL_SCALE:
        samples = whole * (1.0 / FULL_SCALE[layout.sample_format])
    else:
        samples = octets.view("<f4" if layout.sample_format == "f32" else "<f8").astype(np.float64)
    mono = samples.reshape(-1, layout.channels).mean(axis=1) if layout.channels > 1 else samples
    with np.errstate(over="ignore"):  # A float64 beyond float32 becomes infinite, which the gate counts.
        return mono.astype(np.float32), sums
