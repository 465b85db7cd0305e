"""The check `recompute`: the browser's detector on the server's own decode of the file."""

from __future__ import annotations

from prelisten.checks.heard import Heard, finding_of
from prelisten.records import Finding

NAME = "recompute"


def run(heard: Heard) -> Finding:
    """Return the detector's word about what the server heard itself; the claim plays no part."""
    return finding_of(NAME, heard.hint, heard)
