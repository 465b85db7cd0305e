"""One line and one count for each request, and an id that its lines, its answer and its proxy share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Flask, Response, g, request

from prelisten.logs import client_field, logger, request_id
from prelisten.routes.client import client_address

if TYPE_CHECKING:
    from prelisten.pipeline import Services

HEADER = "X-Request-ID"
# Asked for again and again, by machines: their good answers are of no interest as lines, only as counts.
QUIET_VIEWS = {"health", "metrics", "widget", "bundle_file", "locale_file", "page_file", "status", "events"}

log = logger("prelisten.requests")


@dataclass(slots=True)
class _Begun:
    by: object
    id: str
    start: float


def refused(code: str) -> None:
    """Note why the current request is refused, for its line and its count; `code` is one of ours."""
    g.prelisten_code = code


def install(target: Flask | Blueprint, services: Services) -> None:
    """Log and count the requests of an application, or of a blueprint in somebody else's."""

    def begin() -> None:
        if "prelisten_request" not in g:
            stated = request.headers.get(HEADER, "")
            g.prelisten_request = _Begun(target, request_id(stated), time.monotonic())
            structlog.contextvars.bind_contextvars(request_id=g.prelisten_request.id)

    def end(response: Response) -> Response:
        begun: _Begun | None = g.get("prelisten_request")
        if begun is None or begun.by is not target:
            return response
        response.headers.setdefault(HEADER, begun.id)
        seconds, view = time.monotonic() - begun.start, _view()
        status = f"{response.status_code // 100}xx"
        code: str | None = g.get("prelisten_code")
        services.meter.count("requests", view=view, status=status)
        services.meter.observe("request_seconds", seconds, view=view)
        if code is not None:
            services.meter.count("refusals", code=code)
        is_quiet = view.rpartition(".")[2] in QUIET_VIEWS and response.status_code < 400
        write = log.debug if is_quiet else log.info
        write(
            "request",
            method=request.method,
            view=view,
            status=response.status_code,
            seconds=round(seconds, 4),
            bytes=request.content_length or 0,
            client=client_field(client_address(request), services.config, services.keys.digest),
            **({} if code is None else {"code": code}),
            **({"api_key": g.prelisten_api_key} if "prelisten_api_key" in g else {}),
        )
        return response

    def forget(_: BaseException | None) -> None:
        begun: _Begun | None = g.get("prelisten_request")
        if begun is not None and begun.by is target:
            structlog.contextvars.unbind_contextvars("request_id")

    target.before_request(begin)
    target.after_request(end)
    target.teardown_request(forget)


def _view() -> str:
    """Return the view's name: a word of ours, where a path may hold what a client made up."""
    return request.endpoint or "none"
