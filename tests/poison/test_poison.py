"""Every file of the corpus through the real main path: it ends as its row says, and costs no more than allowed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from prelisten.config import load_config
from prelisten.media.sandbox import CPU_MARGIN_S
from prelisten.records import Action
from tests.poison.attacks import ATTACKERS, many_boxes
from tests.poison.corpus import CORPUS, table
from tests.poison.screening import End, peak_bytes, screen, screening_process
from tests.poison.sounds import TIMEOUT, Poison
from tests.poison.uploads import PEOPLE
from tests.services import make_services, screened

DOCUMENT = Path(__file__).resolve().parents[2] / "web" / "docs" / "media.md"
# What listening says about the file, not about the voice.
NOTES = {"TRUNCATED", "LENGTH_MISSTATED", "DAMAGED", "DECODE_LIMIT", "CHANNELS_CANCEL", "OTHER_TRACKS"}
MAX_PROCESS_BYTES = 1_000_000_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("poison")


@pytest.fixture(scope="module")
def process(data: Path) -> Iterator[ProcessPoolExecutor]:
    with screening_process(data) as started:
        yield started


@pytest.mark.parametrize("poison", CORPUS, ids=lambda poison: poison.name)
def test_file_ends_as_its_row_says(poison: Poison, process: ProcessPoolExecutor) -> None:
    """State, codes and decision are those of the table, whatever the name says, within the processor's limit."""
    end = process.submit(screen, poison.name).result()
    assert end.state == poison.state
    assert set(poison.codes) <= end.codes
    assert end.action.strictness >= Action(poison.action).strictness
    assert end.decoder_s < load_config({}, data=Path()).decode_timeout_s + CPU_MARGIN_S + 1
    if poison.heard_s is not None:
        assert NOTES & end.codes == set()
        assert_heard_whole(poison.heard_s, end)


def assert_heard_whole(seconds: float, end: End) -> None:
    """Fail unless the recording was heard from its first to its last second."""
    assert not end.is_partial
    assert end.analysed_s == pytest.approx(end.total_s, abs=0.1)
    assert end.analysed_s == pytest.approx(seconds, abs=0.2)


def test_file_that_keeps_the_decoder_busy_is_given_up(tmp_path: Path) -> None:
    """Past the clock there is a finding and a decision, and no decoder any more."""
    impatient = make_services(tmp_path / "data", decode_timeout_s=0.5)
    submission, decision = screened(impatient, many_boxes(4_000_000), file_name="memo.m4a")
    with impatient.storage.read() as tx:
        states = {finding.check: finding.state for finding in tx.findings(submission.id)}
    assert states["recompute"] == TIMEOUT
    assert "DECODE_TIMEOUT" in {reason.code for reason in decision.reasons}
    assert decision.action is Action.REVIEW
    impatient.storage.close()


def test_no_process_grew_beyond_its_limit(process: ProcessPoolExecutor) -> None:
    """Neither the process that screened the corpus nor any decoder took a gigabyte for any file."""
    assert max(process.submit(peak_bytes).result()) < MAX_PROCESS_BYTES


def test_bad_files_leave_nothing_in_quarantine_or_unfinished(
    process: ProcessPoolExecutor, data: Path
) -> None:
    """Whatever was sent, no temporary file stays behind."""
    process.submit(screen, CORPUS[0].name).result()
    for folder in ("quarantine", "blobs/unfinished"):
        assert list((data / folder).iterdir()) == []


def test_documentation_shows_these_rows() -> None:
    """The table that people read is the table that is tested."""
    text = DOCUMENT.read_text()
    for rows in (PEOPLE, ATTACKERS):
        assert table(rows) in text, "python -m tests.poison.corpus --table prints what belongs there"


def test_no_name_stands_twice() -> None:
    """A row that hides another would go unread."""
    assert len({poison.name for poison in CORPUS}) == len(CORPUS)
