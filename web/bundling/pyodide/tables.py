"""Runs in Pyodide: tells where the tables of the Chinese, Japanese and Korean codecs lie in memory.

Each codec module shows them as capsules (`Modules/cjkcodecs/cjkcodecs.h`): a `dbcs_map` with two indexes of 256
entries, by the upper byte, each with the address of a table of 16-bit numbers from `bottom` to `top`.
"""

from __future__ import annotations

import ctypes
import importlib
import json

MODULES = ("_codecs_cn", "_codecs_hk", "_codecs_jp", "_codecs_kr", "_codecs_tw")
CAPSULE = b"multibytecodec.map"
PAIRS = "__map_jisx0213_pair"  # Has another layout, and is small.


class Entry(ctypes.Structure):
    """One table."""

    _fields_ = (("address", ctypes.c_size_t), ("bottom", ctypes.c_ubyte), ("top", ctypes.c_ubyte))


class Map(ctypes.Structure):
    """The two indexes of one character set."""

    _fields_ = (("charset", ctypes.c_char_p), ("encoding", ctypes.c_size_t), ("decoding", ctypes.c_size_t))


def ranges() -> str:
    """Return [[address, bytes], ...] as JSON, sorted."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_size_t, [ctypes.py_object, ctypes.c_char_p]
    found = set()
    for module in map(importlib.import_module, MODULES):
        for name in vars(module):
            if not name.startswith("__map_") or name == PAIRS:
                continue
            charset = Map.from_address(pointer(getattr(module, name), CAPSULE))
            for index in filter(None, (charset.encoding, charset.decoding)):
                entries = (Entry * 256).from_address(index)
                found |= {(one.address, 2 * (one.top - one.bottom + 1)) for one in entries if one.address}
    return json.dumps(sorted(found))
