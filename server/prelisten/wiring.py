"""The one wiring place: settings in, services out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prelisten.assets import bundled_detector
from prelisten.checks import load_forensic_model
from prelisten.checks.additions import check_required, equipped, load_extensions
from prelisten.checks.forensic import read_model
from prelisten.config import Config
from prelisten.decisions import activate_policy
from prelisten.detectors import AcceptedDetectors
from prelisten.engine.embedded import EmbeddedEngine
from prelisten.errors import ConfigError
from prelisten.keys import watch_keys
from prelisten.pipeline import Services
from prelisten.policy import load_policy
from prelisten.retention import LEFTOVER_AGE_S, LEFTOVER_FOLDERS
from prelisten.storage.blobs import Blobs, remove_leftovers
from prelisten.storage.sql import open_storage
from prelisten.wheels import Wheel, listed_wheels
from wasm_detector.errors import ModelError
from wasm_detector.model import Model, load_model
from wasm_detector.scoring import check_model, score_segment, summarise
from wasm_detector.waveform import TARGET_RATE, fixed_sound

if TYPE_CHECKING:
    from prelisten.hints.store.redis import RedisSingleUse


def wire(config: Config) -> Services:
    """Open everything that the main path needs. Raises `ConfigError` when something is missing or unsafe."""
    keys = watch_keys(config)
    policy = load_policy(config.policy)
    wheels = listed_wheels(config.extensions)
    load_extensions(wheels)
    try:  # Without the models every screening would end as an error, hours later.
        check_required(wheels, load_model(), load_forensic_model())
    except ModelError as error:
        raise ConfigError(str(error)) from error
    shadow_model = load_shadow_model(config.shadow_model, wheels) if config.shadow_model else None
    shadow = load_policy(config.shadow_policy, status="shadow") if config.shadow_policy else None
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)  # Recordings are nobody else's business.
    storage = open_storage(config.database_url)
    activate_policy(storage, policy)
    for folder in LEFTOVER_FOLDERS:
        remove_leftovers(config.data / folder, older_than_s=LEFTOVER_AGE_S)
    return Services(
        config=config,
        storage=storage,
        blobs=Blobs(config.data / "blobs"),
        engine=EmbeddedEngine(storage),
        policy=policy,
        keys=keys,
        detectors=AcceptedDetectors(bundled_detector(), config.data, days=config.detector_days),
        own_detector=bundled_detector(),
        shadow=shadow,
        shadow_model=shadow_model,
        single_use=open_single_use(config),
    )


def load_shadow_model(path: Path, wheels: tuple[Wheel, ...]) -> Model:
    """Return the model that is to be tried. Raises `ConfigError` for one that could not score, or decides already.

    It scores a fixed sound here: one that fails later would take every screening down with it.
    """
    try:
        model = read_model(path)
        able = equipped(model, wheels)
        check_model(able)
        score = score_segment(fixed_sound(TARGET_RATE), start_s=0.0, end_s=1.0, model=able)
        if not np.isfinite(score.contributions).all():
            raise ModelError("it gives no finite numbers.")
        summarise([score], model=able, coverage=(1.0, 1.0), n_not_finite=0)
    except (ModelError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(f"PRELISTEN_SHADOW_MODEL: {path} cannot score a recording: {error}") from error
    if model.detector == load_forensic_model().detector:
        raise ConfigError(
            f"PRELISTEN_SHADOW_MODEL: {path} is {model.detector}, by which is decided already. Name another file, or "
            "leave the setting out."
        )
    return model


def open_single_use(config: Config) -> RedisSingleUse | None:
    """Return the store that the settings name, or `None`: tokens are then spent in the database.

    Raises `ConfigError` where its client is not installed. Redis itself may be down: then hints do not count.
    """
    if not config.redis_url:
        return None
    try:
        from prelisten.hints.store.redis import RedisSingleUse, connect
    except ImportError as error:
        raise ConfigError(
            "PRELISTEN_REDIS_URL is set, and the client is not installed: pip install 'prelisten[redis]'"
        ) from error
    try:
        return RedisSingleUse(connect(config.redis_url))
    except ValueError as error:
        raise ConfigError(
            "PRELISTEN_REDIS_URL is no address of a Redis that its client understands."
        ) from error
