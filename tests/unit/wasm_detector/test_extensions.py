"""An operator's own signals: what may be one, what is said of them, and that none can break a screening."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.recordings import speech_like
from wasm_detector.errors import ExtensionError
from wasm_detector.extensions import Loaded, Observer, check_extension, load_named
from wasm_detector.hint import claim_of
from wasm_detector.reasons import EXTENSION_FAILED, EXTENSION_HEARD
from wasm_detector.streaming import Stream

RATE = 16_000


def made(measure: Callable[[Any], Any], **fields: Any) -> Any:
    """Return an extension that keeps to the protocol, with `fields` instead."""
    texts = {"title": {"en": "Peak"}, "sentence": {"en": "The peak is {value}."}}
    return SimpleNamespace(**{"api": 1, "unit": "dB", **texts, "measure": measure, **fields})


def endless(_: Any) -> float:
    """Never return, whatever is raised inside."""
    while True:
        with contextlib.suppress(Exception):
            sum(range(3))


def listen(*extensions: Any, seconds: float = 10.0) -> tuple[Any, Observer]:
    """Return the hint and the observer after a voice-like recording, pushed in uneven chunks, with a look between."""
    observer = Observer([Loaded(f"own_{place}", one) for place, one in enumerate(extensions)])
    stream = Stream(RATE, observe=observer.hear if extensions else None)
    samples = speech_like(seconds, seed=3, rate=RATE)
    for start in range(0, samples.size, 37_000):
        stream.push(samples[start : start + 37_000], start=start)
        stream.hint()
    return stream.finish(), observer


def test_each_judged_segment_is_heard_once() -> None:
    """A rolling hint in between adds nothing; segments weigh by their length."""
    sizes: list[int] = []
    _, observer = listen(made(lambda samples: sizes.append(samples.size) or float(samples.size)))
    assert sizes == [64_000, 64_000, 32_000]
    (reason,) = observer.reasons()
    assert (reason.code, reason.weight) == (EXTENSION_HEARD, 0.0)
    assert reason.params["value"] == pytest.approx((2 * 64_000**2 + 32_000**2) / 160_000)
    assert reason.params["text"] == "The peak is 5.76e+04 dB."


def test_nothing_of_the_hint_or_the_claim_changes() -> None:
    """Score, band, reasons and claim are those without extensions."""
    (alone, _), (beside, _) = listen(), listen(made(lambda _: 1e9))
    assert alone.to_dict() == beside.to_dict()
    assert claim_of(alone, {}) == claim_of(beside, {})


@pytest.mark.parametrize(
    ("measure", "problem"),
    [
        (lambda _: 1 / 0, "error"),
        (lambda _: "loud", "error"),
        (lambda _: float("nan"), "not_finite"),
        (lambda samples: samples.fill(0.0) or 1.0, "error"),
        (endless, "too_slow"),
    ],
)
def test_one_that_fails_is_left_out_and_said(measure: Callable[[Any], Any], problem: str) -> None:
    """The hint and the other extensions are as ever."""
    before = sys.gettrace()
    (alone, _), (hint, observer) = listen(), listen(made(measure), made(lambda _: 2.0))
    failed, heard = observer.reasons()
    assert (failed.code, failed.params) == (EXTENSION_FAILED, {"name": "own_0", "problem": problem})
    assert (heard.code, heard.params["value"]) == (EXTENSION_HEARD, 2.0)
    assert hint == alone
    assert sys.gettrace() is before


def test_one_that_fails_is_not_asked_again() -> None:
    """One error is enough."""
    asked: list[int] = []
    listen(made(lambda samples: asked.append(samples.size) or 1 / 0))
    assert len(asked) == 1


def test_silence_is_not_measured() -> None:
    """What cannot be judged is not shown to extensions; then there is nothing to say."""
    observer = Observer([Loaded("own", made(lambda _: 1.0))])
    stream = Stream(RATE, observe=observer.hear)
    stream.push(np.zeros(5 * RATE, np.float32), start=0)
    stream.finish()
    assert observer.reasons() == ()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("detail", {}),
        ("together", {}),
        ("noise", {}),
        ("Own", {}),
        ("own", {"api": 2}),
        ("own", {"title": {"de": "Spitze"}}),
        ("own", {"sentence": "The peak"}),
        ("own", {"api": None}),
    ],
)
def test_what_does_not_keep_to_the_protocol_is_refused(name: str, fields: dict[str, Any]) -> None:
    """No shadowing of a built-in signal, no other version, no missing text."""
    check_extension("own", made(lambda _: 1.0))
    with pytest.raises(ExtensionError):
        check_extension(name, made(lambda _: 1.0, **fields))


def test_one_without_measure_is_refused() -> None:
    """All five names must be there."""
    found = made(lambda _: 1.0)
    del found.measure
    with pytest.raises(ExtensionError, match="measure"):
        check_extension("own", found)


def test_a_listed_wheel_that_is_not_installed_says_what_to_do() -> None:
    """The message is a command."""
    with pytest.raises(ExtensionError, match=r"pip install no-such-signal==1\.0"):
        load_named("no-such-signal", "1.0")


def test_an_installed_package_without_the_entry_point_is_no_extension() -> None:
    """Nothing runs merely because it is installed."""
    from importlib.metadata import version

    with pytest.raises(ExtensionError, match=r"prelisten\.signals"):
        load_named("numpy", version("numpy"))
