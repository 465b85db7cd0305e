"""`GET uploads/<id>/events`: a submission's way to its decision, as server-sent events.

A stream holds a thread of the web server for as long as it is open, so there are few of them, each is bounded in
time, and a page that gets none asks again and again instead. A stream says `status` at once and at every change,
a comment now and then (so that a reader who has gone is noticed), and ends with the decision.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Response, current_app, url_for

from prelisten.catalogue import ENGLISH
from prelisten.config import MAX_EVENT_STREAMS
from prelisten.errors import NotFoundError, PrelistenError, StorageError
from prelisten.pipeline import Services
from prelisten.routes.answers import answer, progress_of, require_there
from prelisten.routes.language import asked_language

# Read from the database; a person sees no difference below this.
POLL_S = 0.4
HEARTBEAT_S = 5.0
# Then the browser connects again by itself, if there is a place; nobody keeps one for good.
LONGEST_S = 60.0
RECONNECT_MS = 2_000
RETRY_AFTER_S = 10

_places = threading.BoundedSemaphore(MAX_EVENT_STREAMS)
_ending = threading.Event()


class NoStreamLeftError(PrelistenError):
    """Every place for a stream is taken; asking again and again works as well."""

    code = "no_stream_left"
    http_status = 503
    retry_after_s = RETRY_AFTER_S

    def __init__(self) -> None:
        """Say what to do instead."""
        super().__init__(
            f"All {MAX_EVENT_STREAMS} event streams are taken. Ask `uploads/<id>` every few seconds instead."
        )


def end_streams() -> None:
    """End every stream of this process soon: it has been told to stop."""
    _ending.set()


def read_status(
    submission_id: str, status_url: str, services: Services, *, language: str = ENGLISH
) -> dict[str, Any]:
    """Return where a submission is. Raises `NotFoundError`, `GoneError` and `StorageError`."""
    with services.storage.read() as tx:
        require_there(tx.submission(submission_id))
        decision = tx.decision(submission_id)
        progress = (
            None if decision else progress_of(services.engine.status(tx, submission_id), language=language)
        )
    return answer(submission_id, decision, status_url, progress, language=language)


def events(submission_id: str) -> Response:
    """Stream where a submission is, until it is decided."""
    status_url = url_for(".status", submission_id=submission_id)
    services = current_app.extensions["prelisten"].services
    read = partial(read_status, submission_id, status_url, services, language=asked_language())
    first = read()
    if not _places.acquire(blocking=False):
        raise NoStreamLeftError
    release = _once(_places.release)
    response = Response(stream(first, read), mimetype="text/event-stream")
    # Not at the generator's end: when nobody ever reads the first line it is not begun, and has no end.
    response.call_on_close(release)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = (
        "no"  # nginx would keep the events until there are enough of them.
    )
    return response


def stream(
    status: dict[str, Any], read: Callable[[], dict[str, Any]], *, longest_s: float = LONGEST_S
) -> Iterator[str]:
    """Yield the events: `status` first, then what `read` returns whenever it has changed."""
    end = time.monotonic() + longest_s
    yield f"retry: {RECONNECT_MS}\n\n{_event(status)}"
    said_at = time.monotonic()
    while status["state"] != "decided" and not _ending.wait(POLL_S) and time.monotonic() < end:
        try:
            before, status = status, read()
        except (StorageError, NotFoundError):
            return  # The page asks again, and is told then.
        if status != before:
            yield _event(status)
        elif time.monotonic() - said_at >= HEARTBEAT_S:
            yield ": still here\n\n"
        else:
            continue
        said_at = time.monotonic()


def _event(status: dict[str, Any]) -> str:
    return f"event: status\ndata: {json.dumps(status)}\n\n"


def _once(release: Callable[[], None]) -> Callable[[], None]:
    """Return what releases at its first call alone: servers may close a response twice."""
    left = threading.Lock()

    def release_once() -> None:
        if left.acquire(blocking=False):
            release()

    return release_once
