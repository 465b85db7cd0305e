"""`prelisten keys`: make, rotate and list the keys that sign hints and the audit log's heads."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from datetime import UTC, datetime

from prelisten.commands.opening import config_of
from prelisten.errors import ConfigError
from prelisten.keys import Key, Keys, key_file, load_keys, rotate_keys, write_keys

DAY_S = 86_400


def add_commands(
    keys: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `new`, `rotate` and `list` to the subcommands of `keys`."""
    new = keys.add_parser("new", parents=[data], help="make the key file")
    new.set_defaults(run=run_new)
    rotate = keys.add_parser(
        "rotate",
        parents=[data],
        help="make a new key that signs from now on; running servers notice by themselves",
    )
    rotate.add_argument(
        "--drop-older-than",
        type=_days,
        metavar="DAYS",
        help="also drop the keys that were replaced that many days ago or earlier; 0 drops every earlier one",
    )
    rotate.set_defaults(run=run_rotate)
    listed = keys.add_parser(
        "list", parents=[data], help="list the keys' ids, ages and what each is used for, never the keys"
    )
    listed.set_defaults(run=run_list)


def _days(text: str) -> float:
    days = float(text)
    if not (math.isfinite(days) and 0 <= days <= 36_500):
        raise argparse.ArgumentTypeError("expected a number of days from 0 to 36500")
    return days


def run_new(arguments: argparse.Namespace) -> int:
    """Make the key file; one that is there stays as it is."""
    config = config_of(arguments)
    path = key_file(config)
    if path.exists():
        raise ConfigError(
            f"{path} is there already and was left as it is. Its keys verify what they signed; "
            "`prelisten keys rotate` makes a new one beside them."
        )
    write_keys(path, Keys((Key.generate(is_test=config.env != "production"),)), replace=False)
    print(
        f"Wrote {path} (readable by you alone). Keep it: without it no sealed hint and no session can be verified."
    )
    return 0


def run_rotate(arguments: argparse.Namespace) -> int:
    """Rotate, and say what that means."""
    days = arguments.drop_older_than
    before, after = rotate_keys(config_of(arguments), drop_after_s=None if days is None else days * DAY_S)
    print(
        f"{after.signing.id} signs from now on. Running servers of this data folder notice within a second or two."
    )
    dropped = [key.id for key in before.ring if after.find(key.id) is None]
    if dropped:
        print(
            f"Dropped: {', '.join(dropped)}. Hints that they signed count as none, until their pages seal again; heads "
            "of the audit log that they signed cannot be checked any more, so print a new one: `prelisten audit head`."
        )
    print("Back up the key file: the new key is in no backup yet.")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print one line for each key."""
    for line in lines(load_keys(config_of(arguments)), now=datetime.now(UTC)):
        print(line)
    return 0


def lines(keys: Keys, *, now: datetime) -> Iterator[str]:
    """Yield a line for each key: its id, what it is used for, when it was made, and since when it signs no more."""
    digest_key = keys.digest_key or keys.ring[-1]
    newer: Key | None = None
    for key in keys.ring:
        uses = [
            *(["signs"] if newer is None else []),
            "verifies",
            *(["digests"] if key.id == digest_key.id else []),
        ]
        ended = "" if newer is None else f", replaced {_when(newer.created_at, now)}"
        yield f"{key.id}  {', '.join(uses)}  made {_when(key.created_at, now)}{ended}"
        newer = key
    if keys.find(digest_key.id) is None:
        yield f"{digest_key.id}  digests  made {_when(digest_key.created_at, now)}, dropped from signing"


def _when(at_s: int, now: datetime) -> str:
    at = datetime.fromtimestamp(at_s, UTC)
    days = (now - at).days
    age = "today" if days < 1 else "1 day ago" if days == 1 else f"{days} days ago"
    return f"{at:%Y-%m-%d %H:%M} UTC ({age})"
