"""The operator's own signals on the server: those listed in the settings, and nothing else that is installed."""

from __future__ import annotations

from functools import cache

from prelisten.errors import ConfigError
from prelisten.wheels import Wheel
from wasm_detector.errors import ExtensionError
from wasm_detector.extensions import Loaded, Observer, equip, load_named
from wasm_detector.model import Model, Requirement


@cache
def load_extensions(wheels: tuple[Wheel, ...]) -> tuple[Loaded, ...]:
    """Return what the listed wheels offer; raises `ConfigError` where one is not installed here, or not usable."""
    try:
        return tuple(one for wheel in wheels for one in load_named(wheel.name, wheel.version))
    except ExtensionError as error:
        raise ConfigError(f"PRELISTEN_EXTENSIONS: {error}") from error


def observer_of(wheels: tuple[Wheel, ...], *models: Model) -> Observer | None:
    """Return what listens to one recording with those that no model weighs; `None` where there is none."""
    weighed = {one.name for model in models for one in model.requires}
    beside = [one for one in load_extensions(wheels) if one.name not in weighed]
    return Observer(beside) if beside else None


def required_by(wheels: tuple[Wheel, ...]) -> tuple[Requirement, ...]:
    """Return what a model that is trained with the listed wheels will require."""
    return tuple(
        Requirement(loaded.name, wheel.name, wheel.version, wheel.sha256)
        for wheel in wheels
        for loaded in load_extensions((wheel,))
    )


def equipped(model: Model, wheels: tuple[Wheel, ...]) -> Model:
    """Return the model with what it requires of the listed wheels. Raises `ModelError` where it lacks one."""
    if not model.requires:
        return model
    return equip(model, {wheel.sha256: load_extensions((wheel,)) for wheel in wheels})
