"""What an application can ask later about a submission that it was given as `hold`."""

from __future__ import annotations

import pytest

from prelisten.errors import GoneError, NotFoundError
from prelisten.pipeline import wait_for_decision
from prelisten.privacy import erase
from prelisten.records import Action
from tests.integration.test_routes import send
from tests.recordings import speech_like, wav_bytes

VOICE = wav_bytes(speech_like(2.0, seed=3))


def test_hold_becomes_the_decision(live_site):
    """The id that the view was given leads to the decision, its reasons and findings, and to the very bytes."""
    prelisten = live_site.app.extensions["prelisten"]
    submission_id = send(live_site.client(), VOICE).location.rsplit("/", 1)[1]
    assert wait_for_decision(submission_id, live_site.services, 60) is not None
    with live_site.app.test_request_context():
        found = prelisten.look_up(submission_id)
    assert found.decision is not Action.HOLD
    assert found.findings
    assert found.status_url.endswith(submission_id)
    with prelisten.open_recording(submission_id) as recording:
        assert recording.read() == VOICE


def test_undecided_is_hold(site):
    """Before there is a decision the word is `hold`."""
    submission_id = send(site.client(), VOICE).location.rsplit("/", 1)[1]
    with site.app.test_request_context():
        assert site.app.extensions["prelisten"].look_up(submission_id).decision is Action.HOLD


def test_unknown_and_erased_are_told_apart(site):
    """An id that was never given, and one whose submission was erased."""
    prelisten = site.app.extensions["prelisten"]
    submission_id = send(site.client(), VOICE).location.rsplit("/", 1)[1]
    erase(submission_id, site.services)
    for ask in (prelisten.look_up, prelisten.open_recording):
        with site.app.test_request_context(), pytest.raises(GoneError):
            ask(submission_id)
        with site.app.test_request_context(), pytest.raises(NotFoundError):
            ask("0" * 32)
