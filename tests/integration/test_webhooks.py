"""Events on their way to a real receiver that takes them, fails, hangs, redirects and lies."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from standardwebhooks import Webhook, WebhookVerificationError

from prelisten.cli import main
from prelisten.config import load_config
from prelisten.outbox import courier as couriers
from prelisten.outbox import put
from prelisten.outbox.courier import MAX_ATTEMPTS, Courier, pause_s
from prelisten.outbox.messages import MessageState, messages
from prelisten.outbox.post import post
from prelisten.pipeline import Services, receive
from prelisten.worker import run_worker
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined, screened

SECRET = "whsec_" + "QUFB" * 8
NEXT_SECRET = "whsec_" + "QkJC" * 8
Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Answer:
    """Return an answer with this status."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def hang(request: BaseHTTPRequestHandler) -> None:
    """Say nothing, until the other side ends the connection."""
    request.connection.settimeout(20)
    request.connection.recv(1)


def trickle(request: BaseHTTPRequestHandler) -> None:
    """Send a byte of a header now and then: no single wait is long, and the whole has no end."""
    try:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(200):
            request.wfile.write(b"x")
            time.sleep(0.1)
    except OSError:
        return


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """End the connection without a word."""
    request.connection.shutdown(socket.SHUT_RDWR)


def nonsense(request: BaseHTTPRequestHandler) -> None:
    """Answer in no protocol."""
    request.wfile.write(b"\x00\xff not http at all\r\n\r\n")


def flood(request: BaseHTTPRequestHandler) -> None:
    """Take the event, and send a gigabyte back."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    try:
        while True:
            request.wfile.write(b"x" * 65_536)
    except OSError:
        return


class Receiver:
    """A web server that keeps what it got and answers as it is told: the next answer, the last one again and again."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers = list(answers) or [status(204)]
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                answer = receiver.answers[0] if len(receiver.answers) == 1 else receiver.answers.pop(0)
                answer(self)

            do_GET = do_POST  # noqa: N815 - the name is the standard library's

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                pass  # A client that refuses our certificate, or ends a hanging connection, is expected here.

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.url = f"http{'s' if tls else ''}://localhost:{self.port}/hook?from=prelisten"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()


class Clock:
    """A clock that is moved by hand, so that hours of pauses take no time.

    It starts a little ahead of the real one, so that what is put in now is due; signatures are dated by it.
    """

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=20)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    screened(made, b"no recording")
    with made.storage.transaction() as tx:
        tx.connection.exec_driver_sql("DELETE FROM outbox")
    yield made
    made.storage.close()


def submission_id(services: Services) -> str:
    with services.storage.read() as tx:
        return tx.connection.exec_driver_sql("SELECT id FROM submissions").scalar_one()


def put_one(services: Services, **body: Any) -> str:
    subject = submission_id(services)
    with services.storage.transaction() as tx:
        return put(tx, "submission.decided", subject, body or {"decision": "label"})


def courier(services: Services, clock: Clock, receiver: Receiver | str, **options: Any) -> Courier:
    url = receiver if isinstance(receiver, str) else receiver.url
    config = load_config({}, data=services.config.data, webhook_url=url, webhook_secret=SECRET)
    return Courier(services.storage, config, clock=clock, **({"total_s": 1.0} | options))


def stored(services: Services):
    with services.storage.read() as tx:
        return messages(tx)


def test_event_arrives_signed_and_once(services: Services, clock: Clock) -> None:
    """A receiver with the public library verifies it; the body says what happened, in ids and codes."""
    message_id = put_one(services, decision="review", reasons=["PITCH"])
    with Receiver() as receiver:
        sender = courier(services, clock, receiver)
        assert (sender.deliver_next(), sender.deliver_next()) == (True, False)
    ((headers, body),) = receiver.got
    content = Webhook(SECRET).verify(body, headers)
    assert (headers["webhook-id"], headers["content-type"]) == (message_id, "application/json")
    assert headers["host"] == f"localhost:{receiver.port}"
    assert content["type"] == "submission.decided"
    assert content["data"] == {
        "submission_id": submission_id(services),
        "decision": "review",
        "reasons": ["PITCH"],
    }
    (message,) = stored(services)
    assert (message.state, message.attempts, message.last_result) == ("delivered", 1, "HTTP 204")


@pytest.mark.parametrize("change", ["body", "webhook-id", "webhook-timestamp"])
def test_changed_event_does_not_verify(services: Services, clock: Clock, change: str) -> None:
    """Id and time are signed too: a recorded request cannot be sent again as another one, or later."""
    put_one(services)
    with Receiver() as receiver:
        courier(services, clock, receiver).deliver_next()
    ((headers, body),) = receiver.got
    changed = body.replace(b"label", b"accept") if change == "body" else body
    old = {"webhook-id": "msg_other", "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(changed, headers | ({change: old[change]} if change in old else {}))


def test_both_secrets_sign_while_one_replaces_the_other(services: Services, clock: Clock) -> None:
    """A receiver may change its secret at any moment of the change."""
    put_one(services)
    with Receiver() as receiver:
        config = load_config({}, webhook_url=receiver.url, webhook_secret=f"{NEXT_SECRET} {SECRET}")
        Courier(services.storage, config, clock=clock).deliver_next()
    ((headers, body),) = receiver.got
    for secret in (SECRET, NEXT_SECRET):
        assert Webhook(secret).verify(body, headers)


def test_failing_receiver_gets_it_again_with_growing_pauses(services: Services, clock: Clock) -> None:
    """The id and the body stay the same, the pauses grow, and the last try succeeds."""
    put_one(services)
    with Receiver(status(500), status(503), hang_up, nonsense, status(200)) as receiver:
        sender, waits = courier(services, clock, receiver), []
        for _ in range(5):
            assert sender.deliver_next()
            assert not sender.deliver_next(), "before its time it is not sent again"
            (message,) = stored(services)
            waits.append((message.due_at - clock.now).total_seconds())
            clock.now = max(message.due_at, clock.now)
    assert message.state == "delivered"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    for wait_s, longest_s in zip(waits, (5, 20, 80, 320), strict=False):
        assert longest_s / 2 <= wait_s <= longest_s


def test_event_that_nobody_takes_is_given_up_visibly_and_can_be_replayed(
    services: Services, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the last attempt it is `dead`; `outbox list` shows it, `outbox replay` sends it under its old id."""
    message_id = put_one(services)
    data = ["--data", str(services.config.data)]
    with Receiver(status(500)) as receiver:
        sender = courier(services, clock, receiver)
        while sender.deliver_next():
            clock.now += timedelta(hours=7)
        assert len(receiver.got) == MAX_ATTEMPTS
        assert main(["outbox", "list", *data]) == 1
        assert "dead" in capsys.readouterr().out
        assert main(["outbox", "replay", *data, message_id]) == 0
        receiver.answers = [status(200)]
        clock.now = max(clock.now, datetime.now(UTC))
        assert sender.deliver_next()
    assert receiver.got[-1][0]["webhook-id"] == message_id
    assert main(["outbox", "list", *data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["state"] == "delivered"


def test_receiver_that_is_gone_for_good_is_asked_once(services: Services, clock: Clock) -> None:
    """`410 Gone` is the receiver's own word for it."""
    put_one(services)
    with Receiver(status(410)) as receiver:
        courier(services, clock, receiver).deliver_next()
    assert stored(services)[0].state == "dead"


def test_receiver_says_when_to_come_back(services: Services, clock: Clock) -> None:
    """`Retry-After` is kept to, within bounds."""
    put_one(services)
    with Receiver(status(503, Retry_After="600")) as receiver:
        courier(services, clock, receiver).deliver_next()
    assert stored(services)[0].due_at - clock.now == timedelta(seconds=600)
    assert pause_s(1, 1e9) == couriers.LONGEST_PAUSE_S


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirection_is_not_followed(services: Services, clock: Clock, code: int) -> None:
    """It could lead inside the operator's network, or take the event to somebody else."""
    put_one(services)
    with Receiver() as elsewhere, Receiver(status(code, Location=elsewhere.url)) as receiver:
        courier(services, clock, receiver).deliver_next()
    (message,) = stored(services)
    assert (len(receiver.got), elsewhere.got, message.state) == (1, [], "pending")
    assert message.last_result == f"HTTP {code} (redirections are not followed)"


@pytest.mark.parametrize("answer", [hang, trickle])
def test_receiver_that_never_ends_is_left(services: Services, clock: Clock, answer: Answer) -> None:
    """The whole exchange has a time, however alive each moment of it looks; the next event is sent."""
    put_one(services)
    with Receiver(answer, status(200)) as receiver:
        began = time.monotonic()
        sender = courier(services, clock, receiver)
        sender.deliver_next()
        assert time.monotonic() - began < 10
        assert stored(services)[0].last_result == "no answer within 1 s"
        put_one(services)
        assert sender.deliver_next()
    assert sorted(message.state for message in stored(services)) == ["delivered", "pending"]


def test_endless_answer_is_not_read(services: Services, clock: Clock) -> None:
    """The status is all that is asked for."""
    put_one(services)
    with Receiver(flood) as receiver:
        courier(services, clock, receiver).deliver_next()
    assert stored(services)[0].state == "delivered"


def test_private_address_needs_the_operators_word() -> None:
    """The receiver is real and would answer; without the operator's word nothing reaches it."""
    with Receiver() as receiver:
        refused = post(receiver.url, b"{}", {})
        named = post(receiver.url, b"{}", {}, named_hosts={"localhost"})
    assert refused.status is None
    assert "not public" in str(refused)
    assert named.is_success
    assert len(receiver.got) == 1


def test_name_is_resolved_once(monkeypatch) -> None:
    """What was looked at is what is connected to: a second lookup could say something else."""
    asked, real = [], socket.getaddrinfo

    def rebinding(host, *rest, **options):
        asked.append(host)
        if host == "rebinding.example":
            return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *rest, **options)
        return real(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with Receiver() as receiver:
        answer = post(
            f"http://rebinding.example:{receiver.port}/", b"{}", {}, named_hosts={"rebinding.example"}
        )
    assert answer.is_success
    assert asked.count("rebinding.example") == 1
    assert receiver.got[0][0]["host"] == f"rebinding.example:{receiver.port}"


def test_proxy_of_the_environment_is_not_asked(monkeypatch) -> None:
    """It would resolve the name again, and see every event."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Receiver() as receiver:
        assert post(receiver.url, b"{}", {}, named_hosts={"localhost"}).is_success


@pytest.mark.parametrize(
    ("names", "is_known", "is_taken"),
    [(["localhost"], True, True), (["other.example"], True, False), (["localhost"], False, False)],
)
def test_certificate_must_be_the_hosts_and_known(names: list[str], is_known: bool, is_taken: bool) -> None:
    """The name in the address counts, though an address was connected to."""
    authority, offered, trusted = (
        trustme.CA(),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.create_default_context(),
    )
    authority.issue_cert(*names).configure_cert(offered)
    if is_known:
        authority.configure_trust(trusted)
    with Receiver(tls=offered) as receiver:
        answer = post(receiver.url, b"{}", {}, named_hosts={"localhost"}, tls=trusted)
    assert answer.is_success is is_taken
    assert len(receiver.got) == is_taken
    if not is_taken:
        assert "CERTIFICATE_VERIFY_FAILED" in str(answer)


def test_couriers_beside_each_other_send_each_event_once(services: Services, clock: Clock) -> None:
    """Four of them, thirty events: a claim keeps the others away."""
    wanted = {put_one(services) for _ in range(30)}
    with Receiver() as receiver, ThreadPoolExecutor(4) as pool:
        list(pool.map(drain, [courier(services, clock, receiver) for _ in range(4)]))
    got = [headers["webhook-id"] for headers, _ in receiver.got]
    assert sorted(got) == sorted(wanted)


def drain(sender: Courier) -> None:
    while sender.deliver_next():
        pass


def test_event_of_a_courier_that_died_is_sent_again(services: Services, clock: Clock, monkeypatch) -> None:
    """Between the answer and writing it down nobody can be sure: twice under one id is better than never."""
    put_one(services)
    with Receiver() as receiver:
        with monkeypatch.context() as patched:
            patched.setattr(Courier, "_write_down", lambda *_: None)
            courier(services, clock, receiver).deliver_next()
        sender = courier(services, clock, receiver)
        assert not sender.deliver_next()
        clock.now += timedelta(seconds=61)
        assert sender.deliver_next()
    assert len(receiver.got) == 2
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_stop_ends_a_hanging_delivery_and_gives_the_event_back(services: Services, clock: Clock) -> None:
    """A worker that is told to stop does not wait for a receiver; the attempt is not counted."""
    put_one(services)
    stop = threading.Event()
    with Receiver(hang) as receiver:
        sender = courier(services, clock, receiver, total_s=30.0)
        thread = threading.Thread(target=sender.run, args=(stop,))
        thread.start()
        end = time.monotonic() + 10
        while not receiver.got and time.monotonic() < end:
            time.sleep(0.01)
        began = time.monotonic()
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
        assert time.monotonic() - began < 3
    (message,) = stored(services)
    assert (message.state, message.attempts) == ("pending", 0)


def test_without_a_webhook_events_are_set_aside_and_can_be_sent_later(
    services: Services, clock: Clock
) -> None:
    """A webhook that is configured months later is not flooded, unless the operator says so."""
    put_one(services)
    Courier(services.storage, services.config, clock=clock).deliver_next()
    assert stored(services)[0].state == MessageState.UNSENT
    assert main(["outbox", "replay", "--data", str(services.config.data), "--state", "unsent"]) == 0
    assert stored(services)[0].state == MessageState.PENDING


def test_event_of_a_rolled_back_transaction_does_not_exist(services: Services) -> None:
    """It is stored with what it tells, or not at all."""
    with pytest.raises(ZeroDivisionError), services.storage.transaction() as tx:  # noqa: PT012
        put(tx, "submission.decided", submission_id(services), {})
        raise ZeroDivisionError
    assert stored(services) == []


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": "y" * 70_000}])
def test_body_that_is_no_event_is_refused(services: Services, body: dict) -> None:
    """NaN is no JSON, and nothing large belongs in an event."""
    with pytest.raises(ValueError, match=r"JSON|bytes"):
        put_one(services, **body)


def test_screening_process_tells_of_its_decision(tmp_path: Path) -> None:
    """The whole way: a recording is sent, screened by the real loop, and the receiver hears of the decision."""
    with Receiver() as receiver:
        services = make_services(tmp_path, webhook_url=receiver.url, webhook_secret=SECRET)
        submission, _ = receive(
            quarantined(services, wav_bytes(speech_like(2.0)), file_name="my secret diary.wav"), services
        )
        stop = threading.Event()
        worker = threading.Thread(target=run_worker, args=(services,), kwargs={"stop": stop})
        worker.start()
        end = time.monotonic() + 30
        while not receiver.got and time.monotonic() < end:
            time.sleep(0.02)
        stop.set()
        worker.join()
        services.storage.close()
    ((headers, body),) = receiver.got
    data = Webhook(SECRET).verify(body, headers)["data"]
    assert (data["submission_id"], data["action"]) == (submission.id, "voice-upload")
    assert data["decision"] in ("accept", "label", "review")
    assert b"diary" not in body


def test_new_secret_is_one_that_the_settings_take(capsys: pytest.CaptureFixture[str]) -> None:
    """What `outbox secret` prints can be pasted."""
    assert main(["outbox", "secret"]) == 0
    printed = capsys.readouterr().out.strip()
    assert load_config({}, webhook_url="https://example.org/", webhook_secret=printed)
