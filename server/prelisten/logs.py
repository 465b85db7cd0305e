"""The log: one line for each request and for each screened submission, for programs (JSON) or for people.

It holds ids, codes and durations. File names, texts and addresses of people stay out of it; senders are told apart by
a keyed digest that changes every day, unless the operator asks for addresses. Every line of a request carries the
request's id.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from datetime import UTC, datetime
from typing import IO, Any

import structlog
from structlog.typing import Processor

from prelisten.config import Config

NAME = "prelisten"
# Long enough to be somebody's id, short enough for a line; nothing that could end a line or look like another field.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def logger(name: str) -> Any:
    """Return a structlog logger that ends in the standard library's `name`, wherever that leads.

    In somebody else's application its lines arrive as ordinary records with their fields as `extra`.
    """
    return structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
    )


def set_up(config: Config, stream: IO[str] | None = None) -> None:
    """Write the lines of this server's own processes to `stream` (standard error), as the settings ask."""
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    handler.set_name(NAME)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(config, out)],
        )
    )
    ours = logging.getLogger(NAME)
    for old in [old for old in ours.handlers if old.get_name() == NAME]:
        ours.removeHandler(old)
    ours.addHandler(handler)
    ours.setLevel(config.log_level.upper())


def _renderers(config: Config, out: IO[str]) -> list[Processor]:
    if config.log_format == "json":
        return [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(sort_keys=True)]
    return [structlog.dev.ConsoleRenderer(colors=out.isatty())]


def request_id(stated: str) -> str:
    """Return the id that a proxy or a caller gave, when it is a sane one, else a new one."""
    return stated if _REQUEST_ID.fullmatch(stated) else secrets.token_hex(16)


def client_field(address: str, config: Config, digest: Any) -> str:
    """Return what a line says about a sender: a digest of the day, or the address itself when that is asked for.

    `digest(purpose, text)` is keyed: nobody without the key can try all addresses.
    """
    if config.log_addresses:
        return address
    return str(digest("log-client", f"{datetime.now(UTC).date()}:{address}"))[:12]
