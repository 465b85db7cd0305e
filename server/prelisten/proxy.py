"""Behind a reverse proxy: whose word counts for who is asking, and under which path the site is reached."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What a proxy says about the client. Whoever is no trusted proxy may say it too, and is not heard.
FORWARDING_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)
# Set in the environ of a request that somebody forwarded, or that says so.
FORWARDED = "prelisten.forwarded"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_trusted(text: str) -> int | tuple[Network, ...]:
    """Read the setting: a number of proxies, or their addresses and networks. Raises `ValueError`."""
    parts = text.replace(",", " ").split()
    if len(parts) == 1 and parts[0].isdigit():
        return int(parts[0])
    return tuple(ipaddress.ip_network(part, strict=False) for part in parts)


class BehindProxies:
    """WSGI middleware: take the client's address and the scheme from trusted proxies, and from nobody else.

    With addresses, a request counts as forwarded when its peer is one of them; `X-Forwarded-For` is then read
    from its end, over every further trusted proxy, to the first address that is none. With a number, every peer
    is trusted to have gone through so many proxies, which is right only where nothing else reaches the port.
    The host and the path are never taken from such headers: a proxy that does not set them would pass on what
    anybody sends. The path is `prefix`, which the proxy takes off.
    """

    def __init__(self, app: WSGIApplication, *, trusted: int | tuple[Network, ...], prefix: str = "") -> None:
        self._app = app
        self._trusted = trusted
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        n_hops = self._hops(environ)
        said = {name: environ.pop(name) for name in FORWARDING_HEADERS if name in environ}
        if said or n_hops:
            environ[FORWARDED] = True
        if self._prefix:
            environ["SCRIPT_NAME"] = self._prefix
        if not n_hops:
            return self._app(environ, start_response)
        for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"):
            if name in said:
                environ[name] = said[name]
        if environ.get("HTTP_X_FORWARDED_PROTO", "http").rpartition(",")[2].strip() not in ("http", "https"):
            del environ["HTTP_X_FORWARDED_PROTO"]
        return ProxyFix(self._app, x_for=n_hops, x_proto=1, x_host=0)(environ, start_response)

    def _hops(self, environ: WSGIEnvironment) -> int:
        """Return how many trusted proxies the request came through."""
        if isinstance(self._trusted, int):
            return self._trusted
        if not self._is_trusted(environ.get("REMOTE_ADDR", "")):
            return 0
        stated = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
        n_hops = 1
        while n_hops < len(stated) and self._is_trusted(stated[-n_hops]):
            n_hops += 1
        return n_hops

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        networks = () if isinstance(self._trusted, int) else self._trusted
        return any(address.version == network.version and address in network for network in networks)
