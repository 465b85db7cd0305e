"""`create_app`: the application behind `prelisten serve`, with the demonstration form and the review pages."""

from __future__ import annotations

from flask import Flask, Response, make_response, request
from werkzeug.exceptions import HTTPException, SecurityError

from prelisten.catalogue import catalogue, sentence
from prelisten.config import Config, load_config
from prelisten.errors import PrelistenError
from prelisten.extension import Prelisten, refusal
from prelisten.logs import set_up as set_up_logs
from prelisten.proxy import BehindProxies, read_trusted
from prelisten.routes import request_log
from prelisten.routes.answers import clock_text
from prelisten.routes.api import PREFIX, http_error
from prelisten.routes.demo import make_demo
from prelisten.routes.docs import make_docs
from prelisten.routes.language import add_to_templates, asked_language, spoken_page
from prelisten.routes.request_log import refused
from prelisten.routes.review import make_review

# What a page of ours may do. The widget needs nothing beyond it: WebAssembly is allowed in the worker's own
# response alone.
PAGE_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "connect-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Forms without a recording: a sign-in, an outcome with its note. An upload sets its own limit.
MAX_FORM_BYTES = 64_000
# What a program is told about these helps no person; the page has sentences of its own.
WAITING_CODES = {"rate_limited", "overloaded", "upload_too_slow"}
CODES = {
    404: "not_found",
    405: "not_allowed",
    413: "too_much",
    416: "no_such_range",
    429: "rate_limited",
    500: "internal_error",
}
PAGE_HEADERS = {
    "Content-Security-Policy": PAGE_CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # `no-referrer` would make browsers send `Origin: null` with a form.
    "Cross-Origin-Opener-Policy": "same-origin",
}


def create_app(config: Config | None = None) -> Flask:
    """Return the application. Without `config` the settings come from the environment."""
    config = load_config() if config is None else config
    app = Flask("prelisten", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    app.config["TRUSTED_HOSTS"] = config.known_hosts
    app.jinja_env.globals.update(clock=clock_text)
    add_to_templates(app)
    set_up_logs(config)
    prelisten = Prelisten(app, config)
    request_log.install(app, prelisten.services)
    if config.demo:
        app.register_blueprint(make_demo(prelisten))
        app.register_blueprint(make_docs())
    app.register_blueprint(make_review())
    app.after_request(_page_headers)
    app.register_error_handler(HTTPException, _error_page)
    app.register_error_handler(PrelistenError, _own_error_page)
    proxies = BehindProxies(
        app.wsgi_app, trusted=read_trusted(config.trusted_proxies), prefix=config.path_prefix
    )
    app.wsgi_app = proxies  # type: ignore[method-assign]  # As Flask's documentation has it.
    return app


def _page_headers(response: Response) -> Response:
    if response.mimetype == "text/html":
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
    return response


def _error_page(error: HTTPException) -> Response | HTTPException:
    """Answer a person with a page; the catalogue's sentence when it has one, else what the error says itself."""
    if error.code is None or error.code < 400:
        return error
    if isinstance(error, SecurityError):  # Under a foreign name there are no addresses to put on a page.
        return Response(sentence("error.unknown_host") + "\n", error.code, mimetype="text/plain")
    # No route, or no such method: the blueprint does not hear of these.
    if request.path.startswith(f"{PREFIX}/"):
        return make_response(http_error(error))
    code = getattr(error, "slug", CODES.get(error.code, "bad_request"))
    retry_after: int | None = getattr(error, "retry_after", None)
    refused(code)
    title = _sentence(f"error.{code}.title") or _sentence("error.bad_request.title")
    if hasattr(error, "slug") and code not in WAITING_CODES:
        message = error.description or ""
    else:
        seconds = {"seconds": retry_after or 60}
        message = sentence(f"error.{code}.message", seconds, language=asked_language())
    response = spoken_page(
        "error.html",
        status=error.code,
        name=title,
        message=message,
        may_retry=retry_after is not None and request.method == "POST",
    )
    response.status_code = error.code
    # What belongs to the status: Retry-After, Allow, Content-Range.
    response.headers.extend([pair for pair in error.get_headers() if pair[0] != "Content-Type"])
    return response


def _own_error_page(error: PrelistenError) -> Response | HTTPException:
    return _error_page(refusal(error))


def _sentence(key: str) -> str | None:
    return sentence(key, language=asked_language()) if key in catalogue() else None
