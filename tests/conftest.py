"""What tests of every folder may use: databases and stores, real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Postgres, RedisServer, running_postgres, running_redis


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL, one for all tests."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The address of a PostgreSQL database of the test's own, at the head of the migrations."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of the test's own, on each kind that the storage runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/prelisten.sqlite3"
    return request.getfixturevalue("postgres_url")


@pytest.fixture(scope="session")
def redis_running() -> Iterator[RedisServer]:
    """A running Redis, one for all tests."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_server(redis_running: RedisServer) -> Iterator[RedisServer]:
    """A running Redis in which nothing is; a test may stop it, and the next one finds it running."""
    redis_running.stop()
    redis_running.start()
    return redis_running
