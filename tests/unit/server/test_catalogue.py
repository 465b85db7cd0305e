"""Which language a person is spoken to in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prelisten.catalogue import catalogue, choose_language, languages, sentence

# The browser's own choice is compared with the same table: tests/browser/test_languages.py.
CASES = json.loads((Path(__file__).parent / "languages.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("tag", "language"), CASES.items())
def test_tag_gets_its_longest_known_beginning(tag, language):
    """`pt-BR` is answered in `pt`, `zh-TW` in the traditional script, Klingon in English."""
    assert choose_language([tag]) == language


def test_first_known_tag_counts():
    """A browser lists what its person reads, best first."""
    assert choose_language(["tlh", "fr-CA", "de"]) == "fr"
    assert choose_language([]) == "en"


def test_sentence_in_a_language_and_its_placeholder():
    """The same key, another language; a key that nobody knows stays as it is."""
    assert sentence("progress.waiting.many", {"ahead": 7}, language="de") == "Aufnahmen vor Ihrer: 7."
    assert sentence("no.such.key", language="de") == "no.such.key"


def test_every_language_can_be_read():
    """The files are JSON, and English is among them."""
    assert "en" in languages()
    assert all(catalogue(language)["band.clear"] for language in languages())
