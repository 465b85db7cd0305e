"""What pages of other origins may do, and what no answer tells a browser: whether a recording was seen before."""

from __future__ import annotations

import hashlib
import io
import uuid

import pytest

from tests.integration.conftest import make_site
from tests.integration.test_routes import API, ORIGIN
from tests.recordings import speech_like, wav_bytes

PARTNER, STRANGER = "https://partner.example", "https://stranger.example"
PAGES = ["challenge", "seal", "uploads", "uploads/" + "0" * 32, "health"]
KNOWN, UNKNOWN = wav_bytes(speech_like(seed=61)), wav_bytes(speech_like(seed=62))


@pytest.fixture
def listed(tmp_path):
    made = make_site(tmp_path / "data", origins=(PARTNER,), rate_limit="3/minute", wait_s=0)
    yield made
    made.close()


def cors(answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


@pytest.mark.parametrize("path", PAGES)
def test_preflight_is_answered_for_the_list_alone(listed, path):
    """A page of the allow-list learns what it may send; another one learns nothing at all."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    may = listed.client().options(f"{API}/{path}", headers={"Origin": PARTNER} | asked)
    assert may.status_code == 200
    assert may.headers["Access-Control-Allow-Origin"] == PARTNER
    assert "Content-Type" in may.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in may.headers
    for origin in (
        STRANGER,
        "null",
        f"{PARTNER}.evil.example",
        "https://partner.example:444",
        PARTNER.upper(),
    ):
        may_not = listed.client().options(f"{API}/{path}", headers={"Origin": origin} | asked)
        assert not cors(may_not)
        assert "Origin" in may_not.headers["Vary"]


def test_partner_reads_refusals_too(listed):
    """Or its page could not tell a mistake from a broken line; with when to come back."""
    answers = [
        listed.client().post(f"{API}/challenge", json={"action": "a b"}, headers={"Origin": PARTNER})
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {PARTNER}
    assert "Retry-After" in answers[-1].headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("path", ["challenge", "seal", "uploads"])
def test_strangers_page_gets_nothing_done(listed, path):
    """Also one that states no origin, but whose browser says that it comes from elsewhere."""
    for headers in ({"Origin": STRANGER}, {"Sec-Fetch-Site": "cross-site"}):
        body = {"action": "a"} if path == "challenge" else {}
        data = {"file": (io.BytesIO(KNOWN), "a.wav")}
        how = {"data": data} if path == "uploads" else {"json": body}
        refused = listed.client().post(f"{API}/{path}", headers=headers, **how)
        assert (refused.status_code, refused.json["error"]["code"]) == (403, "origin_not_allowed")
        assert not cors(refused)


def looks(answer) -> tuple:
    """Return all of an answer that does not differ from request to request: status, headers, the form of the body."""
    headers = {
        name: value
        for name, value in answer.headers
        if name not in ("X-Request-ID", "Location", "Content-Length", "Date", "Retry-After")
        and not name.startswith("X-RateLimit")
    }
    own = ("id", "token", "challenge", "cid", "expires_at", "status_url")
    return answer.status_code, headers, {k: "..." if k in own else v for k, v in answer.json.items()}


def sealed(site, sha256: str):
    challenge = site.client().post(f"{API}/challenge", json={"action": "upload"}, headers=ORIGIN).json
    claim = {
        "v": 1,
        "cid": challenge["cid"],
        "file": {"size": 5, "type": "audio/wav", "sha256": sha256},
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
    return site.client().post(f"{API}/seal", json=body, headers=ORIGIN)


def sent(site, recording: bytes, **fields):
    data = {"file": (io.BytesIO(recording), "a.wav"), **fields}
    return site.client().post(f"{API}/uploads", data=data, headers=ORIGIN)


def test_no_answer_tells_whether_a_file_was_seen(site):
    """Somebody sent it before, with a hint and without: seal and upload answer as they do for any other file."""
    sha256 = hashlib.sha256(KNOWN).hexdigest()
    for _ in range(2):
        sent(site, KNOWN, **{"file-hint": sealed(site, sha256).json["token"]})
    assert looks(sealed(site, sha256)) == looks(sealed(site, hashlib.sha256(UNKNOWN).hexdigest()))
    assert looks(sent(site, KNOWN)) == looks(sent(site, UNKNOWN))


def test_token_used_before_looks_as_a_fresh_one(site):
    """Whether a hint was spent is for the server to know: the browser that sends it again is told nothing of it."""
    token = sealed(site, hashlib.sha256(KNOWN).hexdigest()).json["token"]
    first = sent(site, KNOWN, **{"file-hint": token}, idempotency_key="one")
    again = sent(site, KNOWN, **{"file-hint": token}, idempotency_key="two")
    assert looks(first) == looks(again)
    assert first.json["id"] != again.json["id"]


def test_idempotency_key_of_another_session_finds_nothing(tmp_path):
    """The same file under the same key in another session is another submission, and looks like any first one."""
    from flask import Flask, request

    from prelisten import Prelisten
    from prelisten.keys import ensure_keys

    made = make_site(tmp_path)
    made.close()
    app = Flask("shop")
    prelisten = Prelisten(app, made.config.model_copy(update={"wait_s": 0.0}))
    ensure_keys(made.config)

    @app.post("/submit")
    @prelisten.screened("voice", action="a", session=lambda: request.cookies.get("s"))
    def submit(screening):
        return {**screening.to_dict(), "seen": screening.submission.id}

    def post(session: str, key: str) -> str:
        data = {"voice": (io.BytesIO(KNOWN), "a.wav"), "idempotency_key": key}
        client = app.test_client()
        client.set_cookie("s", session)
        return client.post("/submit", data=data).json["id"]

    key = uuid.uuid4().hex
    ids = [post("ann", key), post("bob", key), post("ann", key), post("", key)]
    assert ids[0] == ids[2]
    assert len(set(ids)) == 3
    prelisten.close()
