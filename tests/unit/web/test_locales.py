"""The languages: every sentence of the English catalogue, said in each, with the same placeholders."""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from pathlib import Path

import pytest

from prelisten.catalogue import RIGHT_TO_LEFT

SCRIPT = Path(__file__).resolve().parents[3] / "web" / "translations.py"
SPEC = importlib.util.spec_from_file_location("translations", SCRIPT)
translations = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(translations)

ENGLISH = translations.read()
LANGUAGES = translations.languages()
OURS = {language: translations.read(language) for language in LANGUAGES}
LEAST = 32
# Words that are the same in English and there.
SAME_WORD: dict[str, set[str]] = {}
# The letters of a language; Latin ones where nothing is said.
LETTERS = {
    "ar": "ARABIC",
    "bg": "CYRILLIC",
    "el": "GREEK",
    "fa": "ARABIC",
    "he": "HEBREW",
    "hi": "DEVANAGARI",
    "ja": "CJK|HIRAGANA|KATAKANA|IDEOGRAPHIC",
    "ko": "HANGUL",
    "ru": "CYRILLIC",
    "sr": "CYRILLIC",
    "th": "THAI",
    "uk": "CYRILLIC",
    "ur": "ARABIC",
    "zh": "CJK",
    "zh-Hant": "CJK",
}
# Names that stay as they are: formats, keys, units.
NAMES = re.compile(
    r"\{.*?\}|Prelisten|Page Up|Page Down|Enter|https|kHz|MB|WAV|FLAC|MP3|MP4|M4A|MOV|Ogg|Opus|WebM|UTC|"
    r"Content Credentials|C2PA"
)


def placeholders(text: str) -> list[str]:
    """Return the placeholders of a sentence, sorted."""
    return sorted(re.findall(r"\{[^{}]*\}", text))


def test_there_are_enough_languages():
    """With English at least 32, four of them from right to left."""
    assert len(LANGUAGES) + 1 >= LEAST
    assert set(LANGUAGES) >= RIGHT_TO_LEFT


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_has_exactly_the_keys_of_english(language):
    """`python3 web/translations.py` lists them with their sentences."""
    assert translations.missing(language) == []
    assert translations.needless(language) == []


def test_languages_say_what_english_says_now():
    """Who changes an English sentence changes the others, then runs `python3 web/translations.py --done`."""
    assert translations.changed() == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_those_of_english(language):
    """A lost placeholder loses a fact; a misspelt one is shown as it stands."""
    ours = OURS[language]
    wrong = {
        key: text for key, text in ours.items() if placeholders(text) != placeholders(ENGLISH.get(key, text))
    }
    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_english(language):
    """What equals English has not been translated, or is one of the few words that are listed above."""
    same = {key for key, text in OURS[language].items() if ENGLISH.get(key) == text}
    assert same == SAME_WORD.get(language, set())


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_whole_and_clean(language):
    """None is empty, none begins or ends with a space or has two of them, none looks like markup."""
    unclean = {
        key: text for key, text in OURS[language].items() if not text or re.search(r"^\s|\s$|  |[<>]", text)
    }
    assert unclean == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_letters_are_the_languages_own(language):
    """No line slipped in from another file."""
    foreign = {}
    for key, text in OURS[language].items():
        letters = [letter for letter in NAMES.sub("", text) if letter.isalpha()]
        own = [
            letter for letter in letters if re.match(LETTERS.get(language, "LATIN"), unicodedata.name(letter))
        ]
        if len(own) < 0.9 * len(letters):
            foreign[key] = text
    assert foreign == {}


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_sentences_end_as_in_english(language):
    """A full sentence stays one, and a title or a button gets no full stop: what is read aloud pauses there."""
    ours = ENGLISH if language == "en" else OURS[language]
    stops = (".", "。", "।", "۔", "?", "？", "؟", ")", "）", ":")
    wrong = {
        key: text
        for key, text in ours.items()
        if (key in ENGLISH and ENGLISH[key].endswith(".") and not text.endswith(stops))
        or (
            ENGLISH.get(key, "").endswith(tuple("abcdefghijklmnopqrstuvwxyz"))
            and text.endswith((".", "。", "।", "۔"))
        )
    }
    assert wrong == {}


def test_report_names_what_is_missing(tmp_path, monkeypatch):
    """A key that one language lacks, one that all lack, one that English dropped, one that was changed."""
    files = {
        "en": '{"a": "one", "b": "two", "c": "three"}',
        "de": '{"a": "eins", "b": "zwei"}',
        "fr": '{"a": "un", "x": "?"}',
    }
    for language, text in files.items():
        (tmp_path / f"{language}.json").write_text(text)
    monkeypatch.setattr(translations, "LOCALES", tmp_path)
    monkeypatch.setattr(translations, "REMEMBERED", tmp_path / "remembered")
    assert translations.main(["--done"]) == 1
    (tmp_path / "en.json").write_text(files["en"].replace("one", "won"))
    assert list(translations.report()) == [
        "every language lacks c: three",
        "fr lacks b: two",
        "fr has x, and English has not",
        "changed in English: a: won",
    ]
