"""The server's services in a folder of their own, and an upload as the web server would leave it."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from prelisten.config import load_config
from prelisten.engine.embedded import EmbeddedEngine
from prelisten.engine.interface import Lease
from prelisten.hints import issue_challenge, seal
from prelisten.hints.store import SingleUse
from prelisten.keys import ensure_keys
from prelisten.pipeline import Services, receive, screen_submission
from prelisten.policy import load_policy
from prelisten.records import Context, Decision, Submission, Upload
from prelisten.storage.blobs import Blobs
from prelisten.storage.sql import open_storage

ORIGIN = "https://form.example"
DETECTOR = ("wd-test", "d" * 64)


def make_services(
    data: Path,
    *,
    lease_s: float = 30.0,
    database_url: str | None = None,
    single_use: SingleUse | None = None,
    **settings: Any,
) -> Services:
    """Return services on a real database (SQLite's, unless another one is named) and a real folder of blobs."""
    config = load_config({}, data=data, **settings)
    storage = open_storage(database_url or config.database_url)
    return Services(
        config=config,
        storage=storage,
        blobs=Blobs(data / "blobs"),
        engine=EmbeddedEngine(storage, lease_s=lease_s),
        policy=load_policy(config.policy),
        keys=ensure_keys(config),
        detectors=frozenset({DETECTOR}),
        single_use=single_use,
    )


def sealed_token(services: Services, content: bytes, *, session: str | None = None, **claimed: Any) -> str:
    """Return a good token about a file, whatever it claims (`band`, `q`, ...), for `quarantined`'s action."""
    now = int(time.time())
    text, challenge = issue_challenge(
        action="voice-upload",
        origin=ORIGIN,
        session=session,
        detectors={DETECTOR},
        keys=services.keys,
        now=now,
        ttl_s=900,
    )
    claim = {
        "v": 1,
        "cid": challenge.cid,
        "file": {"size": len(content), "type": "", "sha256": hashlib.sha256(content).hexdigest()},
        "det": {"id": DETECTOR[0], "sha256": DETECTOR[1]},
        "band": "clear",
        "q": 120,
        "reasons": [],
        "cov": {"analysed_ms": 4000, "total_ms": 4000},
        "exact": {},
        "near": {"seg": "", "stat": []},
        "env": {"decoder": "page", "rate": 16000},
        "t": {},
    }
    return seal(text, claim | claimed, origin=ORIGIN, keys=services.keys, now=now, ttl_s=3600)[0]


def quarantined(services: Services, content: bytes, **fields: Any) -> Upload:
    """Return an upload whose file lies in quarantine."""
    path = services.config.data / "quarantine" / secrets.token_hex(8)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    known = {"file_name": "voice.wav", "media_type": "audio/wav", "action": "voice-upload"}
    sha256 = hashlib.sha256(content).hexdigest()
    fields = fields | {"context": Context(fields.get("context", "feed"))}
    return Upload(path=str(path), sha256=sha256, size_bytes=len(content), **(known | fields))


def screened(services: Services, content: bytes, **fields: Any) -> tuple[Submission, Decision]:
    """Receive and screen, as the web server and a screening process would; return what is stored."""
    submission, _ = receive(quarantined(services, content, **fields), services)
    lease = services.engine.claim("test")
    if lease is None:
        raise LookupError("nothing was queued")
    screen_submission(submission.id, services, lease=lease)
    with services.storage.read() as tx:
        stored, decision = tx.submission(submission.id), tx.decision(submission.id)
    if stored is None or decision is None:
        raise LookupError("nothing was stored")
    return stored, decision


def lease_on(submission_id: str, **fields: Any) -> Lease:
    """Return a lease as an engine would give it."""
    return Lease(submission_id, "test", attempt=1, fence=1, cancelled=threading.Event(), **fields)
