"""Measure `POST verify` and what stands behind it.

    .venv/bin/python -m tests.bench.bench_verify [--tokens N] [--files N] [--seconds S] [--json FILE]

1. A token is checked in this process (`hints.verify`): signature, schema, and all that it must fit to.
2. The real server (`prelisten serve`) is asked over HTTP, one question after the other, each about a token of its own:
   by the SHA-256 alone. That is with the API key, the rate limit, and the transaction that spends the token.
3. The same with the recording: received, hashed, decoded, listened to, compared. Beside it, in the same run, plain
   SHA-256 of the same bytes.

Figures hold for this machine and this run; whatever else runs on it is in them.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import io
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from prelisten.config import load_config
from prelisten.hints import verify
from prelisten.keys import load_keys
from tests.browser.conftest import PRELISTEN, Server, start_server
from tests.integration.test_clients import ACTION, API, token_for
from tests.recordings import speech_like, wav_bytes

WIDE = "1000000/minute"
RATE = 16_000


def timed(what: Callable[[], object]) -> float:
    """Return how long it takes, in milliseconds."""
    start = time.perf_counter()
    what()
    return 1000 * (time.perf_counter() - start)


def spread(values_ms: list[float]) -> dict[str, float]:
    """Return the middle, the 95th of a hundred, and how many there are a second."""
    return {
        "p50_ms": round(statistics.median(values_ms), 3),
        "p95_ms": round(statistics.quantiles(values_ms, n=20)[-1], 3),
        "per_s": round(1000 * len(values_ms) / sum(values_ms), 1),
    }


def ask(connection: http.client.HTTPConnection, key: str, body: bytes, kind: str) -> dict:
    """Ask one question; fails unless the token is good."""
    headers = {"Content-Type": kind, "Authorization": f"Bearer {key}"}
    connection.request("POST", f"{API}/verify", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200 or not answer["success"] or answer["repeated"]:
        raise SystemExit(f"{response.status}: {answer}")
    return answer


def in_process(server: Server, token: str, sha256: str, n: int) -> dict[str, float]:
    """Time the check alone."""
    keys = load_keys(load_config({}, data=server.data))
    detector = json.loads(http_get(server, "challenge"))["detector"]
    fit = {"sha256": sha256, "action": ACTION, "session": None, "origin": None, "keys": keys}
    fit |= {"detectors": {(detector["id"], detector["sha256"])}, "now": int(time.time())}
    if verify(token, **fit).codes:
        raise SystemExit("the token is not good")
    return spread([timed(lambda: verify(token, **fit)) for _ in range(n)])


def http_get(server: Server, name: str) -> bytes:
    """Return the answer to a page's question."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", f"{API}/{name}", json.dumps({"action": ACTION}), headers)
    return connection.getresponse().read()


def measure(server: Server, key: str, *, n_tokens: int, n_files: int, seconds: float) -> dict:
    """Return all figures."""
    recording = wav_bytes(speech_like(seed=1, seconds=seconds, rate=RATE), rate=RATE)
    sha256 = hashlib.sha256(recording).hexdigest()
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    tokens = [token_for(server, recording) for _ in range(n_tokens + n_files)]
    by_sum = []
    for token in tokens[:n_tokens]:
        body = json.dumps({"response": token, "sha256": sha256, "action": ACTION}).encode()
        by_sum.append(timed(lambda body=body: ask(connection, key, body, "application/json")))
    with_file, sums, words = [], [], set()
    for token in tokens[n_tokens:]:
        file = FileStorage(io.BytesIO(recording), filename="a.wav")
        boundary, body = encode_multipart({"response": token, "action": ACTION, "file": file})
        kind = f'multipart/form-data; boundary="{boundary}"'
        with_file.append(
            timed(lambda body=body, kind=kind: words.add(ask(connection, key, body, kind)["recomputed"]))
        )
        sums.append(timed(lambda: hashlib.sha256(recording).hexdigest()))
    return {
        "recording_bytes": len(recording),
        "recording_s": seconds,
        "check": in_process(server, tokens[0], sha256, 20 * n_tokens),
        "by_sum": spread(by_sum),
        "with_file": spread(with_file) | {"recomputed": sorted(words)},
        "with_file_audio_s_per_s": round(1000 * seconds * len(with_file) / sum(with_file), 1),
        "sha256_alone": spread(sums),
    }


def main() -> None:
    """Run the server, measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = dict.fromkeys(("api_rate_limit", "upload_rate_limit"), WIDE)
        server = start_server(Path(folder) / "data", workers="0", **settings)
        make = [PRELISTEN, "keys", "api", "new", "bench", "--scope", "verify", "--data", server.data]
        key = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
        try:
            told = measure(server, key, n_tokens=chosen.tokens, n_files=chosen.files, seconds=chosen.seconds)
        finally:
            server.stop()
    told["load"] = [round(one, 1) for one in os.getloadavg()]
    text = json.dumps(told, indent=2)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
