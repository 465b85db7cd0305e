"""API keys: what a key is worth, what is stored of it, and how its uploads are counted."""

from __future__ import annotations

import concurrent.futures
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from prelisten.access import ApiKeys, ForbiddenError, QuotaError, Scope, UnauthorizedError
from prelisten.errors import BadRequestError, NotFoundError
from prelisten.keys import Key, Keys
from prelisten.storage.sql import open_storage

KEYS = Keys((Key("00000001", b"k" * 32, 0),))


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 23, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def storage(database_url):
    opened = open_storage(database_url)
    yield opened
    opened.close()


@pytest.fixture
def api_keys(storage, clock):
    return ApiKeys(storage, KEYS, env="production", clock=clock)


def test_a_key_is_known_again(api_keys, clock):
    """What was made is found, with its scopes, and its use is remembered."""
    made, secret = api_keys.new("shop", [Scope.UPLOAD])
    found = api_keys.authenticate(secret)
    assert (found.id, found.name, found.scopes) == (made.id, "shop", {Scope.UPLOAD})
    assert api_keys.all()[0].last_used_at == clock.now


def test_the_database_holds_nothing_that_opens(api_keys, storage):
    """Neither the key nor a plain hash of it lies there, so that a stolen copy is worth nothing."""
    _, secret = api_keys.new("shop", [Scope.UPLOAD])
    with storage.read() as tx:
        row = " ".join(map(str, tx.connection.execute(text("SELECT * FROM api_keys")).one()))
    assert secret not in row
    assert secret.split("_", 3)[3] not in row
    elsewhere = ApiKeys(storage, Keys((Key("00000002", b"x" * 32, 0),)), env="production")
    with pytest.raises(UnauthorizedError):
        elsewhere.authenticate(secret)


@pytest.mark.parametrize(
    "spoil", [lambda s: s[:-1] + ("A" if s[-1] != "A" else "B"), lambda s: s.upper(), lambda s: ""]
)
def test_anything_else_is_no_key(api_keys, spoil):
    """One changed character is another key, which nobody made."""
    _, secret = api_keys.new("shop", [Scope.UPLOAD])
    with pytest.raises(UnauthorizedError):
        api_keys.authenticate(spoil(secret))


def test_revoked_is_the_end(api_keys):
    """A revoked key opens nothing, and revoking again changes nothing."""
    made, secret = api_keys.new("shop", [Scope.UPLOAD])
    api_keys.revoke(made.id)
    api_keys.revoke(made.id)
    with pytest.raises(UnauthorizedError, match="revoked"):
        api_keys.authenticate(secret)
    with pytest.raises(NotFoundError):
        api_keys.revoke("nothing")


def test_making_and_revoking_are_in_the_audit_log(api_keys, storage):
    """Who may upload is a fact that the log keeps."""
    made, _ = api_keys.new("shop", [Scope.UPLOAD])
    api_keys.revoke(made.id)
    with storage.read() as tx:
        kinds = [
            tuple(row) for row in tx.connection.execute(text("SELECT kind, subject FROM audit ORDER BY seq"))
        ]
    assert kinds == [("key_made", made.id), ("key_revoked", made.id)]


def test_test_keys_work_in_tests_alone(storage):
    """A key made while trying out is refused in production, in words that say why."""
    _, secret = ApiKeys(storage, KEYS, env="test").new("trial", [Scope.READ])
    assert secret.startswith("prelisten_test_")
    assert ApiKeys(storage, KEYS, env="development").authenticate(secret)
    with pytest.raises(UnauthorizedError, match="PRELISTEN_ENV"):
        ApiKeys(storage, KEYS, env="production").authenticate(secret)


def test_scope_is_asked_for(api_keys):
    """A key that may read may not upload."""
    made, _ = api_keys.new("reader", [Scope.READ])
    made.require(Scope.READ)
    with pytest.raises(ForbiddenError, match="upload"):
        made.require(Scope.UPLOAD)


@pytest.mark.parametrize(
    ("name", "scopes", "quota"),
    [("", [Scope.READ], None), ("a\nb", [Scope.READ], None), ("x", [], None), ("x", [Scope.READ], -1)],
)
def test_unfit_keys_are_not_made(api_keys, name, scopes, quota):
    """The message says what to give instead."""
    with pytest.raises(BadRequestError):
        api_keys.new(name, scopes, uploads_per_day=quota)


def test_quota_is_a_days_and_comes_back(api_keys, clock):
    """The third upload waits for midnight, of which the error knows; then it is taken."""
    made, _ = api_keys.new("shop", [Scope.UPLOAD], uploads_per_day=2)
    api_keys.spend_upload(made)
    api_keys.spend_upload(made)
    with pytest.raises(QuotaError) as refused:
        api_keys.spend_upload(made)
    assert refused.value.retry_after_s == 61
    api_keys.give_upload_back(made)
    api_keys.spend_upload(made)
    clock.now += timedelta(minutes=2)
    api_keys.spend_upload(made)
    assert api_keys.uploads_today(made.id) == 1


def test_quota_holds_under_concurrency(api_keys):
    """Forty threads, ten uploads: exactly ten are taken."""
    made, _ = api_keys.new("shop", [Scope.UPLOAD], uploads_per_day=10)

    def spend(_: int) -> bool:
        try:
            api_keys.spend_upload(made)
        except QuotaError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(spend, range(40))) == 10


def test_setting_counts_for_keys_without_a_quota(storage):
    """The operator's default binds, a key's own number stands over it, and 0 is no limit."""
    api_keys = ApiKeys(storage, KEYS, env="production", uploads_per_day=5)
    quotas = [
        api_keys.new("k", [Scope.UPLOAD], uploads_per_day=own)[0].uploads_per_day for own in (None, 7, 0)
    ]
    assert quotas == [5, 7, None]
