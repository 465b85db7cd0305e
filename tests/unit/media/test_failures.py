"""Every way in which a recording is not heard, or only in part, has words for it."""

from __future__ import annotations

import pytest

from prelisten.catalogue import catalogue
from prelisten.media.failures import FAILURES, media_error

NOTES = (
    *("TRUNCATED", "LENGTH_MISSTATED", "DAMAGED", "DECODE_LIMIT", "CHANNELS_CANCEL", "OTHER_TRACKS"),
    *("HINT_MISMATCH", "SCREENING_INCOMPLETE"),
)


@pytest.mark.parametrize("code", [*(code.upper() for code in FAILURES), *NOTES])
def test_code_has_a_title_and_a_sentence(code: str) -> None:
    """What the server says as a code, a page can say in words."""
    assert {f"reason.{code}", f"reason.{code}.title"} <= set(catalogue())


def test_unknown_code_of_the_child_counts_as_a_failed_decoder() -> None:
    """A code that nobody knows is not shown to anybody."""
    error = media_error("<script>")
    assert (error.code, error.state) == ("decoder_failed", "error")
