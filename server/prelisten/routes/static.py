"""The built widget over HTTP: precompressed where the browser takes it, immutable where the name has a hash."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, request, send_file

from prelisten.assets import web_root

# Python's own table differs between machines; these are what the browser must be told.
MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".zip": "application/zip",
}
# A worker obeys the policy of its own response. Only here may WebAssembly be compiled; the page needs no such leave.
WORKER_CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
IMMUTABLE = "public, max-age=31536000, immutable"
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


def register_static(blueprint: Blueprint) -> None:
    """Add the routes of the built files to a blueprint."""
    blueprint.get("/widget.js")(widget)
    blueprint.get("/b/<path:name>")(bundle_file)
    blueprint.get("/locales/<path:name>")(locale_file)
    blueprint.get("/pages/<path:name>")(page_file)


def widget() -> Response:
    """Serve the one script that a page names: never stale, cheap to ask for again."""
    return _serve("", "widget.js", cache="no-cache")


def bundle_file(name: str) -> Response:
    """Serve a hash-named file of the bundle for ever."""
    response = _serve("b", name, cache=IMMUTABLE)
    response.headers["Content-Security-Policy"] = WORKER_CSP
    return response


def serve_wheel(path: Path | None, name: str) -> Response:
    """Serve an operator's wheel from `path`; without one, the bundle's own of that name. Both for ever."""
    if path is None:
        return _serve("x", name, cache=IMMUTABLE)
    response = send_file(path, mimetype=MEDIA_TYPES[".whl"], conditional=False, etag=False)
    response.headers["Cache-Control"] = IMMUTABLE
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def locale_file(name: str) -> Response:
    """Serve a catalogue of sentences."""
    return _serve("locales", name, cache="no-cache")


def page_file(name: str) -> Response:
    """Serve the style sheet and the small scripts of our own pages."""
    return _serve("pages", name, cache="no-cache")


def _serve(folder: str, name: str, *, cache: str) -> Response:
    path = _find(folder, name)
    if path is None:
        abort(404)
    encoding, sent = _negotiate(path)
    etag = f"{sent.stat().st_mtime_ns:x}-{sent.stat().st_size:x}"
    if request.if_none_match.contains_weak(etag):
        response = Response(status=304)  # Decided here: `send_file` would open the file and leave it open.
        response.set_etag(etag)
    else:
        response = send_file(
            sent, mimetype=MEDIA_TYPES[path.suffix], conditional="Range" in request.headers, etag=etag
        )
    response.headers["Cache-Control"] = cache
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if encoding:
        response.headers["Content-Encoding"] = encoding
    return response


def _find(folder: str, name: str) -> Path | None:
    """Return the built file of that name, or `None`; a name may be anything at all."""
    root = (web_root() / folder).resolve()
    try:
        path = (root / name).resolve()
        is_ours = path.is_relative_to(root) and path.suffix in MEDIA_TYPES and path.is_file()
    except (OSError, ValueError):  # Too long a name, or a NUL inside.
        return None
    return path if is_ours else None


def _negotiate(path: Path) -> tuple[str | None, Path]:
    if "Range" not in request.headers:  # A range is about the file itself, never about its compressed form.
        for encoding, suffix in ENCODINGS:
            packed = path.with_name(path.name + suffix)
            if request.accept_encodings.quality(encoding) and packed.is_file():
                return encoding, packed
    return None, path
