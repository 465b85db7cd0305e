"""API keys over HTTP and on the command line."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from prelisten.access import Scope
from tests.integration.conftest import make_site
from tests.integration.test_routes import API
from tests.recordings import speech_like, wav_bytes

PRELISTEN = Path(sys.executable).parent / "prelisten"
RECORDING = wav_bytes(speech_like(seed=1))


def post(site, secret: str | None, *, recording: bytes = RECORDING, headers=None, **fields):
    """Upload as a back end does."""
    headers = dict(headers or {}) | ({"Authorization": f"Bearer {secret}"} if secret else {})
    data = {"file": (io.BytesIO(recording), "a.wav"), **fields}
    return site.client().post(f"{API}/uploads", data=data, headers=headers)


def key(site, *scopes: Scope, **fields) -> str:
    """Make a key; return its secret."""
    return site.app.extensions["prelisten"].api_keys.new("back end", scopes or [*Scope], **fields)[1]


def test_back_end_names_action_and_session(site):
    """A key is trusted with what a sender is not: which form the recording came from."""
    answer = post(site, key(site), action="live-call")
    anonymous = post(site, None, action="live-call")
    with site.services.storage.read() as tx:
        assert tx.submission(answer.json["id"]).action == "live-call"
        assert tx.submission(anonymous.json["id"]).action == "upload"
    assert post(site, key(site), action="no such; action").status_code == 400


def test_back_end_names_the_context(site):
    """Where the recording is played afterwards is the back end's to say, and nobody else's."""
    live, anonymous = post(site, key(site), context="live"), post(site, None, context="live")
    with site.services.storage.read() as tx:
        assert tx.submission(live.json["id"]).context == "live"
        assert tx.submission(anonymous.json["id"]).context == "feed"
    assert post(site, key(site), context="nowhere").status_code == 400


def test_back_end_reads_more_than_an_uploader(site):
    """The address that an uploader has tells a back end the findings too; without the scope it does not."""
    url = post(site, key(site)).json["status_url"]
    told = site.client().get(url, headers={"Authorization": f"Bearer {key(site, Scope.READ)}"}).json
    assert told["hint"]["token"] == "absent"
    assert told["findings"] == []
    assert "hint" not in site.client().get(url).json
    refused = site.client().get(url, headers={"Authorization": f"Bearer {key(site, Scope.UPLOAD)}"})
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "missing_scope")


@pytest.mark.parametrize("secret", ["x", "prelisten_live_00000000_" + "A" * 43, "ä"])
def test_wrong_key_is_refused_even_where_none_is_needed(site, secret):
    """A back end whose key is wrong learns so at once, not when a key becomes needed."""
    answer = post(site, secret)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "bad_api_key")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_other_kinds_of_authorization_are_somebody_elses(site):
    """A proxy's own password in front of the site is no API key."""
    assert post(site, None, headers={"Authorization": "Basic dXNlcjpwYXNz"}).status_code == 202


def test_key_can_be_demanded(tmp_path):
    """With the setting, programs need a key; the form of the page goes on without."""
    from tests.integration.test_routes import send

    site = make_site(tmp_path, wait_s=0, api_key_required=True)
    assert post(site, None).status_code == 401
    assert post(site, key(site)).status_code == 202
    assert send(site.client(), RECORDING).status_code == 303


def test_key_works_from_any_origin(site):
    """A back end is no page; its Origin, if any, decides nothing."""
    assert post(site, key(site), headers={"Origin": "https://x.example"}).status_code == 202
    assert post(site, None, headers={"Origin": "https://x.example"}).status_code == 403


def test_quota_counts_what_was_taken(site):
    """A refused upload and a repeated one cost nothing; the third recording of two is told when to come back."""
    secret = key(site, uploads_per_day=2)
    assert post(site, secret, recording=b"").status_code == 400
    answers = [post(site, secret, idempotency_key="one").status_code for _ in range(3)]
    assert answers == [202, 202, 202]
    assert post(site, secret).status_code == 202
    refused = post(site, secret)
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "quota_exceeded")
    assert int(refused.headers["Retry-After"]) > 0


def test_each_key_has_a_rate_of_its_own(tmp_path):
    """Back ends behind one address do not take each other's share."""
    site = make_site(tmp_path, wait_s=0, api_rate_limit="1/hour", upload_rate_limit="1/hour")
    one, two = key(site), key(site)
    assert [post(site, secret).status_code for secret in (one, one, two, two)] == [202, 429, 202, 429]


def test_idempotency_keys_are_the_back_ends_own(site):
    """Two back ends may count from one without finding each other's uploads."""
    ids = {post(site, key(site), idempotency_key="1").json["id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize("written", ["{id}:order-7", "\x1f{id}\x1forder-7"])
def test_stranger_cannot_write_a_back_ends_key(site, written):
    """A key's id is no secret; whoever knows it still finds nothing, and nobody is given a stranger's submission."""
    made, secret = site.app.extensions["prelisten"].api_keys.new("back end", [*Scope])
    stranger = post(site, None, idempotency_key=written.format(id=made.id)).json["id"]
    assert post(site, secret, idempotency_key="order-7").json["id"] != stranger


def test_trying_keys_ends_soon(tmp_path):
    """Who sends wrong keys is told to wait."""
    site = make_site(tmp_path, wait_s=0, rate_limit="3/minute")
    assert [post(site, "x").status_code for _ in range(4)] == [401, 401, 401, 429]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([PRELISTEN, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_command_makes_lists_and_revokes(site):
    """The life of a key as an operator types it, beside the running site; the list never shows a key."""
    data = ("--data", site.config.data)
    secret = run(
        "keys", "api", "new", "shop", "--scope", "upload", "--uploads-per-day", 9, *data
    ).stdout.strip()
    assert post(site, secret).status_code == 202
    listed = run("keys", "api", "list", *data).stdout
    key_id = listed.split()[0]
    assert "shop  [upload]  1 uploads today of 9" in listed
    assert secret not in listed
    assert run("keys", "api", "revoke", key_id, *data).returncode == 0
    assert post(site, secret).status_code == 401
    unknown = run("keys", "api", "revoke", "0", *data)
    assert unknown.returncode == 2
    assert "prelisten keys api list" in unknown.stderr
