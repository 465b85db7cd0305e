"""`prelisten policy`: is a policy sound, does it do what is expected, and what would it have decided?"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from prelisten.commands.opening import config_of, opened
from prelisten.keys import load_keys
from prelisten.policy import Policy, parse_policy
from prelisten.policy.cases import ScoreReport, read_cases, read_scores, try_case, try_scores
from prelisten.policy.document import read_text
from prelisten.policy.lint import lint
from prelisten.records import Action
from prelisten.replay import Comparison, Replay, compare, replay

BUILT_IN = "the built-in policy"
MAX_NAMED = 20


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], data: argparse.ArgumentParser
) -> None:
    """Add `policy lint`, `policy test` and `policy replay`."""
    group = commands.add_parser("policy", help="check a policy, try it, replay decisions").add_subparsers(
        required=True
    )
    linting = group.add_parser("lint", help="say what is wrong with a policy file, with line numbers")
    linting.add_argument("file", type=Path, nargs="?", help="policy file (default: the built-in one)")
    linting.set_defaults(run=run_lint)
    testing = group.add_parser("test", help="try the cases beside a policy, and labelled scores")
    testing.add_argument("file", type=Path, nargs="?", help="policy file (default: the built-in one)")
    testing.add_argument(
        "--cases",
        type=Path,
        help="file of cases (default: NAME.cases.yaml beside NAME.yaml, when it is there)",
    )
    testing.add_argument(
        "--scores", type=Path, help="scores of labelled recordings, as `prelisten evaluate --out` writes them"
    )
    testing.set_defaults(run=run_test)
    replaying = group.add_parser(
        "replay", parents=[data], help="make stored decisions again; with FILE: what that policy would change"
    )
    replaying.add_argument("file", type=Path, nargs="?", help="a policy to compare with what was decided")
    replaying.add_argument("--json", action="store_true", help="print one line of JSON")
    replaying.set_defaults(run=run_replay)


def run_lint(arguments: argparse.Namespace) -> int:
    """Print each problem as `FILE:LINE: ...`; return 1 when there is an error among them."""
    name = arguments.file or "default.yaml"
    problems = lint(read_text(arguments.file))
    for problem in problems:
        print(f"{name}:{problem.line}: {'error' if problem.is_error else 'warning'}: {problem.message}")
    if any(problem.is_error for problem in problems):
        return 1
    policy = _read(arguments.file)
    print(f"{name}: {policy.version} ({policy.status}) can be used.")
    return 0


def run_test(arguments: argparse.Namespace) -> int:
    """Try the cases and the scores; return 1 when a case fails or a budget is exceeded."""
    policy = _read(arguments.file)
    beside = arguments.file.with_suffix(".cases.yaml") if arguments.file else None
    path = arguments.cases or beside
    # A copy of the policy without cases of its own is tried with scores alone, when there are any.
    has_cases = path is None or path.exists() or arguments.scores is None
    results = [try_case(case, policy) for case in (read_cases(path) if has_cases else [])]
    failed = [result for result in results if result.why]
    for result in failed:
        print(f"FAILED {result.name}: {result.why}")
    print(f"{policy.version}: {len(results) - len(failed)} of {len(results)} cases as expected.")
    is_within = True
    if arguments.scores:
        is_within = _print_scores(try_scores(read_scores(arguments.scores), policy), policy)
    return 0 if is_within and not failed else 1


def run_replay(arguments: argparse.Namespace) -> int:
    """Make every stored decision again, or compare with another policy; return 1 for what should not be."""
    config = config_of(arguments)
    with opened(config) as storage, storage.read() as tx:
        if arguments.file is None:
            found = replay(tx, load_keys(config))
            if arguments.json:
                print(json.dumps({"ok": found.is_sound, **asdict(found)}))
            else:
                _print_replay(found)
            return 0 if found.is_sound else 1
        policy = _read(arguments.file)
        compared = compare(tx, policy)
    if arguments.json:
        print(json.dumps({"policy": policy.version, **compared.to_dict()}))
    else:
        _print_comparison(compared, policy)
    return 0


def _read(path: Path | None) -> Policy:
    return parse_policy(read_text(path), source=str(path or BUILT_IN))


def _print_scores(report: ScoreReport, policy: Policy) -> bool:
    """Print what happens to each label; return whether the false alarms are within the policy's budget."""
    for label, actions in sorted(report.actions.items()):
        counted = ", ".join(
            f"{actions[action.value]} {action.value}" for action in Action if actions[action.value]
        )
        print(f"{label}: {counted}")
    is_within = True
    for least in (Action.LABEL, Action.REVIEW):
        share = report.share("bona_fide", least)
        allowed = getattr(policy.budgets.false_alarms, least.value)
        if share is None or allowed is None:
            continue
        is_within &= share <= allowed
        word = "within" if share <= allowed else "ABOVE"
        print(
            f"genuine recordings with {least.value} or more: {share:.2%}, {word} the budget of {allowed:.2%}"
        )
    return is_within


def _print_replay(found: Replay) -> None:
    print(f"{found.same} decisions given back byte for byte ({found.shadow} of them a shadow policy's).")
    if found.erased:
        print(f"{found.erased} skipped: their recordings were erased.")
    if found.unknown_policy:
        print(f"{found.unknown_policy} skipped: made before the texts of policies were stored.")
    for ids, what in (
        (found.different, "do not follow from their findings and their policy"),
        (found.altered, "are not what the audit log says of them"),
        (found.vanished, "are in the audit log, and gone without a tombstone"),
    ):
        if ids:
            more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
            print(f"{len(ids)} decisions {what}: {', '.join(ids[:MAX_NAMED])}{more}.")


def _print_comparison(found: Comparison, policy: Policy) -> None:
    print(f"{policy.version} would change {found.changes.total()} of {found.total} decisions.")
    for (before, after), count in sorted(found.changes.items()):
        print(f"  {before} -> {after}: {count}")
    print(
        f"Cases for reviewers: {found.cases}, at most {found.most_per_hour} in an hour and {found.most_per_day} in a "
        f"day; {found.over_budget} past the budget."
    )
    for counted, word in ((found.genuine, "not synthetic"), (found.synthetic, "synthetic or manipulated")):
        if counted:
            actions = ", ".join(f"{count} {action}" for action, count in sorted(counted.items()))
            print(f"Of {counted.total()} that reviewers called {word}: {actions}.")
    if found.erased:
        print(f"{found.erased} skipped: their recordings were erased.")
