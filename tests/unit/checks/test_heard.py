"""One pass over a recording: the detector's word, the kept samples, and the findings made of them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from prelisten import catalogue
from prelisten.checks import CHECKS, claim, forensic, hear, load_forensic_model, recompute
from prelisten.checks.heard import Heard, not_heard
from prelisten.checks.pcm import PcmFile
from prelisten.config import load_config
from prelisten.media.failures import media_error
from prelisten.media.listen import listen
from prelisten.records import FindingState, Recomputed
from prelisten.storage.blobs import Blobs
from tests.recordings import FORMATS, encoded, speech_like, wav_bytes
from wasm_detector.container import identify
from wasm_detector.hint import claim_of
from wasm_detector.scoring import logit
from wasm_detector.screening import screen
from wasm_detector.wav import decode_frames

RATE = 16_000


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def heard(content: bytes, blobs: Blobs, *, claim=None, max_seconds: float = 120) -> Heard:
    path = blobs.root.parent / "file"
    path.write_bytes(content)
    with listen(path, load_config({}, max_seconds=max_seconds)) as recording:
        return hear(recording, blobs, max_seconds=max_seconds, forensic=load_forensic_model(), claim=claim)


def claim_for(content: bytes) -> dict:
    """Return what an honest browser claims about a WAV."""
    layout = identify(content, len(content)).wav
    samples, sums = decode_frames(
        content[layout.data_offset :][: layout.n_frames * layout.frame_bytes], layout
    )
    return claim_of(screen(samples, layout.sample_rate), sums.to_dict())


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
    evidence = heard(wav_bytes(speech_like(60.0)), blobs, max_seconds=8).evidence
    assert evidence.pieces == ((0.0, 4.0), (56.0, 60.0))
    assert (evidence.analysed_s, evidence.total_s) == (8.0, 60.0)


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


def test_half_heard_recording_gives_no_ground_to_call_a_claim_wrong(blobs: Blobs) -> None:
    """A limit of the server is not the browser's lie."""
    result = Heard(FindingState.LIMIT, hint=screen(speech_like(4.0), RATE), claim={"q": 1})
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
