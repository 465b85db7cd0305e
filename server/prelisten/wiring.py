"""The one wiring place: settings in, services out."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from prelisten.assets import bundled_detector
from prelisten.config import Config
from prelisten.decisions import activate_policy
from prelisten.engine.embedded import EmbeddedEngine
from prelisten.keys import load_keys
from prelisten.pipeline import Services
from prelisten.policy import load_policy
from prelisten.storage.blobs import Blobs
from prelisten.storage.sql import open_storage

LEFTOVER_FOLDERS = ("quarantine", "blobs/unfinished")
# Longer than the longest upload or decoding.
LEFTOVER_AGE_S = 3600.0


def wire(config: Config) -> Services:
    """Open everything that the main path needs. Raises `ConfigError` when something is missing or unsafe."""
    keys = load_keys(config)
    policy = load_policy(config.policy)
    shadow = load_policy(config.shadow_policy, status="shadow") if config.shadow_policy else None
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)  # Recordings are nobody else's business.
    storage = open_storage(config.database_url)
    activate_policy(storage, policy)
    for folder in LEFTOVER_FOLDERS:
        _remove_leftovers(config.data / folder)
    return Services(
        config=config,
        storage=storage,
        blobs=Blobs(config.data / "blobs"),
        engine=EmbeddedEngine(storage),
        policy=policy,
        keys=keys,
        detectors=frozenset({bundled_detector()}),
        shadow=shadow,
    )


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written; what is younger may still be in somebody's hands."""
    oldest = time.time() - LEFTOVER_AGE_S
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
