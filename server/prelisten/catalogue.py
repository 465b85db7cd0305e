"""The sentences, from the one catalogue that the widget uses too. Code holds codes, never sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from prelisten.assets import locale_folder


@cache
def catalogue(language: str = "en") -> Mapping[str, str]:
    """Return every sentence of a language by its key (`reason.<CODE>`, `decision.<action>.title`, ...)."""
    path = locale_folder() / f"{language}.json"
    sentences: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return sentences


def sentence(key: str, params: Mapping[str, object] | None = None, *, language: str = "en") -> str:
    """Return a sentence with its `{placeholders}` filled; the key itself when there is none.

    A missing parameter leaves its placeholder, rather than losing the sentence.
    """
    text = catalogue(language).get(key, key)
    for name, value in (params or {}).items():
        text = text.replace("{" + name + "}", str(value))
    return text
