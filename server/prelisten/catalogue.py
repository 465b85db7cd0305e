"""The sentences, from the one catalogue that the widget uses too. Code holds codes, never sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache

from prelisten.assets import locale_folder

ENGLISH = "en"
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
# Tags that name a language of ours otherwise; `web/src/element/language.js` has the same.
_SAME = {"no": "nb", "nn": "nb", "iw": "he", "in": "id"}
_TRADITIONAL = frozenset({"tw", "hk", "mo"})


@cache
def catalogue(language: str = ENGLISH) -> Mapping[str, str]:
    """Return every sentence of a language by its key (`reason.<CODE>`, `decision.<action>.title`, ...)."""
    path = locale_folder() / f"{language}.json"
    sentences: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return sentences


def sentence(key: str, params: Mapping[str, object] | None = None, *, language: str = ENGLISH) -> str:
    """Return a sentence with its `{placeholders}` filled; the key itself when there is none.

    A missing parameter leaves its placeholder, rather than losing the sentence; a sentence that the language does
    not have is said in English.
    """
    text = catalogue(language).get(key) or catalogue().get(key, key)
    for name, value in (params or {}).items():
        text = text.replace("{" + name + "}", str(value))
    return text


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that there are sentences in."""
    return tuple(sorted(path.stem for path in locale_folder().glob("*.json")))


def choose_language(tags: Iterable[str]) -> str:
    """Return the first language of ours that one of the BCP 47 `tags` asks for, by its longest known beginning.

    `pt-BR` gets `pt`, `zh-TW` gets `zh-Hant`; English where there is none.
    """
    return next(filter(None, map(_language_of, tags)), ENGLISH)


def _language_of(tag: str) -> str | None:
    ours = {language.lower(): language for language in languages()}
    first, *rest = tag.strip().lower().replace("_", "-").split("-")
    parts = [_SAME.get(first, first), *rest]
    # Taiwan, Hong Kong and Macao write the traditional script where the tag names none.
    if parts[0] == "zh" and "hans" not in rest and _TRADITIONAL & set(rest):
        parts.insert(1, "hant")
    beginnings = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((ours[beginning] for beginning in beginnings if beginning in ours), None)
