"""The log: one line for a request, one for a screened submission, joined by ids, without what is private."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from prelisten import logs
from prelisten.pipeline import wait_for_decision
from tests.integration.conftest import make_site, screening
from tests.integration.test_routes import API, send
from tests.recordings import speech_like, wav_bytes


@pytest.fixture
def out():
    """What is written."""
    return io.StringIO()


def lines(out: io.StringIO) -> list[dict]:
    """Return what was written, as data."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def make_logged(tmp_path, out, **settings):
    """Make a site whose log goes to `out`."""
    site = make_site(tmp_path, **({"wait_s": 0, "log_format": "json"} | settings))
    logs.set_up(site.config, out)
    return site


@pytest.fixture(autouse=True)
def _silent_afterwards():
    yield
    ours = logging.getLogger(logs.NAME)
    for handler in ours.handlers[:]:
        ours.removeHandler(handler)


def test_each_request_is_one_line(tmp_path, out):
    """Who asked what, how it ended, how long it took; the query, which may hold a secret, is not there."""
    site = make_logged(tmp_path, out)
    site.client().get("/review/sign-in?code=secret")
    site.client().post(f"{API}/seal", data=b"{", content_type="application/json")
    first, second = [line for line in lines(out) if line["event"] == "request"]
    assert (first["view"], first["status"], first["level"]) == ("review.sign_in_page", 200, "info")
    assert (second["status"], second["code"]) == (400, "bad_request")
    assert "secret" not in out.getvalue()


@pytest.mark.parametrize(
    ("stated", "is_kept"),
    [
        ("abcDEF-123._", True),
        ("x" * 64, True),
        ("short", False),
        ("x" * 65, False),
        ("a b c d e f", False),
        ("ab{}\"'cdef", False),
    ],
)
def test_request_id_is_taken_when_it_is_sane_and_always_returned(tmp_path, out, stated, is_kept):
    """A proxy's id joins its log to ours; anything odd gets a new one."""
    site = make_logged(tmp_path, out)
    returned = site.client().get("/", headers={"X-Request-ID": stated}).headers["X-Request-ID"]
    assert (returned == stated) is is_kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", returned)
    assert {line["request_id"] for line in lines(out)} == {returned}


def test_a_submission_is_followed_from_its_request_to_its_decision(tmp_path, out):
    """One line when it was received, with the request's id; one when it was decided, with codes and seconds."""
    site = make_logged(tmp_path, out)
    with screening(site):
        sent = send(site.client(), wav_bytes(speech_like(seed=1)), name="Ms Private's voice.wav")
        assert wait_for_decision(sent.location.rpartition("/")[2], site.services, 60)
    received = next(line for line in lines(out) if line["event"] == "received")
    screened = next(line for line in lines(out) if line["event"] == "screened")
    request = next(line for line in lines(out) if line["event"] == "request")
    assert received["request_id"] == request["request_id"]
    assert received["submission"] == screened["submission"]
    assert screened["decision"] in ("accept", "label", "review")
    assert screened["findings"]["recompute"] == "done"
    assert screened["seconds"] > 0
    assert "Private" not in out.getvalue()


def test_addresses_stay_out_unless_asked_for(tmp_path, out):
    """The same sender has the same digest within a day; the digest cannot be turned back without the key."""
    site = make_logged(tmp_path / "a", out)
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
        site.client().get("/", environ_overrides={"REMOTE_ADDR": address})
    clients = [line["client"] for line in lines(out)]
    assert clients[0] == clients[1] != clients[2]
    assert "192.0.2" not in out.getvalue()
    site = make_logged(tmp_path / "b", out, log_addresses=True)
    site.client().get("/", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert lines(out)[-1]["client"] == "192.0.2.7"


def test_what_machines_ask_all_the_time_is_no_line(tmp_path, out):
    """Health checks and static files are counted, and logged only where that is asked for."""
    site = make_logged(tmp_path / "a", out)
    site.client().get(f"{API}/health")
    assert out.getvalue() == ""
    site = make_logged(tmp_path / "b", out, log_level="debug")
    site.client().get(f"{API}/health")
    assert lines(out)[-1]["view"] == "prelisten_api.health"


def test_ordinary_records_become_lines_too(tmp_path, out):
    """What a module says through the standard library arrives in the same form, its fault included."""
    make_logged(tmp_path, out)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("prelisten.engine.embedded").exception("submission %s failed", "x1")
    line = lines(out)[-1]
    assert (line["event"], line["level"]) == ("submission x1 failed", "error")
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_people_get_lines_for_people(tmp_path, out):
    """Without the setting the log reads as text."""
    site = make_logged(tmp_path, out, log_format="console")
    site.client().get("/")
    assert "view=demo.form" in out.getvalue()


def test_in_somebody_elses_application_our_views_alone_are_logged(tmp_path, caplog):
    """Their requests are theirs; ours arrive as ordinary records, and no handler of theirs is touched."""
    from flask import Flask

    from prelisten import Prelisten
    from prelisten.config import load_config
    from prelisten.keys import ensure_keys

    config = load_config({}, data=tmp_path, workers=0)
    ensure_keys(config)
    app = Flask("host")
    app.get("/theirs")(lambda: "hello")
    prelisten = Prelisten(app, config)
    with caplog.at_level("INFO", "prelisten"):
        app.test_client().get("/theirs")
        answer = app.test_client().get(f"{API}/uploads/none")
    prelisten.close()
    records = [record for record in caplog.records if record.message == "request"]
    assert [record.view for record in records] == ["prelisten_api.status"]
    assert answer.headers["X-Request-ID"]
