"""Load the server with what it can take, and with twice as much: who is told to wait, and what became of the rest.

    .venv/bin/python -m tests.bench.bench_load [--seconds N] [--clip-s N] [--workers N] [--max-queue N] [--json FILE]

1. How many recordings a second the screening processes decide is measured: a short queue is filled and drained.
2. Senders come at 0.8 and at 2.0 times that rate, whether or not earlier ones were answered, from 40 addresses of
   this machine (127.0.1.x), each over a connection of its own. Nobody obeys `Retry-After`: that is the worst case.
3. Afterwards everything that was taken must be decided. When it was, is read from the server, by id.

Loopback only, bounded in time, ends by itself. Figures hold for this machine and this run.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.browser.conftest import PRELISTEN, Server, start_server
from tests.recordings import speech_like, wav_bytes

API = "/prelisten/v1"
N_ADDRESSES = 40
N_CLIPS = 12
MAX_SENDERS = 200
HEALTH_EVERY_S = 0.25
# The longest that is waited for the queue to become empty, against the time that its length predicts.
DRAIN_FACTOR, DRAIN_LEAST_S = 4.0, 60.0


@dataclass(frozen=True)
class Sent:
    """What one sender got: HTTP status, seconds to the answer, `Retry-After`, and the submission's id."""

    status: int
    seconds: float
    retry_after_s: int | None
    id: str | None


@dataclass
class Load:
    """One load and what came of it. Times in seconds: p50 and p95."""

    factor: float
    offered_per_s: float
    sent: int
    statuses: dict[str, int]
    broken: int
    taken: int
    decided: int
    decisions: dict[str, int]
    taken_answer_s: list[float]
    refused_answer_s: list[float]
    decision_s: list[float]
    health_s: list[float]
    retry_after_s: list[int] = field(default_factory=list)


class Site:
    """A running server, asked as a back end with a key."""

    def __init__(self, server: Server, secret: str) -> None:
        self.host, self.port = urlsplit(server.url).hostname or "", urlsplit(server.url).port or 0
        self._key = {"Authorization": f"Bearer {secret}"}

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask once, over a connection of its own."""
        with closing(
            http.client.HTTPConnection(self.host, self.port, timeout=120, source_address=(source, 0))
        ) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, f"{API}{path}", body, named)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def send(self, body: bytes, number: int) -> Sent:
        """Send a recording as the visitor of that number; status 0 for a connection that broke."""
        start = time.monotonic()
        try:
            status, headers, text = self.ask(
                "POST",
                "/uploads",
                body,
                source=f"127.0.1.{1 + number % N_ADDRESSES}",
                Content_Type="multipart/form-data; boundary=b",
            )
        except OSError:
            return Sent(0, time.monotonic() - start, None, None)
        retry_after = headers.get("Retry-After")
        submission_id = json.loads(text)["id"] if status in (201, 202) else None
        return Sent(
            status, time.monotonic() - start, int(retry_after) if retry_after else None, submission_id
        )

    def waiting(self) -> int:
        """Return how many recordings are not decided."""
        return int(json.loads(self.ask("GET", "/health")[2])["waiting"])

    def drain(self, timeout_s: float) -> float:
        """Wait until nothing waits; return how long that took. Raises `TimeoutError`."""
        start = time.monotonic()
        while self.waiting():
            if time.monotonic() - start > timeout_s:
                raise TimeoutError(f"the queue was not empty after {timeout_s:.0f} s")
            time.sleep(0.1)
        return time.monotonic() - start

    def record(self, submission_id: str) -> dict[str, Any]:
        """Return what a back end may read of a submission."""
        answer: dict[str, Any] = json.loads(self.ask("GET", f"/uploads/{submission_id}", **self._key)[2])
        return answer


def form(clip: bytes) -> bytes:
    """Return the body of an upload."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return head + clip + b"\r\n--b--\r\n"


def capacity(site: Site, bodies: Sequence[bytes], n_recordings: int) -> float:
    """Return how many recordings a second are decided while some always wait."""
    for number in range(2):  # The first ones start the decoders' imports.
        site.send(bodies[number], number)
    site.drain(DRAIN_LEAST_S)
    with ThreadPoolExecutor(8) as pool:
        start = time.monotonic()
        list(pool.map(lambda number: site.send(bodies[number % len(bodies)], number), range(n_recordings)))
    site.drain(DRAIN_LEAST_S * 2)
    return n_recordings / (time.monotonic() - start)


def load(
    site: Site, bodies: Sequence[bytes], *, factor: float, per_s: float, seconds: float, max_queue: int
) -> Load:
    """Send at a steady rate for some seconds, ask health meanwhile, then wait for everything that was taken."""
    offered, ended, health_s = factor * per_s, threading.Event(), []

    def watch() -> None:
        while not ended.wait(HEALTH_EVERY_S):
            start = time.monotonic()
            site.waiting()
            health_s.append(time.monotonic() - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    n_sent = max(1, int(offered * seconds))
    with ThreadPoolExecutor(MAX_SENDERS) as pool:
        start, futures = time.monotonic(), []
        for number in range(n_sent):
            time.sleep(max(0.0, start + number / offered - time.monotonic()))
            futures.append(pool.submit(site.send, bodies[number % len(bodies)], number))
        sent = [future.result() for future in futures]
    ended.set()
    watcher.join()
    site.drain(max(DRAIN_LEAST_S, DRAIN_FACTOR * max_queue / per_s))
    return _came_of(site, sent, factor=factor, offered=offered, health_s=health_s)


def _came_of(
    site: Site, sent: Sequence[Sent], *, factor: float, offered: float, health_s: list[float]
) -> Load:
    taken = [one for one in sent if one.id]
    records = [site.record(one.id) for one in taken if one.id]
    decided = [record for record in records if record["state"] == "decided"]
    return Load(
        factor=factor,
        offered_per_s=round(offered, 2),
        sent=len(sent),
        statuses=dict(sorted(Counter(str(one.status) for one in sent).items())),
        broken=sum(one.status == 0 for one in sent),
        taken=len(taken),
        decided=len(decided),
        decisions=dict(Counter(record["decision"] for record in decided)),
        taken_answer_s=quantiles([one.seconds for one in taken]),
        refused_answer_s=quantiles([one.seconds for one in sent if one.status in (429, 503)]),
        decision_s=quantiles([_seconds(record) for record in decided]),
        health_s=quantiles(health_s),
        retry_after_s=sorted({one.retry_after_s for one in sent if one.retry_after_s is not None}),
    )


def _seconds(record: dict[str, Any]) -> float:
    received, decided = (datetime.fromisoformat(record[name]) for name in ("received_at", "decided_at"))
    return (decided - received).total_seconds()


def quantiles(values: Sequence[float]) -> list[float]:
    """Return p50 and p95; empty without values."""
    if len(values) < 2:
        return [round(value, 3) for value in values]
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return [round(cuts[9], 3), round(cuts[18], 3)]


def measure(folder: Path, *, seconds: float, clip_s: float, workers: int, max_queue: int) -> dict[str, Any]:
    """Run the whole measurement on a server of its own."""
    bodies = [form(wav_bytes(speech_like(clip_s, seed=seed))) for seed in range(N_CLIPS)]
    server = start_server(
        folder / "data", workers=str(workers), wait_s="0", max_queue=str(max_queue), log_level="warning"
    )
    try:
        command = [
            str(PRELISTEN),
            "keys",
            "api",
            "new",
            "load",
            "--scope",
            "read",
            "--data",
            str(server.data),
        ]
        secret = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        site = Site(server, secret)
        per_s = capacity(site, bodies, n_recordings=min(max_queue, 6 * workers + 6))
        loads = [
            load(site, bodies, factor=factor, per_s=per_s, seconds=seconds, max_queue=max_queue)
            for factor in (0.8, 2.0)
        ]
    finally:
        server.stop()
    return {
        "clip_s": clip_s,
        "clip_bytes": len(bodies[0]),
        "workers": workers,
        "max_queue": max_queue,
        "capacity_per_s": round(per_s, 2),
        "loads": [asdict(one) for one in loads],
    }


def main() -> int:
    """Measure and print; exit 1 when something that was taken was not decided, or a connection broke."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each load lasts")
    parser.add_argument("--clip-s", type=float, default=30.0, help="length of a recording")
    parser.add_argument("--workers", type=int, default=2, help="screening processes")
    parser.add_argument("--max-queue", type=int, default=30, help="recordings that may wait")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(
            Path(folder),
            seconds=arguments.seconds,
            clip_s=arguments.clip_s,
            workers=arguments.workers,
            max_queue=arguments.max_queue,
        )
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    is_whole = all(one["taken"] == one["decided"] and not one["broken"] for one in result["loads"])
    return 0 if is_whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
