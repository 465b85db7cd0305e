"""`prelisten settings` and `prelisten doctor`: what is in force, and what is missing or unsafe."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from dataclasses import asdict

from prelisten.commands.opening import config_of
from prelisten.config import PREFIX
from prelisten.doctor import Level, Remark, examine
from prelisten.settings import reference, values_in_force


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `settings` and `doctor`."""
    settings = commands.add_parser(
        "settings", parents=[data], help="print every setting with the value in force"
    )
    settings.add_argument("--markdown", action="store_true", help="print the reference page instead")
    settings.set_defaults(run=run_settings)
    doctor = commands.add_parser(
        "doctor", parents=[data], help="say what is missing or unsafe; exit 1: could be better, 2: unsafe"
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object on each line")
    doctor.add_argument("--quiet", action="store_true", help="leave out what is in order")
    doctor.set_defaults(run=run_doctor)


def run_settings(arguments: argparse.Namespace) -> int:
    """Print what is in force, a star before what is not the default; secrets are not shown."""
    if arguments.markdown:
        print(reference(), end="")
        return 0
    for name, value, is_set in values_in_force(config_of(arguments), os.environ):
        print(f"{'*' if is_set else ' '} {PREFIX}{name.upper()}={value}")
    return 0


def run_doctor(arguments: argparse.Namespace) -> int:
    """Print every remark as it comes; return 0, 1 or 2 by the worst of them."""
    config, levels = config_of(arguments), Counter[Level]()
    for remark in examine(config):
        levels[remark.level] += 1
        if remark.level is Level.OK and arguments.quiet:
            continue
        print(json.dumps(asdict(remark)) if arguments.json else _line(remark), flush=True)
    if not arguments.json:
        print(_summary(levels))
    return 2 if levels[Level.UNSAFE] else 1 if levels[Level.BETTER] else 0


def _line(remark: Remark) -> str:
    line = f"{remark.level:>7}  {remark.about}: {remark.found}"
    return f"{line}\n{'':9}{remark.advice}" if remark.advice else line


def _summary(levels: Counter[Level]) -> str:
    if levels[Level.UNSAFE]:
        return f"\n{levels[Level.UNSAFE]} of these are unsafe, or do not work."
    if levels[Level.BETTER]:
        return f"\nIt works. {levels[Level.BETTER]} of these should be better in production."
    return "\nNothing is wrong."
