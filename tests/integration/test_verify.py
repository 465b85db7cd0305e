"""`POST verify`: what back ends are told about tokens, and everything that they may send instead of a fit question."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from prelisten.access import Scope
from prelisten.assets import bundled_detector
from prelisten.detectors import AcceptedDetectors
from prelisten.errors import StorageError
from prelisten.pipeline import recompute_claim
from prelisten.records import TokenState
from prelisten.routes.openapi import description
from prelisten.verification import Question, answer
from tests.integration.conftest import make_site
from tests.integration.test_api_keys import key
from tests.integration.test_api_keys import post as upload
from tests.integration.test_pipeline import honest
from tests.integration.test_routes import API, ORIGIN, seal_for
from tests.recordings import speech_like, wav_bytes

RECORDING = wav_bytes(speech_like(seed=41))
SHA256 = hashlib.sha256(RECORDING).hexdigest()
ACTION = "voice-upload"


def ask(site, secret=None, token=None, **changes):
    """Ask as a back end does that has hashed the recording itself."""
    body = {"secret": secret or key(site), "response": token, "sha256": SHA256, "action": ACTION}
    return site.client().post(f"{API}/verify", json={k: v for k, v in (body | changes).items() if v != ...})


def ask_about(site, recording: bytes = RECORDING, *, headers=None, **fields):
    """Ask with the recording itself."""
    data = {"action": ACTION, **fields, "file": FileStorage(io.BytesIO(recording), filename="a.wav")}
    boundary, body = encode_multipart({name: value for name, value in data.items() if value != ...})
    content_type = f'multipart/form-data; boundary="{boundary}"'
    return site.client().post(f"{API}/verify", data=body, content_type=content_type, headers=headers)


@cache
def honest_claim(recording: bytes) -> dict:
    """Return what the detector really says about the recording."""
    with TemporaryDirectory() as folder:
        return honest(recording, Path(folder))


def honest_token(client, recording: bytes = RECORDING, **changes) -> str:
    """Seal what the detector really says about the recording, as the widget does."""
    challenge = client.post(f"{API}/challenge", json={"action": ACTION}, headers=ORIGIN).json
    claim = {
        "v": 1,
        "cid": challenge["cid"],
        "file": {
            "size": len(recording),
            "type": "audio/wav",
            "sha256": hashlib.sha256(recording).hexdigest(),
        },
        "det": challenge["detector"],
        "env": {"decoder": "wav", "rate": 16000},
        "t": {},
        **honest_claim(recording),
        **changes,
    }
    body = {"challenge": challenge["challenge"], "claim": claim}
    return client.post(f"{API}/seal", json=body, headers=ORIGIN).json["token"]


def test_good_token_is_told_in_full(site):
    """When, from where, for what, and what is claimed: as in the description, and `success` is about the token."""
    before = int(time.time())
    told = ask(site, token=seal_for(site.client(), RECORDING))
    assert told.status_code == 200
    assert set(told.json) == set(description()["components"]["schemas"]["Verification"]["properties"])
    at = datetime.fromisoformat(told.json["challenge_ts"])
    assert at.tzinfo is not None
    assert before <= at.timestamp() <= time.time()
    del told.json["challenge_ts"], told.json["claim"]["cid"], told.json["claim"]["t"]
    assert told.json["claim"]["file"]["sha256"] == SHA256
    assert told.json | {"claim": ..., "challenge_ts": ...} == {
        "success": True,
        "error-codes": [],
        "codes": [],
        "challenge_ts": ...,
        "hostname": "localhost",
        "action": ACTION,
        "claim": ...,
        "recomputed": "not_run",
        "floor": "accept",
        "repeated": False,
    }
    assert told.headers["Cache-Control"] == "no-store"


GARBAGE = [
    "x",
    "a.b.c",
    "ä" * 50,
    "a" * 7_000,
    7,
    1.5,
    True,
    [],
    ["x"],
    {},
    {"a": {"b": []}},
    "\ud800",
    "\0",
    "-" * 500,
]


@pytest.mark.parametrize("token", GARBAGE, ids=lambda token: repr(token)[:20])
def test_garbage_as_a_token_is_an_answer(site, token):
    """It came from a sender, not from the back end: `200`, no success, and its code."""
    told = ask(site, token=token)
    assert told.status_code == 200
    assert told.json["success"] is False
    assert told.json["error-codes"] in (["HINT_MALFORMED"], ["HINT_UNKNOWN_KEY"], ["HINT_BAD_SIGNATURE"])
    assert told.json["claim"] is told.json["hostname"] is told.json["action"] is None


@pytest.mark.parametrize("token", [None, "", ...])
def test_no_token_is_absent(site, token):
    """A form whose page ran no script; there is nothing to hold against it."""
    told = ask(site, token=token).json
    assert (told["success"], told["error-codes"], told["floor"]) == (False, ["HINT_ABSENT"], "accept")


def test_each_way_not_to_fit_has_its_code(site):
    """Another file, action or session; and what was used for an upload already."""
    client, secret = site.client(), key(site)
    for changes, code, floor in (
        ({"sha256": "0" * 64}, "HINT_WRONG_FILE", "hold"),
        ({"action": "comment"}, "HINT_WRONG_ACTION", "accept"),
        ({"session": "somebody"}, "HINT_WRONG_SESSION", "accept"),
    ):
        told = ask(site, secret, seal_for(client, RECORDING), **changes).json
        assert (told["success"], told["error-codes"], told["floor"]) == (False, [code], floor)


def test_token_is_spent_by_one_of_the_two(site):
    """Verified, it is no hint of an upload any more; sent with an upload, it is nothing to verify."""
    client, secret = site.client(), key(site)
    fields = {"recording": RECORDING, "action": ACTION}
    verified, sent = seal_for(client, RECORDING), seal_for(client, RECORDING)
    assert ask(site, secret, verified).json["success"]
    submitted = upload(site, secret, **fields, **{"file-hint": verified}).json["id"]
    with site.services.storage.read() as tx:
        assert tx.submission(submitted).hint_check.token is TokenState.DUPLICATE
    upload(site, secret, **fields, **{"file-hint": sent})
    assert ask(site, secret, sent).json["error-codes"] == ["HINT_DUPLICATE"]


def test_same_question_gets_the_same_answer_once_new(site):
    """With the same key, or with none and the same session; `repeated` tells that it is no second acceptance."""
    secret = key(site)
    for more in ({}, {"idempotency_key": "order-7"}):
        token = seal_for(site.client(), RECORDING)
        first, *again = [ask(site, secret, token, **more).json for _ in range(3)]
        assert [answer.pop("repeated") for answer in (first, *again)] == [False, True, True]
        assert again == [first, first]
        other = ask(site, secret, token, idempotency_key="order-8").json
        assert (other["success"], other["error-codes"]) == (False, ["HINT_DUPLICATE"])


def test_idempotency_keys_of_two_back_ends_never_meet(site):
    """The second back end with the same key holds a used token, not somebody's answer."""
    token = seal_for(site.client(), RECORDING)
    assert ask(site, key(site), token, idempotency_key="1").json["success"]
    assert ask(site, key(site), token, idempotency_key="1").json["error-codes"] == ["HINT_DUPLICATE"]


def test_retry_after_the_tokens_end_gets_the_stored_answer(site):
    """The answer was lost on its way and the token expired meanwhile: the back end still hears what it was."""
    token = seal_for(site.client(), RECORDING)
    question = Question(token, SHA256, ACTION, None, "k", "asker")
    asked = {"services": site.services, "listening": threading.Lock}
    first = answer(question, **asked)
    later = lambda: time.time() + site.config.token_ttl_s + 60  # noqa: E731
    assert answer(question, **asked, clock=later) == first | {"repeated": True}
    fresh = Question(seal_for(site.client(), RECORDING), SHA256, ACTION, None, "k", "asker")
    assert answer(fresh, **asked, clock=later)["error-codes"] == ["HINT_EXPIRED"]
    elsewhere = Question(token, SHA256, "comment", None, "k", "asker")
    assert answer(elsewhere, **asked, clock=later)["error-codes"] == ["HINT_EXPIRED"]


def test_of_a_hundred_at_once_one_is_told_something_new(site):
    """The same token from a hundred threads: one fresh success; the others its stored answer, or `duplicate`."""
    token, secret = seal_for(site.client(), RECORDING), key(site)
    keys = ["same"] * 50 + [f"other-{number}" for number in range(50)]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda k: ask(site, secret, token, idempotency_key=k), keys))
    assert {answer.status_code for answer in answers} == {200}
    told = [answer.json for answer in answers]
    assert sum(answer["success"] and not answer["repeated"] for answer in told) == 1
    assert all(answer["success"] or answer["error-codes"] == ["HINT_DUPLICATE"] for answer in told)


def test_session_binds_without_flask(site):
    """A page's session goes into the challenge, and a back end names it again."""
    client, secret = site.client(), key(site)
    challenge = client.post(
        f"{API}/challenge", json={"action": ACTION, "session": "login-ü"}, headers=ORIGIN
    ).json
    token = honest_token_under(client, challenge)
    assert ask(site, secret, token).json["error-codes"] == ["HINT_WRONG_SESSION"]
    assert ask(site, secret, token, session="login-ü").json["success"]


def honest_token_under(client, challenge) -> str:
    """Seal a plain claim under a challenge that is there already."""
    claim = {
        "v": 1,
        "cid": challenge["cid"],
        "file": {"size": len(RECORDING), "type": "audio/wav", "sha256": SHA256},
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
    body = {"challenge": challenge["challenge"], "claim": claim}
    sealed = client.post(f"{API}/seal", json=body, headers=ORIGIN).json
    return sealed["token"] if "token" in sealed else sealed["error"]["code"]


UNFIT = [
    {"sha256": "x"},
    {"sha256": SHA256.upper()},
    {"sha256": None},
    {"sha256": 7},
    {"sha256": ...},
    {"action": ""},
    {"action": "a b"},
    {"action": None},
    {"action": ...},
    {"action": []},
    {"session": 5},
    {"session": "s" * 501},
    {"session": "\ud800"},
    {"idempotency_key": {}},
    {"idempotency_key": "k" * 201},
    {"idempotency_key": "\udfff"},
    {"remoteip": "127.0.0.1"},
    {"file": "x"},
]


@pytest.mark.parametrize("changes", UNFIT, ids=repr)
def test_unfit_question_is_the_callers_mistake(site, changes):
    """A back end's own slip is told as one, and spends nothing."""
    token, secret = seal_for(site.client(), RECORDING), key(site)
    refused = ask(site, secret, token, **changes)
    assert refused.status_code == 400
    assert refused.json["error"]["code"] == "bad_request"
    assert ask(site, secret, token).json["success"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{", b'"x"', b"\xff", b"NaN", b"[" * 4_000,
        b'{"secret": "a", "secret": "b"}', b'{"secret": NaN}', b'{"sha256": Infinity}',
        b"secret=a&response=b", b'{"a": 1' + b"0" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_body_that_is_no_question_is_refused(site, body, kind):
    """Whatever its media type says."""
    refused = site.client().post(f"{API}/verify", data=body, content_type=kind)
    assert refused.status_code == 400
    assert refused.json["error"]["message"]


def test_nine_kilobytes_are_too_many(site):
    """A question has room in eight; a longer one is not read."""
    refused = ask(site, token="x" * 9_000)
    assert (refused.status_code, refused.json["error"]["code"]) == (413, "request_entity_too_large")


def test_body_of_unstated_length_is_refused(site):
    """It could come for as long as it likes."""
    environ = {"CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(b"{}"), "HTTP_TRANSFER_ENCODING": "chunked"}
    assert site.client().post(f"{API}/verify", environ_overrides=environ).status_code == 400


@pytest.mark.parametrize(
    "secret", [..., None, "", 5, [], "x", "prelisten_live_00000000_" + "A" * 43, "\ud800", "ä" * 60]
)
def test_question_without_a_good_key_is_refused(site, secret):
    """Before anything about the token is told."""
    refused = ask(site, token=seal_for(site.client(), RECORDING), secret=secret) if secret else None
    body = {"secret": secret, "sha256": SHA256, "action": ACTION}
    refused = site.client().post(f"{API}/verify", json={k: v for k, v in body.items() if v != ...})
    assert (refused.status_code, refused.json["error"]["code"]) == (401, "bad_api_key")


def test_key_needs_the_scope_and_ends_when_revoked(site):
    """An upload key does not verify; a revoked one does nothing."""
    refused = ask(site, key(site, Scope.UPLOAD, Scope.READ))
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "missing_scope")
    api_keys = site.app.extensions["prelisten"].api_keys
    made, secret = api_keys.new("short-lived", [Scope.VERIFY])
    assert ask(site, secret).status_code == 200
    api_keys.revoke(made.id)
    assert ask(site, secret).json["error"]["code"] == "bad_api_key"


def test_key_may_come_in_the_header(site):
    """As with the other calls; but once, so that nobody wonders which one counted."""
    secret, token = key(site, Scope.VERIFY), seal_for(site.client(), RECORDING)
    headers, body = {"Authorization": f"Bearer {secret}"}, {"sha256": SHA256, "action": ACTION}
    asked = site.client().post(f"{API}/verify", json=body | {"response": token}, headers=headers)
    assert asked.json["success"]
    twice = site.client().post(f"{API}/verify", json=body | {"secret": secret}, headers=headers)
    assert twice.status_code == 400


def test_each_key_has_its_share_of_questions(tmp_path):
    """And who tries keys is told to wait."""
    site = make_site(tmp_path, api_rate_limit="2/hour", rate_limit="3/minute")
    one, two = key(site), key(site)
    assert [ask(site, secret).status_code for secret in (one, one, one, two)] == [200, 200, 429, 200]
    assert int(ask(site, one).headers["Retry-After"]) > 0
    assert [ask(site, "x").status_code for _ in range(4)] == [401, 401, 401, 429]
    site.close()


def test_recording_is_listened_to_again(site):
    """An honest claim is `match`; a lie raises the floor, and the token is still `ok`: success is about the token."""
    client, secret = site.client(), key(site)
    told = ask_about(site, secret=secret, response=honest_token(client)).json
    assert (told["success"], told["recomputed"], told["floor"]) == (True, "match", "accept")
    lie = honest_token(client, band="high", q=990)
    told = ask_about(site, secret=secret, response=lie).json
    assert (told["success"], told["recomputed"], told["floor"]) == (True, "mismatch", "hold")
    assert (told["codes"], told["error-codes"]) == (["HINT_MISMATCH"], [])
    assert list((site.config.data / "quarantine").iterdir()) == []
    with site.services.storage.read() as tx:
        assert not tx.is_stored(SHA256)


def test_token_for_another_recording_is_named(site):
    """The server hashes what it is sent; nobody's word about the sum is needed."""
    told = ask_about(
        site, wav_bytes(speech_like(seed=42)), secret=key(site), response=honest_token(site.client())
    ).json
    assert (told["success"], told["error-codes"], told["recomputed"]) == (
        False,
        ["HINT_WRONG_FILE"],
        "not_run",
    )


def test_recording_that_nobody_can_hear_is_no_mismatch(site):
    """Noise in a file's clothes: the token may be `ok`, and nothing was compared."""
    recording = b"RIFF" + bytes(5_000)
    token = seal_for(site.client(), recording)
    told = ask_about(site, recording, secret=key(site), response=token).json
    assert (told["success"], told["recomputed"]) == (True, "not_run")


def test_question_with_a_recording_is_idempotent_too(site):
    """A retry is not listened to again and costs no quota."""
    site.app.extensions["prelisten"].api_keys  # noqa: B018
    secret, token = key(site, Scope.VERIFY, uploads_per_day=2), honest_token(site.client())
    first, *again = [ask_about(site, secret=secret, response=token, idempotency_key="k") for _ in range(4)]
    assert [answer.json["repeated"] for answer in (first, *again)] == [False, True, True, True]
    assert {answer.json["recomputed"] for answer in again} == {"match"}
    assert ask_about(site, secret=secret, response="x").status_code == 200
    refused = ask_about(site, secret=secret, response="x")
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "quota_exceeded")


def test_by_its_sum_the_stored_answer_is_the_same(site):
    """Asked with the file first, then with its SHA-256: one token, one answer."""
    secret, token = key(site), honest_token(site.client())
    assert ask_about(site, secret=secret, response=token).json["recomputed"] == "match"
    told = ask(site, secret, token).json
    assert (told["recomputed"], told["repeated"]) == ("match", True)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "a b"}, {"action": ...}, {"session": "s" * 501}, {"idempotency_key": "k" * 201},
        {"sha256": SHA256}, {"remoteip": "::1"}, {"secret": ...}, {"secret": "x"},
    ],
    ids=repr,
)  # fmt: skip
def test_unfit_form_is_the_callers_mistake(site, fields):
    """Nothing is spent, and nothing stays in quarantine."""
    token, secret = honest_token(site.client()), key(site)
    refused = ask_about(site, **({"secret": secret, "response": token} | fields))
    assert refused.status_code in (400, 401)
    assert refused.json["error"]["message"]
    assert list((site.config.data / "quarantine").iterdir()) == []
    assert ask(site, secret, token).json["success"]


def test_forms_with_fields_twice_or_other_files_are_refused(site):
    """Two readers of a repeated field may see two values; so there must be none."""
    secret = key(site)

    def send(parts):
        body = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % part for part in parts
        )
        return site.client().post(
            f"{API}/verify", data=body + b"--x--\r\n", content_type="multipart/form-data; boundary=x"
        )

    file, action = (b"file", b'; filename="a"', b"abc"), (b"action", b"", b"a")
    own = (b"secret", b"", secret.encode())
    assert send([file, action, own]).status_code == 200
    for parts in (
        [file, action, action, own],
        [file, action, own, own],
        [file, file, action, own],
        [file, action, own, (b"response", b'; filename="r"', b"x")],
        [(b"file", b"", b"abc"), action, own],
        [(b"file", b'; filename="a"', b""), action, own],
        [action, own],
        [],
    ):
        assert send(parts).status_code == 400, parts
    broken = site.client().post(f"{API}/verify", data=b"--x", content_type="multipart/form-data")
    assert broken.status_code == 400


def test_recording_over_the_limit_is_refused(tmp_path):
    """As an upload is; and a wrong key in the header before a byte of it."""
    site = make_site(tmp_path, max_upload_bytes=100_000)
    assert ask_about(site, bytes(250_000), secret=key(site)).status_code == 413
    wrong = ask_about(site, bytes(250_000), headers={"Authorization": "Bearer x"})
    assert wrong.status_code == 401
    good = {"Authorization": f"Bearer {key(site, Scope.VERIFY)}"}
    assert ask_about(site, b"abc", headers=good, response="x").json["error-codes"] == ["HINT_MALFORMED"]
    assert ask_about(site, b"abc", headers=good, secret=key(site)).status_code == 400
    site.close()


def test_without_a_place_to_listen_nothing_is_spent(tmp_path):
    """Others are being heard: come back later, with the same token."""
    site = make_site(tmp_path, max_verifying=1, wait_s=0)
    secret, token = key(site), honest_token(site.client())
    with site.app.extensions["prelisten"].pressure.listening(0):
        refused = ask_about(site, secret=secret, response=token)
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    assert ask_about(site, secret=secret, response=token).json["recomputed"] == "match"
    site.close()


def test_database_that_is_away_is_said_with_a_time(site, monkeypatch):
    """`503` with `Retry-After`; and once it is back, the token is as good as before."""
    secret, token = key(site), seal_for(site.client(), RECORDING)
    database = site.config.data / "prelisten.sqlite3"
    site.services.storage.close()
    hidden = database.rename(database.with_suffix(".away"))
    for more in database.parent.glob("prelisten.sqlite3-*"):
        more.unlink()
    database.mkdir()
    refused = ask(site, secret, token)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    database.rmdir()
    hidden.rename(database)
    assert ask(site, secret, token).json["success"]


def test_page_left_open_across_a_deployment_seals(tmp_path):
    """Its detector is the last release's: its claim is sealed, its token counts, and its numbers are no lie."""
    earlier = ("wd-0.0.9", "9" * 64)
    AcceptedDetectors(earlier, tmp_path, days=14)
    site = make_site(tmp_path)
    challenge = site.client().post(f"{API}/challenge", json={"action": ACTION}, headers=ORIGIN).json
    assert (challenge["detector"]["id"], challenge["detector"]["sha256"]) == bundled_detector()
    challenge["detector"] = {"id": earlier[0], "sha256": earlier[1]}
    secret = key(site)
    told = ask_about(site, secret=secret, response=honest_token_under(site.client(), challenge)).json
    assert (told["success"], told["recomputed"], told["codes"]) == (True, "not_run", [])
    submitted = upload(
        site,
        secret,
        recording=RECORDING,
        action=ACTION,
        **{"file-hint": honest_token_under(site.client(), challenge | fresh_challenge(site))},
    ).json["id"]
    with site.services.storage.read() as tx:
        assert tx.submission(submitted).hint_check.token is TokenState.OK
    site.close()
    site = make_site(tmp_path, detector_days=0)
    challenge = fresh_challenge(site) | {"detector": {"id": earlier[0], "sha256": earlier[1]}}
    assert honest_token_under(site.client(), challenge) == "unknown_detector"
    site.close()


def fresh_challenge(site) -> dict:
    """Return a challenge and its id."""
    made = site.client().post(f"{API}/challenge", json={"action": ACTION}, headers=ORIGIN).json
    return {name: made[name] for name in ("challenge", "cid")}


def test_recomputing_is_the_pipelines(site, tmp_path):
    """One function compares; what it says about an honest claim is what verify says."""
    path = tmp_path / "a.wav"
    path.write_bytes(RECORDING)
    told = ask_about(site, secret=key(site), response=honest_token(site.client())).json
    assert recompute_claim(path, told["claim"], site.services)[0].value == told["recomputed"]


def test_no_page_of_another_origin_may_read_an_answer(tmp_path):
    """Not even one of the allow-list: the question carries an API key."""
    site, partner = (
        make_site(tmp_path, origins=("https://partner.example",)),
        {"Origin": "https://partner.example"},
    )
    preflight = partner | {"Access-Control-Request-Method": "POST"}
    allowed = site.client().options(f"{API}/seal", headers=preflight)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://partner.example"
    body = {"secret": key(site), "sha256": SHA256, "action": ACTION}
    for answered in (
        site.client().options(f"{API}/verify", headers=preflight),
        site.client().post(f"{API}/verify", json=body, headers=partner),
        site.client().post(f"{API}/verify", json={}, headers=partner),
    ):
        assert not [name for name, _ in answered.headers if name.startswith("Access-Control")]
    site.close()


def test_question_is_counted(site):
    """An operator sees how many tokens are good, and how many answers were given again."""
    token, secret = seal_for(site.client(), RECORDING), key(site)
    for _ in range(3):
        ask(site, secret, token)
    ask(site, secret, "x")
    counted = {name: value for name, value in site.services.meter.take().items() if "verif" in name[0]}
    assert counted[("verifications_total", json.dumps({"success": "true"}))] == 1
    assert counted[("verifications_total", json.dumps({"success": "false"}))] == 1
    assert counted[("verifications_repeated_total", "{}")] == 2


def test_tokens_spent_in_redis(redis_server, tmp_path):
    """One of many is told something new there, too; while it is away nobody is told anything, and nothing is lost."""
    site = make_site(tmp_path, redis_url=redis_server.url, api_rate_limit="10000/minute")
    secret, token = key(site), seal_for(site.client(), RECORDING)
    with ThreadPoolExecutor(16) as pool:
        told = [answer.json for answer in pool.map(lambda _: ask(site, secret, token), range(60))]
    assert [answer["success"] for answer in told] == [True] * 60
    assert sum(not answer["repeated"] for answer in told) == 1
    assert ask(site, secret, token, idempotency_key="k").json["error-codes"] == ["HINT_DUPLICATE"]
    later = seal_for(site.client(), RECORDING)
    redis_server.stop()
    refused = ask(site, secret, later)
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "storage_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    redis_server.start()
    assert ask(site, secret, later).json["repeated"] is False
    site.close()


def test_answer_that_was_lost_before_it_was_stored(redis_server, tmp_path, monkeypatch):
    """Reserved in Redis, then the database failed: the same question is answered as if nothing had happened."""
    site = make_site(tmp_path, redis_url=redis_server.url)
    secret, token = key(site), seal_for(site.client(), RECORDING)
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise StorageError("The disk is full.")

        broken.setattr("prelisten.storage.sql.SqlTransaction.add_verification", fail)
        assert ask(site, secret, token).status_code == 503
    told = ask(site, secret, token).json
    assert (told["success"], told["repeated"]) == (True, False)
    site.close()
