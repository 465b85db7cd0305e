"""The pages about policies and the audit log: what they show can be used as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from prelisten import audit
from prelisten.cli import parser
from prelisten.policy.cases import _Cases, try_case
from prelisten.policy.document import Lines, Policy, parse_policy
from prelisten.policy.evidence import combined_score
from prelisten.policy.lint import lint
from prelisten.records import FindingState

DOCS = Path(__file__).resolve().parents[3] / "web" / "docs"
POLICY, AUDIT = ((DOCS / name).read_text(encoding="utf-8") for name in ("policy.md", "audit.md"))
SNIPPETS = re.findall(r"```yaml\n(.*?)```", POLICY, re.S)
POLICIES = [text for text in SNIPPETS if not text.startswith("cases:")]


@pytest.mark.parametrize("text", POLICIES)
def test_policies_of_the_page_are_clean(text: str) -> None:
    """Each snippet is a whole policy, and lint has nothing to say about it."""
    assert lint(text) == []


def test_cases_of_the_page_hold() -> None:
    """The example of cases, tried with the example of two forms."""
    (text,) = set(SNIPPETS) - set(POLICIES)
    two_forms = next(parse_policy(snippet) for snippet in POLICIES if "two-forms" in snippet)
    cases = _Cases.model_validate(yaml.safe_load(text)).cases
    assert [try_case(case, two_forms).why for case in cases] == ["", ""]


@pytest.mark.parametrize("command", re.findall(r"^prelisten ([^#>\n]*)", POLICY + AUDIT, re.M))
def test_commands_of_the_pages_parse(command: str) -> None:
    """What the pages write can be typed."""
    assert parser().parse_args(shlex.split(command)).run


def test_every_line_is_explained_with_its_default() -> None:
    """The table knows every line, and says the default that the code has."""
    rows = {
        cells[1].strip(" `"): cells[-2].strip()
        for cells in (row.split("|") for row in POLICY.splitlines())
        if len(cells) == 6
    }
    assert set(Lines.model_fields) <= set(rows)
    for name, field in Lines.model_fields.items():
        if isinstance(field.default, str):
            assert rows[name] == f"`{field.default}`"


@pytest.mark.parametrize("words", [Policy.model_fields, audit.Kind, FindingState, audit.entries.c.keys()])
def test_words_of_the_code_are_on_the_pages(words) -> None:
    """Nobody has to read the source for a name."""
    for word in words:
        assert re.search(rf"\b{word}\b", POLICY + AUDIT), word


def test_figure_of_the_page_is_that_of_the_code() -> None:
    """Two checks at 0.8 make 0.89."""
    assert round(combined_score({"a": 0.8, "b": 0.8}, {}, default=0.5), 2) == 0.89


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)#]+)\)", POLICY + AUDIT))
def test_links_lead_somewhere(path: str) -> None:
    """Links inside the tree point at files that are there."""
    assert (DOCS / path).exists()
