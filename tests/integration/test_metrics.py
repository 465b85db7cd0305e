"""Metrics: what is counted, by every process together, and who may ask."""

from __future__ import annotations

import io
import threading
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from prelisten.meter import Meter
from prelisten.metrics import Totals
from prelisten.storage.sql import open_storage
from tests.browser.conftest import start_server
from tests.integration.conftest import make_site
from tests.integration.test_back_pressure import upload
from tests.integration.test_routes import API, send
from tests.recordings import speech_like, wav_bytes

LOCAL = {"Host": "127.0.0.1:8000"}
H11 = {"SERVER_PROTOCOL": "HTTP/1.1"}


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return every sample by (name, label values ...)."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask(site, *, environ=None, **headers):
    """Ask for the metrics as a program on this machine."""
    named = LOCAL | {name.replace("_", "-"): value for name, value in headers.items()}
    return site.client().get(f"{API}/metrics", headers=named, environ_overrides=H11 | (environ or {}))


def test_loopback_may_ask_directly(site):
    """Without a token: this machine, by its own address, and nobody that was forwarded."""
    assert ask(site).status_code == 200
    assert ask(site, Host="[::1]:8000").status_code == 200


@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        ({"REMOTE_ADDR": "192.0.2.1"}, {}),
        ({}, {"X_Forwarded_For": "127.0.0.1"}),
        ({}, {"Forwarded": "for=127.0.0.1"}),
        ({}, {"X_Real_IP": "192.0.2.1"}),
        ({}, {"Via": "1.1 proxy"}),
        ({}, {"Host": "voice.example"}),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, {}),
    ],
)
def test_whoever_else_asks_finds_nothing(site, environ, headers):
    """Also a proxy on this very machine that hands on what anybody sends."""
    assert ask(site, environ=environ, **headers).status_code == 404


def test_token_decides_alone(tmp_path):
    """With a token even this machine needs it, and who has it may ask from anywhere."""
    site = make_site(tmp_path, metrics_token="t" * 16)
    assert ask(site).status_code == 404
    assert ask(site, Authorization="Bearer " + "x" * 16).status_code == 404
    assert ask(site, Authorization="Bearer ä").status_code == 404
    far = {"REMOTE_ADDR": "192.0.2.1"}
    assert (
        ask(site, environ=far, Authorization="Bearer " + "t" * 16, X_Forwarded_For="192.0.2.9").status_code
        == 200
    )
    site.close()


def test_an_uploads_way_is_counted(live_site):
    """From the upload to its decision: how many, how they ended, and where the time went."""
    before = samples(ask(live_site).text)
    send(live_site.client(), wav_bytes(speech_like(seed=71)))
    live_site.client().post(f"{API}/seal", data=b"{", content_type="application/json")
    after: dict = {}
    for _ in range(100):
        after = samples(ask(live_site).text)
        if after.get(("prelisten_decision_seconds_count",), 0) > before.get(
            ("prelisten_decision_seconds_count",), 0
        ):
            break
        time.sleep(0.2)

    def grown(*series: str) -> float:
        return after.get(series, 0) - before.get(series, 0)

    assert grown("prelisten_uploads_total", "absent") == 1
    assert grown("prelisten_refusals_total", "bad_request") == 1
    assert (
        sum(grown("prelisten_decisions_total", action) for action in ("accept", "label", "review", "reject"))
        == 1
    )
    for stage in ("receive", "decode", "listen", "recompute", "decide"):
        assert grown("prelisten_stage_seconds_count", stage) == 1, stage
    assert after["prelisten_workers_alive",] == 1
    assert after["prelisten_queue_depth", "queued"] == 0
    assert after["prelisten_disk_free_bytes",] > 0


def test_waiting_recordings_are_seen(site):
    """How many wait, and for how long the oldest has."""
    send(site.client(), wav_bytes(speech_like(seed=1)))
    now = samples(ask(site).text)
    assert now["prelisten_queue_depth", "queued"] == 1
    assert now["prelisten_workers_alive",] == 0
    assert 0 <= now["prelisten_queue_oldest_seconds",] < 60


def test_histogram_is_cumulative(site):
    """What Prometheus computes quantiles from: every bucket holds those below it, the last one all."""
    for _ in range(5):
        site.client().get(f"{API}/health")
    now = samples(ask(site).text)
    counts = [
        value
        for (name, *labels), value in now.items()
        if name == "prelisten_request_seconds_bucket" and "prelisten_api.health" in labels
    ]
    assert counts == sorted(counts)
    assert counts[-1] == now["prelisten_request_seconds_count", "prelisten_api.health"] == 5


def test_openmetrics_is_spoken_to_those_who_ask_for_it(site):
    """Newer scrapers get the newer form."""
    answer = ask(site, Accept="application/openmetrics-text; version=1.0.0")
    assert answer.content_type.startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_processes_add_to_the_same_totals(tmp_path):
    """Four processes' worth of counts, stored at once, again and again: nothing is lost, nothing is doubled."""
    storage = open_storage(f"sqlite:///{tmp_path / 'db'}")

    def work() -> None:
        meter = Meter()
        totals = Totals(meter, storage)
        for _ in range(25):
            meter.count("uploads", token="ok")
            meter.observe("decision_seconds", 0.2)
            totals.flush()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with storage.read() as tx:
        stored = {name: value for name, _, value in tx.connection.exec_driver_sql("SELECT * FROM counters")}
    storage.close()
    assert stored["uploads_total"] == stored["decision_seconds_count"] == 100


def test_counts_wait_for_a_database_that_is_away(tmp_path, monkeypatch):
    """What cannot be stored now is stored later."""
    storage, meter = open_storage(f"sqlite:///{tmp_path / 'db'}"), Meter()
    totals = Totals(meter, storage)
    meter.count("uploads_repeated")
    with storage.transaction() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE counters RENAME TO away")
    totals.flush()
    with storage.transaction() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE away RENAME TO counters")
    totals.flush()
    with storage.read() as tx:
        assert tx.connection.exec_driver_sql("SELECT value FROM counters").scalar() == 1
    storage.close()


def test_undeclared_series_cannot_be_made():
    """A label that a client could choose would let anybody make series without end."""
    meter = Meter()
    with pytest.raises(KeyError):
        meter.count("no_such_series")
    with pytest.raises(KeyError):
        meter.count("uploads", file_name="x")


def test_counts_survive_a_restart(tmp_path):
    """The real server, stopped and started: totals go on where they were."""
    settings = {"workers": "0", "wait_s": "0"}
    for expected in (1, 2):
        server = start_server(tmp_path / "data", **settings)
        assert upload(server, wav_bytes(speech_like(seed=expected)))[0] == 202
        server.stop()
    server = start_server(tmp_path / "data", **settings)
    with urllib.request.urlopen(f"{server.url}{API}/metrics", timeout=20) as answer:
        now = samples(io.TextIOWrapper(answer).read())
    server.stop()
    assert now["prelisten_uploads_total", "absent"] == 2
