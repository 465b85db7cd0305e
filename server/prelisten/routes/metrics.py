"""`GET /prelisten/v1/metrics`: for a token, or for this very machine asking directly."""

from __future__ import annotations

import hmac
import ipaddress

from flask import Request, Response, current_app, request

from prelisten.errors import NotFoundError
from prelisten.metrics import exposition
from prelisten.proxy import FORWARDED, FORWARDING_HEADERS


def metrics() -> Response:
    """Answer Prometheus. To everybody else there is nothing here.

    With a token set, the token decides alone. Without one only a request from a loopback address is answered, and
    only when nothing says that it was forwarded: a proxy on this machine must not open this to its visitors.
    """
    prelisten = current_app.extensions["prelisten"]
    if not _may_ask(request, prelisten.config.metrics_token):
        raise NotFoundError("There is nothing at this address.")
    prelisten.totals.flush()
    body, media_type = exposition(
        prelisten.services.storage,
        prelisten.config,
        lambda: prelisten.pressure.in_use,
        request.headers.get("Accept", ""),
    )
    return Response(body, content_type=media_type, headers={"Cache-Control": "no-store"})


def _may_ask(asked: Request, token: str) -> bool:
    if token:
        authorization = asked.authorization
        given = authorization.token if authorization and authorization.type == "bearer" else None
        return hmac.compare_digest((given or "").encode(), token.encode())
    return _is_direct(asked) and _is_loopback(asked.remote_addr) and _is_loopback(_host_of(asked))


def _is_direct(asked: Request) -> bool:
    """Tell whether nothing says that a proxy stood between; nginx by default speaks HTTP/1.0 to its upstream."""
    environ = asked.environ
    said = (FORWARDED, "werkzeug.proxy_fix.orig", *FORWARDING_HEADERS)
    return not any(name in environ for name in said) and environ.get("SERVER_PROTOCOL") != "HTTP/1.0"


def _host_of(asked: Request) -> str:
    host = asked.host.rsplit(":", 1)[0] if not asked.host.endswith("]") else asked.host
    return "127.0.0.1" if host == "localhost" else host.strip("[]")


def _is_loopback(text: str | None) -> bool:
    try:
        return ipaddress.ip_address(text or "").is_loopback
    except ValueError:
        return False
