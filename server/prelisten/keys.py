"""The signing keys: a small key ring with ids. The newest signs, every one still verifies; no key has a default.

Beside the ring stands the digest key. What is stored under its digests (sessions, API keys, sendings, entries of the
audit log) must be found again for ever, so it never changes: at the first rotation the oldest key takes that part for
good, and keeps it when the ring has dropped it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from prelisten.config import Config
from prelisten.errors import ConfigError
from prelisten.logs import logger

log = logger(__name__)

SECRET_BYTES = 32
FILE_NAME = "keys.json"
# Made outside production; what they sign is worth nothing there.
TEST_PREFIX = "test-"
# How often a running server looks whether the key file has changed; a key that it does not know makes it look at once.
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """One secret (at least 32 random bytes) and its public id (8 hex digits, `test-` before those of a test key)."""

    id: str
    secret: bytes = field(repr=False)
    created_at: int

    @classmethod
    def generate(cls, *, is_test: bool = False) -> Key:
        """Make a key from the system's random source."""
        key_id = (TEST_PREFIX if is_test else "") + secrets.token_hex(4)
        return cls(key_id, secrets.token_bytes(SECRET_BYTES), int(time.time()))

    @property
    def is_test(self) -> bool:
        """Return whether the key may be used outside production alone."""
        return self.id.startswith(TEST_PREFIX)


@dataclass(frozen=True)
class Keys:
    """A key ring, newest first. Never empty. `digest_key` is `None` until the first rotation: then the oldest is."""

    ring: tuple[Key, ...]
    digest_key: Key | None = None

    @property
    def signing(self) -> Key:
        """Return the key that signs."""
        return self.ring[0]

    def find(self, key_id: str) -> Key | None:
        """Return the key of that id, or `None`."""
        return next((key for key in self.ring if key.id == key_id), None)

    def digest(self, purpose: str, text: str) -> str:
        """Return HMAC-SHA256 of `text` under a key for `purpose`, in hex.

        The digest key is used, so that a rotation changes no digest that is already stored. Any text has a digest,
        also one with lone surrogates, as JSON may carry them.
        """
        return hmac.new(
            self.derive(purpose), text.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose (HMAC as the key derivation; one purpose never equals another)."""
        key = self.digest_key or self.ring[-1]
        return hmac.new(key.secret, b"prelisten." + purpose.encode(), hashlib.sha256).digest()

    def rotated(self, new: Key, *, replaced_until: int | None = None) -> Keys:
        """Return the ring with `new` as the key that signs, without those replaced at that time or before.

        A key was replaced when the next newer one was made; `replaced_until` is in seconds since 1970, `None` drops
        nothing. The digest key stays the same.
        """
        ring = (new, *self.ring)
        kept = tuple(
            key
            for newer, key in pairwise(ring)
            if replaced_until is None or newer.created_at > replaced_until
        )
        return Keys((new, *kept), self.digest_key or self.ring[-1])

    def to_json(self) -> str:
        """Return the key file's text."""
        text: dict[str, object] = {"version": 1, "keys": [_to_entry(key) for key in self.ring]}
        if self.digest_key is not None:
            text |= {"version": 2, "digest": _to_entry(self.digest_key)}
        return json.dumps(text, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Keys:
        """Read a key file's text. Raises `ConfigError` that names `source` and says what is wrong."""
        try:
            told = json.loads(text)
            ring = tuple(map(_from_entry, told["keys"]))
            digest_key = _from_entry(told["digest"]) if "digest" in told else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"{source} is no key file ({type(error).__name__}). `prelisten keys new` makes one."
            ) from error
        every = ring if digest_key is None else (*ring, digest_key)
        if not ring or any(len(key.secret) < SECRET_BYTES for key in every):
            raise ConfigError(
                f"{source} holds no key of at least {SECRET_BYTES} bytes: `prelisten keys new`."
            )
        if len({key.id for key in ring}) != len(ring):
            raise ConfigError(f"{source} holds two keys of one id; every id must be there once.")
        return Keys(ring, digest_key)


def _to_entry(key: Key) -> dict[str, str | int]:
    return {"id": key.id, "secret": base64.b64encode(key.secret).decode(), "created_at": key.created_at}


def _from_entry(entry: Any) -> Key:
    secret = base64.b64decode(entry["secret"], validate=True)
    return Key(str(entry["id"]), secret, int(entry["created_at"]))


class WatchedKeys(Keys):
    """The keys of the data folder, read again whenever their file has changed: a rotation needs no restart.

    A file that is gone or unfit by now changes nothing, and is told to the log.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._looked_at = time.monotonic()
        self._stamp = _stamp(key_file(config))
        self._now = load_keys(config)

    @property
    def ring(self) -> tuple[Key, ...]:
        """Return the ring as the file has it."""
        return self._fresh().ring

    @property
    def digest_key(self) -> Key | None:
        """Return the digest key as the file has it."""
        return self._fresh().digest_key

    def find(self, key_id: str) -> Key | None:
        """Return the key of that id; an unknown one may be a second old, made by another process."""
        found = self._fresh().find(key_id)
        return found if found is not None else self._fresh(at_once=True).find(key_id)

    def _fresh(self, *, at_once: bool = False) -> Keys:
        now = time.monotonic()
        if at_once or now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            stamp = _stamp(key_file(self._config))
            if stamp is not None and stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._now = load_keys(self._config)
                    log.info("keys changed", signing=self._now.signing.id, verifying=len(self._now.ring))
                except (ConfigError, OSError, UnicodeDecodeError) as error:
                    log.error("the key file cannot be used; the keys stay as they were", problem=str(error))
        return self._now


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    """Return what tells one content of the file, or one owner, from the next; writing it anew makes a new inode."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def key_file(config: Config) -> Path:
    """Return where the keys lie when they are not given by a setting."""
    return config.data / FILE_NAME


def load_keys(config: Config) -> Keys:
    """Read the keys from the setting `keys`, else from the data folder.

    Raises `ConfigError` without any, and in production with a test key among them.
    """
    keys = _read_keys(config)
    test_ids = [key.id for key in keys.ring if key.is_test]
    if config.env == "production" and test_ids:
        raise ConfigError(
            f"The keys of {config.data} hold the test key {test_ids[0]}, and this is production: run `prelisten keys "
            "new` in a data folder of its own, or set PRELISTEN_ENV to `test` or `development`."
        )
    return keys


def watch_keys(config: Config) -> Keys:
    """Read the keys like `load_keys`; those of a file are read again when it changes. For what runs for long."""
    return load_keys(config) if config.keys else WatchedKeys(config)


def rotate_keys(config: Config, *, drop_after_s: float | None = None) -> tuple[Keys, Keys]:
    """Make a new key that signs from now on; return the keys before and after. Earlier ones go on verifying.

    With `drop_after_s`, those that were replaced that many seconds ago or earlier are dropped: what they signed
    (hints, heads of the audit log) is then unknown. Raises `ConfigError` when there are no keys, or none in a file.
    """
    if config.keys:
        raise ConfigError(
            "The keys come from PRELISTEN_KEYS, which no command can change. Write its text to a `keys.json` in a "
            "folder of its own, rotate there (`--data`, with the variable unset), and set the variable to the new text."
        )
    with _one_at_a_time(key_file(config)):
        before = load_keys(config)
        new = Key.generate(is_test=config.env != "production")
        after = before.rotated(
            new, replaced_until=None if drop_after_s is None else int(new.created_at - drop_after_s)
        )
        write_keys(key_file(config), after, replace=True)
    return before, after


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a lock beside the key file: of two rotations at once each keeps the other's key."""
    if not path.is_file():
        yield  # Reading it says what is missing.
        return
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_keys(config: Config) -> Keys:
    if config.keys:
        return Keys.from_json(config.keys, source="PRELISTEN_KEYS")
    path = key_file(config)
    if not path.is_file():
        raise ConfigError(
            f"There are no signing keys: {path} does not exist. "
            f"Run `prelisten keys new --data {config.data}` once, or set PRELISTEN_DATA to the folder that has them."
        )
    return Keys.from_json(path.read_text(), source=str(path))


def ensure_keys(config: Config) -> Keys:
    """Read the keys, making the key file first when there is none (only `prelisten serve` does this)."""
    if not config.keys and not key_file(config).exists():
        first = Key.generate(is_test=config.env != "production")
        write_keys(key_file(config), Keys((first,)), replace=False)
    return load_keys(config)


def write_keys(path: Path, keys: Keys, *, replace: bool) -> None:
    """Write the key file with mode 0600, whole or not at all.

    With `replace=False` a file that is already there stays as it is, also when two processes start at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(keys.to_json())
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return
    finally:
        temporary.unlink(missing_ok=True)
