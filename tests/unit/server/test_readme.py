"""The README says what is there, and what it says works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from prelisten.cli import parser
from prelisten.records import Action, FindingState

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Return every `prelisten ...` command that the README names."""
    return sorted({" ".join(found.split()) for found in re.findall(r"`prelisten ([a-z][^`]*)`", README)})


def known_commands() -> set[str]:
    """Return the subcommands that the program has."""
    actions = parser()._subparsers._group_actions
    return set(actions[0].choices)


def test_every_command_is_documented():
    """A command that is not in the README does not exist for anybody."""
    assert known_commands() == {command.split()[0] for command in commands()}


@pytest.mark.parametrize("command", commands())
def test_every_documented_command_parses(command):
    """What the README writes can be typed as it stands."""
    words = [word.replace("...", "") for word in shlex.split(command) if not word.startswith("[")]
    if words[0] == "scan" and len(words) == 1:
        words.append("FILE")
    assert parser().parse_args(words).run


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)#]+)\)", README))
def test_every_link_leads_somewhere(path):
    """Links inside the tree point at files that are there."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("package", ["server/prelisten", "wasm_detector"])
def test_map_names_every_module(package):
    """The map of the tree knows each module and folder."""
    tree = README.partition("## Map of the tree")[2]
    for path in sorted((ROOT / package).iterdir()):
        is_module = path.suffix == ".py" and not path.name.startswith("_")
        if is_module or (path.is_dir() and not path.name.startswith("_")):
            assert re.search(rf"\b{path.stem}\b", tree), path.name


@pytest.mark.parametrize("word", [*Action, *FindingState])
def test_words_of_the_product_are_explained(word):
    """Each decision and each way a check may end stands in the README."""
    assert f"`{word}`" in README


def test_banned_word_is_nowhere():
    """One word reads as truth, which this product never claims."""
    banned = "ver" + "dict"
    for pattern in ("**/*.py", "**/*.js", "**/*.json", "**/*.html", "**/*.md", "**/*.yaml"):
        for folder in ("server", "wasm_detector", "web/src", "tests"):
            for path in (ROOT / folder).glob(pattern):
                assert banned not in path.read_text(encoding="utf-8").lower(), path
    assert banned not in README.lower()
