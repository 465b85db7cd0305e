"""Write model files: `wasm_detector.model` says how they are laid out, and reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wasm_detector.model import TYPES

ALIGNMENT = 8


def pack(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a model file's bytes. `settings` is everything that is no array, ready for JSON."""
    names = {np.dtype(dtype): name for name, dtype in TYPES.items()}
    # Wide numbers first, so that every array lies where its type wants it.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    entries: dict[str, Any] = {"__metadata__": {"model": json.dumps(settings, allow_nan=False)}}
    end = 0
    for name in order:
        first, end = end, end + arrays[name].nbytes
        entries[name] = {
            "dtype": names[arrays[name].dtype],
            "shape": list(arrays[name].shape),
            "data_offsets": [first, end],
        }
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    content = [np.ascontiguousarray(arrays[name]).tobytes() for name in order]
    return b"".join([len(header).to_bytes(8, "little"), header, *content])
