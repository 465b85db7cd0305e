"""Who is asking: the origin of a page, as the browser states it, or this server's own."""

from __future__ import annotations

from flask import Request


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
