"""The check `recompute`: the browser's detector on the server's own decode of the file."""

from __future__ import annotations

from prelisten.checks.heard import Heard
from prelisten.records import Finding
from wasm_detector import VERSION

NAME = "recompute"


def run(heard: Heard) -> Finding:
    """Return the detector's word about what the server heard itself; the claim plays no part."""
    hint = heard.hint
    if hint is None:
        return Finding(NAME, VERSION, heard.state, reasons=heard.notes)
    return Finding(
        check=NAME,
        version=hint.detector,
        state=heard.state,
        spoof_score=hint.spoof_score,
        reasons=(*hint.reasons, *heard.notes),
        details={
            "band": hint.band.value,
            "coverage": hint.coverage.to_dict(),
            "is_partial": bool(heard.notes),
        },
    )
