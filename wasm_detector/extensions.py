"""Signals of an operator's own: found by their entry points, measured beside the built-in ones.

An extension is an object that the entry-point group `prelisten.signals` names. It gives one number for each segment
of a recording; what is said of it is a reason with the weight 0, unless the model was trained with it. Beside any other
model it cannot change a score, a band or a claim, and one that fails is left out, which is said as well. The same code
runs in the browser and on the server.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import Distribution, distributions
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wasm_detector.errors import ExtensionError
from wasm_detector.hint import Reason
from wasm_detector.model import EXPERTS, MESSENGER, Model, check_equipped
from wasm_detector.reasons import EXTENSION_FAILED, EXTENSION_HEARD
from wasm_detector.signals import KINDS, Description

GROUP = "prelisten.signals"
API = 1
"""Version of what an extension must offer. Another one is refused."""

"""The codes of its two reasons: what it measured, and that it could not."""

MAX_STEPS = 100_000
"""Lines of Python that one segment may take. Counted, not timed, so that both sides give up at the same place."""

MAX_TEXT = 300
MIN_SAMPLES = 8_000
"""Half a second at 16 kHz; a shorter segment is not given to extensions."""

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")


@runtime_checkable
class Extension(Protocol):
    """What an entry point of the group must name.

    `api`: `API`. `unit`: of the number, for people. `title`, `sentence`: texts by language, `en` at least, plain text;
    `{value}` in the sentence becomes the number. `measure`: one segment, mono float32 at 16 kHz, shape=(n,) with
    n >= 8000, in -1 to 1, without its mean, read-only -> one finite number. It must say the same each time, keep
    nothing and need nothing but numpy and the standard library.
    """

    api: int
    unit: str
    title: Mapping[str, str]
    sentence: Mapping[str, str]

    def measure(self, samples: NDArray[np.float32]) -> float:
        """Return the number of one segment."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One extension that may be used, under the name of its entry point."""

    name: str
    extension: Extension


class _TooManySteps(BaseException):
    """Not an `Exception`: an extension that catches all of these must still end."""


@contextmanager
def _steps(limit: int) -> Iterator[None]:
    """Let the Python inside execute so many lines; what was traced before is traced again afterwards."""
    left = limit

    def count(_frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        nonlocal left
        left -= event == "line"
        if left < 0:
            raise _TooManySteps
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)


def ask(extension: Extension, samples: NDArray[np.float32]) -> float | str:
    """Return what an extension measures of one segment, or what is the matter. Never raises."""
    shown = samples.copy()
    shown.flags.writeable = False
    try:
        with _steps(MAX_STEPS), np.errstate(all="ignore"):
            value = float(extension.measure(shown))
    except _TooManySteps:
        return "too_slow"
    except Exception:  # Whatever an operator's code raises, the screening goes on.
        return "error"
    return value if math.isfinite(value) else "not_finite"


def describe_own(extension: Extension | None, samples: NDArray[np.float32]) -> Description:
    """Return an extension's number as a signal that a model can weigh; NaN where there is none."""
    found = None if extension is None or samples.size < MIN_SAMPLES else ask(extension, samples)
    value = found if isinstance(found, float) else math.nan
    return Description(value, np.array([value], dtype=np.float32))


def equip(model: Model, available: Mapping[str, Sequence[Loaded]]) -> Model:
    """Return the model with the extensions that it was trained with. `available`: by the SHA-256 of their wheel.

    Raises `ModelError` that names what is missing: another release of the same wheel will not do.
    """
    own = {
        loaded.name: loaded.extension
        for one in model.requires
        for loaded in available.get(one.sha256, ())
        if loaded.name == one.name
    }
    equipped = replace(model, own=own)
    check_equipped(equipped)
    return equipped


def words(name: str, extension: Extension, value: float, language: str = "en") -> dict[str, float | str]:
    """Return what is said of an extension's number."""
    shown = f"{value:.3g} {extension.unit}".strip()
    texts = (_text(extension.title, language), _text(extension.sentence, language))
    title, sentence = (text.replace("{value}", shown)[:MAX_TEXT] for text in texts)
    return {"name": name, "title": title, "text": sentence, "value": round(value, 6)}


def check_extension(name: str, found: object) -> Extension:
    """Return `found` when it keeps to the protocol; raise `ExtensionError` that says what to change."""
    if not _NAME.fullmatch(name) or name in (*KINDS, *EXPERTS, MESSENGER):
        raise ExtensionError(
            f"Extension {name!r}: its name is taken, or not a-z, 0-9 and _. Rename its entry point."
        )
    if getattr(found, "api", None) != API:
        raise ExtensionError(
            f"Extension {name!r} is made for version {getattr(found, 'api', None)}, this is {API}. "
            "Install another release."
        )
    if not isinstance(found, Extension):
        raise ExtensionError(f"Extension {name!r} lacks one of api, unit, title, sentence, measure.")
    for texts in (found.title, found.sentence):
        if not isinstance(texts, Mapping) or not isinstance(texts.get("en"), str):
            raise ExtensionError(f"Extension {name!r}: title and sentence need a text for `en`.")
    return found


def load_from(distribution: Distribution) -> tuple[Loaded, ...]:
    """Return the extensions of one distribution. Raises `ExtensionError`: none, or one that cannot be used."""
    loaded = []
    for entry in distribution.entry_points.select(group=GROUP):
        try:
            found = entry.load()
        except Exception as error:
            raise ExtensionError(f"Extension {entry.name!r} cannot be loaded: {error!r}.") from error
        loaded.append(Loaded(entry.name, check_extension(entry.name, found)))
    if not loaded:
        name = distribution.metadata["Name"]
        raise ExtensionError(
            f"{name} has no entry point in the group {GROUP!r}, so there is nothing to hear with."
        )
    return tuple(loaded)


def load_named(name: str, version: str) -> tuple[Loaded, ...]:
    """Return the extensions of the installed distribution `name`; raise `ExtensionError` unless it is this version."""
    installed = [found.version for found in distributions(name=name)]
    for found in distributions(name=name):
        if found.version == version:
            return load_from(found)
    there = f"version {installed[0]} is" if installed else "nothing is"
    raise ExtensionError(
        f"{name} {version} is listed, and {there} installed here. Run: pip install {name}=={version}"
    )


@dataclass
class Observer:
    """Listens to the segments of one recording with every extension; one that fails is not asked again."""

    extensions: Sequence[Loaded]
    failed: dict[str, str] = field(default_factory=dict)
    _heard: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def hear(self, samples: NDArray[np.float32]) -> None:
        """Take one segment at 16 kHz. Never raises."""
        if samples.size < MIN_SAMPLES:
            return
        for loaded in self.extensions:
            if loaded.name not in self.failed:
                self._measure(loaded, samples)

    def _measure(self, loaded: Loaded, samples: NDArray[np.float32]) -> None:
        found = ask(loaded.extension, samples)
        if isinstance(found, str):
            self.failed[loaded.name] = found
        else:
            self._heard.setdefault(loaded.name, []).append((samples.size, found))

    def reasons(self, language: str = "en") -> tuple[Reason, ...]:
        """Return a reason for each extension, in order: its mean over the segments by length, or that it failed."""
        return tuple(filter(None, (self._reason(one, language) for one in self.extensions)))

    def _reason(self, loaded: Loaded, language: str) -> Reason | None:
        if loaded.name in self.failed:
            return Reason(EXTENSION_FAILED, params={"name": loaded.name, "problem": self.failed[loaded.name]})
        heard = self._heard.get(loaded.name)
        if not heard:
            return None
        value = sum(size * value for size, value in heard) / sum(size for size, _ in heard)
        return Reason(EXTENSION_HEARD, params=words(loaded.name, loaded.extension, value, language))


def _text(texts: Mapping[str, str], language: str) -> str:
    return str(texts.get(language) or texts["en"])
