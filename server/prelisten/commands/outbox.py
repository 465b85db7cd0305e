"""`prelisten outbox`: what was told to other programs, what was not, and telling it again."""

from __future__ import annotations

import argparse
import base64
import json
import secrets
from datetime import UTC, datetime

from prelisten.commands.opening import config_of, opened
from prelisten.errors import BadRequestError
from prelisten.outbox.messages import Message, MessageState, messages, replay

SECRET_BYTES = 32


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `outbox list`, `outbox replay` and `outbox secret`."""
    group = commands.add_parser("outbox", help="events for other programs: list, send again, make a secret")
    parts = group.add_subparsers(required=True)
    listing = parts.add_parser("list", parents=[data], help="list events, latest first")
    listing.add_argument("--state", choices=list(MessageState), action="append", help="only in this state")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (default 50)")
    listing.add_argument("--json", action="store_true", help="JSON lines, with what was or will be sent")
    listing.set_defaults(run=run_list)
    again = parts.add_parser("replay", parents=[data], help="send events again, under their old ids")
    again.add_argument("id", nargs="*", help="ids of events, as `outbox list` prints them")
    again.add_argument(
        "--state",
        choices=[MessageState.DEAD, MessageState.UNSENT],
        action="append",
        default=[],
        help="every event in this state",
    )
    again.set_defaults(run=run_replay)
    secret = parts.add_parser("secret", help="print a new secret for PRELISTEN_WEBHOOK_SECRET")
    secret.set_defaults(run=run_secret)


def run_list(arguments: argparse.Namespace) -> int:
    """Print the events; return 1 when some were given up."""
    states = [MessageState(state) for state in arguments.state or MessageState]
    with opened(config_of(arguments)) as storage, storage.read() as tx:
        found = messages(tx, states=states, limit=max(arguments.limit, 0))
    for message in found:
        print(_json(message) if arguments.json else _line(message))
    if not found and not arguments.json:
        print("There are no such events.")
    return 1 if any(message.state is MessageState.DEAD for message in found) else 0


def run_replay(arguments: argparse.Namespace) -> int:
    """Make events pending again; the screening processes send them."""
    states = [MessageState(state) for state in arguments.state]
    if not arguments.id and not states:
        raise BadRequestError("Name the events to send again, by id or by --state.")
    with opened(config_of(arguments)) as storage, storage.transaction() as tx:
        count = replay(tx, datetime.now(UTC), ids=arguments.id, states=states)
    print(f"{count} {'event is' if count == 1 else 'events are'} sent again by the screening processes.")
    return 0 if count or states else 1


def run_secret(arguments: argparse.Namespace) -> int:
    """Print a new secret, in the form that the receivers' libraries read."""
    print("whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
    return 0


def _line(message: Message) -> str:
    created = message.created_at.strftime("%Y-%m-%d %H:%M:%S")
    tried = f"{message.attempts} {'attempt' if message.attempts == 1 else 'attempts'}"
    result = f"  {message.last_result}" if message.last_result else ""
    return f"{message.id}  {created}  {message.state:9}  {message.event:20}  {tried}{result}"


def _json(message: Message) -> str:
    return json.dumps(
        {
            "id": message.id,
            "event": message.event,
            "submission_id": message.submission_id,
            "state": message.state,
            "attempts": message.attempts,
            "created_at": message.created_at.isoformat(),
            "due_at": message.due_at.isoformat(),
            "ended_at": message.ended_at.isoformat() if message.ended_at else None,
            "last_result": message.last_result,
            "body": json.loads(message.body),
        }
    )
