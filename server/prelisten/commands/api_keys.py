"""`prelisten keys api`: make, list and revoke the keys of back ends."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from prelisten.access import ApiKey, ApiKeys, Scope
from prelisten.commands.opening import config_of, opened
from prelisten.keys import load_keys


def add_commands(
    keys: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `api new`, `api list` and `api revoke` to the subcommands of `keys`."""
    group = keys.add_parser("api", help="make, list and revoke the keys of back ends").add_subparsers(
        required=True
    )
    new = group.add_parser("new", parents=[data], help="make a key; it is printed once and stored nowhere")
    new.add_argument("name", help="who uses it")
    new.add_argument(
        "--scope",
        action="append",
        choices=[*Scope],
        help="what it may do; may be given several times (default: all)",
    )
    new.add_argument(
        "--uploads-per-day", type=int, metavar="N", help="its quota; 0: none (default: the setting)"
    )
    new.set_defaults(run=run_new)
    listed = group.add_parser("list", parents=[data], help="list ids, names, scopes and use, never the keys")
    listed.set_defaults(run=run_list)
    revoke = group.add_parser("revoke", parents=[data], help="end a key now and for good")
    revoke.add_argument("id", help="as `keys api list` shows it")
    revoke.set_defaults(run=run_revoke)


@contextmanager
def _api_keys(arguments: argparse.Namespace) -> Iterator[ApiKeys]:
    config = config_of(arguments)
    keys = load_keys(config)
    with opened(config) as storage:
        yield ApiKeys(storage, keys, env=config.env, uploads_per_day=config.api_uploads_per_day)


def run_new(arguments: argparse.Namespace) -> int:
    """Print the new key alone on standard output, so that it can be piped into a secret store."""
    scopes = [Scope(name) for name in arguments.scope or Scope]
    with _api_keys(arguments) as api_keys:
        _, secret = api_keys.new(arguments.name, scopes, uploads_per_day=arguments.uploads_per_day)
    print(secret)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print one line for each key, revoked ones included."""
    with _api_keys(arguments) as api_keys:
        for key in api_keys.all():
            print(_line(key, api_keys.uploads_today(key.id)))
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Revoke a key."""
    with _api_keys(arguments) as api_keys:
        api_keys.revoke(arguments.id)
    print(f"The key {arguments.id} is revoked; requests with it are refused from now on.")
    return 0


def _line(key: ApiKey, uploads_today: int) -> str:
    quota = f"of {key.uploads_per_day}" if key.uploads_per_day else "without a quota"
    state = f"revoked {_when(key.revoked_at)}" if key.revoked_at else f"last used {_when(key.last_used_at)}"
    scopes = ",".join(sorted(key.scopes))
    return f"{key.id}  {key.name}  [{scopes}]  {uploads_today} uploads today {quota}, {state}"


def _when(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
