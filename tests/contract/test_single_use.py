"""What every store of spent tokens must keep: memory, SQLite, PostgreSQL and Redis."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prelisten.errors import StorageError
from prelisten.hints.store import MemorySingleUse, SingleUse, SqlSingleUse
from prelisten.storage.interface import TokenSpent
from prelisten.storage.sql import open_storage

IS_FULL = os.environ.get("TEST_SIZE") == "full"
THREADS = 64
TRIES = 10_000 if IS_FULL else 40
SHA = "a" * 64


class InTransactions:
    """The database's store, each token spent in a transaction of its own, as the pipeline does it."""

    def __init__(self, url: str) -> None:
        self.storage = open_storage(url)

    def consume(self, cid: str, **fields) -> str | None:
        with self.storage.transaction() as tx:
            return SqlSingleUse(tx).consume(cid, **fields)


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SingleUse]:
    if request.param == "memory":
        yield MemorySingleUse()
    elif request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        from prelisten.hints.store.redis import RedisSingleUse, connect

        on_redis = RedisSingleUse(connect(url))
        yield on_redis
        on_redis.close()
    else:
        is_sqlite = request.param == "sqlite"
        in_transactions = InTransactions(
            f"sqlite:///{tmp_path}/a.sqlite3" if is_sqlite else request.getfixturevalue("postgres_url")
        )
        yield in_transactions
        in_transactions.storage.close()


def spend(store: SingleUse, cid: str = "c1", **fields) -> str | None:
    known = {"sha256": SHA, "idempotency_key": None, "sid": None, "submission_id": "s1"}
    return store.consume(cid, **(known | {"expires_at": int(time.time()) + 3600} | fields))


def test_token_is_spent_once(store: SingleUse) -> None:
    """The same sending is told what it was spent for; another file, key or session is refused."""
    assert spend(store) is None
    assert spend(store, submission_id="s2") == "s1"
    for other in ({"sha256": "b" * 64}, {"idempotency_key": "k"}, {"sid": "x"}):
        with pytest.raises(TokenSpent):
            spend(store, submission_id="s3", **other)
    assert spend(store, "c2", submission_id="s4") is None


def test_refusal_names_what_it_was_spent_for_only_to_the_same_file(store: SingleUse) -> None:
    """Who has the same bytes may find the stored submission; another file learns nothing."""
    spend(store)
    for other, spent_for in (({"sid": "x"}, "s1"), ({"sha256": "b" * 64}, None)):
        with pytest.raises(TokenSpent) as refused:
            spend(store, submission_id="s2", **other)
        assert refused.value.spent_for == spent_for


def test_key_speaks_before_the_session(store: SingleUse) -> None:
    """With a key on both sides, a retry from a renewed session is still the same sending."""
    spend(store, idempotency_key="k", sid="monday")
    assert spend(store, idempotency_key="k", sid="tuesday", submission_id="s2") == "s1"
    with pytest.raises(TokenSpent):
        spend(store, sid="monday", submission_id="s3")


def test_replays_are_never_accepted(store: SingleUse) -> None:
    """Sixty-four threads try few tokens again and again: each token is accepted once, whoever is first.

    Some try the sending that was accepted (its stored answer is given again), some another file, key or session.
    """
    tokens = [f"{number:032x}" for number in range(TRIES // 10)]
    start, counts = threading.Barrier(THREADS), [Counter[str]() for _ in range(THREADS)]

    def replay(thread: int) -> None:
        choice, counted = random.Random(thread), counts[thread]
        start.wait()
        for number in range(TRIES):
            fields = choice.choice([{}, {}, {"sha256": "b" * 64}, {"idempotency_key": "k"}, {"sid": "x"}])
            name = f"{thread:02d}-{number}"
            try:
                spent_for = spend(store, tokens[number % len(tokens)], submission_id=name, **fields)
            except TokenSpent:
                counted["refused"] += 1
            else:
                counted["accepted" if spent_for is None else "stored answer"] += 1

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(replay, range(THREADS)))
    total = sum(counts, Counter())
    print(f"{type(store).__name__}: {THREADS} threads x {TRIES} tries, {len(tokens)} tokens: {dict(total)}")
    assert total["accepted"] == len(tokens)
    assert total.total() == THREADS * TRIES
    assert total["stored answer"] > 0
    assert total["refused"] > 0


def test_memory_forgets_what_nobody_could_use_again() -> None:
    """Past expiry and grace a record goes; a younger one stays."""
    now = [1000.0]
    store = MemorySingleUse(clock=lambda: now[0])
    for number in range(999):
        spend(store, f"{number}", expires_at=1000 if number else 9999)
    now[0] = 1121.0
    spend(store, "the thousandth", expires_at=9999)
    assert spend(store, "1", expires_at=9999, submission_id="s2") is None
    assert spend(store, "0", submission_id="s2") == "s1"


@pytest.fixture
def on_redis(redis_server) -> Iterator[Callable]:
    from prelisten.hints.store import redis as module

    client = module.connect(redis_server.url)
    yield lambda **options: module.RedisSingleUse(client, **options)
    client.close()


def test_redis_keeps_a_record_until_nobody_could_use_the_token(redis_server, on_redis: Callable) -> None:
    """Expiry and two minutes, by Redis itself; nothing has to be swept."""
    import redis

    spend(on_redis(clock=lambda: 5000.0), expires_at=8600)
    with redis.Redis.from_url(redis_server.url) as client:
        (key,) = client.keys()
        assert 3_719_000 < client.pttl(key) <= 3_720_000


def test_redis_that_is_down_is_a_storage_error_and_comes_back(redis_server, on_redis: Callable) -> None:
    """Nobody can tell, and says so at once; when it is up again the same client works."""
    store = on_redis()
    redis_server.stop()
    for ask in (lambda: spend(store), store.ping):
        with pytest.raises(StorageError, match="PRELISTEN_REDIS_URL"):
            ask()
    redis_server.start()
    store.ping()
    assert spend(store) is None


@pytest.mark.parametrize("found", [b"", b"\xff", b"[]", b"{}", b'{"submission_id": 7}', b"null"])
def test_record_of_somebody_else_is_a_storage_error(redis_server, on_redis: Callable, found: bytes) -> None:
    """What stands there under our name and is not ours tells nothing."""
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        client.set("prelisten:spent:c1", found)
    with pytest.raises(StorageError):
        spend(on_redis())


def test_lost_answer_of_redis_is_no_duplicate(on_redis: Callable) -> None:
    """A client that asks again after a broken connection finds its own record, and has spent the token."""
    assert [spend(on_redis()), spend(on_redis())] == [None, None]
    with pytest.raises(TokenSpent):
        spend(on_redis(), sha256="b" * 64, submission_id="s2")
