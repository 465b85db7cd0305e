"""The operator's own signals on the server: those listed in the settings, and nothing else that is installed."""

from __future__ import annotations

from functools import cache

from prelisten.errors import ConfigError
from prelisten.wheels import Wheel
from wasm_detector.errors import ExtensionError
from wasm_detector.extensions import Loaded, Observer, load_named


@cache
def load_extensions(wheels: tuple[Wheel, ...]) -> tuple[Loaded, ...]:
    """Return what the listed wheels offer; raises `ConfigError` where one is not installed here, or not usable."""
    try:
        return tuple(one for wheel in wheels for one in load_named(wheel.name, wheel.version))
    except ExtensionError as error:
        raise ConfigError(f"PRELISTEN_EXTENSIONS: {error}") from error


def observer_of(wheels: tuple[Wheel, ...]) -> Observer | None:
    """Return what listens to one recording with them; `None` where none is listed."""
    return Observer(load_extensions(wheels)) if wheels else None
