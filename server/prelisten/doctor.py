"""`prelisten doctor`: what is missing or unsafe about a site, in plain words, each with what to do.

Nothing is changed and nothing is sent anywhere. Every remark is about something that was tried or read just now.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import resource
import shutil
import stat
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select

from prelisten.assets import bundled_detector, manifest, web_root
from prelisten.config import Config
from prelisten.engine.embedded import EmbeddedEngine
from prelisten.errors import PrelistenError, StorageError
from prelisten.keys import key_file, load_keys
from prelisten.media.listen import listen
from prelisten.media.sandbox import ABILITIES, abilities
from prelisten.policy import load_policy
from prelisten.proxy import read_trusted
from prelisten.storage.sql import SqlStorage, open_existing
from prelisten.storage.tables import submissions
from prelisten.wheels import listed_wheels
from prelisten.wiring import load_shadow_model, open_single_use

# A site of a day's uploads fits; past that one wants to hear of it before the disk is full.
LITTLE_SPACE_FACTOR = 4
MIN_OPEN_FILES = 1024
# What Python, the detector and the database take in a screening process, beside its decoder.
WORKER_BYTES = 400_000_000
# A clock that is earlier than this code is wrong.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
TIME_ERROR = 5  # From <sys/timex.h>: the clock is not synchronized.


class Level(StrEnum):
    """How bad it is. `better`: works, but not as it should in production; `unsafe`: broken, or open to harm."""

    OK = "ok"
    NOTE = "note"
    BETTER = "better"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was looked at: what was found, and what to do about it (empty when nothing)."""

    level: Level
    about: str
    found: str
    advice: str = ""


Look = Callable[[Config], Iterator[Remark]]


def examine(config: Config) -> Iterator[Remark]:
    """Look at everything, one after the other; a look that fails is a remark too, and the others go on."""
    for look in LOOKS:
        try:
            yield from look(config)
        except PrelistenError as error:
            yield Remark(Level.UNSAFE, _about(look), str(error))
        except OSError as error:
            yield Remark(
                Level.UNSAFE, _about(look), f"{error.filename or 'The system'}: {error.strerror or error}."
            )


def _about(look: Look) -> str:
    return look.__name__.strip("_").replace("_", " ")


def _data_folder(config: Config) -> Iterator[Remark]:
    folder = config.data
    if not folder.is_dir():
        yield Remark(
            Level.UNSAFE,
            "data folder",
            f"{folder} does not exist.",
            "`prelisten serve` makes it, or name it with --data.",
        )
        return
    mode, owner = stat.S_IMODE(folder.stat().st_mode), folder.stat().st_uid
    if mode & 0o077:
        yield Remark(
            Level.UNSAFE,
            "data folder",
            f"Others on this machine may look into {folder} (mode {mode:o}), where recordings lie.",
            f"chmod 700 {folder}",
        )
    if owner != os.geteuid():
        yield Remark(
            Level.NOTE,
            "data folder",
            f"{folder} belongs to another account than the one that asks (number {owner}).",
            "Run the doctor as the account that runs the server.",
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 4096)
        os.fsync(file.fileno())
    yield Remark(Level.OK, "data folder", f"{folder} can be written.")
    if os.geteuid() == 0:
        yield Remark(
            _for_production(config), "account", "This runs as root.", "Give the server an account of its own."
        )


def _signing_keys(config: Config) -> Iterator[Remark]:
    ring = load_keys(config).ring
    path = key_file(config)
    if not config.keys and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Remark(
            Level.UNSAFE,
            "keys",
            f"Others on this machine may read {path}.",
            f"chmod 600 {path}, then make new keys.",
        )
    else:
        yield Remark(Level.OK, "keys", f"{len(ring)} signing {'key' if len(ring) == 1 else 'keys'}.")


def _disk(config: Config) -> Iterator[Remark]:
    usage = shutil.disk_usage(config.data if config.data.is_dir() else config.data.parent)
    free = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB are free."
    wanted = config.min_free_bytes + config.max_upload_bytes
    if usage.free < wanted:
        yield Remark(
            Level.UNSAFE,
            "disk",
            free,
            "Uploads are refused: make room, or shorten PRELISTEN_KEEP_RECORDINGS_DAYS.",
        )
    elif usage.free < LITTLE_SPACE_FACTOR * wanted:
        yield Remark(Level.BETTER, "disk", free, "Make room before uploads have to be refused.")
    else:
        yield Remark(Level.OK, "disk", free)


def _database(config: Config) -> Iterator[Remark]:
    storage = open_existing(config.database_url)
    try:
        yield Remark(Level.OK, "database", "It is there, at the revision of this version.")
        yield from _workers(storage, config)
        yield from _clock(storage)
    finally:
        storage.close()


def _spent_hints(config: Config) -> Iterator[Remark]:
    """Look whether the store of spent hints is there, and whether it may forget what it must keep."""
    store = open_single_use(config)
    if store is None:
        return
    try:
        policy = store.forgets_by()
    except StorageError as error:
        yield Remark(
            Level.UNSAFE,
            "spent hints",
            str(error),
            "Until then hints count as none; recordings are screened fully.",
        )
        return
    finally:
        store.close()
    if policy is None:
        yield Remark(Level.OK, "spent hints", "Redis answers, and keeps its records.")
    else:
        yield Remark(
            Level.BETTER,
            "spent hints",
            f"When its memory is full, Redis throws records away ({policy}): such a hint can be used again.",
            "`maxmemory-policy noeviction`.",
        )


def _workers(storage: SqlStorage, config: Config) -> Iterator[Remark]:
    engine = EmbeddedEngine(storage)
    waiting = engine.queue_depth()
    if engine.has_live_worker():
        yield Remark(Level.OK, "screening", f"A screening process lives; {waiting} recordings wait.")
    elif waiting:
        yield Remark(
            Level.UNSAFE,
            "screening",
            f"No screening process lives, and {waiting} recordings wait.",
            "Start `prelisten serve`, or `prelisten worker`.",
        )
    else:
        yield Remark(
            Level.NOTE,
            "screening",
            "No screening process lives.",
            "`prelisten serve` starts them with the server.",
        )
    if waiting >= config.max_queue:
        yield Remark(
            Level.UNSAFE,
            "queue",
            "It is full; uploads are refused.",
            "More PRELISTEN_WORKERS, or a longer PRELISTEN_MAX_QUEUE.",
        )


def _clock(storage: SqlStorage) -> Iterator[Remark]:
    now = datetime.now(UTC)
    with storage.read() as tx:
        last = tx.connection.execute(
            select(submissions.c.received_at).order_by(submissions.c.received_at.desc()).limit(1)
        ).scalar()
    if now < EARLIEST or (last is not None and last > now + timedelta(seconds=5)):
        yield Remark(
            Level.UNSAFE,
            "clock",
            f"It says {now:%Y-%m-%d %H:%M} UTC, which is before {max(last or EARLIEST, EARLIEST):%Y-%m-%d %H:%M}.",
            "Set it, and let NTP keep it: hints expire by it.",
        )
    elif sys.platform == "linux" and _kernel_clock() == TIME_ERROR:
        yield Remark(Level.NOTE, "clock", "The kernel does not know it as synchronized.", "Let NTP keep it.")
    else:
        yield Remark(Level.OK, "clock", f"It says {now:%Y-%m-%d %H:%M} UTC.")


def _kernel_clock() -> int:
    """Ask the kernel by `adjtimex`, which changes nothing when all of its request is zero."""
    return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))


def _policy(config: Config) -> Iterator[Remark]:
    policy = load_policy(config.policy)
    yield Remark(Level.OK, "policy", f"{config.policy or 'The built-in one'} can be used ({policy.version}).")
    if config.shadow_policy is not None:
        load_policy(config.shadow_policy, status="shadow")
        yield Remark(Level.OK, "policy", f"{config.shadow_policy} is tried beside it.")
    if config.shadow_model is not None:
        tried = load_shadow_model(config.shadow_model, listed_wheels(config.extensions))
        yield Remark(Level.OK, "policy", f"The model {tried.detector} is tried: `prelisten model compare`.")


def _bundle(_: Config) -> Iterator[Remark]:
    detector, _sha256 = bundled_detector()
    lost = [name for name in manifest()["files"] if not (web_root() / name).is_file()]
    if lost:
        yield Remark(
            Level.UNSAFE,
            "widget",
            f"{len(lost)} of its files are missing, {lost[0]} first.",
            "Install the package again.",
        )
    else:
        yield Remark(Level.OK, "widget", f"Built, with the detector {detector}.")


def _decoding(config: Config) -> Iterator[Remark]:
    reached = abilities()
    for name, what in ABILITIES.items():
        if not reached.get(name):
            yield Remark(
                _for_production(config),
                "sandbox",
                f"The decoder runs without this: {what}.",
                "A newer kernel, or a container that allows it; decoding keeps its limits of memory and time.",
            )
    if all(reached.values()):
        yield Remark(Level.OK, "sandbox", "The decoder gives up everything that it can.")
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        with wave.open(file.name, "wb") as trial:
            trial.setparams((1, 2, 16_000, 0, "NONE", ""))
            trial.writeframes(bytes(32_000))
        start = time.monotonic()
        with listen(Path(file.name), config) as recording:
            n_samples = sum(samples.size for _, samples in recording.blocks())
    seconds = time.monotonic() - start
    if n_samples == 16_000:
        yield Remark(Level.OK, "decoding", f"A second of sound was decoded in {seconds:.1f} s.")
    else:
        yield Remark(
            Level.UNSAFE, "decoding", f"Of 16000 samples {n_samples} came back.", "Install the package again."
        )


def _machine(config: Config) -> Iterator[Remark]:
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if open_files < MIN_OPEN_FILES:
        yield Remark(
            Level.BETTER,
            "limits",
            f"A process may open {open_files} files.",
            f"Allow {MIN_OPEN_FILES} (`LimitNOFILE=`).",
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = config.workers * (WORKER_BYTES + config.decode_memory_bytes)
    if wanted > memory:
        yield Remark(
            Level.BETTER,
            "memory",
            f"{config.workers} screening processes may take {wanted / 1e9:.1f} GB; there are {memory / 1e9:.1f} GB.",
            "Fewer PRELISTEN_WORKERS, or more memory.",
        )


def _reached_from_outside(config: Config) -> Iterator[Remark]:
    """Look at what only matters where other people reach the site."""
    url = urlsplit(config.public_url)
    is_local = url.hostname in (None, "localhost") or _is_loopback(url.hostname or "")
    if config.env != "production":
        if not is_local:
            yield Remark(
                Level.UNSAFE,
                "env",
                f"PRELISTEN_ENV is {config.env}, and people reach {config.public_url}: API keys for tests work there.",
                "Leave PRELISTEN_ENV unset in production.",
            )
        return
    if not config.public_url:
        yield Remark(
            Level.BETTER,
            "address",
            "PRELISTEN_PUBLIC_URL is not set: the site answers under any name, and links name this machine.",
            "Set it to where people reach the site.",
        )
    elif url.scheme != "https" and not is_local:
        yield Remark(
            Level.UNSAFE,
            "TLS",
            f"{config.public_url} is not HTTPS: recordings and sessions travel in clear; no microphone for pages.",
            "Put a reverse proxy with a certificate in front; the production page has one for nginx.",
        )
    yield from _proxies(config, is_https=url.scheme == "https")
    if config.demo:
        yield Remark(
            Level.BETTER,
            "demo form",
            "Anybody may upload at `/`.",
            "PRELISTEN_DEMO=false, unless that is what the site is for.",
        )
    if not config.metrics_token and config.trusted_proxies:
        yield Remark(
            Level.NOTE,
            "metrics",
            "They are answered to this machine's loopback alone.",
            "PRELISTEN_METRICS_TOKEN opens them to a scraper.",
        )
    webhook = urlsplit(config.webhook_url)
    if webhook.scheme == "http" and not _is_loopback(webhook.hostname or ""):
        yield Remark(
            Level.BETTER,
            "webhooks",
            "They are sent in clear inside your network, and to a public address not at all.",
            "Receive them over HTTPS.",
        )


def _proxies(config: Config, *, is_https: bool) -> Iterator[Remark]:
    trusted = read_trusted(config.trusted_proxies)
    if is_https and not trusted:
        yield Remark(
            Level.UNSAFE,
            "proxy",
            "The site is reached over HTTPS, and no proxy is trusted: all visitors share one limit, pages' calls are "
            "taken for foreign ones, and cookies are not marked Secure.",
            "Set PRELISTEN_TRUSTED_PROXIES to the proxy's address, 127.0.0.1 for one on this machine.",
        )
    elif isinstance(trusted, int):
        yield Remark(
            Level.NOTE,
            "proxy",
            f"Every peer is believed to have gone through {trusted} proxies.",
            "Right only where nothing else reaches the port; addresses are safer.",
        )
    elif any(network.num_addresses > 1 << 24 and not network.is_private for network in trusted):
        yield Remark(
            Level.UNSAFE,
            "proxy",
            "A whole part of the Internet may state any address.",
            "Name the proxies alone.",
        )
    elif trusted:
        yield Remark(Level.OK, "proxy", f"Believed: {config.trusted_proxies}.")


def _for_production(config: Config) -> Level:
    return Level.BETTER if config.env == "production" else Level.NOTE


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


LOOKS: tuple[Look, ...] = (
    _data_folder,
    _signing_keys,
    _disk,
    _database,
    _spent_hints,
    _policy,
    _bundle,
    _decoding,
    _machine,
    _reached_from_outside,
)
