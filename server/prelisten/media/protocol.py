"""What the decoding child says on its standard output: messages of kind, length and payload.

One `HEADER` (JSON), any number of `BLOCK`s (start frame, then float32 samples, little-endian), one `END`
(JSON); or a `FAILURE` (JSON with a code) instead of the header, or after some blocks.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

# kind, payload length in bytes
PREFIX = struct.Struct("<cI")
# absolute index of the block's first frame
START = struct.Struct("<Q")

HEADER, BLOCK, END, FAILURE = b"H", b"B", b"E", b"F"
MAX_JSON_BYTES = 64_000
# A second of the highest rate, and the start.
MAX_BLOCK_BYTES = START.size + 4 * 192_000


def pack_json(kind: bytes, content: Mapping[str, Any]) -> bytes:
    """Return a JSON message; NaN and Infinity are refused."""
    payload = json.dumps(content, allow_nan=False).encode()
    return PREFIX.pack(kind, len(payload)) + payload


def pack_block(start: int, samples: bytes) -> bytes:
    """Return a block message of float32 samples that start at frame `start`."""
    return PREFIX.pack(BLOCK, START.size + len(samples)) + START.pack(start) + samples
