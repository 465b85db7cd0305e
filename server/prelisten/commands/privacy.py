"""`prelisten privacy`: hand out what is stored about a submission, erase it, remove what is past its age."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prelisten.commands.opening import config_of, opened
from prelisten.errors import BadRequestError, NotFoundError
from prelisten.pipeline import Services
from prelisten.privacy import erase, export, submissions_of_session
from prelisten.retention import sweep
from prelisten.wiring import wire


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `privacy export`, `privacy erase` and `privacy sweep`."""
    group = commands.add_parser("privacy", help="export, erase, remove what is past its age")
    parts = group.add_subparsers(required=True)
    about = argparse.ArgumentParser(add_help=False)
    about.add_argument("submission", nargs="*", help="ids of submissions (the reference that senders have)")
    about.add_argument("--session", help="all that was sent under this session of your pages")
    exporting = parts.add_parser(
        "export", parents=[data, about], help="write all that is stored to a zip file"
    )
    exporting.add_argument(
        "--out", type=Path, default=Path("export.zip"), help="the file (default export.zip)"
    )
    exporting.set_defaults(run=run_export)
    erasing = parts.add_parser("erase", parents=[data, about], help="erase all that is stored, for good")
    erasing.set_defaults(run=run_erase)
    sweeping = parts.add_parser("sweep", parents=[data], help="remove what is past its age, now")
    sweeping.set_defaults(run=run_sweep)


def run_export(arguments: argparse.Namespace) -> int:
    """Write the zip file."""
    with _services(arguments) as services:
        chosen = _chosen(arguments, services)
        export(chosen, services, arguments.out)
    print(f"Wrote {arguments.out} ({_count(len(chosen), 'submission')}; readable by you alone).")
    return 0


def run_erase(arguments: argparse.Namespace) -> int:
    """Erase, one submission after the other; what was erased before is left as it is."""
    with _services(arguments) as services:
        done = [erase(submission_id, services) for submission_id in _chosen(arguments, services)]
    before = f"; {len(done) - sum(done)} had been before" if not all(done) else ""
    print(f"{_count(sum(done), 'submission')} erased{before}. Backups made earlier still hold them.")
    return 0


def run_sweep(arguments: argparse.Namespace) -> int:
    """Do now what the screening processes do every hour."""
    with _services(arguments) as services:
        gone = sweep(services)
    print(", ".join(f"{kind}: {count}" for kind, count in gone.items()))
    return 0


@contextmanager
def _services(arguments: argparse.Namespace) -> Iterator[Services]:
    config = config_of(arguments)
    with opened(config):  # A typing error in the folder's name must not make a new site.
        pass
    services = wire(config)
    try:
        yield services
    finally:
        services.storage.close()


def _chosen(arguments: argparse.Namespace, services: Services) -> list[str]:
    """Return the submissions that were named, each once."""
    chosen = list(arguments.submission)
    if arguments.session is not None:
        of_session = submissions_of_session(arguments.session, services)
        if not of_session:
            raise NotFoundError("Nothing is stored that was sent under this session.")
        chosen += of_session
    if not chosen:
        raise BadRequestError("Name submissions, by id or by --session.")
    return list(dict.fromkeys(chosen))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
