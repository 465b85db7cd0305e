"""Every setting, in one typed place. A setting comes from a keyword or from `PRELISTEN_<NAME>`."""

from __future__ import annotations

import base64
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from prelisten.errors import ConfigError
from prelisten.proxy import read_trusted

PREFIX = "PRELISTEN_"
MIN_TOKEN_CHARACTERS = 16
# What no command ever prints.
SECRET_SETTINGS = {"keys", "metrics_token", "redis_url", "webhook_secret"}
# Of a burst of small uploads each takes some milliseconds: so many wait a moment for a place, and get one.
MAX_WAITING_FOR_PLACE = 16
# A stream of events holds a thread for as long as its page is open; past these, pages ask again and again.
MAX_EVENT_STREAMS = 8


class Config(BaseModel):
    """The settings. Unknown names are refused, so that a typing error cannot turn a limit off."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    env: Literal["production", "development", "test"] = Field(
        "production",
        description="What the site is for. Test API keys work only outside production, where new keys are test keys; "
        "`prelisten doctor` expects more of production.",
    )
    data: Path = Field(Path("data"), description="Folder for the database, the recordings and the keys.")
    keys: str = Field(
        "", description="The signing keys as JSON; empty: the file `keys.json` in the data folder."
    )
    demo: bool = Field(True, description="Serve the demonstration form at `/` (`prelisten serve` only).")
    workers: int = Field(1, ge=0, le=64, description="Screening processes to start; 0 starts none.")
    wait_s: float = Field(10.0, ge=0, le=60, description="How long an upload waits for its decision.")
    max_upload_bytes: int = Field(256_000_000, ge=1_000, description="The largest request body.")
    max_seconds: float = Field(120.0, ge=4, le=7200, description="The most audio analysed of one recording.")
    decode_timeout_s: float = Field(20.0, gt=0, le=600, description="Wall clock for decoding one recording.")
    decode_memory_bytes: int = Field(
        512_000_000, ge=256_000_000, description="Address space of the decoding child process."
    )
    policy: Path | None = Field(None, description="Policy file (YAML); empty: the built-in policy.")
    shadow_policy: Path | None = Field(
        None, description="Policy file that is tried beside it: its decisions are stored and not acted on."
    )
    shadow_model: Path | None = Field(
        None,
        description="Model file that is tried beside the server's own: its scores are stored and not acted on (see "
        "`prelisten model compare`).",
    )
    extensions: Path | None = Field(
        None,
        description="Folder of the wheels with signals of your own (see extensions.md); each must be installed here "
        "too. Empty: none.",
    )
    challenge_ttl_s: int = Field(900, ge=10, le=86_400, description="How long a challenge may be sealed.")
    token_ttl_s: int = Field(3600, ge=10, le=86_400, description="How long a sealed hint may be used.")
    detector_days: float = Field(
        14,
        ge=0,
        le=365,
        description="How long hints of an earlier release's browser detector count after it was last served: pages "
        "stay open across a deployment.",
    )
    redis_url: str = Field(
        "",
        description="Redis that remembers which hints were used and counts for the rate limits, for example "
        "`redis://127.0.0.1:6379/0` (needs the extra `redis`); empty: the database, and each process for itself.",
    )
    origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the API, comma-separated; the own one always may."
    )
    public_url: str = Field(
        "",
        description="Where people reach the site, for example `https://voice.example/check`: for links, its host "
        "for `trusted_hosts`, and its path for pages that a proxy serves below one.",
    )
    trusted_proxies: str = Field(
        "",
        description="Reverse proxies whose word about the client counts: their addresses and networks, "
        "comma-separated, or how many there are where nothing else reaches the port; empty: nobody's.",
    )
    trusted_hosts: tuple[str, ...] = Field(
        (),
        description="Names under which the site may be asked, comma-separated (`.example.org`: every name below "
        "it); empty: the host of `public_url`, and without one any.",
    )
    rate_limit: str = Field("60/minute", description="Challenges and seals for each client address.")
    upload_rate_limit: str = Field("600/minute", description="Uploads for each client address.")
    busy_upload_rate_limit: str = Field(
        "20/minute", description="The same while the queue is more than half full: nobody fills it alone."
    )
    metrics_token: str = Field(
        "",
        description="Token for `GET metrics`, of at least 16 characters; empty: only this machine's loopback may ask.",
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="How the log is written: for people, or a JSON object on each line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged; `debug` adds health checks and static files."
    )
    log_addresses: bool = Field(
        False,
        description="Log addresses of clients in clear, instead of a keyed digest that changes every day.",
    )
    api_rate_limit: str = Field("600/minute", description="Requests for each API key.")
    api_uploads_per_day: int = Field(
        0, ge=0, description="Uploads per day (UTC) for each API key without a quota of its own; 0: no limit."
    )
    api_key_required: bool = Field(
        False, description="Refuse `POST uploads` without an API key; the forms of pages are not affected."
    )
    max_queue: int = Field(
        1000,
        ge=1,
        description="Recordings that may wait for their screening; past it uploads are told to wait.",
    )
    web_threads: int = Field(96, ge=8, le=1000, description="Threads of the web process (`prelisten serve`).")
    max_receiving: int = Field(
        48, ge=1, description="Bodies of uploads received at once, in each web process."
    )
    max_receiving_per_client: int = Field(40, ge=1, description="Of those, the most from one client address.")
    max_verifying: int = Field(
        2,
        ge=1,
        le=64,
        description="Recordings that `POST verify` listens to at once, in each web process; others wait in line for "
        "`wait_s`, then are told to come back.",
    )
    max_waiting: int = Field(
        16,
        ge=0,
        description="Uploads that wait for their decision at once; past it they get `hold` immediately.",
    )
    min_upload_rate: int = Field(
        8_000,
        ge=0,
        description="Bytes per second that a sender must bring, over half a minute (`prelisten serve`).",
    )
    upload_timeout_s: float = Field(
        1800.0, gt=0, description="The longest that one body may take to arrive (`prelisten serve`)."
    )
    show: Literal["band", "score", "nothing"] = Field(
        "score", description="The most that a page may show of a hint; a page may only lower it."
    )
    webhook_url: str = Field("", description="Where events are sent (HTTPS); empty: nowhere.")
    webhook_secret: str = Field(
        "",
        description="Signs the events (`prelisten outbox secret`); with a space between, several.",
    )
    keep_recordings_days: float = Field(
        30,
        ge=0,
        le=36_500,
        description="Age at which the recording of a closed submission is removed; 0 keeps it.",
    )
    erase_after_days: float = Field(
        0,
        ge=0,
        le=36_500,
        description="Age at which all that is stored about a submission is erased; 0 keeps it.",
    )
    keep_events_days: float = Field(
        14, gt=0, le=3650, description="How long events that were sent, or given up, stay in the outbox."
    )
    max_data_bytes: int = Field(
        0, ge=0, description="Uploads are refused when the recordings would take more; 0 sets no such limit."
    )
    min_free_bytes: int = Field(
        500_000_000, ge=0, description="Uploads are refused when less than this would stay free on the disk."
    )

    @field_validator("data")
    @classmethod
    def _absolute(cls, data: Path) -> Path:
        """Make the folder's path absolute once: what reads it may count from another folder than this process."""
        return data.absolute()

    @field_validator("metrics_token")
    @classmethod
    def _long_token(cls, token: str) -> str:
        """Refuse what could be guessed."""
        if token and len(token) < MIN_TOKEN_CHARACTERS:
            raise ValueError(f"has {len(token)} characters; {MIN_TOKEN_CHARACTERS} random ones are the least")
        return token

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, text: str) -> str:
        """Refuse what is neither a number nor addresses."""
        try:
            read_trusted(text)
        except ValueError as error:
            raise ValueError(f"{error}; write for example `127.0.0.1, 10.0.0.0/8`, or `1`") from error
        return text

    @field_validator("public_url")
    @classmethod
    def _public(cls, url: str) -> str:
        """Take a plain address of a site, without the slash at its end."""
        parts = urlsplit(url)
        is_plain = parts.hostname and not (parts.username or parts.query or parts.fragment)
        if url and not (parts.scheme in ("http", "https") and is_plain):
            raise ValueError(
                "expected an address such as https://voice.example or https://voice.example/check"
            )
        return url.rstrip("/")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: str) -> str:
        """Take only what is plainly an address of a Redis; never show it, since it may hold a password."""
        if url and urlsplit(url).scheme not in ("redis", "rediss", "unix"):
            raise ValueError(
                "expected an address such as redis://127.0.0.1:6379/0, rediss://... or unix://..."
            )
        return url

    @field_validator("webhook_url")
    @classmethod
    def _address(cls, url: str) -> str:
        """Take only what is plainly an address of a web server."""
        parts = urlsplit(url)
        is_plain = parts.hostname and not (parts.username or parts.password or parts.fragment)
        if url and not (parts.scheme in ("http", "https") and is_plain):
            raise ValueError(
                "expected an address such as https://example.org/hook, without a name or password"
            )
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _secrets(cls, text: str, info: ValidationInfo) -> str:
        """Refuse an address without a secret, and a secret that is too short to be one."""
        if info.data.get("webhook_url") and not text.split():
            raise ValueError("events must be signed: make a secret with `prelisten outbox secret`")
        for secret in text.split():
            try:
                size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
            except ValueError:
                size = 0
            if not 24 <= size <= 64:
                raise ValueError(
                    "expected `whsec_` and 24 to 64 bytes in base64; `prelisten outbox secret` makes one"
                )
        return text

    @field_validator("rate_limit", "upload_rate_limit", "busy_upload_rate_limit", "api_rate_limit")
    @classmethod
    def _readable_rate(cls, rate: str) -> str:
        """Refuse at the start what would fail at the first request."""
        try:
            parse_many(rate)
        except ValueError as error:
            raise ValueError(f"{rate!r} is no rate; write for example `60/minute` or `1000/day`") from error
        return rate

    @model_validator(mode="after")
    def _leaves_threads(self) -> Config:
        """Refuse bounds under which uploads could hold every thread: then not even health would answer."""
        held = self.max_receiving + MAX_WAITING_FOR_PLACE + self.max_waiting + MAX_EVENT_STREAMS
        if held >= self.web_threads:
            raise ValueError(
                f"max_receiving, max_waiting and {MAX_WAITING_FOR_PLACE + MAX_EVENT_STREAMS} more can hold {held} "
                f"threads, but web_threads is {self.web_threads}: health and pages would wait for uploads"
            )
        return self

    @property
    def path_prefix(self) -> str:
        """The path below which people reach the site, without a slash at its end; empty at the root."""
        return urlsplit(self.public_url).path

    @property
    def known_hosts(self) -> list[str] | None:
        """The names under which the site may be asked, this machine's own included; `None`: any."""
        own = urlsplit(self.public_url).hostname
        hosts = self.trusted_hosts or ((own,) if own else ())
        return [*hosts, "localhost", "127.0.0.1", "[::1]"] if hosts else None

    @property
    def database_url(self) -> str:
        """The SQLite database inside the data folder, as SQLAlchemy writes it."""
        return f"sqlite:///{self.data / 'prelisten.sqlite3'}"

    def to_environ(self) -> dict[str, str]:
        """Return the settings as environment variables that `load_config` reads back to the same value."""
        return {
            PREFIX + name.upper(): ",".join(value) if isinstance(value, tuple) else str(value)
            for name, value in self
            if value is not None and value != ()
        }


def load_config(environ: Mapping[str, str] = os.environ, /, **settings: Any) -> Config:
    """Read the settings: keywords first, then the environment, then the defaults.

    Raises `ConfigError` that names every unknown or unfit setting.
    """
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if name.startswith(PREFIX):
            field = name.removeprefix(PREFIX).lower()
            is_list = (
                field in Config.model_fields and Config.model_fields[field].annotation == tuple[str, ...]
            )
            values[field] = tuple(filter(None, map(str.strip, text.split(",")))) if is_list else text
    values.update({name: value for name, value in settings.items() if value is not None})
    try:
        return Config(**values)
    except ValidationError as error:
        problems = " ".join(
            _problem(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()
        )
        raise ConfigError(f"{problems} `prelisten settings` lists every setting.") from error


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    """Return what is wrong with one setting, as a sentence that names it; never its value, which may be a secret."""
    name = str(place[0]) if place else ""
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, Config.model_fields, n=2, cutoff=0.6)
        meant = f" Did you mean {' or '.join(PREFIX + one.upper() for one in near)}?" if near else ""
        return f"{PREFIX}{name.upper()} is no setting.{meant}"
    said = message.removeprefix("Value error, ").rstrip(".")
    return f"{PREFIX}{name.upper()}: {said}." if name else f"{said}."
