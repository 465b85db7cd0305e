"""Who is asking: the origin of a page, the address behind a request, and how to answer without reading its body."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

from flask import Request

from prelisten.sockets import PatientSocket

BLOCK_BYTES = 1 << 20
# A browser shows a broken connection, not our answer, when the server stops reading. Our own web process reads what
# still comes in one thread for all; elsewhere it is read here, within bounds, before the answer is given.
MAX_DRAINED_BYTES = 2_000_000_000
# Who has an IPv6 address has a whole network of them; this many leading bits name the customer.
IPV6_CUSTOMER_BITS = 64


def page_origin(request: Request) -> str:
    """Return the `Origin` header, else the origin that the request was sent to.

    Some privacy settings make a browser send the literal `null`; that is as good as no header.
    """
    stated = request.headers.get("Origin", "")
    return stated if stated and stated != "null" else request.host_url.rstrip("/")


def is_own_origin(request: Request) -> bool:
    """Tell whether the request comes from a page of this very server (or states no origin at all)."""
    is_foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
    return not is_foreign and page_origin(request) == request.host_url.rstrip("/")


def client_address(request: Request) -> str:
    """Return what limits count by: the address, of IPv6 the customer's network; `unknown` behind a Unix socket."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_CUSTOMER_BITS), strict=False))
    return str(address)


def leave_unread(
    request: Request, *, within_s: float = 5.0, clock: Callable[[], float] = time.monotonic
) -> None:
    """Give up the rest of the request's body in such a way that its sender still sees the answer."""
    connection = request.environ.get("gunicorn.socket")
    if isinstance(connection, PatientSocket):
        connection.close_after_answer()
        return
    stream, end = request.environ["wsgi.input"], clock() + within_s
    left = min(request.content_length or 0, MAX_DRAINED_BYTES)
    try:
        while left > 0 and clock() < end and (block := stream.read(min(left, BLOCK_BYTES))):
            left -= len(block)
    except OSError:
        return  # The sender has gone; there is nobody left to answer.
