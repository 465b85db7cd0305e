"""Every file of the corpus through the real main path: it ends as its row says, and costs no more than allowed."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from prelisten.media.sandbox import CPU_MARGIN_S
from prelisten.pipeline import Services
from prelisten.records import Action, Finding
from tests.poison.attacks import ATTACKERS, many_boxes
from tests.poison.corpus import CORPUS, table
from tests.poison.sounds import TIMEOUT, Poison
from tests.poison.uploads import PEOPLE
from tests.services import make_services, screened

DOCUMENT = Path(__file__).resolve().parents[2] / "web" / "docs" / "media.md"
# What listening says about the file, not about the voice.
NOTES = {"TRUNCATED", "LENGTH_MISSTATED", "DAMAGED", "DECODE_LIMIT", "CHANNELS_CANCEL", "OTHER_TRACKS"}
MAX_PROCESS_BYTES = 1_000_000_000


_GREW_TO: dict[str, int] = {}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = make_services(tmp_path_factory.mktemp("poison"))
    _GREW_TO["before"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield made
    made.storage.close()


def recompute(services: Services, submission_id: str) -> Finding:
    with services.storage.read() as tx:
        return next(finding for finding in tx.findings(submission_id) if finding.check == "recompute")


def decoder_s() -> float:
    """Return the processor time of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("poison", CORPUS, ids=lambda poison: poison.name)
def test_file_ends_as_its_row_says(poison: Poison, services: Services) -> None:
    """State, codes and decision are those of the table, whatever the name says, within the processor's limit."""
    content, before_s = poison.make(), decoder_s()
    submission, decision = screened(services, content, file_name="named.otherwise")
    finding, codes = recompute(services, submission.id), {reason.code for reason in decision.reasons}
    assert finding.state == poison.state
    assert set(poison.codes) <= codes
    assert decision.action.strictness >= Action(poison.action).strictness
    assert decoder_s() - before_s < services.config.decode_timeout_s + CPU_MARGIN_S + 1
    if poison.heard_s is not None:
        assert NOTES & codes == set()
        assert_heard_whole(poison.heard_s, submission.id, services)


def assert_heard_whole(seconds: float, submission_id: str, services: Services) -> None:
    """Fail unless the recording was heard from its first to its last second."""
    with services.storage.read() as tx:
        evidence = tx.evidence(submission_id)
    assert not recompute(services, submission_id).details["is_partial"]
    assert evidence.analysed_s == pytest.approx(evidence.total_s, abs=0.1)
    assert evidence.analysed_s == pytest.approx(seconds, abs=0.2)


def test_file_that_keeps_the_decoder_busy_is_given_up(tmp_path: Path) -> None:
    """Past the clock there is a finding and a decision, and no decoder any more."""
    impatient = make_services(tmp_path / "data", decode_timeout_s=0.5)
    submission, decision = screened(impatient, many_boxes(4_000_000), file_name="memo.m4a")
    assert recompute(impatient, submission.id).state == TIMEOUT
    assert "DECODE_TIMEOUT" in {reason.code for reason in decision.reasons}
    assert decision.action is Action.REVIEW
    impatient.storage.close()


def test_no_process_grew_beyond_its_limit(services: Services) -> None:
    """Neither this one nor any decoder took a gigabyte for any file of the corpus."""
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MAX_PROCESS_BYTES
    # Other tests of the same run have used this process before.
    own_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert own_bytes < max(MAX_PROCESS_BYTES, _GREW_TO["before"] + MAX_PROCESS_BYTES / 4)


def test_bad_files_leave_nothing_in_quarantine_or_unfinished(services: Services) -> None:
    """Whatever was sent, no temporary file stays behind."""
    for folder in ("quarantine", "blobs/unfinished"):
        assert list((services.config.data / folder).iterdir()) == []


def test_documentation_shows_these_rows() -> None:
    """The table that people read is the table that is tested."""
    text = DOCUMENT.read_text()
    for rows in (PEOPLE, ATTACKERS):
        assert table(rows) in text, "python -m tests.poison.corpus --table prints what belongs there"


def test_no_name_stands_twice() -> None:
    """A row that hides another would go unread."""
    assert len({poison.name for poison in CORPUS}) == len(CORPUS)
