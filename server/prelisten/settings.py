"""The reference of every setting, made from `Config` itself, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from prelisten.config import PREFIX, SECRET_SETTINGS, Config, load_config

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "The site",
        ("env", "data", "keys", "public_url", "trusted_proxies", "trusted_hosts", "origins", "demo"),
    ),
    (
        "Screening",
        ("workers", "wait_s", "max_seconds", "decode_", "policy", "shadow_", "show", "extensions"),
    ),
    ("Hints", ("challenge_ttl_s", "token_ttl_s", "rate_limit", "detector_days", "redis_url")),
    ("Uploads and load", ("max_", "min_upload_rate", "upload_", "busy_", "web_threads")),
    ("Back ends", ("api_", "webhook_")),
    ("Keeping and erasing", ("keep_", "erase_", "max_data_bytes", "min_free_bytes")),
    ("Watching", ("metrics_token", "log_")),
)
OTHER = "More"
# The defaults as a `Config` has them: a folder becomes absolute.
DEFAULTS_READ = {name: value for name, value in load_config({})}  # noqa: C416 - `dict` would call our field `keys`.
SECONDS_NOTE = "Names that end in `_s` are seconds, `_bytes` bytes."
HEAD = f"""# Settings

Every setting is an environment variable, `{PREFIX}` and its name in capitals, or a keyword of
`Prelisten(app, ...)` under its name in small letters. An unknown `{PREFIX}...` stops the start and is named: a typing
error cannot turn a limit off. Lists are comma-separated. {SECONDS_NOTE}
`prelisten settings` prints what is in force.

This page is made by `prelisten settings --markdown`.
"""


def reference() -> str:
    """Return the reference page, in Markdown."""
    return HEAD + "".join(_section(title, names) for title, names in grouped())


def grouped() -> Iterator[tuple[str, list[str]]]:
    """Yield (title, names) for each group; a setting that no group names comes last, never nowhere."""
    left = list(Config.model_fields)
    for title, patterns in GROUPS:
        names = [name for pattern in patterns for name in Config.model_fields if _is_in(name, pattern)]
        names = [name for name in dict.fromkeys(names) if name in left and _group_of(name) == title]
        left = [name for name in left if name not in names]
        yield title, names
    if left:
        yield OTHER, left


def _is_in(name: str, pattern: str) -> bool:
    return name.startswith(pattern) if pattern.endswith("_") else name == pattern


def _group_of(name: str) -> str:
    """Return the title of the group that names the setting most exactly."""
    found = [
        (not pattern.endswith("_"), title)
        for title, patterns in GROUPS
        for pattern in patterns
        if _is_in(name, pattern)
    ]
    return max(found)[1] if found else OTHER


def values_in_force(config: Config, environ: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, value as text, whether it differs from the default); secrets show only that they are set."""
    for _, names in grouped():
        for name in names:
            value = getattr(config, name)
            is_set = f"{PREFIX}{name.upper()}" in environ or value not in (
                _default(name),
                DEFAULTS_READ[name],
            )
            shown = "(set)" if name in SECRET_SETTINGS and value else _text(value)
            yield name, shown, is_set


def _section(title: str, names: list[str]) -> str:
    lines = [f"\n## {title}\n", "| setting | default | what it is |", "|---|---|---|"]
    for name in names:
        field = Config.model_fields[name]
        what = (field.description or "").replace("|", "\\|")
        lines.append(
            f"| `{PREFIX}{name.upper()}` | {_shown(_default(name))} | {what} {_kind(field)}".rstrip() + " |"
        )
    return "\n".join(lines) + "\n"


def _default(name: str) -> object:
    return Config.model_fields[name].default


def _shown(value: object) -> str:
    text = _text(value)
    return f"`{text}`" if text else ""


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def _kind(field: FieldInfo) -> str:
    """Return what may be given: the words of a choice, or a number's bounds; empty for text."""
    kinds = [kind for kind in _kinds(field.annotation) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return "One of " + ", ".join(f"`{word}`" for word in get_args(field.annotation)) + "."
    if bool in kinds:
        return "`true` or `false`."
    if kinds in ([int], [float]):
        number = "A whole number" if kinds == [int] else "A number"
        return f"{number}{_bounds(field)}."
    return "A file or folder." if kinds == [Path] else ""


def _kinds(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, type(int | None)) else (annotation,)


def _bounds(field: FieldInfo) -> str:
    least = next((f"from {m.ge}" for m in field.metadata if isinstance(m, Ge)), "")
    above = next((f"above {m.gt}" for m in field.metadata if isinstance(m, Gt)), "")
    most = next((f"to {m.le}" for m in field.metadata if isinstance(m, Le)), "")
    below = next((f"below {m.lt}" for m in field.metadata if isinstance(m, Lt)), "")
    said = " ".join(filter(None, (least, above, most, below)))
    return f" {said}" if said else ""
