"""The operator's own signals on the server: those listed in the settings, and nothing else that is installed."""

from __future__ import annotations

from functools import cache

from prelisten.assets import manifest
from prelisten.errors import ConfigError
from prelisten.wheels import Wheel
from wasm_detector.errors import ExtensionError
from wasm_detector.extensions import Loaded, Observer, equip, load_named
from wasm_detector.model import Model, Requirement

MODELS = {
    "client": "wasm_detector/model.safetensors",
    "server": "server/prelisten/checks/forensic.safetensors",
}
"""Where the repository keeps each tier's model."""


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


def check_required(wheels: tuple[Wheel, ...], client: Model, server: Model) -> None:
    """Raise `ConfigError`, with what to do, where a model, its wheels and the widget's bundle do not go together.

    `client` is the browser's model, which the bundle carries too, `server` the forensic one.
    """
    for tier, model in {"client": client, "server": server}.items():
        for one in model.requires:
            if one.sha256 not in {wheel.sha256 for wheel in wheels}:
                raise ConfigError(_advice(one, tier, wheels))
        equipped(model, wheels)
    detector = manifest()["detector"]
    if detector["id"] != client.detector:
        raise ConfigError(
            f"The widget's bundle carries the model {detector['id']}, and this server {client.detector}: it would call "
            "every honest hint a mismatch. Run `python3 build.py bundle`, then start again."
        )
    bundled = {one["sha256"] for one in detector.get("requires", ())}
    if bundled != {one.sha256 for one in client.requires}:
        raise ConfigError(
            "The widget's bundle and this server have models with other signals of your own. "
            "Run `python3 build.py bundle`, then start again."
        )


def _advice(missing: Requirement, tier: str, wheels: tuple[Wheel, ...]) -> str:
    other = next((wheel for wheel in wheels if wheel.name == missing.package), None)
    found = f"{other.path.name} has the SHA-256 {other.sha256}" if other else "no such wheel is listed"
    train = f"`prelisten train MANIFEST --tier {tier} --out {MODELS[tier]}`"
    again = f"{train}, then `python3 build.py bundle`" if tier == "client" else train
    return (
        f"PRELISTEN_EXTENSIONS: the model of the tier {tier} was trained with {missing}, and {found}. "
        f"Put that very wheel into the folder, or train with what is listed: {again}."
    )
