"""The whole path on the server: a form is sent, the screening loop hears it, a decision stands, a person resolves."""

from __future__ import annotations

import io
import re
import struct
import time
import wave

import numpy as np
import pytest
import soundfile as sf

from prelisten.catalogue import sentence
from prelisten.pipeline import wait_for_decision
from prelisten.records import Action, FindingState, Recomputed
from prelisten.review.sign_in import new_link_code
from tests.integration.test_routes import API, ORIGIN, send
from tests.recordings import FORMATS, RATE, encoded, encoded_by_av, speech_like, wav_bytes

DECIDED_WITHIN_S = 60


def decided(site, recording: bytes, *, name: str = "voice.wav", **fields):
    """Send a recording and return (submission, decision, findings) once there is a decision."""
    submission_id = send(site.client(), recording, name=name, **fields).location.rsplit("/", 1)[1]
    decision = wait_for_decision(submission_id, site.services, DECIDED_WITHIN_S)
    assert decision is not None, "no decision came"
    with site.services.storage.read() as tx:
        return tx.submission(submission_id), decision, tx.findings(submission_id)


def codes(decision) -> set[str]:
    """Return the codes of a decision's reasons."""
    return {reason.code for reason in decision.reasons}


def wav_claiming(*, rate: int = RATE, channels: int = 1, n_bytes: int | None = None, body: bytes) -> bytes:
    """Return a WAV whose header says what it likes."""
    claimed = len(body) if n_bytes is None else n_bytes
    block = (channels * 2) % 65_536
    fmt = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) % 2**32, block, 16)
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + claimed, 2**32 - 1))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + b"data"
        + struct.pack("<I", min(claimed, 2**32 - 1))
        + body
    )


def float_wav(samples) -> bytes:
    """Return samples as a WAV of 32-bit floats, whatever they hold."""
    file = io.BytesIO()
    sf.write(file, np.asarray(samples, np.float32), RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def mp4_with_sound(samples) -> bytes:
    """Return an MP4 as a phone would send it, sound only."""
    return encoded_by_av(samples, container="mp4", codec="aac", rate=48_000)


@pytest.mark.parametrize("ending", FORMATS)
def test_recording_of_each_format_is_heard_whole(live_site, ending):
    """Each format is decoded to its end and gets a decision that rests on what was heard."""
    samples = speech_like(4.5, seed=21, rate=48_000)
    _, decision, findings = decided(live_site, FORMATS[ending](samples, 48_000), name=f"voice.{ending}")
    heard = next(finding for finding in findings if finding.check == "recompute")
    assert heard.state is FindingState.DONE
    assert decision.action in (Action.ACCEPT, Action.LABEL, Action.REVIEW)
    assert "SCREENING_INCOMPLETE" not in codes(decision)


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("text.wav", b"this is no recording at all\n" * 50),
        ("bytes.mp3", bytes(np.random.default_rng(1).integers(0, 256, 40_000, dtype=np.uint8))),
        ("one-hertz.wav", wav_claiming(rate=1, body=bytes(20_000))),
        ("channels.wav", wav_claiming(channels=65_535, body=bytes(200_000))),
        ("list.wav", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        ("concat.wav", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        ("picture.mp3", b"\x89PNG\r\n\x1a\n" + bytes(5_000)),
    ],
)
def test_what_is_no_recording_never_passes(live_site, name, recording):
    """A file without anything to hear is never accepted, and a reason says what it is."""
    _, decision, _ = decided(live_site, recording, name=name)
    assert decision.action in (Action.REVIEW, Action.REJECT)
    assert codes(decision)


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("silence.wav", wav_bytes(np.zeros(2 * RATE, np.float32))),
        ("nan.wav", float_wav(np.full(3 * RATE, np.nan))),
        ("huge.wav", float_wav(np.full(3 * RATE, 1e38))),
        ("blip.wav", wav_bytes(speech_like(0.3, seed=22))),
    ],
)
def test_what_says_nothing_is_not_accepted_by_itself(live_site, name, recording):
    """A recording in which nothing can be told is labelled or looked at, with a reason, never simply accepted."""
    _, decision, _ = decided(live_site, recording, name=name)
    assert decision.action in (Action.LABEL, Action.REVIEW)
    assert codes(decision)


def test_truncated_mp3_is_heard_as_far_as_it_goes(live_site):
    """Half a file is half a recording: it is screened, and what is missing is said."""
    whole = encoded(speech_like(8.0, seed=23, rate=44_100), file_format="MP3", rate=44_100)
    submission, decision, findings = decided(live_site, whole[: len(whole) // 2], name="half.mp3")
    heard = next(finding for finding in findings if finding.check == "recompute")
    assert heard.state is FindingState.DONE
    assert decision.action is not Action.ACCEPT
    assert "TRUNCATED" in codes(decision)
    assert submission.size_bytes == len(whole) // 2


def test_wav_that_claims_ten_hours_is_heard_as_far_as_it_goes(live_site):
    """The header's length is a claim; what is there is what counts."""
    body = (speech_like(4.0, seed=24) * 32_000).astype("<i2").tobytes()
    _, decision, _ = decided(
        live_site, wav_claiming(n_bytes=10 * 3600 * RATE * 2, body=body), name="ten-hours.wav"
    )
    assert decision.action is not Action.ACCEPT
    assert codes(decision)


def test_video_is_heard_by_its_sound_track(live_site):
    """A phone's video is a recording too."""
    _, decision, findings = decided(
        live_site, mp4_with_sound(speech_like(4.0, seed=25, rate=48_000)), name="a.mp4"
    )
    assert next(finding for finding in findings if finding.check == "recompute").state is FindingState.DONE
    assert "SCREENING_INCOMPLETE" not in codes(decision)


def test_lying_claim_is_a_mismatch_and_changes_no_decision(live_site):
    """A claim about the right file with made-up numbers: the reviewer sees it, the decision is the same without it."""
    from tests.integration.test_routes import seal_for

    client, recording = live_site.client(), wav_bytes(speech_like(4.0, seed=26))
    token = seal_for(client, recording)
    submission, with_claim, _ = decided(live_site, recording, **{"voice-hint": token})
    _, without, _ = decided(live_site, recording, idempotency_key="other")
    assert submission.hint_check.recomputed is Recomputed.MISMATCH
    assert with_claim.action is without.action
    assert with_claim.evidence_sha256 == without.evidence_sha256


def test_reviewer_reads_that_a_claim_lied_and_none_of_its_values(strict_site):
    """A mismatch is shown as what it is: which groups differ, in words. Scores on the page are the server's own."""
    from tests.integration.test_routes import seal_for

    recording = wav_bytes(speech_like(4.0, seed=33))
    lie = {"band": "high", "q": 987, "reasons": ["MADE_UP_REASON"], "near": {"seg": "zMzM", "stat": [4321]}}
    token = seal_for(strict_site.client(), recording, **lie)
    submission, _, findings = decided(strict_site, recording, **{"voice-hint": token})
    with strict_site.services.storage.read() as tx:
        case = tx.case_for(submission.id)
    client, _ = reviewer(strict_site)
    page = client.get(f"/review/cases/{case.id}").text
    assert submission.hint_check.recomputed is Recomputed.MISMATCH
    words = "The browser&#39;s claim does not agree with what the server heard: "
    assert words in page
    named = page.partition(words)[2].partition(". Only")[0].split(", ")
    found = next(finding for finding in findings if finding.check == "claim")
    assert named == [sentence(f"difference.{name}") for name in found.details["differences"]]
    assert not any(value in page for value in ("0.987", "MADE_UP_REASON", "zMzM", "43.21"))


def test_page_follows_a_hold_to_its_end(live_site):
    """The page that a sender is led to ends with a decision, without any script."""
    location = send(live_site.client(), wav_bytes(speech_like(4.0, seed=27))).location
    end = time.monotonic() + DECIDED_WITHIN_S
    while 'data-decision="hold"' in (page := live_site.client().get(location).text):
        assert 'http-equiv="refresh"' in page
        assert time.monotonic() < end
        time.sleep(0.3)
    assert re.search('data-decision="(accept|label|review|reject)"', page)


@pytest.mark.parametrize(
    "body", [b"code=x&reviewer=" + b"a" * 20_000, None], ids=["long", "without a length"]
)
def test_sign_in_waits_for_no_long_form(site, body):
    """Anybody may ask for this page, so nobody may hold a thread with it."""
    stream = {"input_stream": io.BytesIO(b"code=x"), "headers": {"Transfer-Encoding": "chunked"}}
    sent = stream if body is None else {"data": body}
    answer = site.client().post("/review/sign-in", content_type="application/x-www-form-urlencoded", **sent)
    assert (answer.status_code, "too long" in answer.text) == (400, True)


def reviewer(site):
    """Return a client that is signed in, and its form token."""
    client, code = site.client(), new_link_code(site.config.data)
    assert client.post("/review/sign-in", data={"code": code, "reviewer": "Mona"}).status_code == 303
    token = re.search('name="form_token" value="([0-9a-f]+)"', client.get("/review/").text).group(1)
    return client, token


def heard_case(site, seed: int):
    """Return a case whose recording was heard: a policy of the test sends everything to review."""
    submission, _, _ = decided(site, wav_bytes(speech_like(5.0, seed=seed)))
    with site.services.storage.read() as tx:
        return submission, tx.case_for(submission.id), tx.evidence(submission.id)


def test_signing_out_ends_the_session_everywhere(strict_site):
    """A copy of the cookie, kept elsewhere, opens nothing any more."""
    client, token = reviewer(strict_site)
    cookie = client.get_cookie("prelisten_reviewer", path="/review").value
    assert client.get("/review?offset=99999999999999999999").status_code == 200
    client.post("/review/sign-out", data={"form_token": token})
    thief = strict_site.client()
    thief.set_cookie("prelisten_reviewer", cookie, path="/review")
    assert thief.get("/review").status_code == 401


def test_stranger_sees_nothing_of_the_review(strict_site):
    """Without the link there is no list, no case, no audio and no way to resolve."""
    _, case, _ = heard_case(strict_site, 31)
    for path in ("/review/", f"/review/cases/{case.id}", f"/review/cases/{case.id}/audio.wav"):
        assert strict_site.client().get(path).status_code == 401
    assert (
        strict_site.client().post(f"/review/cases/{case.id}", data={"outcome": "synthetic"}).status_code
        == 401
    )


def test_reviewer_hears_exactly_what_was_scored(strict_site):
    """The playback is the server's own decode, sample for sample, and its sum stands in the evidence."""
    import hashlib

    samples = speech_like(5.0, seed=32)
    _, case, evidence = heard_case(strict_site, 32)
    client, _ = reviewer(strict_site)
    audio = client.get(f"/review/cases/{case.id}/audio.wav", buffered=True)
    played, rate = sf.read(io.BytesIO(audio.data), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(played, samples, atol=1 / 32_768)
    assert hashlib.sha256(audio.data).hexdigest() == evidence.pcm_sha256
    part = client.get(f"/review/cases/{case.id}/audio.wav", headers={"Range": "bytes=0-99"}, buffered=True)
    assert (part.status_code, len(part.data)) == (206, 100)


def test_long_recording_is_played_as_far_as_it_was_heard(strict_site):
    """Of thirty seconds twelve are heard, in windows over the whole; the timeline is as long as the playback."""
    submission, _, _ = decided(strict_site, wav_bytes(speech_like(30.0, seed=38)))
    with strict_site.services.storage.read() as tx:
        case, evidence = tx.case_for(submission.id), tx.evidence(submission.id)
    client, _ = reviewer(strict_site)
    audio = client.get(f"/review/cases/{case.id}/audio.wav", buffered=True)
    played_s = sf.info(io.BytesIO(audio.data)).duration
    drawn_s = re.search(r'viewBox="0 0 ([0-9.]+) 10"', client.get(f"/review/cases/{case.id}").text).group(1)
    assert evidence.pieces[0][0] == 0.0
    assert 12.0 < evidence.pieces[-1][1] <= 30.0
    assert played_s == pytest.approx(evidence.analysed_s, abs=0.001)
    assert float(drawn_s) == pytest.approx(played_s, abs=0.001)


def test_original_is_a_download_that_nothing_runs(strict_site):
    """The sender's bytes come as an attachment of no type, in a sandbox."""
    submission, case, _ = heard_case(strict_site, 33)
    client, _ = reviewer(strict_site)
    response = client.get(f"/review/cases/{case.id}/original", buffered=True)
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.mimetype == "application/octet-stream"
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert len(response.data) == submission.size_bytes


def test_outcome_is_stored_once_and_survives_a_restart(strict_site):
    """The first word stands; a second reviewer is told; another process reads the same."""
    from prelisten.wiring import wire

    _, case, _ = heard_case(strict_site, 34)
    client, token = reviewer(strict_site)
    form = {"form_token": token, "outcome": "synthetic", "note": "flat voice"}
    assert client.post(f"/review/cases/{case.id}", data=form).status_code == 303
    again = client.post(f"/review/cases/{case.id}", data=form | {"outcome": "not_synthetic", "note": "no"})
    assert again.status_code == 409
    assert "before you did" in again.text
    restarted = wire(strict_site.config)
    with restarted.storage.read() as tx:
        stored = tx.case(case.id)
    restarted.storage.close()
    assert (stored.outcome, stored.note, stored.reviewer) == ("synthetic", "flat voice", "Mona")


@pytest.mark.parametrize("form", [{}, {"form_token": "0" * 64, "outcome": "synthetic"}])
def test_form_of_another_session_resolves_nothing(strict_site, form):
    """A form that another page made the reviewer's browser send changes nothing."""
    _, case, _ = heard_case(strict_site, 35)
    client, _ = reviewer(strict_site)
    assert client.post(f"/review/cases/{case.id}", data=form).status_code == 400
    with strict_site.services.storage.read() as tx:
        assert tx.case(case.id).outcome is None


def test_hostile_file_name_is_text_on_every_page(strict_site):
    """What a sender calls a file is shown as letters, never run."""
    name = "<script>alert(1)</script>.wav"
    submission, _, _ = decided(strict_site, wav_bytes(speech_like(4.0, seed=36)), name=name)
    client, _ = reviewer(strict_site)
    with strict_site.services.storage.read() as tx:
        case = tx.case_for(submission.id)
    for path in (f"/submissions/{submission.id}", "/review/", f"/review/cases/{case.id}"):
        assert "<script>alert" not in client.get(path).text


def test_status_tells_a_program_the_decision(live_site):
    """The API's status answers with the decision, its sentences and its reasons."""
    data = {"file": (io.BytesIO(wav_bytes(speech_like(4.0, seed=37))), "a.wav")}
    first = live_site.client().post(f"{API}/uploads", data=data, headers=ORIGIN)
    status = live_site.client().get(first.json["status_url"]).json
    end = time.monotonic() + DECIDED_WITHIN_S
    while status["state"] != "decided":
        assert time.monotonic() < end
        time.sleep(0.2)
        status = live_site.client().get(first.json["status_url"]).json
    assert status["decision"] in ("accept", "label", "review")
    assert status["title"]
    assert not status["title"].startswith("decision.")


def test_wave_module_reads_the_helper(tmp_path):
    """The header that these tests write is a WAV header when it tells the truth."""
    body = bytes(3_200)
    with wave.open(io.BytesIO(wav_claiming(body=body))) as read:
        assert (read.getframerate(), read.getnframes()) == (RATE, 1_600)
