"""Measure a token: its check, what spending it adds in each store, and the hashing of the file that it is about.

    .venv/bin/python -m tests.bench.bench_hints [--tokens N] [--megabytes N] [--json FILE]

1. `hints.verify` alone, of tokens that are all different: signature, schema, and all that they must fit to.
2. Each store: the same, and the token spent there (memory, SQLite, PostgreSQL, Redis; the last two where they are
   installed). SQLite reaches the disk at each token, as in service; PostgreSQL and Redis here do not.
3. A file is received as in service (a form's stream to the disk, hashed on the way, flushed) and its token is checked.
   Beside it, in the same run, plain `hashlib` SHA-256 of the same bytes, and `hashlib` with writing and flushing.

Each figure is taken in rounds that take turns, so that other work on the machine meets all of them. Figures hold for
this machine and this run.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.test import EnvironBuilder, encode_multipart

from prelisten.hints import verify
from prelisten.hints.store import MemorySingleUse, SingleUse, SqlSingleUse
from prelisten.pipeline import Services
from prelisten.records import TokenState
from prelisten.routes.intake import FormFields, Intake
from prelisten.storage.blobs import flush_to_disk
from prelisten.storage.sql import open_storage
from tests.servers import running_postgres, running_redis
from tests.services import DETECTOR, ORIGIN, make_services, sealed_token

ROUNDS = 5
BLOCK_BYTES = 1 << 20


def timed(what: Callable[[], object]) -> float:
    """Return how long it takes, in seconds."""
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def spread(seconds: list[float]) -> dict[str, float]:
    """Return the middle and the 95th of a hundred, in milliseconds."""
    in_ms = [1000 * one for one in seconds]
    return {
        "p50_ms": round(statistics.median(in_ms), 3),
        "p95_ms": round(statistics.quantiles(in_ms, n=20)[-1], 3),
    }


def checked(services: Services, token: str, content: bytes, sha256: str | None = None) -> Any:
    """Return the check of a token that is good; fails for another one."""
    check = verify(
        token,
        sha256=sha256 or hashlib.sha256(content).hexdigest(),
        action="voice-upload",
        session=None,
        origin=ORIGIN,
        keys=services.keys,
        detectors={DETECTOR},
        now=int(time.time()),
    )
    if check.token is not TokenState.OK:
        raise SystemExit(f"the token is not good: {check}")
    return check


class InTransactions:
    """The database's store, each token in a transaction of its own."""

    def __init__(self, url: str) -> None:
        self.storage = open_storage(url)

    def consume(self, cid: str, **fields: Any) -> str | None:
        """Spend a token."""
        with self.storage.transaction() as tx:
            return SqlSingleUse(tx).consume(cid, **fields)


@contextlib.contextmanager
def stores(folder: Path) -> Iterator[dict[str, SingleUse]]:
    """Open every store that can be had."""
    with contextlib.ExitStack() as stack:
        found: dict[str, SingleUse] = {"memory": MemorySingleUse()}
        on_sqlite = InTransactions(f"sqlite:///{folder}/spent.sqlite3")
        stack.callback(on_sqlite.storage.close)
        found["sqlite"] = on_sqlite
        with contextlib.suppress(pytest.skip.Exception):
            on_postgres = InTransactions(stack.enter_context(running_postgres()).database())
            stack.callback(on_postgres.storage.close)
            found["postgresql"] = on_postgres
        with contextlib.suppress(pytest.skip.Exception):
            server = stack.enter_context(running_redis())
            from prelisten.hints.store.redis import RedisSingleUse, connect

            on_redis = RedisSingleUse(connect(server.url))
            stack.callback(on_redis.close)
            found["redis"] = on_redis
        yield found


def measure_tokens(services: Services, folder: Path, n_tokens: int) -> dict[str, Any]:
    """Time the check, and the check with the spending, in each store."""
    content = b"a recording"
    sha256 = hashlib.sha256(content).hexdigest()
    alone: list[float] = []
    with stores(folder) as found:
        spent: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(ROUNDS):
            tokens = [sealed_token(services, content) for _ in range(n_tokens // ROUNDS)]
            alone += [
                timed(lambda token=token: checked(services, token, content, sha256)) for token in tokens
            ]
            for name, store in found.items():

                def spend(token: str, store: SingleUse = store) -> None:
                    check = checked(services, token, content, sha256)
                    fields = {"idempotency_key": None, "sid": None, "submission_id": secrets.token_hex(16)}
                    if store.consume(check.cid, sha256=sha256, expires_at=check.expires_at, **fields):
                        raise SystemExit("the token was spent before")

                spent[name] += [timed(lambda token=token: spend(token)) for token in tokens]
    return {"check": spread(alone), **{f"check and {name}": spread(took) for name, took in spent.items()}}


def measure_files(services: Services, megabytes: int) -> dict[str, Any]:
    """Time how a file is received and checked, beside plain hashing of the same bytes."""
    content = secrets.token_bytes(megabytes * 1_000_000)
    token = sealed_token(services, content)
    boundary, body = encode_multipart(
        {"voice": FileStorage(io.BytesIO(content), filename="a.wav"), "voice-hint": token}
    )
    kind = f'multipart/form-data; boundary="{boundary}"'
    took: dict[str, list[float]] = {"received and checked": [], "written and hashed": [], "hashed": []}

    def receive() -> None:
        environ = EnvironBuilder(
            method="POST", input_stream=io.BytesIO(body), content_type=kind
        ).get_environ()
        environ["CONTENT_LENGTH"] = str(len(body))
        with Intake(Request(environ), services.config) as intake:
            upload = intake.upload(FormFields("voice"), action="voice-upload", origin=ORIGIN)
            flush_to_disk(Path(upload.path))
            checked(services, str(upload.token), content, upload.sha256)
            Path(upload.path).unlink()

    def write() -> None:
        digest, path = hashlib.sha256(), services.config.data / "plain"
        with path.open("wb") as file:
            for start in range(0, len(content), BLOCK_BYTES):
                block = content[start : start + BLOCK_BYTES]
                digest.update(block)
                file.write(block)
        flush_to_disk(path)
        path.unlink()

    for _ in range(ROUNDS):
        took["received and checked"].append(timed(receive))
        took["written and hashed"].append(timed(write))
        took["hashed"].append(timed(lambda: hashlib.sha256(content).hexdigest()))
    return {
        name: {
            "MB_per_s": round(megabytes / statistics.median(seconds)),
            "best_MB_per_s": round(megabytes / min(seconds)),
        }
        for name, seconds in took.items()
    }


def main() -> None:
    """Measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        services = make_services(Path(folder) / "data")
        told = {
            "tokens": chosen.tokens,
            "token": measure_tokens(services, Path(folder), chosen.tokens),
            "megabytes": chosen.megabytes,
            "file": measure_files(services, chosen.megabytes),
            "load": [round(one, 1) for one in os.getloadavg()],
        }
        services.storage.close()
    text = json.dumps(told, indent=2)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
