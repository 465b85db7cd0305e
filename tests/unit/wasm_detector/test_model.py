"""The model file: read, checked, identified."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from prelisten.lab.hearing import TIERS, model_of
from prelisten.lab.modelfile import pack
from tests.recordings import speech_like
from wasm_detector import VERSION
from wasm_detector.errors import ModelError
from wasm_detector.features import measure
from wasm_detector.frames import analyse
from wasm_detector.model import BLOCK, CLIP, FILE_NAME, TYPES, detector_id, load_model, parse_model, unpack
from wasm_detector.scoring import check_model, score_segment
from wasm_detector.screening import screen
from wasm_detector.signals import FORENSIC_SIGNALS, SIGNALS, TOGETHER, describe_all
from wasm_detector.streaming import Stream

SIGNALS_OF = {"client": SIGNALS, "server": FORENSIC_SIGNALS}
FILE = resources.files("wasm_detector").joinpath(FILE_NAME).read_bytes()


@pytest.mark.parametrize(
    "changed", [{"elevated": "0.5"}, {"high": None}, {"speech_floor": 1.2}, {"elevated": 0.9, "high": 0.8}]
)
def test_thresholds_that_are_no_probabilities_are_refused(changed):
    """When the file is read, and not with the first recording that is compared with them."""
    stored, arrays = unpack(FILE)
    with pytest.raises(ModelError, match="damaged"):
        parse_model(pack({**stored, **changed}, dict(arrays)))


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


@pytest.mark.parametrize("dtype", TYPES.values())
def test_arrays_survive_the_file(dtype):
    """Shape, type and values come back, in whatever order they lie."""
    array = np.arange(-6.0, 6.0).reshape(3, 4).astype(dtype)
    settings, arrays = unpack(pack({"one": [1]}, {"a": array, "wide": np.array([0.1]), "empty": array[:0]}))
    assert settings == {"one": [1]}
    np.testing.assert_array_equal(arrays["a"], array)
    assert arrays["a"].dtype == array.dtype
    assert arrays["empty"].shape == (0, 4)
    assert arrays["wide"][0] == 0.1


def test_the_file_is_read_where_it_lies():
    """In the browser every copy of the weights is memory that never comes back."""
    load_model()  # What is imported on the way is not counted.
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        model = parse_model(FILE)
        kept, peak = (size - before for size in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    assert peak < 24 * BLOCK
    assert kept < len(FILE) // 4
    assert all(part.landmarks.dtype == np.int8 for part in model.parts)


def test_a_part_is_the_sum_that_its_docstring_states():
    """Block by block is as well as at once."""
    rng = np.random.default_rng(2)
    model = load_model()
    for part in (*model.parts, *(expert.part for expert in model.experts)):
        vector = part.centre + part.scale * rng.normal(0.0, 2.0, part.centre.size)
        z = np.clip((vector - part.centre) / part.scale, -CLIP, CLIP)
        if part.directions is not None:
            z = part.direction_step * part.directions.astype(float) @ z
        bumps = np.exp(-part.gamma * np.square(z - part.step * part.landmarks.astype(float)).sum(axis=1))
        spoof, speech, highest = part.contribute(vector)
        np.testing.assert_allclose(np.array([spoof, speech]) - part.offset, part.weights @ bumps, atol=1e-9)
        assert highest == pytest.approx(bumps.max())


def changed(**settings) -> bytes:
    """Return the file with other settings."""
    stored, arrays = unpack(FILE)
    return pack(stored | settings, arrays)


def test_another_layout_is_refused_with_advice():
    """A newer file is not guessed at."""
    with pytest.raises(ModelError, match="Train it again"):
        parse_model(changed(format=99))


def older(layout: int) -> tuple[dict, dict]:
    """Return settings and arrays as that layout has them: of the experts the one for noise alone, under its name."""
    stored, arrays = unpack(FILE)
    noise, *others = stored.pop("experts")
    left_out = tuple(f"{one['name']}." for one in others)
    kept = {name: array for name, array in arrays.items() if not name.startswith(left_out)}
    return stored | {"format": layout, "noise": noise}, kept


def test_in_a_layout_before_there_is_one_expert():
    """A model of layout 7 knows noise, and no narrow bands."""
    stored, arrays = older(7)
    before = parse_model(pack(stored, arrays))
    assert [expert.part.name for expert in before.experts] == ["noise"]
    assert before.experts[0].unchanged
    assert before.messenger
    assert screen(speech_like(4.0, seed=1), 16_000, model=before).spoof_score is not None


def test_the_first_layout_is_still_read():
    """A model that an operator trained has no experts, and is heard as ever."""
    stored, arrays = older(4)
    del stored["noise"], stored["messenger"]
    kept = {name: array for name, array in arrays.items() if not name.startswith(("noise.", "messenger."))}
    before = parse_model(pack(stored, kept))
    assert before.experts == ()
    assert before.messenger is None
    assert screen(speech_like(4.0, seed=1), 16_000, model=before).spoof_score is not None


def test_in_a_layout_before_noise_changes_every_signal():
    """A model that an operator trained is heard as ever: it names no signals that count in noise as without."""
    stored, arrays = older(5)
    before = parse_model(pack(stored | {"noise": stored["noise"] | {"unchanged": []}}, arrays))
    del stored["noise"]["unchanged"]
    unnamed = parse_model(pack(stored, arrays))
    assert before.experts[0].unchanged == unnamed.experts[0].unchanged == ()
    assert screen(speech_like(4.0, seed=1), 16_000, model=unnamed).spoof_score is not None


def test_in_a_layout_before_what_was_sent_counts_as_much():
    """A model of layout 6 takes nothing off."""
    stored, arrays = older(6)
    del stored["messenger"], arrays["messenger.estimate"]
    before = parse_model(pack(stored, arrays))
    assert before.experts
    assert before.messenger is None
    assert screen(speech_like(4.0, seed=1), 16_000, model=before).spoof_score is not None


def test_a_signal_that_has_changed_since_the_training_is_named():
    """A model of an older version may know it as more numbers than it has now."""
    model = load_model()
    part = model.parts[3]
    longer = replace(
        part,
        centre=np.append(part.centre, np.float32(0.0)),
        scale=np.append(part.scale, np.float32(1.0)),
        landmarks=np.pad(part.landmarks, ((0, 0), (0, 1))),
    )
    older = replace(model, parts=(*model.parts[:3], longer, *model.parts[4:]))
    with pytest.raises(ModelError, match=f"{part.name} as {longer.centre.size} numbers.* Train it again"):
        score_segment(speech_like(4.0, seed=1), start_s=0.0, end_s=4.0, model=older)


def test_experts_and_estimates_of_other_signals_are_refused():
    """They have to see what the part over all signals sees, and to know those that count as ever."""
    model = load_model()
    whole, expert = model.experts
    for torn in (
        {"part": model.parts[0]},
        {"estimate": expert.estimate[:-1]},
        {"most": 1.5},
        {"unchanged": ("bandwidth",)},
        {"unchanged": (TOGETHER,)},
        {"offset": float("nan")},
    ):
        with pytest.raises(ModelError, match="other signals"):
            check_model(replace(model, experts=(whole, replace(expert, **torn))))
    nan = float("nan")
    for torn in ({"estimate": model.messenger.estimate[:-1]}, {"most": -0.1}, {"most": nan}, {"offset": nan}):
        with pytest.raises(ModelError, match="other signals"):
            check_model(replace(model, experts=(), messenger=replace(model.messenger, **torn)))
    for kept in ({"experts": ()}, {"messenger": None}):
        with pytest.raises(ModelError, match="other signals"):
            check_model(replace(model, parts=model.parts[:-1], **kept))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        bytes(64),
        b"\xff" * 64,
        FILE[: len(FILE) // 2],
        FILE[:-1],
        FILE[:100],
        FILE.replace(b"__metadata__", b"__metadatum_"),
        FILE.replace(b'"I8"', b'"I9"'),
        FILE.replace(b'"dtype"', b'"type"'),
        FILE.replace(b'"data_offsets":[0,', b'"data_offsets":[9,'),
        changed(parts=None),
        changed(parts=[{}]),
        changed(experts=[{}]),
        changed(messenger={}),
    ],
)
def test_damage_is_a_model_error(raw):
    """Never a stray KeyError in a worker."""
    with pytest.raises(ModelError):
        parse_model(raw)


def test_parts_for_other_signals_are_refused():
    """Weights of an older list of signals would be put on the wrong ones."""
    parts = unpack(FILE)[0]["parts"]
    with pytest.raises(ModelError, match="Train it again"):
        Stream(16_000, model=parse_model(changed(parts=parts[1:])))
