"""What tests of every folder may use: databases and stores, real ones; and that nothing outlives a test run."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import Postgres, RedisServer, running_postgres, running_redis

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


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


RUNS = pytest.StashKey[set[str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Note the mark that a process of the tests gives to all that it starts."""
    node.config.stash.setdefault(RUNS, set()).add(node.workerinput["testrunuid"])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """End what a process of the tests left behind when it was killed: no fixture of it can."""
    if error:
        run, worker = node.workerinput["testrunuid"], node.workerinput["workerid"]
        _end_marked(f"PYTEST_XDIST_TESTRUNUID={run}", f"PYTEST_XDIST_WORKER={worker}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what is left when the run was broken off."""
    for run in config.stash.get(RUNS, ()):
        _end_marked(f"PYTEST_XDIST_TESTRUNUID={run}")


def _end_marked(*marks: str) -> None:
    """Kill every process that was started with these variables; Linux tells, elsewhere nothing is done."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if {mark.encode() for mark in marks} <= set(path.read_bytes().split(b"\0")):
                print(f"\nleft behind by the tests, ended now: {_command(path.parent)}")
                os.kill(int(path.parent.name), signal.SIGKILL)


def _command(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:120]
