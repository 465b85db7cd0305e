"""How a sender sees that something moves: the status, and the stream of events to the decision."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from prelisten.config import MAX_EVENT_STREAMS
from prelisten.engine.interface import Lease
from prelisten.pipeline import screen_submission
from prelisten.routes import events
from tests.browser.conftest import free_port
from tests.integration.conftest import Site
from tests.recordings import speech_like, wav_bytes

UPLOADS = "/prelisten/v1/uploads"


def send(site: Site, seed: int = 1) -> str:
    """Send a recording and return its status address."""
    form = {"file": (io.BytesIO(wav_bytes(speech_like(3.0, seed=seed))), "voice.wav")}
    return site.client().post(UPLOADS, data=form).json["status_url"]


def screen_next(site: Site) -> None:
    lease = site.services.engine.claim("test")
    screen_submission(lease.submission_id, site.services, lease=lease)


def said(line: str) -> dict:
    """Return the data of an event as a browser reads it."""
    (data,) = re.findall(r"^data: (.*)$", line, re.MULTILINE)
    return json.loads(data)


class Stream:
    """An open stream, read event by event."""

    def __init__(self, site: Site, status_url: str) -> None:
        self.response = site.client().get(f"{status_url}/events", buffered=False)
        self._lines = iter(self.response.response)

    def next(self) -> str:
        line = next(self._lines)
        return line if isinstance(line, str) else line.decode()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()


def test_status_tells_the_place_in_the_queue(site: Site) -> None:
    """How many recordings are before it, in a sentence too; a program finds the number."""
    urls = [send(site, seed) for seed in range(3)]
    told = [site.client().get(url).json["progress"] for url in urls]
    assert [(one["phase"], one["ahead"]) for one in told] == [("waiting", 0), ("waiting", 1), ("waiting", 2)]
    assert [one["text"] for one in told] == [
        "Yours is next.",
        "One recording is before yours.",
        "2 recordings are before yours.",
    ]


def test_status_tells_how_much_was_heard(site: Site) -> None:
    """What the worker's heartbeat wrote down."""
    url = send(site)
    lease = site.services.engine.claim("test")
    lease.progress.enter("listening", lambda: 0.4)
    assert site.services.engine.heartbeat(lease)
    told = site.client().get(url).json["progress"]
    assert told == {
        "phase": "listening",
        "ahead": None,
        "fraction": 0.4,
        "text": "We are listening to it now.",
    }


def test_screening_says_how_far_it_is(site: Site, monkeypatch) -> None:
    """The share of the recording that was heard grows from nothing to all of it, then the checks come."""
    seen: list[tuple[str | None, float | None]] = []
    send(site)
    lease = site.services.engine.claim("test")
    monkeypatch.setattr(
        "prelisten.checks.heard.admit", spy_on("prelisten.checks.heard", "admit", lease, seen)
    )
    screen_submission(lease.submission_id, site.services, lease=lease)
    shares = [share for phase, share in seen if phase == "listening"]
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
    assert lease.progress.read() == ("checking", None)


def spy_on(module: str, name: str, lease: Lease, seen: list):
    real = getattr(sys.modules[module], name)

    def spied(*arguments):
        seen.append(lease.progress.read())
        return real(*arguments)

    return spied


def test_decided_submission_has_no_progress(site: Site) -> None:
    """It is over."""
    url = send(site)
    screen_next(site)
    assert site.client().get(url).json["progress"] is None


def test_stream_follows_a_submission_to_its_decision_and_ends(site: Site) -> None:
    """Its first word comes at once, the last one is the decision; then nothing holds the thread any longer."""
    url = send(site)
    with Stream(site, url) as stream:
        assert stream.response.mimetype == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-store"
        first = stream.next()
        assert first.startswith("retry: 2000\n\nevent: status\n")
        assert said(first)["progress"]["phase"] == "waiting"
        screen_next(site)
        last = said(stream.next())
        assert (last["state"], last["status_url"]) == ("decided", url)
        with pytest.raises(StopIteration):
            stream.next()


def test_stream_of_a_decided_submission_is_one_event(site: Site) -> None:
    """Nothing is left to wait for."""
    url = send(site)
    screen_next(site)
    with Stream(site, url) as stream:
        assert said(stream.next())["state"] == "decided"
        with pytest.raises(StopIteration):
            stream.next()


def test_streams_are_few_and_the_next_one_is_told_to_ask(site: Site) -> None:
    """Past the places: 503, when to come back, and what to do; a place that is given back is there again."""
    url = send(site)
    streams = [Stream(site, url) for _ in range(MAX_EVENT_STREAMS)]
    try:
        refused = site.client().get(f"{url}/events")
        assert (refused.status_code, refused.json["error"]["code"]) == (503, "no_stream_left")
        assert int(refused.headers["Retry-After"]) > 0
        assert site.client().get(url).json["state"] == "screening"
        streams.pop().response.close()  # It was never read: its place is free all the same.
        streams.append(Stream(site, url))
        assert streams[-1].response.status_code == 200
    finally:
        for stream in streams:
            stream.response.close()


def test_unknown_submission_takes_no_place(site: Site) -> None:
    """404, as often as somebody asks."""
    for _ in range(2 * MAX_EVENT_STREAMS):
        assert site.client().get(f"{UPLOADS}/nobody/events").status_code == 404
    assert site.client().get(f"{send(site)}/events", buffered=False).status_code == 200


def test_quiet_stream_says_that_it_lives_and_ends_in_time(monkeypatch) -> None:
    """A comment now and then finds out readers who have gone; nobody keeps a place for good."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(events, "POLL_S", 0.01)
    status = {"state": "screening"}
    lines = list(events.stream(status, lambda: status, longest_s=0.2))
    assert set(lines[1:]) == {": still here\n\n"}


def test_streams_end_when_the_process_is_told_to(monkeypatch) -> None:
    """At once, whatever is left of their time."""
    monkeypatch.setattr(events, "_ending", threading.Event())
    status = {"state": "screening"}
    stream = events.stream(status, lambda: status)
    next(stream)
    events.end_streams()
    assert list(stream) == []


def test_server_ends_in_time_with_streams_open(tmp_path: Path) -> None:
    """Eight pages follow their submissions when TERM comes: all processes have ended within eight seconds."""
    port = free_port()
    command = [Path(sys.executable).parent / "prelisten", "serve", "--data", tmp_path, "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*map(str, command), "--workers", "0"],
            env=os.environ | {"PRELISTEN_WAIT_S": "0"},
            stdout=output,
            stderr=output,
        )
    try:
        end = time.monotonic() + 60
        while b"listens on" not in log.read_bytes():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        url = upload_to(port)
        open_streams = []
        for _ in range(MAX_EVENT_STREAMS):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", f"{url}/events")
            response = connection.getresponse()
            assert response.readline() == b"retry: 2000\n"
            open_streams.append((connection, response))
        server.send_signal(signal.SIGTERM)
        assert server.wait(8) == 0
        for connection, _ in open_streams:
            connection.close()
    finally:
        server.kill()
        server.wait()


def upload_to(port: int) -> str:
    """Send a recording as a program would; return the path of its status."""
    boundary = "------------form"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="v.wav"\r\n\r\n'
    body = head.encode() + wav_bytes(speech_like(2.0)) + f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", UPLOADS, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return urlsplit(answer["status_url"]).path
