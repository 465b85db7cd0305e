"""Another developer's application around the widget: any page, under the strict policy, and what was sent to it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from playwright.sync_api import Page
from werkzeug.serving import make_server

from prelisten import Prelisten
from prelisten.config import load_config
from prelisten.hints import verify
from prelisten.keys import ensure_keys
from prelisten.routes.client import page_origin

ACTION = "voice-upload"
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data:; media-src 'self' blob:"
)
SCRIPT = '<script type="module" src="/prelisten/v1/widget.js"></script>'
FORM = (
    '<form method="post" action="/take" enctype="multipart/form-data">{extra}'
    "<prelisten-check {attributes}>"
    '<input id="voice" type="file" name="voice" aria-label="Voice"></prelisten-check>'
    '<button id="send" name="how" value="plain">Send</button></form>'
)


def form_markup(attributes: str = 'test="clear"', extra: str = "") -> str:
    """Return a form with one element of these attributes, and more controls before it.

    By default in test mode: a token as good as any at once, without the runtime.
    """
    return FORM.format(attributes=attributes, extra=extra)


@dataclass(frozen=True, slots=True)
class Taken:
    """One form as it arrived: where, its text fields, SHA-256 of its files, what their tokens are worth."""

    path: str
    by_browser: bool
    fields: dict[str, str]
    files: dict[str, str]
    tokens: dict[str, str]


@dataclass
class OwnApp:
    """The application: `markup` is its page at `/`, `script` its `/own.js`; `taken` holds what was sent."""

    url: str
    prelisten: Prelisten
    markup: str = ""
    script: str = ""
    page: Page | None = None
    taken: list[Taken] = field(default_factory=list)
    # Of each form the fields with all their values.
    taken_lists: list[dict[str, list[str]]] = field(default_factory=list)
    app: Flask | None = None

    def wait_taken(self, count: int = 1, within_s: float = 30.0) -> Taken:
        """Return the last of `count` forms; fails when fewer or more have arrived."""
        end = time.monotonic() + within_s
        while len(self.taken) < count and time.monotonic() < end:
            assert self.page
            self.page.wait_for_timeout(50)  # A mere sleep would keep the browser's own events waiting.
        assert len(self.taken) == count, self.taken
        last = self.taken[-1]
        if self.page and last.by_browser:  # A context that is closed during a navigation may hang.
            self.page.wait_for_url(f"**{last.path}")
        return last

    def word_of(self, token: str, sha256: str) -> str:
        """Return the same outside of a request, for a page of this application."""
        assert self.app
        with self.app.test_request_context("/", base_url=self.url, headers={"Origin": self.url}):
            return self.state_of(token, sha256)

    def state_of(self, token: str | None, sha256: str) -> str:
        """Return what the server's own `verify` says of a token about a file."""
        services = self.prelisten.services
        return str(
            verify(
                token,
                sha256=sha256,
                action=ACTION,
                session=None,
                origin=page_origin(request),
                keys=services.keys,
                detectors=services.detectors,
                now=int(time.time()),
                with_tests=services.config.env != "production",
            ).token
        )


@contextmanager
def own_app(data: Path, **settings: Any) -> Iterator[OwnApp]:
    """Run the application on a free port; it verifies, and screens nothing."""
    config = load_config({}, data=data, workers=0, rate_limit="100000/minute", **settings)
    ensure_keys(config)
    app = Flask(__name__)
    prelisten = Prelisten(app, config)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    running = OwnApp(f"http://127.0.0.1:{server.port}", prelisten, app=app)

    @app.get("/")
    def page() -> Response:
        body = f'<!doctype html><html lang="en"><title>Own</title>{running.markup}</html>'
        return Response(body, headers={"Content-Security-Policy": PAGE_CSP}, mimetype="text/html")

    @app.get("/own.js")
    def script() -> Response:
        return Response(running.script, mimetype="text/javascript")

    @app.post("/take")
    @app.post("/elsewhere")
    @app.post("/submit")
    def take() -> str:
        files = {
            name: hashlib.sha256(file.read()).hexdigest()
            for name, file in request.files.items()
            if file.filename
        }
        tokens = {
            name: running.state_of(request.form.get(f"{name}-hint"), sha256) for name, sha256 in files.items()
        }
        running.taken_lists.append(request.form.to_dict(flat=False))
        by_browser = request.headers.get("Sec-Fetch-Mode") == "navigate"
        running.taken.append(Taken(request.path, by_browser, request.form.to_dict(), files, tokens))
        return "taken"

    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        prelisten.close()
