"""What a recording may ask of the server. Each limit is a named number with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # The decoding child imports this file, and needs none of the settings' machinery.
    from prelisten.config import Config

# The detector's own range. Below it a tiny file predicts hours: 20 kB that claim 1 Hz are 640 MB at 16 kHz.
MIN_RATE_HZ, MAX_RATE_HZ = 4_000.0, 192_000.0
# Surround sound with room to spare; WAV headers can claim 65,535.
MAX_CHANNELS = 16
# The scored PCM is kept as float32 WAV, whose size field ends at 4 GiB.
MAX_OUTPUT_SAMPLES = 1_000_000_000
# Thirty years: a length beyond is not meant, and counts as none stated.
MAX_LENGTH_S = 1e9
# Three standard streams, the open recording, and a few for what a library opens late.
MAX_OPEN_FILES = 16


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The limits of one decoding. Times in seconds, memory in bytes of address space."""

    max_seconds: float = 120.0
    timeout_s: float = 20.0
    memory_bytes: int = 512_000_000
    min_rate_hz: float = MIN_RATE_HZ
    max_rate_hz: float = MAX_RATE_HZ
    max_channels: int = MAX_CHANNELS
    max_output_samples: int = MAX_OUTPUT_SAMPLES

    @classmethod
    def from_config(cls, config: Config) -> DecodeLimits:
        """Take what an operator may set; the rest is fixed."""
        return cls(config.max_seconds, config.decode_timeout_s, config.decode_memory_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the child's command line."""
        return asdict(self)
