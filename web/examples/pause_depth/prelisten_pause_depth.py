"""A signal for Prelisten: how far below the speech its pauses lie, in dB.

A microphone hears the room also between the words: there the level falls by 20 to 50 dB, not to nothing. The number
says how far it falls here. It is no proof of anything: noise gates and editors silence pauses as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

FRAME = 320  # 20 ms at 16 kHz.
FLOOR = 1e-6  # -120 dBFS, below the last bit of any recording: digital silence has a finite level too.


@dataclass(frozen=True)
class PauseDepth:
    """Level of the loud frames (95th percentile) over that of the quiet ones (5th percentile), 0 to 120 dB."""

    api: int = 1
    unit: str = "dB"
    title: Mapping[str, str] = field(default_factory=lambda: {"en": "Depth of the pauses"})
    sentence: Mapping[str, str] = field(
        default_factory=lambda: {
            "en": "Between the words the sound falls by {value}; rooms usually leave 20 to 50 dB."
        }
    )

    def measure(self, samples: np.ndarray) -> float:
        """Return the depth of one segment in dB; 0 where all of it is equally loud."""
        frames = samples[: samples.size // FRAME * FRAME].reshape(-1, FRAME)
        level = 20.0 * np.log10(np.sqrt(np.square(frames, dtype=np.float64).mean(axis=1)) + FLOOR)
        quiet, loud = np.percentile(level, (5.0, 95.0))
        return float(loud - quiet)


PAUSE_DEPTH = PauseDepth()
