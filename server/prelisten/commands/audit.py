"""`prelisten audit`: does the log still say what was written, and how does it end?"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from prelisten.audit import Head, HeadError, Verification, check_head, read_entries, sign_head, verify
from prelisten.commands.opening import config_of, opened
from prelisten.config import Config
from prelisten.keys import load_keys


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `audit verify` and `audit head`."""
    group = commands.add_parser("audit", help="verify the audit log, sign its head").add_subparsers(
        required=True
    )
    verifying = group.add_parser(
        "verify", parents=[data], help="follow the chain; exit 1 and name the first broken entry"
    )
    verifying.add_argument(
        "--head",
        metavar="FILE",
        help="heads that were kept elsewhere, one a line (`-`: standard input); finds a cut or rewritten end too",
    )
    verifying.add_argument("--json", action="store_true", help="print one line of JSON")
    verifying.set_defaults(run=run_verify)
    head = group.add_parser("head", parents=[data], help="print the signed head as a line of JSON")
    head.set_defaults(run=run_head)


def run_verify(arguments: argparse.Namespace) -> int:
    """Print whether the chain holds; return 1 when it is broken."""
    config = config_of(arguments)
    heads = _read_heads(arguments.head, config) if arguments.head else []
    found = _follow(config, heads)
    if arguments.json:
        print(json.dumps({"ok": found.problem is None, **asdict(found), "heads": len(heads)}))
    elif found.problem is None:
        with_heads = f", through {len(heads)} kept {'head' if len(heads) == 1 else 'heads'}" if heads else ""
        print(f"The audit log holds: {found.entries} entries{with_heads}, ending in {found.sha256}.")
    else:
        print(f"The audit log is broken at entry {found.problem.seq}: {found.problem.why}.")
        print(f"The {found.entries} entries before it hold.")
    return 0 if found.problem is None else 1


def run_head(arguments: argparse.Namespace) -> int:
    """Verify the chain and print its signed head, to be kept where this server cannot write."""
    config = config_of(arguments)
    keys = load_keys(config)
    print(sign_head(_follow(config, []), keys).to_json())
    return 0


def _follow(config: Config, heads: list[Head]) -> Verification:
    with opened(config) as storage, storage.read() as tx:
        return verify(read_entries(tx.connection), heads=heads)


def _read_heads(file_name: str, config: Config) -> list[Head]:
    """Read and check the kept heads. A file without any is an error: it would prove nothing."""
    text = (
        sys.stdin.read()
        if file_name == "-"
        else Path(file_name).read_text(encoding="utf-8", errors="replace")
    )
    heads = [Head.from_json(line) for line in text.splitlines() if line.strip()]
    if not heads:
        raise HeadError(f"{file_name} holds no head. `prelisten audit head` prints one; keep it elsewhere.")
    keys = load_keys(config)
    for head in heads:
        check_head(head, keys)
    return heads
