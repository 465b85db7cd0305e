"""At its start the server sees that models, listed wheels and bundle go together, and says how to mend it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prelisten.checks import additions
from prelisten.errors import ConfigError
from prelisten.wheels import Wheel
from wasm_detector.extensions import Loaded
from wasm_detector.model import Model, Requirement, load_model

WHEEL = Wheel("acme", "1.0", "a" * 64, Path("acme-1.0-py3-none-any.whl"))
OTHER = replace(WHEEL, sha256="b" * 64)
REQUIRED = Requirement("acme_peak", "acme", "1.0", "a" * 64)
PLAIN = load_model()
OWN = replace(PLAIN, requires=(REQUIRED,))


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel is installed."""
    loaded = (Loaded("acme_peak", SimpleNamespace()),)  # type: ignore[arg-type]
    monkeypatch.setattr(additions, "load_extensions", lambda wheels: loaded)


def bundled(patch: pytest.MonkeyPatch, *required: Requirement) -> None:
    """Say what the model in the widget's bundle requires."""
    requires = [asdict(one) for one in required]
    told: dict[str, Any] = {"detector": {"id": PLAIN.detector, "requires": requires}}
    patch.setattr(additions, "manifest", lambda: told)


def test_what_goes_together_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the wheel, for either tier; and without any."""
    bundled(monkeypatch, REQUIRED)
    additions.check_required((WHEEL,), OWN, PLAIN)
    bundled(monkeypatch)
    additions.check_required((), PLAIN, PLAIN)
    additions.check_required((WHEEL,), PLAIN, OWN)


@pytest.mark.parametrize(
    ("wheels", "said"), [((), "no such wheel is listed"), ((OTHER,), f"has the SHA-256 {'b' * 64}")]
)
@pytest.mark.parametrize(
    ("models", "command"),
    [
        (
            (OWN, PLAIN),
            "--tier client --out wasm_detector/model.safetensors`, then `python3 build.py bundle`",
        ),
        ((PLAIN, OWN), "--tier server --out server/prelisten/checks/forensic.safetensors`."),
    ],
)
def test_a_missing_wheel_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
    wheels: tuple[Wheel, ...],
    said: str,
    models: tuple[Model, Model],
    command: str,
) -> None:
    """Which signal, of which bytes, what is there instead, and what to run."""
    bundled(monkeypatch)
    with pytest.raises(ConfigError) as refused:
        additions.check_required(wheels, *models)
    message = str(refused.value)
    assert all(part in message for part in (str(REQUIRED), said, command)), message


@pytest.mark.parametrize(("required", "model"), [((), OWN), ((REQUIRED,), PLAIN)])
def test_a_bundle_of_another_model_is_to_be_built_again(
    monkeypatch: pytest.MonkeyPatch, required: tuple[Requirement, ...], model: Model
) -> None:
    """A page that weighs what the server does not, or the other way round, would make honest claims look wrong."""
    bundled(monkeypatch, *required)
    with pytest.raises(ConfigError, match=r"python3 build\.py bundle"):
        additions.check_required((WHEEL,), model, PLAIN)


def test_a_model_trained_again_needs_a_bundle_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wheels, other weights: the page and the server would never say the same."""
    bundled(monkeypatch)
    with pytest.raises(ConfigError, match=r"wd-.* Run `python3 build\.py bundle`"):
        additions.check_required((), replace(PLAIN, sha256="c" * 64), PLAIN)


def test_the_commands_name_files_of_the_repository() -> None:
    """Both are where the code reads them."""
    root = Path(__file__).resolve().parents[3]
    assert all((root / place).is_file() for place in additions.MODELS.values())
