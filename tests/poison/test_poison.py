"""Every bad file through the real main path: it ends as the corpus says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prelisten.pipeline import Services
from prelisten.records import Action, Finding
from tests.poison.corpus import CORPUS, HEARD, Poison
from tests.services import make_services, screened


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = make_services(tmp_path_factory.mktemp("poison"))
    yield made
    made.storage.close()


def recompute(services: Services, submission_id: str) -> Finding:
    with services.storage.read() as tx:
        return next(finding for finding in tx.findings(submission_id) if finding.check == "recompute")


@pytest.mark.parametrize("poison", CORPUS, ids=lambda poison: poison.name)
def test_bad_file_ends_with_a_code_and_its_decision(poison: Poison, services: Services) -> None:
    """A bad file gets a state, its codes and a decision, whatever its name says."""
    submission, decision = screened(services, poison.make(), file_name=poison.name)
    codes = {reason.code for reason in decision.reasons}
    assert recompute(services, submission.id).state == poison.state
    assert set(poison.codes) <= codes
    assert decision.action.strictness >= Action(poison.action).strictness


@pytest.mark.parametrize("poison", HEARD, ids=lambda poison: poison.name)
def test_what_browsers_record_or_play_is_heard_whole(poison: Poison, services: Services) -> None:
    """A sound recording is heard to its end without a complaint, in every format and wrapping."""
    submission, _ = screened(services, poison.make(), file_name="named.otherwise")
    with services.storage.read() as tx:
        evidence = tx.evidence(submission.id)
    finding = recompute(services, submission.id)
    assert (finding.state, finding.details["is_partial"]) == (poison.state, False)
    assert evidence.analysed_s == pytest.approx(evidence.total_s, abs=0.1)
    assert evidence.analysed_s == pytest.approx(4.0 if "video" in poison.name else 8.0, abs=0.2)


def test_bad_files_leave_nothing_in_quarantine_or_unfinished(services: Services) -> None:
    """Whatever was sent, no temporary file stays behind."""
    for folder in ("quarantine", "blobs/unfinished"):
        assert list((services.config.data / folder).iterdir()) == []
