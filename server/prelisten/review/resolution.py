"""What a reviewer may say about a case, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from prelisten.errors import BadRequestError
from prelisten.records import Outcome

MAX_NOTE_CHARACTERS = 4_000
MAX_REVIEWER_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Resolution:
    """A reviewer's outcome with a note and the reviewer's name."""

    outcome: Outcome
    note: str
    reviewer: str


def read_resolution(outcome: str, note: str, reviewer: str) -> Resolution:
    """Return the resolution; raises `BadRequestError` that says which part does not fit."""
    try:
        chosen = Outcome(outcome)
    except ValueError:
        raise BadRequestError(f"Choose one of the outcomes: {', '.join(Outcome)}.") from None
    if len(note) > MAX_NOTE_CHARACTERS:
        raise BadRequestError(f"The note has {len(note)} characters; {MAX_NOTE_CHARACTERS} is the most.")
    return Resolution(chosen, note.strip(), reviewer)


def read_reviewer(name: str) -> str:
    """Return a reviewer's name without outer spaces; raises `BadRequestError` when it is empty or too long."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_REVIEWER_CHARACTERS or not name.isprintable():
        raise BadRequestError(
            f"Enter a name of 1 to {MAX_REVIEWER_CHARACTERS} characters, to stand beside outcomes."
        )
    return name
