"""Every parser keeps its word on mutated inputs, made from fixed seeds: the same ones on every machine.

`python -m tests.fuzz --seconds 600` searches further, guided by coverage, where atheris is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz import targets
from tests.fuzz.__main__ import main, run_mutations
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, Target

ROUNDS = 20_000 if os.environ.get("TEST_SIZE") == "full" else 300
FOUND = sorted((Path(__file__).parent / "found").iterdir())
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", TARGETS)
def test_parser_keeps_its_word(name: str, tmp_path: Path) -> None:
    """In a process of its own: what it breaks may be the process."""
    arguments = ["--parser", name, "--rounds", str(ROUNDS), "--out", str(tmp_path)]
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"{done.stdout[-500:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_once_broke_a_parser_holds(path: Path) -> None:
    """Inputs that fuzzing found; each name begins with its parser."""
    command = [sys.executable, "-c", REPLAY, path.name.partition("-")[0], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


REPLAY = """
import sys
from pathlib import Path
from tests.fuzz.targets import TARGETS
TARGETS[sys.argv[1]].run(Path(sys.argv[2]).read_bytes())
"""


def test_same_seed_gives_the_same_inputs() -> None:
    """What fails here fails everywhere."""
    first, second, other = (list(islice(mutated([b"RIFF" * 50], seed=seed), 50)) for seed in (1, 1, 2))
    assert first == second
    assert first != other
    assert len(set(first)) > 40


def test_broken_parser_is_found_and_its_input_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search can fail: a parser that lets one case through is caught, and what caught it is there."""

    def careless(content: bytes) -> None:
        if len(content) > 4:
            content[:4].decode("ascii")

    target = Target("careless", careless, lambda: [b"plain text"])
    assert run_mutations(target, 500, 1, tmp_path) is False
    (found,) = tmp_path.iterdir()
    with pytest.raises(UnicodeDecodeError):
        careless(found.read_bytes())
    monkeypatch.setitem(targets.TARGETS, "wav", target)
    assert main(["--parser", "wav", "--rounds", "500", "--out", str(tmp_path)]) == 1
    assert "wav: BROKE" in capsys.readouterr().out


def test_missing_atheris_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody takes the fixed mutations for a guided search."""
    monkeypatch.setattr("tests.fuzz.__main__.HAS_ATHERIS", False)
    assert main(["--parser", "wav", "--seconds", "1", "--rounds", "5", "--out", str(tmp_path)]) == 0
    assert "ATHERIS IS NOT INSTALLED" in capsys.readouterr().out


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_inputs_that_the_parser_takes(name: str) -> None:
    """A search that starts from inputs which are refused at once would find nothing."""
    seeds = TARGETS[name].seeds()
    assert len(seeds) >= 3
    for seed in seeds[:12]:
        TARGETS[name].run(seed)
