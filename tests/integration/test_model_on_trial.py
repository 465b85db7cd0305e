"""A model that is tried beside the deciding one: heard, stored, compared, and without any say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from prelisten.checks import forensic, load_forensic_model
from prelisten.checks.forensic import FILE_NAME
from prelisten.cli import main
from prelisten.config import load_config
from prelisten.errors import ConfigError
from prelisten.keys import ensure_keys
from prelisten.lab.modelfile import pack
from prelisten.pipeline import Services
from prelisten.policy import parse_policy
from prelisten.records import Outcome
from prelisten.wiring import wire
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, screened
from wasm_detector import model as detector_model
from wasm_detector.model import load_model, unpack
from wasm_detector.screening import screen

TRIED = Path(detector_model.__file__).with_name(detector_model.FILE_NAME)
SOUNDS = tuple(speech_like(4.0, seed=seed) for seed in (1, 2))
REVIEW_ALL = "name: strict\ndefault: {thresholds: {review: 0.0}, inconclusive: review}"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A site that tries the browser's model beside its own, and sends every recording to a person."""
    made = make_services(tmp_path / "data")
    yield replace(made, policy=parse_policy(REVIEW_ALL), shadow_model=load_model())
    made.storage.close()


def wired(tmp_path: Path, shadow_model: Path) -> Services:
    config = load_config({}, data=tmp_path / "site", shadow_model=shadow_model)
    ensure_keys(config)
    return wire(config)


def test_its_score_is_stored_and_decides_nothing(services: Services) -> None:
    """The score is the one of that model alone; decision and findings are as without it."""
    content = wav_bytes(SOUNDS[0])
    submission, decision = screened(services, content)
    without, decided = screened(replace(services, shadow_model=None), content)
    alone = screen(SOUNDS[0], 16_000)
    with services.storage.read() as tx:
        (score,) = tx.shadow_scores(submission.id)
        assert tx.shadow_scores(without.id) == ()
        assert {finding.version for finding in tx.findings(submission.id)} == {
            finding.version for finding in tx.findings(without.id)
        }
    assert (score.detector, score.band) == (alone.detector, alone.band)
    assert score.spoof_score == pytest.approx(alone.spoof_score, abs=2e-3)  # The file holds 16 bits a sample.
    assert decision.evidence_sha256 == decided.evidence_sha256


def test_both_are_compared_with_what_reviewers_said(services: Services, capsys) -> None:
    """Bands side by side, the area under the curve where there are both kinds; a junk file is in no count."""
    ids = [screened(services, content)[0].id for content in (*map(wav_bytes, SOUNDS), b"fLaC" + bytes(60))]
    for name, outcome in zip(ids, (Outcome.NOT_SYNTHETIC, Outcome.SYNTHETIC), strict=False):
        with services.storage.transaction() as tx:
            case = tx.case_for(name)
            tx.resolve_case(case.id, outcome=outcome, note="", reviewer="r", at=datetime.now(UTC))
    with services.storage.read() as tx:
        scores = {name: tx.shadow_scores(name)[0].spoof_score for name in ids[:2]}
        own = {name: one.spoof_score for name in ids for one in tx.findings(name) if one.check == "forensic"}
    services.storage.close()
    capsys.readouterr()
    command = ["model", "compare", "--data", str(services.config.data)]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tried"], told["deciding"]) == (load_model().detector, load_forensic_model().detector)
    assert (told["recordings"], told["reviewed_genuine"], told["reviewed_synthetic"]) == (2, 1, 1)
    assert told["auc"]["tried"] == float(scores[ids[1]] > scores[ids[0]])
    assert {one["submission"]: one["tried"] for one in told["furthest"]} == scores
    assert {one["submission"]: one["deciding"] for one in told["furthest"]} == {n: own[n] for n in scores}
    assert main(command) == 0
    assert f"{told['tried']} beside {told['deciding']}, 2 recordings" in capsys.readouterr().out


def test_nothing_tried_is_said(tmp_path: Path, capsys) -> None:
    """A site without one is told which setting makes one."""
    made = make_services(tmp_path / "data")
    made.storage.close()
    assert main(["model", "compare", "--data", str(tmp_path / "data")]) == 1
    assert "PRELISTEN_SHADOW_MODEL" in capsys.readouterr().out


def test_its_word_goes_with_the_submission(services: Services) -> None:
    """What is erased leaves no score behind."""
    submission, _ = screened(services, wav_bytes(SOUNDS[0]))
    with services.storage.transaction() as tx:
        assert "shadow_scores" in tx.everything_about(submission.id)
        tx.bury_submission(submission.id, datetime.now(UTC))
        assert tx.shadow_scores(submission.id) == ()


def of_another_release() -> bytes:
    """Return a model whose first signal is one number shorter than ours, and whose second is one longer."""
    stored, arrays = unpack(TRIED.read_bytes())
    first, second = (part["name"] for part in stored["parts"][:2])
    moved = dict(arrays)
    for name in ("centre", "scale"):
        moved[f"{first}.{name}"] = arrays[f"{first}.{name}"][:-1].copy()
        moved[f"{second}.{name}"] = np.append(arrays[f"{second}.{name}"], np.float32(1))
    return pack(stored, moved)


def test_settings_name_a_model_that_can_score(tmp_path: Path) -> None:
    """What is no model, or missing, or fails on a sound, or decides already, stops the start; another one is tried."""
    junk, other, bands = (tmp_path / f"{name}.safetensors" for name in ("junk", "other", "bands"))
    junk.write_bytes(b"not a model")
    other.write_bytes(of_another_release())
    stored, arrays = unpack(TRIED.read_bytes())
    bands.write_bytes(pack({**stored, "elevated": "0.5"}, dict(arrays)))
    own = Path(forensic.__file__).with_name(FILE_NAME)
    for path, said in (
        (junk, "junk"),
        (tmp_path / "gone", "cannot be read"),
        (other, "cannot score"),
        (bands, "cannot score"),
        (own, "decided already"),
    ):
        with pytest.raises(ConfigError, match=said):
            wired(tmp_path, path)
    made = wired(tmp_path, TRIED)
    assert made.shadow_model is not None
    assert made.shadow_model.detector == load_model().detector
    made.storage.close()
