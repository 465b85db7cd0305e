"""`prelisten model`: how does a model that is tried compare with the one that decides?"""

from __future__ import annotations

import argparse
import json

from prelisten.commands.opening import config_of, opened
from prelisten.lab.trial import Trial, compare_models


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `model compare`."""
    group = commands.add_parser("model", help="compare a model that is tried").add_subparsers(required=True)
    comparing = group.add_parser(
        "compare",
        parents=[data],
        help="what the model of PRELISTEN_SHADOW_MODEL said, beside the deciding one",
    )
    comparing.add_argument(
        "--json", action="store_true", help="print one line of JSON for each pair of models"
    )
    comparing.set_defaults(run=run_compare)


def run_compare(arguments: argparse.Namespace) -> int:
    """Print what both said of the same recordings; return 1 when no model was tried."""
    with opened(config_of(arguments)) as storage, storage.read() as tx:
        trials = compare_models(tx)
    if arguments.json:
        for trial in trials:
            print(json.dumps(trial.to_dict(), sort_keys=True))
    elif not trials:
        print("No model was tried. Name its file in PRELISTEN_SHADOW_MODEL and start again.")
    else:
        for trial in trials:
            _print(trial)
    return 0 if trials else 1


def _print(trial: Trial) -> None:
    print(f"{trial.tried} beside {trial.deciding}, {trial.bands.total()} recordings:")
    for (deciding, tried), count in sorted(trial.bands.items()):
        print(f"  {deciding} -> {tried}: {count}")
    print(
        f"Reviewers called {len(trial.genuine)} of them not synthetic and {len(trial.synthetic)} synthetic."
    )
    areas = trial.areas()
    if areas is not None:
        print(
            f"On those, AUC {areas[0]:.3f} (deciding) and {areas[1]:.3f} (tried); the deciding one chose them."
        )
    if trial.scored:
        print("Furthest apart (deciding, tried):")
    for name, *scores in trial.furthest:
        print(f"  {name}  {scores[0]:.2f}  {scores[1]:.2f}")
