"""Codes and their sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wasm_detector.reasons import limit_codes, retired_codes, signal_codes

CATALOGUE = json.loads((Path(__file__).parents[3] / "web/src/locales/en.json").read_text("utf-8"))


@pytest.mark.parametrize("code", [*signal_codes(), *limit_codes(), *retired_codes()])
def test_every_code_has_a_sentence_and_a_title(code):
    """A sentence to read aloud and a few words for a list."""
    assert CATALOGUE[f"reason.{code}"].endswith(".")
    assert len(CATALOGUE[f"reason.{code}.title"].split()) <= 5


@pytest.mark.parametrize("code", signal_codes())
def test_no_sentence_accuses(code):
    """A reason describes a sound, never a person."""
    words = CATALOGUE[f"reason.{code}"].lower()
    assert not any(word in words for word in ("fake", "real ", "you ", "proof", "cheat", "human", " ai "))
