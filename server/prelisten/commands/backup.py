"""`prelisten backup` and `prelisten restore`: one command each, while the site runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from prelisten.backup import Manifest, back_up, restore
from prelisten.commands.opening import config_of


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `backup` and `restore`."""
    making = commands.add_parser(
        "backup", parents=[data], help="back the data folder up while the server runs"
    )
    making.add_argument("target", metavar="DEST", type=Path, help="a new folder")
    making.add_argument(
        "--with-keys", action="store_true", help="the signing keys too: keep the backup secret"
    )
    making.set_defaults(run=run_backup)
    restoring = commands.add_parser("restore", parents=[data], help="restore a backup into a new data folder")
    restoring.add_argument("source", metavar="SRC", type=Path, help="a folder that `prelisten backup` wrote")
    restoring.set_defaults(run=run_restore)


def run_backup(arguments: argparse.Namespace) -> int:
    """Write a backup; return 1 when some recordings were lost on the site already."""
    manifest = back_up(config_of(arguments), arguments.target, with_keys=arguments.with_keys)
    print(f"Wrote {arguments.target}: {_content(manifest)}.")
    if not manifest.has_keys:
        print("The signing keys are not in it: keep a copy of keys.json elsewhere, or use --with-keys.")
    return _about_losses(manifest)


def run_restore(arguments: argparse.Namespace) -> int:
    """Restore a backup; return 1 when it lacks recordings that the site had lost."""
    config = config_of(arguments)
    manifest = restore(arguments.source, config.data)
    print(f"Restored {config.data}: {_content(manifest)}, made {manifest.made_at}. Every sum is right.")
    if not manifest.has_keys:
        print(
            f"Now put the site's own keys.json into {config.data}: with new keys the audit log's heads, open"
        )
        print("sessions and repeated sendings would not be recognised.")
    print("What was erased after the backup is back: erase it again (see the privacy page).")
    return _about_losses(manifest)


def _content(manifest: Manifest) -> str:
    recordings = "1 file" if manifest.blobs == 1 else f"{manifest.blobs} files"
    return f"the database and {recordings} ({manifest.blob_bytes / 1e6:.1f} MB)"


def _about_losses(manifest: Manifest) -> int:
    for sha256 in manifest.lost:
        print(f"Lost or damaged on the site before the backup: {sha256}")
    return 1 if manifest.lost else 0
