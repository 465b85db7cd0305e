"""The check `forensic`: the server's own, larger detector, on the server's own decode of the file.

It listens for everything that the browser's detector listens for and for finer pictures of the sound besides, so its
word stands in for both. Its weights are the server's alone: whoever searches for a recording that the public detector
misses has not found one that this one misses.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import resources
from pathlib import Path

from prelisten.checks.heard import Heard, finding_of
from prelisten.records import Finding
from wasm_detector.errors import ModelError
from wasm_detector.model import Model, parse_model

NAME = "forensic"
FILE_NAME = "forensic.safetensors"


@lru_cache(maxsize=1)
def load_forensic_model() -> Model:
    """Return the model that the package carries. Raises `ModelError` when it is missing or damaged."""
    try:
        raw = resources.files("prelisten.checks").joinpath(FILE_NAME).read_bytes()
    except OSError as error:
        raise ModelError(f"{FILE_NAME} is missing from the package. Install prelisten again.") from error
    return parse_model(raw)


def read_model(path: Path) -> Model:
    """Return the model of a file that is to be tried beside the packaged one. Raises `ModelError`."""
    try:
        return parse_model(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def run(heard: Heard) -> Finding:
    """Return the forensic detector's word about what the server heard."""
    hint = heard.forensic
    if hint is None:
        return finding_of(NAME, None, heard)
    finding = finding_of(
        NAME,
        hint,
        heard,
        signals=[signal.to_dict() for signal in hint.signals],
        segments=[segment.to_dict() for segment in hint.segments],
        bias=round(hint.bias, 4),
    )
    return replace(finding, reasons=(*finding.reasons, *heard.observed))
