"""The sentences that a browser downloads: a file for each language, and a small one of what is shown first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENGLISH = "en"
# Sentences that a page needs before anybody chose a file; the rest comes with the first intent.
EARLY_KEYS = ("error.offline", "ui.declare", "ui.idle", "ui.idle.failed", "ui.idle.result", "ui.record")
WIDGET_KEYS = ("ui.", "band.", "error.", "reason.")


def put_locales(source: Path, target: Path) -> dict[str, Any]:
    """Write `<language>.json` and `early/<language>.json` into `target`; return the constants of the script.

    A sentence that a language does not have yet is put in English: a half-made language is better than none.
    """
    (target / "early").mkdir(parents=True)
    english = read(source / f"{ENGLISH}.json")
    languages = sorted(path.stem for path in source.glob("*.json"))
    for language in languages:
        sentences = {**english, **read(source / f"{language}.json")}
        _write(target / f"{language}.json", only(sentences, WIDGET_KEYS))
        if language != ENGLISH:  # English is in the script itself.
            _write(target / "early" / f"{language}.json", early(sentences))
    return {"EARLY": early(english), "LOCALES": languages}


def read(path: Path) -> dict[str, str]:
    """Return the sentences of a language by their keys."""
    sentences: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return sentences


def early(catalogue: Mapping[str, str]) -> dict[str, str]:
    """Return the sentences that are shown before anything loads."""
    return {key: catalogue[key] for key in EARLY_KEYS}


def only(catalogue: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    """Return the sentences whose keys begin with one of `prefixes`."""
    return {key: text for key, text in catalogue.items() if key.startswith(prefixes)}


def _write(path: Path, sentences: Mapping[str, str]) -> None:
    path.write_text(
        json.dumps(sentences, sort_keys=True, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
