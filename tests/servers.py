"""A real PostgreSQL and a real Redis for tests: a folder and a socket of their own, ended with the test run.

Neither listens on the network. Where the programs cannot be had, the tests that need them say so in the summary.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from prelisten.storage.sql import open_storage

START_S = 60.0
HOW = "`python3 build.py test` installs it as root on Debian and Ubuntu."


def find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest version's."""
    if found := os.environ.get("TEST_POSTGRES") or shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda path: float(path.parent.name), default=None)


def find_redis() -> str | None:
    return os.environ.get("TEST_REDIS") or shutil.which("redis-server")


def wait_until(is_ready, process: subprocess.Popen, log: Path) -> None:
    """Wait until a server answers; print its log when it died, or never does."""
    end = time.monotonic() + START_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"a server of the tests did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)


class Postgres:
    """A running PostgreSQL; `database` makes a new, empty database that is at the head of the migrations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._admin = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        self._template: str | None = None

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def is_ready(self) -> bool:
        try:
            with self._admin.connect():
                return True
        except Exception:
            return False

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def empty(self) -> str:
        """Return the address of a new database in which nothing is."""
        name = f"t{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        return self._url(name)

    def database(self) -> str:
        """Return the address of a new database with our tables: a copy of one that was migrated once."""
        if self._template is None:
            url = self.empty()
            open_storage(url).close()
            self._template = make_url(url).database
        name = f"t{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return self._url(name)

    def drop(self, url: str) -> None:
        self._run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def close(self) -> None:
        self._admin.dispose()


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run PostgreSQL, as the account `postgres` when we are root: it refuses to run as root."""
    programs = find_postgres()
    if programs is None:
        pytest.skip(f"NOTHING WAS TESTED ON POSTGRESQL: it is not installed. {HOW}")
    pytest.importorskip("psycopg", reason="NOTHING WAS TESTED ON POSTGRESQL: no psycopg (extra `postgres`).")
    account: dict[str, Any] = {}
    folder = Path(
        tempfile.mkdtemp(prefix="prelisten-pg-")
    )  # Short: a socket's path has about 100 characters.
    if os.geteuid() == 0:
        account = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    data, log = folder / "data", folder / "log"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        make = [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(make, cwd=folder, capture_output=True, text=True, **account)
        if made.returncode:
            pytest.fail(f"initdb failed:\n{made.stderr[-2000:]}")
        # Nothing of it outlives the tests: it need not reach the disk.
        settings = ["fsync=off", "synchronous_commit=off", "listen_addresses=", "max_connections=200"]
        options = [part for setting in settings for part in ("-c", setting)]
        run = [programs / "postgres", "-D", data, "-k", folder, *options]
        with log.open("wb") as out:
            process = subprocess.Popen(run, cwd=folder, stdout=out, stderr=out, **account)
        stack.callback(_end, process)
        server = Postgres(folder)
        stack.callback(server.close)
        wait_until(server.is_ready, process, log)
        yield server


class RedisServer:
    """A Redis that can be stopped and started again; it forgets everything then."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen | None = None
        self.url = f"unix://{self._socket}?db=0"

    def start(self) -> None:
        import redis

        log = self._folder / "log"
        place = ["--port", "0", "--unixsocket", str(self._socket), "--dir", str(self._folder)]
        run = [self._program, *place, "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        with log.open("wb") as out:
            self._process = subprocess.Popen(run, stdout=out, stderr=out)

        def is_ready() -> bool:
            with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
            return False

        wait_until(is_ready, self._process, log)

    def stop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None

    def flush(self) -> None:
        """Forget everything, for the next test."""
        import redis

        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run Redis."""
    program = find_redis()
    if program is None:
        pytest.skip(f"NOTHING WAS TESTED ON REDIS: it is not installed. {HOW}")
    pytest.importorskip("redis", reason="NOTHING WAS TESTED ON REDIS: no client (extra `redis`).")
    folder = Path(tempfile.mkdtemp(prefix="prelisten-redis-"))
    server = RedisServer(program, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _end(process: subprocess.Popen) -> None:
    """Ask a server to end at once (INT: PostgreSQL closes connections, Redis stops), then end it."""
    process.send_signal(2)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
