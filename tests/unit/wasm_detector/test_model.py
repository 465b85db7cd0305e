"""The model file: read, checked, identified."""

from __future__ import annotations

import hashlib
import json
from importlib import resources

import numpy as np
import pytest

from prelisten.lab.hearing import TIERS, model_of
from tests.recordings import speech_like
from wasm_detector import VERSION
from wasm_detector.errors import ModelError
from wasm_detector.features import measure
from wasm_detector.frames import analyse
from wasm_detector.model import detector_id, pack, parse_model, unpack
from wasm_detector.signals import FORENSIC_SIGNALS, SIGNALS, TOGETHER, describe_all
from wasm_detector.streaming import Stream

SIGNALS_OF = {"client": SIGNALS, "server": FORENSIC_SIGNALS}
FILE = resources.files("wasm_detector").joinpath("model.json").read_bytes()


def test_the_id_names_the_code_and_the_weights():
    """Other weights, another detector."""
    assert detector_id() == f"wd-{VERSION}-{hashlib.sha256(FILE).hexdigest()[:8]}"
    assert parse_model(FILE + b"\n").detector != detector_id()


@pytest.mark.parametrize("tier", TIERS)
def test_the_parts_are_the_signals_in_order_and_of_their_size(tier):
    """Code and weights belong together; the last part has all signals' numbers."""
    features, model, kinds = measure(analyse(speech_like(1.0))), model_of(tier), SIGNALS_OF[tier]
    names = [*(kind.name for kind in kinds), TOGETHER]
    assert [part.name for part in model.parts] == names
    for part, one in zip(model.parts, describe_all(features, names), strict=True):
        assert part.centre.shape == one.vector.shape


def test_two_models_live_side_by_side():
    """A champion and a challenger are heard in turn; neither learns of the other."""
    voice = speech_like(5.0, seed=1)
    first, second = (Stream(16_000, model=model_of(tier)) for tier in TIERS)
    for stream in (first, second):
        stream.push(voice, start=0)
    assert first.finish() == Stream.finish(_heard_alone(voice, "client"))
    assert second.finish().detector == model_of("server").detector != first.model.detector


def _heard_alone(voice, tier):
    stream = Stream(16_000, model=model_of(tier))
    stream.push(voice, start=0)
    return stream


def test_the_file_stays_small():
    """It travels with every first visit."""
    assert len(FILE) < 1_700_000


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1"])
def test_arrays_survive_the_file(dtype):
    """Shape and values come back."""
    array = np.arange(-6.0, 6.0).reshape(3, 4)
    np.testing.assert_array_equal(unpack(json.loads(json.dumps(pack(array, dtype)))), array)


def test_another_layout_is_refused_with_advice():
    """A newer file is not guessed at."""
    with pytest.raises(ModelError, match="Train it again"):
        parse_model(json.dumps(json.loads(FILE) | {"format": 99}).encode())


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", FILE[: len(FILE) // 2], FILE.replace(b'"parts"', b'"p"')]
)
def test_damage_is_a_model_error(text):
    """Never a stray KeyError in a worker."""
    with pytest.raises(ModelError):
        parse_model(text)


def test_parts_for_other_signals_are_refused():
    """Weights of an older list of signals would be put on the wrong ones."""
    stored = json.loads(FILE)
    stored["parts"] = stored["parts"][1:]
    with pytest.raises(ModelError, match="Train it again"):
        Stream(16_000, model=parse_model(json.dumps(stored).encode()))
