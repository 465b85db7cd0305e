"""Over HTTP: every answer that a page, a form or a program gets."""

from __future__ import annotations

import hashlib
import io
import json

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from prelisten.assets import bundled_detector, manifest, web_root
from tests.recordings import speech_like, wav_bytes

API = "/prelisten/v1"
ORIGIN = {"Origin": "http://localhost"}


def seal_for(client, recording: bytes, *, action: str = "voice-upload", **changes) -> str:
    """Do what the widget does: a challenge, then a seal over a claim about the recording, some fields changed."""
    challenge = client.post(f"{API}/challenge", json={"action": action}, headers=ORIGIN).json
    claim = {
        "v": 1,
        "cid": challenge["cid"],
        "file": {
            "size": len(recording),
            "type": "audio/wav",
            "sha256": hashlib.sha256(recording).hexdigest(),
        },
        "det": challenge["detector"],
        "band": "clear",
        "q": 10,
        "reasons": [],
        "cov": {"analysed_ms": 4000, "total_ms": 4000},
        "exact": {},
        "near": {"seg": "AA==", "stat": []},
        "env": {"decoder": "wav", "rate": 16000},
        "t": {},
    }
    sealed = client.post(
        f"{API}/seal", json={"challenge": challenge["challenge"], "claim": claim | changes}, headers=ORIGIN
    )
    return sealed.json["token"]


def send(client, recording: bytes, *, name: str = "voice.wav", **fields):
    """Send the demonstration form."""
    file = FileStorage(io.BytesIO(recording), filename=name)
    boundary, body = encode_multipart({"voice": file, **fields})
    return client.post(
        "/", data=body, content_type=f'multipart/form-data; boundary="{boundary}"', headers=ORIGIN
    )


def fetch(site, name: str, headers: dict[str, str] | None = None):
    """Get a built file, read to its end and closed as a server would."""
    return site.client().get(f"{API}/{name}", headers=headers, buffered=True)


def stored(site, response):
    """Return the submission that an answer leads to."""
    with site.services.storage.read() as tx:
        return tx.submission(response.location.rsplit("/", 1)[1])


def test_challenge_names_the_detector_of_the_bundle(site):
    """The page learns which detector to load, by id and by the sum of its bytes."""
    answer = site.client().post(f"{API}/challenge", json={"action": "a"}).json
    assert (answer["detector"]["id"], answer["detector"]["sha256"]) == bundled_detector()
    assert answer["ui"]["max_seconds"] == site.config.max_seconds


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"action":1}',
        b'{"action":"a","action":"b"}',
        b'{"x":1}',
        b"\xff",
        b'{"session":5,"action":"a"}',
        b'{"session":"\\ud800","action":"a"}',
    ],
)
@pytest.mark.parametrize("path", ["challenge", "seal"])
def test_unreadable_body_is_the_callers_mistake(site, path, body):
    """Whatever is posted, the answer is a 4xx with a code and a sentence."""
    response = site.client().post(f"{API}/{path}", data=body, content_type="application/json")
    assert 400 <= response.status_code < 500
    assert response.json["error"]["code"]
    assert response.json["error"]["message"]


def test_body_over_eight_kilobytes_is_refused(site):
    """A seal is no place to store things."""
    response = site.client().post(f"{API}/seal", data=b" " * 8_193, content_type="application/json")
    assert response.status_code == 413


def test_page_of_another_origin_may_not_call_unless_listed(tmp_path):
    """The API is for our own pages, and for those that the operator names."""
    from tests.integration.conftest import make_site

    site = make_site(tmp_path, origins=("https://partner.example",))
    stranger = site.client().post(
        f"{API}/challenge", json={"action": "a"}, headers={"Origin": "https://x.example"}
    )
    partner = site.client().post(
        f"{API}/challenge", json={"action": "a"}, headers={"Origin": "https://partner.example"}
    )
    assert (stranger.status_code, stranger.json["error"]["code"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in stranger.headers
    assert partner.headers["Access-Control-Allow-Origin"] == "https://partner.example"


def test_challenges_are_limited_for_each_address(tmp_path):
    """One address cannot ask for challenges without end."""
    from tests.integration.conftest import make_site

    client = make_site(tmp_path, rate_limit="3/minute").client()
    codes = [client.post(f"{API}/challenge", json={"action": "a"}).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]


def test_form_leads_to_the_submissions_own_page(site):
    """The answer to the form is a redirection that a reload does not repeat."""
    response = send(site.client(), wav_bytes(speech_like(seed=1)))
    assert response.status_code == 303
    page = site.client().get(response.location).text
    assert 'data-decision="hold"' in page
    assert 'http-equiv="refresh"' in page


def test_file_is_hashed_and_stored_whole(site):
    """What lies in the blobs is what was sent, byte for byte, and quarantine is empty."""
    recording = wav_bytes(speech_like(seed=2))
    submission = stored(site, send(site.client(), recording))
    assert submission.sha256 == hashlib.sha256(recording).hexdigest()
    assert site.services.blobs.path(submission.sha256).read_bytes() == recording
    assert list((site.config.data / "quarantine").iterdir()) == []


def test_sealed_hint_is_verified(site):
    """A token for this very file is `ok`."""
    client, recording = site.client(), wav_bytes(speech_like(seed=3))
    response = send(client, recording, **{"voice-hint": seal_for(client, recording)})
    assert stored(site, response).hint_check.token == "ok"


def test_token_for_another_file_is_named_and_refuses_nothing(site):
    """The upload is taken and screened; the token is worth nothing."""
    client = site.client()
    token = seal_for(client, wav_bytes(speech_like(seed=4)))
    response = send(client, wav_bytes(speech_like(seed=5)), **{"voice-hint": token})
    assert stored(site, response).hint_check.token == "wrong_file"


def test_token_used_again_is_a_duplicate(site):
    """The second form with the same token, under another key, is a submission of its own without a good hint."""
    client, recording = site.client(), wav_bytes(speech_like(seed=6))
    token = seal_for(client, recording)
    first = send(client, recording, **{"voice-hint": token, "idempotency_key": "one"})
    second = send(client, recording, **{"voice-hint": token, "idempotency_key": "two"})
    assert stored(site, first).hint_check.token == "ok"
    assert stored(site, second).hint_check.token == "duplicate"


def test_expired_token_is_named(tmp_path, monkeypatch):
    """A token past its time is `expired`, and the upload is taken."""
    from tests.integration.conftest import make_site

    site = make_site(tmp_path, token_ttl_s=10)
    client, recording = site.client(), wav_bytes(speech_like(seed=7))
    real = __import__("time").time
    monkeypatch.setattr("prelisten.routes.api.time.time", lambda: real() - 60)
    token = seal_for(client, recording)
    monkeypatch.undo()
    assert stored(site, send(client, recording, **{"voice-hint": token})).hint_check.token == "expired"


def test_same_form_sent_twice_is_one_submission(site):
    """A double click leads both times to the same page, with or without a token."""
    client, recording = site.client(), wav_bytes(speech_like(seed=8))
    places = {send(client, recording, idempotency_key="k").location for _ in range(3)}
    assert len(places) == 1


def test_same_key_with_another_file_is_another_submission(site):
    """A key alone never makes one file pass as another."""
    client = site.client()
    first = send(client, wav_bytes(speech_like(seed=9)), idempotency_key="k")
    second = send(client, wav_bytes(speech_like(seed=10)), idempotency_key="k")
    assert first.location != second.location


@pytest.mark.parametrize(
    ("data", "message"),
    [({}, "No recording came"), ({"voice": (io.BytesIO(b""), "a.wav")}, "is empty")],
)
def test_form_without_a_recording_says_so(site, data, message):
    """Nothing is stored, and the page says what to do."""
    response = site.client().post("/", data=data, content_type="multipart/form-data")
    assert response.status_code == 400
    assert message in response.text


def test_two_recordings_in_one_field_are_refused(site):
    """One at a time, said in a sentence; neither is dropped in silence."""
    files = [(io.BytesIO(b"a"), "a.wav"), (io.BytesIO(b"b"), "b.wav")]
    response = site.client().post("/", data={"voice": files}, content_type="multipart/form-data")
    assert response.status_code == 400
    assert "one at a time" in response.text


def test_upload_over_the_limit_is_told_the_limit(tmp_path):
    """The page names the limit, and nothing stays in quarantine."""
    from tests.integration.conftest import make_site

    site = make_site(tmp_path, max_upload_bytes=100_000)
    response = send(site.client(), bytes(250_000))
    assert response.status_code == 413
    assert "0.1 MB" in response.text
    assert list((tmp_path / "quarantine").glob("*")) == []


def test_upload_that_cannot_be_stored_is_refused_and_leaves_nothing(site):
    """A data folder that takes no more files: 503, a sentence, and no half of anything."""
    blobs = site.config.data / "blobs"
    blobs.mkdir(exist_ok=True)
    for child in blobs.iterdir():
        child.rmdir()
    blobs.rmdir()
    blobs.write_text("not a folder")
    response = send(site.client(), wav_bytes(speech_like(seed=11)))
    assert response.status_code == 503
    assert site.services.engine.queue_depth() == 0


def test_api_upload_answers_with_a_status_address(site):
    """A program posts a file and gets `hold`, with the address that tells the rest."""
    data = {"file": (io.BytesIO(wav_bytes(speech_like(seed=12))), "a.wav")}
    response = site.client().post(f"{API}/uploads", data=data, content_type="multipart/form-data")
    assert (response.status_code, response.json["decision"]) == (202, "hold")
    assert site.client().get(response.json["status_url"]).json["state"] == "screening"


@pytest.mark.parametrize(
    "path", ["/submissions/nothing", f"{API}/uploads/nothing", "/nowhere", f"{API}/nowhere"]
)
def test_unknown_address_is_not_found(site, path):
    """Nothing is told about what might exist."""
    assert site.client().get(path).status_code == 404


def test_health_says_that_no_process_screens(site):
    """Without a screening process the answer names the command that starts one."""
    answer = site.client().get(f"{API}/health").json
    assert answer["status"] == "degraded"
    assert "prelisten worker" in answer["problems"][0]


def test_widget_is_never_stale_and_the_bundle_is_immutable(site):
    """The one script that pages name is asked for again each time; what it loads has its hash in its name."""
    widget = fetch(site, "widget.js")
    worker = fetch(site, manifest()["worker"])
    assert widget.headers["Cache-Control"] == "no-cache"
    assert (
        site.client().get(f"{API}/widget.js", headers={"If-None-Match": widget.headers["ETag"]}).status_code
        == 304
    )
    assert "immutable" in worker.headers["Cache-Control"]
    assert "'wasm-unsafe-eval'" in worker.headers["Content-Security-Policy"]


def test_every_file_of_the_bundle_is_served_as_the_manifest_says(site):
    """Bytes, sum and compressed forms: what the manifest promises is what a browser gets."""
    for name, entry in manifest()["files"].items():
        response = fetch(site, name)
        assert hashlib.sha256(response.data).hexdigest() == entry["sha256"], name
        if entry.get("br"):
            packed = fetch(site, name, {"Accept-Encoding": "br"})
            assert packed.headers["Content-Encoding"] == "br", name
            assert packed.content_length == entry["br"], name


@pytest.mark.parametrize(
    "path", ["b/../manifest.json", "b/%2e%2e/manifest.json", "locales/..%2f..%2fbundle.py", "b/"]
)
def test_nothing_outside_the_bundle_is_served(site, path):
    """A path that climbs out finds nothing."""
    assert site.client().get(f"{API}/{path}").status_code in (301, 308, 404)


def test_our_pages_carry_the_strict_policy(site):
    """No page may run anything but our own scripts."""
    policy = site.client().get("/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; worker-src 'self'")
    assert "unsafe" not in policy


def test_demo_can_be_turned_off(tmp_path):
    """A site that has its own form needs none of ours."""
    from tests.integration.conftest import make_site

    assert make_site(tmp_path, demo=False).client().get("/").status_code == 404


def test_every_sentence_is_there(site):
    """No page ever shows a code where a sentence should stand."""
    sentences = json.loads((web_root() / "locales" / "en.json").read_text())
    for action in ("accept", "label", "hold", "review", "reject"):
        for part in ("tag", "title", "next"):
            assert sentences[f"decision.{action}.{part}"]


def test_data_folder_is_its_owners_alone(site):
    """Recordings, keys and decisions can be read by the account that runs the server, and by no other."""
    assert site.config.data.stat().st_mode & 0o077 == 0
