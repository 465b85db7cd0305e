"""Tokens spent with real uploads: in the database's transaction, and reserved in Redis just before it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from prelisten import audit
from prelisten.errors import ConfigError, StorageError
from prelisten.hints.envelope import HINT_SALT, unpack
from prelisten.hints.store import MemorySingleUse, new_verification_id
from prelisten.pipeline import Services, receive
from prelisten.policy import decide
from prelisten.records import Action, Recomputed, Submission, TokenState
from prelisten.replay import replay
from prelisten.wiring import open_single_use
from tests.integration.test_pipeline import token_for
from tests.recordings import speech_like, wav_bytes
from tests.services import ORIGIN, make_services, quarantined, screened, sealed_token

CONTENT = b"RIFF, and whatever: nothing here listens to it"


@pytest.fixture(params=["sqlite", "postgresql", "sqlite and redis", "postgresql and redis"])
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    """Both databases, with tokens spent there and in Redis."""
    settings = {}
    if "postgresql" in request.param:
        settings["database_url"] = request.getfixturevalue("postgres_url")
    if "redis" in request.param:
        settings["redis_url"] = request.getfixturevalue("redis_server").url
    yield from opened(tmp_path, **settings)


@pytest.fixture
def with_redis(tmp_path: Path, redis_server) -> Iterator[Services]:
    yield from opened(tmp_path, redis_url=redis_server.url)


def opened(data: Path, **settings) -> Iterator[Services]:
    made = make_services(data, **settings)
    made = replace(made, single_use=open_single_use(made.config))
    yield made
    made.storage.close()
    if made.single_use is not None:
        made.single_use.close()


def send(services: Services, token: str, **fields) -> tuple[Submission, bool]:
    return receive(quarantined(services, CONTENT, origin=ORIGIN, token=token, **fields), services)


def reserve(services: Services, token: str, spent_for: str, **fields) -> None:
    """Spend a token as another sender of the same file would, and store nothing."""
    with services.storage.transaction() as tx:
        consume = tx.spend_token if services.single_use is None else services.single_use.consume
        sealed = unpack(token, salt=HINT_SALT, keys=services.keys)
        known = {"sha256": sealed["claim"]["file"]["sha256"], "idempotency_key": None, "sid": None}
        known |= {"submission_id": spent_for, "expires_at": sealed["exp"]}
        consume(sealed["challenge"]["cid"], **(known | fields))


def count(services: Services) -> int:
    with services.storage.read() as tx:
        return int(tx.connection.exec_driver_sql("SELECT count(*) FROM submissions").scalar_one())


def test_double_click_gets_the_stored_answer(services: Services) -> None:
    """The same sending is one submission; with another key it is a second one, without its hint."""
    token = sealed_token(services, CONTENT)
    first, is_repeated = send(services, token)
    assert (first.hint_check.token, is_repeated) == (TokenState.OK, False)
    assert [send(services, token) for _ in range(3)] == [(first, True)] * 3
    other, is_repeated = send(services, token, idempotency_key="another")
    assert (other.hint_check.token, is_repeated) == (TokenState.DUPLICATE, False)
    assert count(services) == 2


def test_other_context_gets_no_stored_answer(services: Services) -> None:
    """What was decided for one context does not answer for another one, and the hint does not count twice."""
    token = sealed_token(services, CONTENT)
    send(services, token)
    other, is_repeated = send(services, token, context="live")
    assert (other.hint_check.token, is_repeated) == (TokenState.DUPLICATE, False)


def test_token_spent_by_a_verification_does_not_count_for_an_upload(services: Services) -> None:
    """A back end uses one of the two for a token; the second finds it spent, and the upload is taken."""
    token = sealed_token(services, CONTENT)
    reserve(services, token, new_verification_id())
    submission, is_repeated = send(services, token)
    assert (submission.hint_check.token, is_repeated) == (TokenState.DUPLICATE, False)


def test_one_of_many_uploads_at_once_is_accepted(services: Services) -> None:
    """Sixteen senders of one token, each with a key of its own: one `ok`, all uploads are there."""
    token = sealed_token(services, CONTENT)
    with ThreadPoolExecutor(16) as pool:
        sent = list(pool.map(lambda n: send(services, token, idempotency_key=f"{n}")[0], range(16)))
    states = sorted(submission.hint_check.token for submission in sent)
    assert states == [TokenState.DUPLICATE] * 15 + [TokenState.OK]
    assert count(services) == len({submission.id for submission in sent}) == 16


def test_many_clicks_at_once_are_one_submission(services: Services) -> None:
    """Sixteen times the same sending: one is stored, fifteen get its answer."""
    token = sealed_token(services, CONTENT)
    with ThreadPoolExecutor(16) as pool:
        sent = list(pool.map(lambda _: send(services, token), range(16)))
    assert len({submission.id for submission, _ in sent}) == 1
    assert sorted(is_repeated for _, is_repeated in sent) == [False, *[True] * 15]
    assert count(services) == 1


def test_failed_transaction_leaves_the_token_to_the_next_attempt(services: Services) -> None:
    """Nothing was stored, so nothing was spent, whatever key the next attempt brings; then it is spent."""
    token = sealed_token(services, CONTENT)

    class Broken:
        def enqueue(self, *_: object) -> None:
            raise StorageError("the disk is full")

    for key in ("first", None):
        with pytest.raises(StorageError):
            send(replace(services, engine=Broken()), token, idempotency_key=key)
    stored, is_repeated = send(services, token, idempotency_key="second")
    assert (stored.hint_check.token, is_repeated, count(services)) == (TokenState.OK, False, 1)
    assert send(services, token, idempotency_key="second") == (stored, True)
    assert send(services, token, idempotency_key="first")[0].hint_check.token is TokenState.DUPLICATE


def test_abandoned_reservation_is_taken_over_once(with_redis: Services) -> None:
    """A process that died after reserving: of sixteen retries at once one is stored, under the reserved id."""
    token, reserved = sealed_token(with_redis, CONTENT), secrets.token_hex(16)
    reserve(with_redis, token, reserved)
    with ThreadPoolExecutor(16) as pool:
        sent = list(pool.map(lambda _: send(with_redis, token), range(16)))
    assert {submission.id for submission, _ in sent} == {reserved}
    assert sorted(is_repeated for _, is_repeated in sent) == [False, *[True] * 15]
    assert sent[0][0].hint_check.token is TokenState.OK


@pytest.mark.parametrize(("key", "state"), [(None, TokenState.OK), ("own", TokenState.DUPLICATE)])
def test_slow_sender_that_was_overtaken_is_no_second_acceptance(
    tmp_path: Path, key: str | None, state: TokenState
) -> None:
    """Another one took the place before its transaction: it gets that answer, or is a duplicate."""
    inner = MemorySingleUse()

    class Overtaken:
        """Lets a second sender through as soon as the first has reserved."""

        quick: Submission | None = None

        def consume(self, cid: str, **fields) -> str | None:
            spent_for = inner.consume(cid, **fields)
            quick = replace(services, single_use=inner)
            self.quick, _ = send(quick, token, idempotency_key=key)
            return spent_for

    overtaken = Overtaken()
    services = make_services(tmp_path, single_use=overtaken)
    token = sealed_token(services, CONTENT)
    slow, is_repeated = send(services, token)
    assert overtaken.quick is not None
    assert overtaken.quick.hint_check.token is TokenState.OK
    assert (slow.hint_check.token, is_repeated) == (state, state is TokenState.OK)
    assert (slow.id == overtaken.quick.id) == is_repeated
    services.storage.close()


def test_redis_that_is_down_refuses_no_upload(with_redis: Services, redis_server) -> None:
    """The hint does not count, and says that nobody could tell; the recording is taken and screened as without one."""
    token = sealed_token(with_redis, CONTENT)
    redis_server.stop()
    submission, is_repeated = send(with_redis, token)
    redis_server.start()
    check = submission.hint_check
    assert (check.token, check.able, check.claim, check.floor) == (
        TokenState.ABSENT,
        False,
        None,
        Action.HOLD,
    )
    assert (check.codes, is_repeated) == (("HINT_UNABLE",), False)
    stored, _ = send(with_redis, token)
    assert (stored.hint_check.token, stored.hint_check.able) == (TokenState.OK, True)


def test_erased_upload_answers_no_repetition(services: Services) -> None:
    """The token stays spent, and the tombstone is nobody's answer."""
    from prelisten.privacy import erase

    token = sealed_token(services, CONTENT)
    first, _ = send(services, token)
    erase(first.id, services)
    second, is_repeated = send(services, token)
    assert (second.hint_check.token, is_repeated) == (TokenState.DUPLICATE, False)
    assert second.id != first.id


def test_settings_open_no_store_or_redis(tmp_path: Path, redis_server) -> None:
    """Without the setting the database remembers; an address that is none stops the start without being shown."""
    services = make_services(tmp_path)
    assert open_single_use(services.config) is None
    for url in ("http://secret.example", "redis://:secret@host:port/0"):
        with pytest.raises(ConfigError) as refused:
            open_single_use(make_services(tmp_path, redis_url=url).config)
        assert "secret" not in str(refused.value)


def test_main_path_on_every_database(services: Services) -> None:
    """Receive, screen, decide; the log holds, and every decision is made again from what is stored."""
    content = wav_bytes(speech_like(5.0))
    submission, decision = screened(
        services, content, origin=ORIGIN, token=token_for(services, content), idempotency_key="k"
    )
    assert submission.hint_check.token is TokenState.OK
    assert submission.hint_check.recomputed is not Recomputed.NOT_RUN
    with services.storage.read() as tx:
        followed = audit.verify(audit.read_entries(tx.connection))
        again = replay(tx, services.keys)
        findings = tx.findings(submission.id)
    assert (followed.entries, followed.problem) == (2, None)
    assert (again.same, again.is_sound) == (1, True)
    remade = decide(findings, policy=services.policy, action=submission.action, at=decision.decided_at)
    assert remade == decision
