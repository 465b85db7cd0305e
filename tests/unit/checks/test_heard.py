"""One pass over a recording: the detector's word, the kept samples, and the findings made of them."""

from __future__ import annotations

import hashlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from prelisten import catalogue
from prelisten.checks import (
    CHECKS,
    Claimed,
    claim,
    forensic,
    hear,
    load_forensic_model,
    plan_of,
    read_claimed,
    recompute,
)
from prelisten.checks.heard import Heard, not_heard
from prelisten.checks.pcm import PcmFile
from prelisten.config import load_config
from prelisten.media.failures import media_error
from prelisten.media.listen import listen
from prelisten.records import FindingState, Recomputed
from prelisten.storage.blobs import Blobs
from tests.media_files import media_file
from tests.poison.boxes import box
from tests.recordings import FORMATS, encoded, speech_like, wav_bytes
from wasm_detector.browser import Analysis, probe
from wasm_detector.container import identify
from wasm_detector.scoring import logit
from wasm_detector.screening import screen
from wasm_detector.streaming import plan_windows

RATE = 16_000
SEED = "0123456789abcdef" * 4
LONG = np.concatenate([speech_like(15.0, seed=seed) for seed in range(4)])


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def heard(content: bytes, blobs: Blobs, *, claim=None, max_seconds: float = 120, seed: str = SEED) -> Heard:
    path = blobs.root.parent / "file"
    path.write_bytes(content)
    claimed = None if claim is None else read_claimed(claim, max_seconds=max_seconds, seed=seed)
    plan = plan_of(claimed, max_seconds=max_seconds, seed=seed)
    with listen(path, load_config({}, max_seconds=max_seconds), plan=plan) as recording:
        return hear(recording, blobs, forensic=load_forensic_model(), claimed=claimed)


def claim_for(content: bytes, max_seconds: float = 120) -> dict:
    """Return what an honest browser claims: the worker's own code, on what this server decodes."""
    probed = probe(content, len(content))
    is_wav = probed["reader"] == "wav"
    samples, rate = decoded(content)
    analysis = Analysis(rate, samples.size / rate, max_seconds, probed if is_wav else None, probed["facts"])
    size = probed["frame_bytes"] if is_wav else 0
    for start, end in analysis.windows():
        if is_wav:
            analysis.push_wav(content[probed["data_offset"] :][start * size : end * size], start)
        else:
            analysis.push(samples[start:end], start)
    return analysis.finish()["claim"] | {
        "file": {"size": len(content), "type": "audio/any", "sha256": hashlib.sha256(content).hexdigest()},
        "env": {"decoder": probed["reader"], "rate": float(probed["sample_rate"] or rate)},
        "t": {},
    }


def decoded(content: bytes) -> tuple[np.ndarray, float]:
    """Return all samples that this server's decoder gives, and their rate."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        with listen(Path(file.name), load_config({}, max_seconds=7_200)) as recording:
            return np.concatenate([samples for _, samples in recording.blocks()]), recording.sample_rate


def test_server_hears_what_the_detector_hears_of_the_whole(blobs: Blobs) -> None:
    """Block by block out of another process gives the very hint that one call on all samples gives."""
    samples = np.round(speech_like(9.0) * 32768) / 32768
    assert heard(wav_bytes(samples.astype("f4")), blobs).hint == screen(samples.astype("f4"), RATE)


@pytest.mark.parametrize("kind", FORMATS)
def test_kept_samples_give_the_same_score(kind: str, blobs: Blobs) -> None:
    """The evidence is what was scored: screening the kept WAV again gives the score to the last digit."""
    result = heard(FORMATS[kind](speech_like(6.0), RATE), blobs)
    samples, rate = soundfile.read(blobs.path(result.evidence.pcm_sha256), dtype="float32")
    again = screen(samples, rate)
    assert (again.spoof_score, again.band) == (result.hint.spoof_score, result.hint.band)


def test_evidence_is_named_by_its_hash(blobs: Blobs) -> None:
    """The blob's name is the SHA-256 of its bytes."""
    name = heard(wav_bytes(speech_like(2.0)), blobs).evidence.pcm_sha256
    assert hashlib.sha256(blobs.path(name).read_bytes()).hexdigest() == name


def test_pieces_say_where_the_windows_lie(blobs: Blobs) -> None:
    """A reviewer's player has to find second 57 of the recording at second 5 of what was kept."""
    evidence = heard(wav_bytes(LONG), blobs, max_seconds=8).evidence
    (start, end), (other_start, other_end) = evidence.pieces
    assert start < 30 <= other_start
    assert end - start == 4.0 <= other_end - other_start < 6.0
    assert (evidence.analysed_s, evidence.total_s) == (end - start + other_end - other_start, 60.0)
    kept, _ = soundfile.read(blobs.path(evidence.pcm_sha256), dtype="float32")
    wanted = np.concatenate([LONG[int(first * RATE) : int(last * RATE)] for first, last in evidence.pieces])
    np.testing.assert_allclose(kept, wanted, atol=1e-4)


def test_kept_samples_are_finite(blobs: Blobs) -> None:
    """NaN and 1e38 are kept as the zeros that were scored; a player must not make noise of them."""
    samples = speech_like(3.0)
    samples[100:110], samples[200] = np.nan, 1e38
    result = heard(encoded(samples, file_format="WAV", subtype="FLOAT"), blobs)
    kept, _ = soundfile.read(blobs.path(result.evidence.pcm_sha256), dtype="float32")
    assert np.isfinite(kept).all()
    assert (np.abs(kept).max() <= 1, kept[100:110].any()) == (True, False)


def test_recompute_gives_the_hint_as_a_finding(blobs: Blobs) -> None:
    """Score, reasons and version are the detector's."""
    result = heard(wav_bytes(speech_like(6.0)), blobs)
    finding = recompute.run(result)
    assert (finding.state, finding.spoof_score) == (FindingState.DONE, result.hint.spoof_score)
    assert (finding.version, finding.reasons) == (result.hint.detector, result.hint.reasons)


def test_honest_claim_about_a_wav_matches(blobs: Blobs) -> None:
    """The browser's numbers for a WAV are the server's."""
    content = wav_bytes(speech_like(6.0))
    finding = claim.run(heard(content, blobs, claim=claim_for(content)))
    assert (finding.details["recomputed"], finding.reasons) == (Recomputed.MATCH, ())
    assert finding.details["segments"] == [2, 2]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("max_seconds", [8.0, 16.0, 30.0])
def test_honest_claim_about_parts_of_a_long_recording_agrees(
    kind: str, max_seconds: float, blobs: Blobs
) -> None:
    """Less, as much and more than the server hears: what both can hear is compared, at the browser's own places."""
    content = FORMATS[kind](LONG, RATE)
    finding = claim.run(heard(content, blobs, claim=claim_for(content, max_seconds), max_seconds=16))
    n_segments = int(max_seconds // 4)
    assert finding.details["differences"] == []
    assert finding.details["segments"] == [min(n_segments, 4), n_segments]
    is_exact = kind == "wav" and max_seconds <= 16
    assert finding.details["recomputed"] == (Recomputed.MATCH if is_exact else Recomputed.WITHIN_TOLERANCE)


def test_claim_about_less_than_the_server_hears_is_compared_with_that(blobs: Blobs) -> None:
    """A page may ask for less; a lie about the little that it did hear is found all the same."""
    content = wav_bytes(LONG)
    honest = claim_for(content, 8.0)
    assert claim.run(heard(content, blobs, claim=honest)).details["recomputed"] == Recomputed.MATCH
    lie = claim.run(heard(content, blobs, claim=honest | {"q": 999 - (honest["q"] or 0)}))
    assert lie.details["differences"] == ["q"]


def test_claim_has_no_say_in_what_the_detectors_hear(blobs: Blobs) -> None:
    """Whatever a claim says, findings and evidence are those of the same seed without one."""
    content = wav_bytes(LONG)
    without = heard(content, blobs, max_seconds=16)
    for claimed in (
        claim_for(content, 8.0),
        claim_for(content, 60.0),
        claim_for(wav_bytes(LONG[::-1]), 16.0),
    ):
        with_it = heard(content, blobs, claim=claimed, max_seconds=16)
        assert (with_it.evidence, with_it.hint, with_it.forensic) == (
            without.evidence,
            without.hint,
            without.forensic,
        )


def test_server_listens_where_nobody_could_know(blobs: Blobs) -> None:
    """Two seeds, two sets of windows; and not the browser's."""
    content = wav_bytes(LONG)
    one, two = (
        heard(content, blobs, max_seconds=16, seed=seed).evidence.pieces for seed in (SEED, SEED[::-1])
    )
    assert len({one, two, plan_windows(60.0, 16.0)}) == 3


def test_claim_about_another_recording_is_a_mismatch(blobs: Blobs) -> None:
    """The right hash with another recording's numbers is found out, and costs no score."""
    lie = claim_for(wav_bytes(speech_like(6.0, seed=9)))
    finding = claim.run(heard(wav_bytes(speech_like(6.0)), blobs, claim=lie))
    assert finding.details["recomputed"] == Recomputed.MISMATCH
    assert (finding.reasons[0].code, finding.reasons[0].weight, finding.spoof_score) == (
        "HINT_MISMATCH",
        0.0,
        None,
    )


def test_rate_stated_behind_the_first_megabyte_is_no_ground_to_call_a_claim_wrong(blobs: Blobs) -> None:
    """The browser's detector has not seen it; its decoder may give half of what this server's gives."""
    content = media_file(speech_like(6.0, rate=44_100), 44_100, container="ipod")
    tables = content.index(b"moov") - 4
    content = content[:tables] + box(b"free", bytes(1 << 20)) + content[tables:]
    honest = claim_for(content)
    halved = honest | {"env": {"decoder": "page", "rate": 22_050.0}}
    assert honest["env"]["rate"] == 44_100
    assert claim.run(heard(content, blobs, claim=halved)).details["recomputed"] != Recomputed.MISMATCH
    lie = claim.run(heard(content, blobs, claim=honest | {"q": (honest["q"] + 500) % 1000}))
    assert lie.details["recomputed"] == Recomputed.MISMATCH


def test_half_heard_recording_gives_no_ground_to_call_a_claim_wrong(blobs: Blobs) -> None:
    """A limit of the server is not the browser's lie."""
    result = Heard(FindingState.LIMIT, hint=screen(speech_like(4.0), RATE), claimed=Claimed({"q": 1}))
    assert claim.run(result).details["recomputed"] == Recomputed.NOT_RUN


def test_recording_that_was_not_heard_has_findings_too() -> None:
    """Every check says how it ended, and none invents a score."""
    findings = [check(not_heard(media_error("not_audio"))) for check in CHECKS]
    assert {finding.spoof_score for finding in findings} == {None}
    assert (findings[0].state, findings[0].reasons[0].code) == (FindingState.NOT_APPLICABLE, "NOT_AUDIO")


def test_pcm_file_is_a_wav_that_others_read(tmp_path: Path) -> None:
    """Mono float32 at the rate it was written with, every sample as it was."""
    samples = speech_like(1.0)
    with PcmFile(tmp_path / "a.wav", 44_100) as pcm:
        for block in np.array_split(samples, 7):
            pcm.write(block)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (44_100, 1, "FLOAT", samples.size)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], samples)
    assert identify((tmp_path / "a.wav").read_bytes(), 10**6).wav.n_frames == samples.size


def test_pcm_file_without_samples_is_still_a_wav(tmp_path: Path) -> None:
    """Nothing heard, nothing kept, and a header that says so."""
    with PcmFile(tmp_path / "a.wav", RATE):
        pass
    assert soundfile.read(io.BytesIO((tmp_path / "a.wav").read_bytes()))[0].size == 0


def test_every_check_has_a_name_for_reviewers() -> None:
    """A case's page names each finding in words."""
    names = [check(not_heard(media_error("not_audio"))).check for check in CHECKS]
    assert [name for name in names if f"check.{name}" not in catalogue.catalogue()] == []
    assert len(set(names)) == len(CHECKS)


def test_forensic_detector_has_a_word_of_its_own(blobs: Blobs) -> None:
    """It hears the same samples with other weights, and says which model spoke; the evidence is its hint."""
    result = heard(wav_bytes(speech_like(6.0)), blobs)
    finding = forensic.run(result)
    assert (finding.state, finding.version) == (FindingState.DONE, load_forensic_model().detector)
    assert finding.spoof_score == result.forensic.spoof_score != result.hint.spoof_score
    assert sum(one["weight"] for one in finding.details["signals"]) + finding.details[
        "bias"
    ] == pytest.approx(logit(finding.spoof_score), abs=0.01)
    assert result.evidence.hint == result.forensic.to_dict()
