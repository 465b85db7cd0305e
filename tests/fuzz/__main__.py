"""Fuzz one parser, or each in turn.

    python -m tests.fuzz --seconds 600 --parser container   guided by coverage, with atheris (extra `fuzz`)
    python -m tests.fuzz --rounds 5000 --parser readers     mutations from fixed seeds, without atheris

What breaks a parser is written to `--out` (default `test-results/fuzz`), and the exit status is 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
import traceback
from itertools import islice
from pathlib import Path

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, Target

HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
ROUNDS = 2_000


def run_mutations(target: Target, rounds: int, seed: int, out: Path) -> bool:
    """Feed mutated seeds; write the first input that breaks the parser, and return `False`."""
    out.mkdir(parents=True, exist_ok=True)
    last = out / f"{target.name}-last.bin"
    for number, content in enumerate(islice(mutated(target.seeds(), seed=seed), rounds)):
        if target.name == "readers":
            last.write_bytes(content)  # What kills the process can no longer be said afterwards.
        try:
            target.run(content)
        except Exception:
            found = out / f"{target.name}-{seed}-{number}.bin"
            found.write_bytes(content)
            traceback.print_exc()
            print(f"fuzz: {target.name} broke after {number} rounds; the input is {found}", flush=True)
            return False
    last.unlink(missing_ok=True)
    return True


def run_atheris(target: Target, seconds: int, out: Path) -> bool:
    """Let atheris search in a process of its own; returns whether nothing broke."""
    corpus = out / f"{target.name}-corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(target.seeds()):
        (corpus / f"seed-{number:03d}").write_bytes(content)
    command = [
        *(sys.executable, "-m", "tests.fuzz.guided", target.name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-artifact_prefix={out}/{target.name}-", "-max_len=140000"),
        *("-timeout=30", "-rss_limit_mb=2048", "-print_final_stats=1", "-len_control=0"),
    ]
    return subprocess.run(command, check=False).returncode == 0


def main(arguments: list[str]) -> int:
    """Run what was asked for; 1 when a parser broke."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parser", choices=TARGETS, action="append", help="default: all, in turn")
    parser.add_argument("--seconds", type=int, help="for each parser, guided by coverage")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"mutations without atheris ({ROUNDS})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("test-results/fuzz"))
    options = parser.parse_args(arguments)
    if options.seconds and not HAS_ATHERIS:
        print("fuzz: ATHERIS IS NOT INSTALLED (pip install '.[fuzz]'): fixed mutations only", flush=True)
    broken = []
    for name in options.parser or TARGETS:
        began, target = time.monotonic(), TARGETS[name]
        is_guided = options.seconds and HAS_ATHERIS
        is_well = (
            run_atheris(target, options.seconds, options.out)
            if is_guided
            else run_mutations(target, options.rounds, options.seed, options.out)
        )
        print(
            f"fuzz: {name}: {'held' if is_well else 'BROKE'} ({time.monotonic() - began:.0f} s)", flush=True
        )
        broken += [] if is_well else [name]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
