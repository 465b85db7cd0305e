"""The one wiring place: settings in, services out."""

from __future__ import annotations

from prelisten.assets import bundled_detector
from prelisten.config import Config
from prelisten.engine.embedded import EmbeddedEngine
from prelisten.keys import load_keys
from prelisten.pipeline import Services
from prelisten.policy import load_policy
from prelisten.storage.blobs import Blobs
from prelisten.storage.sql import open_storage


def wire(config: Config) -> Services:
    """Open everything that the main path needs. Raises `ConfigError` when something is missing or unsafe."""
    keys = load_keys(config)
    policy = load_policy(config.policy)
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)  # Recordings are nobody else's business.
    storage = open_storage(config.database_url)
    return Services(
        config=config,
        storage=storage,
        blobs=Blobs(config.data / "blobs"),
        engine=EmbeddedEngine(storage),
        policy=policy,
        keys=keys,
        detectors=frozenset({bundled_detector()}),
    )
