"""The signing keys: a small key ring with ids. The newest signs, every one still verifies; no key has a default."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from prelisten.config import Config
from prelisten.errors import ConfigError

SECRET_BYTES = 32
FILE_NAME = "keys.json"
# Made outside production; what they sign is worth nothing there.
TEST_PREFIX = "test-"


@dataclass(frozen=True, slots=True)
class Key:
    """One secret (at least 32 random bytes) and its public id (8 hex digits, `test-` before those of a test key)."""

    id: str
    secret: bytes
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


@dataclass(frozen=True, slots=True)
class Keys:
    """A key ring, newest first. Never empty."""

    ring: tuple[Key, ...]

    @property
    def signing(self) -> Key:
        """Return the key that signs."""
        return self.ring[0]

    def find(self, key_id: str) -> Key | None:
        """Return the key of that id, or `None`."""
        return next((key for key in self.ring if key.id == key_id), None)

    def digest(self, purpose: str, text: str) -> str:
        """Return HMAC-SHA256 of `text` under a key for `purpose`, in hex.

        The oldest key is used, so that a rotation changes no digest that is already stored.
        """
        return hmac.new(self.derive(purpose), text.encode(), hashlib.sha256).hexdigest()

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose (HMAC as the key derivation; one purpose never equals another)."""
        return hmac.new(self.ring[-1].secret, b"prelisten." + purpose.encode(), hashlib.sha256).digest()

    def to_json(self) -> str:
        """Return the key file's text."""
        ring = [
            {"id": key.id, "secret": base64.b64encode(key.secret).decode(), "created_at": key.created_at}
            for key in self.ring
        ]
        return json.dumps({"version": 1, "keys": ring}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Keys:
        """Read a key file's text. Raises `ConfigError` that names `source` and says what is wrong."""
        try:
            ring = tuple(
                Key(
                    str(entry["id"]),
                    base64.b64decode(entry["secret"], validate=True),
                    int(entry["created_at"]),
                )
                for entry in json.loads(text)["keys"]
            )
        except (ValueError, TypeError, KeyError, binascii.Error) as error:
            raise ConfigError(
                f"{source} is no key file ({error!r}). `prelisten keys new` makes one."
            ) from error
        if not ring or any(len(key.secret) < SECRET_BYTES for key in ring):
            raise ConfigError(
                f"{source} holds no key of at least {SECRET_BYTES} bytes: `prelisten keys new`."
            )
        if len({key.id for key in ring}) != len(ring):
            raise ConfigError(f"{source} holds two keys of one id; every id must be there once.")
        return cls(ring)


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
