"""Back pressure: who is told to wait, in which words, and that everybody else notices nothing."""

from __future__ import annotations

import concurrent.futures
import contextlib
import io
import json
import socket
import statistics
import threading
import time
import urllib.error
import urllib.request

import pytest

from tests.browser.conftest import start_server
from tests.integration.conftest import make_site
from tests.integration.test_routes import API, send
from tests.recordings import speech_like, wav_bytes


def post(client, recording: bytes):
    """Send a recording as a program does."""
    data = {"file": (io.BytesIO(recording), "a.wav")}
    return client.post(f"{API}/uploads", data=data, content_type="multipart/form-data")


def test_uploads_are_limited_for_each_address(tmp_path):
    """The sender's share is used up: 429 with when to come back; another address is not concerned."""
    site = make_site(tmp_path, wait_s=0, upload_rate_limit="2/minute")
    recording = wav_bytes(speech_like(seed=1))
    answers = [post(site.client(), recording) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert answers[2].json["error"]["code"] == "rate_limited"
    other = site.client()
    other.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert post(other, recording).status_code == 202


def test_one_customer_of_ipv6_is_one_sender(tmp_path):
    """Who has a network of addresses has one share, not one for each of them."""
    site = make_site(tmp_path, wait_s=0, upload_rate_limit="1/minute")
    recording, codes = wav_bytes(speech_like(seed=1)), []
    for address in ("2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"):
        client = site.client()
        client.environ_base["REMOTE_ADDR"] = address
        codes.append(post(client, recording).status_code)
    assert codes == [202, 429, 202]


def test_full_queue_is_told_before_the_body_is_read(tmp_path):
    """No more is taken than can be screened; nothing of the refused upload is kept, and what waits stays."""
    site = make_site(tmp_path, wait_s=0, max_queue=2)
    taken = [post(site.client(), wav_bytes(speech_like(seed=n))) for n in range(2)]
    time.sleep(0.3)  # The depth is counted anew after a moment.
    refused = post(site.client(), wav_bytes(speech_like(seed=9)))
    assert [answer.status_code for answer in taken] == [202, 202]
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) >= 10
    assert site.services.engine.queue_depth() == 2


def test_a_busy_queue_takes_less_from_each(tmp_path):
    """Past the half nobody fills the rest alone; others still find room."""
    site = make_site(tmp_path, wait_s=0, max_queue=6, busy_upload_rate_limit="1/hour")
    codes = []
    for seed in range(6):
        codes.append(post(site.client(), wav_bytes(speech_like(seed=seed))).status_code)
        time.sleep(0.3)
    other = site.client()
    other.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert codes == [202, 202, 202, 202, 202, 429]
    assert post(other, wav_bytes(speech_like(seed=8))).status_code == 202


def test_a_person_is_told_in_plain_words(tmp_path):
    """The page says that nothing is wrong with the recording, how long to wait, and how to go on."""
    site = make_site(tmp_path, wait_s=0, max_queue=1)
    send(site.client(), wav_bytes(speech_like(seed=1)))
    time.sleep(0.3)
    page = send(site.client(), wav_bytes(speech_like(seed=2)))
    assert page.status_code == 503
    assert f"wait {page.headers['Retry-After']} seconds" in page.text
    assert "Go back in your browser" in page.text


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A real server without a screening process, so that nothing is ever decided; it gives up slow senders soon."""
    started = start_server(
        tmp_path_factory.mktemp("pressure") / "data",
        workers="0",
        wait_s="20",
        max_waiting="4",
        max_receiving="6",
        max_receiving_per_client="5",
        web_threads="40",
        upload_timeout_s="4",
    )
    yield started
    started.stop()


def health_s(server) -> float:
    """Return how long health takes to answer, in seconds."""
    start = time.monotonic()
    urllib.request.urlopen(f"{server.url}{API}/health", timeout=20).close()
    return time.monotonic() - start


def upload(server, recording: bytes, *, timeout: float = 60) -> tuple[int, dict, float]:
    """Upload over a connection of its own; return (status, answer, seconds)."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = head + recording + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    asked = urllib.request.Request(f"{server.url}{API}/uploads", data=body, headers=headers)
    start = time.monotonic()
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            return answer.status, json.load(answer), time.monotonic() - start
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), time.monotonic() - start


def test_fifty_at_once_leave_health_alone(served):
    """All are taken; four wait for their decision, the others get `hold` at once, and health answers meanwhile."""
    recordings = [wav_bytes(speech_like(seed=seed)) for seed in range(50)]
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        sent = [pool.submit(upload, served, recording) for recording in recordings]
        slowest = max(health_s(served) for _ in range(20))
        answers = [future.result() for future in sent]
    taken = [answer for answer in answers if answer[0] == 202]
    told = [answer for answer in answers if answer[0] in (429, 503)]
    assert len(taken) + len(told) == 50
    assert len(taken) >= 20
    assert all(answer[1]["decision"] == "hold" for answer in taken)
    assert statistics.median(seconds for _, _, seconds in taken) < 15
    assert sum(seconds > 19 for _, _, seconds in taken) <= 4
    assert slowest < 5


@contextlib.contextmanager
def drip(server, *, every_s: float = 0.5):
    """Open an upload whose body comes a byte at a time."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        b"POST /prelisten/v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    )
    ended = threading.Event()

    def go_on() -> None:
        with contextlib.suppress(OSError):
            while not ended.wait(every_s):
                connection.sendall(b"x")

    dripping = threading.Thread(target=go_on)
    dripping.start()
    try:
        yield connection
    finally:
        ended.set()
        dripping.join()
        connection.close()


def test_senders_that_hold_places_are_given_up(served):
    """Five bodies of one address that never come: it gets no sixth place, others do, and soon the five are free."""
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(drip(served))
        time.sleep(1)
        status, answer, _ = upload(served, b"x")
        assert (status, answer["error"]["code"]) == (429, "rate_limited")
        assert health_s(served) < 5
        for _ in range(60):
            if upload(served, b"")[0] == 400:  # Empty, so refused: but only after its body was received.
                break
            time.sleep(0.5)
        else:
            pytest.fail("the places were never given back")


def test_a_refused_body_is_not_read_and_its_sender_hears_why(served):
    """Twenty megabytes that are still on their way when the answer is there: no reset, the answer arrives."""
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(drip(served))
        time.sleep(1)
        status, answer, _ = upload(served, bytes(20_000_000))
    assert (status, answer["error"]["code"]) == (429, "rate_limited")


def test_idle_connections_hold_no_thread(served):
    """Two hundred connections that say nothing leave every thread free."""
    host, port = served.url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection((host, int(port))))
        assert max(health_s(served) for _ in range(5)) < 5


HALF_REQUESTS = {
    "head": b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "small body": b"POST /prelisten/v1/seal HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n{",
    "large body nobody asked for": b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n{",
    "chunks": b"POST /prelisten/v1/seal HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
}


@pytest.mark.parametrize("half", HALF_REQUESTS)
def test_halves_of_requests_hold_no_thread(served, half):
    """Far more connections than there are threads, each with a part of a request that never ends: health answers."""
    host, port = served.url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(120):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(HALF_REQUESTS[half])
        assert max(health_s(served) for _ in range(5)) < 5


def test_a_request_in_pieces_is_answered(served):
    """A slow line is no attack: head and body may come in several pieces, a moment apart."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for piece in (
            b"POST /prelisten/v1/challenge HT",
            b"TP/1.1\r\nHost: x\r\nContent-Le",
            b"ngth: 14\r\n",
            b"\r\n",
            b'{"action":',
            b'"a"}',
        ):
            connection.sendall(piece)
            time.sleep(0.25)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_requests_on_one_connection_are_all_answered(served):
    """Two requests in one piece, and a third later: a connection is kept, and nothing is lost."""
    host, port = served.url.removeprefix("http://").split(":")
    asked = b"GET /prelisten/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(asked + asked)
        time.sleep(1)
        connection.sendall(asked)
        got = b""
        while got.count(b"HTTP/1.1 200") < 3:
            block = connection.recv(10_000)
            assert block, got
            got += block


def test_server_with_idle_connections_ends_soon(tmp_path):
    """Connections that browsers keep open do not hold up a stop."""
    server = start_server(tmp_path / "data", workers="0")
    host, port = server.url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for sent in (b"", b"GET / HT"):
            stack.enter_context(socket.create_connection((host, int(port)))).sendall(sent)
        time.sleep(0.5)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 8


@pytest.fixture
def served_at_once(tmp_path):
    """A real server that gives up slow senders soon, and lets nobody wait for a decision."""
    started = start_server(tmp_path / "data", workers="0", wait_s="0", upload_timeout_s="4")
    yield started
    started.stop()


def test_a_slow_phone_is_taken(served_at_once):
    """A recording at 256 kbit/s, which is what a phone has at the edge of a village."""
    host, port = served_at_once.url.removeprefix("http://").split(":")
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = head + wav_bytes(speech_like(2.5, seed=90)) + b"\r\n--b--\r\n"
    with socket.create_connection((host, int(port)), timeout=40) as connection:
        connection.sendall(
            f"POST {API}/uploads HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
        )
        for start in range(0, len(body), 8_000):
            connection.sendall(body[start : start + 8_000])
            time.sleep(0.25)
        assert connection.recv(100).startswith(b"HTTP/1.1 202")
