"""What the sender declares: stored, told and shown as the sender's own word; it decides nothing."""

from __future__ import annotations

import pytest

from tests.integration.test_main_path import codes, decided, reviewer
from tests.recordings import speech_like, wav_bytes

DECLARED = {"voice-declared": "yes"}
WORD = "The sender says that it contains computer-generated speech."


@pytest.mark.parametrize("fields", [DECLARED, {}], ids=["declared", "silent"])
def test_declaration_is_stored_and_shown_to_the_reviewer(strict_site, fields: dict[str, str]):
    """The box's entry reaches the submission and the reviewer's page; without it neither says anything."""
    submission, _, _ = decided(strict_site, wav_bytes(speech_like(5.0, seed=81)), **fields)
    assert submission.declared == bool(fields)
    with strict_site.services.storage.read() as tx:
        case = tx.case_for(submission.id)
    client, _ = reviewer(strict_site)
    assert (WORD in client.get(f"/review/cases/{case.id}").text) == bool(fields)


def test_declaration_decides_nothing(live_site):
    """The same recording, declared and not: the same action for the same reasons."""
    recording = wav_bytes(speech_like(5.0, seed=82))
    _, silent, _ = decided(live_site, recording)
    submission, declared, findings = decided(live_site, recording, **DECLARED)
    assert submission.declared
    assert (declared.action, codes(declared)) == (silent.action, codes(silent))
    assert {finding.check for finding in findings} >= {"recompute", "forensic"}
