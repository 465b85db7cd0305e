#!/usr/bin/env python3
"""Say which sentences are to be translated, and into which language. Standard library only.

    python3 web/translations.py           list what is missing, changed or too much; exit status 1 when something is
    python3 web/translations.py --done    every language says what English says now: remember that

`src/locales/en.json` is the catalogue; each other file there has the same keys. `translated.json` remembers, by a hash,
the English sentences that the others were made from: who changes one of them sees here that they lag behind.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

WEB = Path(__file__).resolve().parent
LOCALES = WEB / "src" / "locales"
REMEMBERED = WEB / "translated.json"
ENGLISH = "en"
DIGITS = 12


def read(language: str = ENGLISH) -> dict[str, str]:
    """Return the sentences of a language by their keys."""
    sentences: dict[str, str] = json.loads((LOCALES / f"{language}.json").read_text(encoding="utf-8"))
    return sentences


def languages() -> list[str]:
    """Return every language but English."""
    return sorted(path.stem for path in LOCALES.glob("*.json") if path.stem != ENGLISH)


def hashes() -> dict[str, str]:
    """Return a hash of each English sentence."""
    return {key: hashlib.sha256(text.encode()).hexdigest()[:DIGITS] for key, text in read().items()}


def changed() -> list[str]:
    """Return the keys whose English sentence is not the one that the others were made from."""
    remembered = json.loads(REMEMBERED.read_text(encoding="utf-8"))
    return sorted(key for key, digest in hashes().items() if remembered.get(key) != digest)


def missing(language: str) -> list[str]:
    """Return the keys that a language lacks."""
    return sorted(read().keys() - read(language).keys())


def needless(language: str) -> list[str]:
    """Return the keys that English does not have any more."""
    return sorted(read(language).keys() - read().keys())


def report() -> Iterator[str]:
    """Yield a line for each thing to do; a key that every language lacks is one line."""
    english = read()
    lacking = {language: set(missing(language)) for language in languages()}
    everywhere = set.intersection(*lacking.values()) if lacking else set()
    for key in sorted(everywhere):
        yield f"every language lacks {key}: {english[key]}"
    for language, keys in lacking.items():
        yield from (f"{language} lacks {key}: {english[key]}" for key in sorted(keys - everywhere))
        yield from (f"{language} has {key}, and English has not" for key in needless(language))
    yield from (f"changed in English: {key}: {english[key]}" for key in changed() if key not in everywhere)


def main(arguments: list[str]) -> int:
    """Print what is to be done, or remember that it is done."""
    if arguments == ["--done"]:
        REMEMBERED.write_text(json.dumps(hashes(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    lines = list(report())
    print("\n".join(lines) or f"{len(read())} sentences, {len(languages()) + 1} languages, nothing to do.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
