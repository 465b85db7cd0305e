"""The stable reason codes. Their sentences live in the page's catalogue, `reason.<CODE>` and `.title`."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

EXTENSION_HEARD = "EXTENSION"
"""What an operator's own signal measured, shown without weight."""
EXTENSION_FAILED = "EXTENSION_FAILED"
"""One that could not be taken."""


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, list[str]]:
    text = resources.files("wasm_detector").joinpath("reasons.json").read_text("utf-8")
    stored: dict[str, list[str]] = json.loads(text)
    return stored


def signal_codes() -> tuple[str, ...]:
    """Return the codes of reasons that add to the score, one for each signal."""
    return tuple(_catalogue()["signals"])


def limit_codes() -> tuple[str, ...]:
    """Return the codes of reasons that only say what could not be judged."""
    return tuple(_catalogue()["limits"])


def retired_codes() -> tuple[str, ...]:
    """Return the codes that no detector gives any more; older decisions still hold them."""
    return tuple(_catalogue()["retired"])
