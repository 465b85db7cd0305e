"""The bench's own web server: static files with their brotli siblings, kept by the browser for ever, over a link
that may be slow. Browsers' own throttling does not reach what a worker fetches; this does."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WORKER_CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
PAGE_CSP = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src data:"
MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
PIECE_BYTES = 16 << 10


@dataclass(frozen=True)
class Link:
    """A line to the server: what it carries in a second, and how long a question and its answer travel."""

    name: str
    bits_per_s: float
    round_trip_s: float


LINKS = (Link("fast 4G, 9 Mbit/s, 60 ms", 9e6, 0.06), Link("slow 4G, 1.6 Mbit/s, 150 ms", 1.6e6, 0.15))


@dataclass(frozen=True)
class Sent:
    """One answer: the path asked for, its status, how it was encoded and the bytes of its body."""

    path: str
    status: int
    encoding: str
    n_bytes: int


@dataclass
class Files:
    """The folder that is served, what was sent of it, and the line that it is sent over."""

    root: Path
    url: str = ""
    sent: list[Sent] = field(default_factory=list)
    link: Link | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _free_at: float = 0.0

    def take_sent(self) -> list[Sent]:
        """Return what was sent since the last time."""
        taken, self.sent = self.sent, []
        return taken

    def wait_for_line(self, n_bytes: int) -> None:
        """Wait until the line, shared by all connections, has carried so many bytes."""
        if self.link is None:
            return
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + 8 * n_bytes / self.link.bits_per_s
            until = self._free_at
        time.sleep(max(0.0, until - time.monotonic()))


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answer GET with a file of the folder."""

    protocol_version = "HTTP/1.1"
    files: Files

    def setup(self) -> None:
        """Let a new connection cost its own round trip."""
        super().setup()
        if self.files.link:
            time.sleep(self.files.link.round_trip_s)

    def do_GET(self) -> None:
        """Send a file, by brotli where there is a sibling and the browser takes it."""
        path = self.path.partition("?")[0]
        file = self.files.root / path.lstrip("/")
        inside = file.resolve().is_relative_to(self.files.root.resolve())
        found = inside and file.is_file()
        sibling = Path(f"{file}.br")
        packed = found and "br" in self.headers.get("Accept-Encoding", "") and sibling.is_file()
        body = (sibling if packed else file).read_bytes() if found else b""
        self.files.sent.append(Sent(path, 200 if found else 404, "br" if packed else "", len(body)))
        if self.files.link:
            time.sleep(self.files.link.round_trip_s)
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", MEDIA_TYPES.get(file.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(body)))
        is_page = file.suffix == ".html"
        self.send_header("Content-Security-Policy", PAGE_CSP if is_page else WORKER_CSP)
        self.send_header("Cache-Control", "no-store" if is_page else "public, max-age=31536000, immutable")
        if packed:
            self.send_header("Content-Encoding", "br")
        self.end_headers()
        for start in range(0, len(body), PIECE_BYTES) if self.files.link else ():
            self.files.wait_for_line(PIECE_BYTES)
            self.wfile.write(body[start : start + PIECE_BYTES])
        if not self.files.link:
            self.wfile.write(body)

    def handle(self) -> None:
        """A visit that is over closes its connections, also in the midst of a file."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Keep the table readable."""


@contextlib.contextmanager
def serving(root: Path) -> Iterator[Files]:
    """Serve a folder on a free port of the loopback address until the block ends."""
    files = Files(root)
    handler = type("Handler", (_Handler,), {"files": files})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    files.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
