"""What every storage must keep: the same suite on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from prelisten import audit
from prelisten.engine import embedded
from prelisten.errors import StorageError
from prelisten.records import (
    Action,
    Decision,
    Finding,
    FindingState,
    HintCheck,
    Outcome,
    Recomputed,
    ReviewCase,
    Submission,
    SubmissionState,
    TokenState,
)
from prelisten.storage import tables
from prelisten.storage.interface import Evidence, Storage, TokenSpent
from prelisten.storage.sql import SqlStorage, known_revisions, open_storage, revision_of
from tests.servers import Postgres
from wasm_detector.hint import Reason

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SHA = "a" * 64


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    opened = open_storage(database_url)
    yield opened
    opened.close()


def submission(name: str = "s1", **fields) -> Submission:
    known = {
        "id": name,
        "sha256": SHA,
        "size_bytes": 7,
        "file_name": "Ünïcode \U0001f3a4.wav",
        "media_type": "audio/wav",
        "action": "voice",
        "idempotency_key": None,
        "declared": True,
        "state": SubmissionState.QUEUED,
        "received_at": NOW,
        "hint_check": HintCheck(TokenState.OK, claim={"q": 7}, cid="c", expires_at=9, codes=("A",)),
    }
    return Submission(**(known | fields))


def spend(tx, cid: str = "c1", **fields) -> str | None:
    known = {"sha256": SHA, "idempotency_key": None, "sid": None, "submission_id": "s1", "expires_at": 9}
    return tx.spend_token(cid, **(known | fields))


def test_submission_comes_back_as_it_went(storage: Storage) -> None:
    """Every field survives, the hint check and its claim included."""
    with storage.transaction() as tx:
        tx.add_submission(submission())
    with storage.read() as tx:
        assert tx.submission("s1") == submission()
        assert tx.submission("other") is None


def test_results_come_back_as_they_went(storage: Storage) -> None:
    """Findings in order, evidence, decision and state survive."""
    reason = Reason("PITCH", 1.5, ((0.0, 4.0),), {"x": 1})
    found = (
        Finding("recompute", "1", FindingState.DONE, 0.5, (reason,), {"a": [1]}),
        Finding("b", "1", "error"),
    )
    evidence = Evidence("f" * 64, {"band": "high"}, 1.0, None, {"format": "wav"}, ((0.0, 1.0), (9.0, 10.0)))
    decision = Decision(Action.REVIEW, (reason,), "default-1", "e" * 64, NOW)
    with storage.transaction() as tx:
        tx.add_submission(submission())
        tx.add_findings("s1", found)
        tx.set_evidence("s1", evidence)
        tx.set_decision("s1", decision)
        tx.set_state("s1", SubmissionState.DECIDED)
        tx.set_hint_check("s1", HintCheck(TokenState.OK, recomputed=Recomputed.MISMATCH, floor=Action.HOLD))
    with storage.read() as tx:
        assert (tx.findings("s1"), tx.evidence("s1"), tx.decision("s1")) == (found, evidence, decision)
        assert (tx.submission("s1").state, tx.submission("s1").hint_check.floor) == ("decided", "hold")


def test_second_decision_is_refused(storage: Storage) -> None:
    """There is one last decision; a second one rolls its whole transaction back."""
    decision = Decision(Action.LABEL, (), "default-1", "e" * 64, NOW)
    with storage.transaction() as tx:
        tx.add_submission(submission())
        tx.set_decision("s1", decision)
    with pytest.raises(StorageError), storage.transaction() as tx:  # noqa: PT012
        tx.set_state("s1", SubmissionState.SCREENING)
        tx.set_decision("s1", decision)
    with storage.read() as tx:
        assert tx.submission("s1").state is SubmissionState.QUEUED


def test_exception_rolls_everything_back(storage: Storage) -> None:
    """What a failed transaction did is not there, the spent token included."""
    with pytest.raises(KeyError), storage.transaction() as tx:  # noqa: PT012
        tx.add_submission(submission())
        spend(tx)
        raise KeyError("anything")
    with storage.transaction() as tx:
        assert tx.submission("s1") is None
        assert spend(tx) is None


def test_key_finds_the_same_file_for_the_same_action_only(storage: Storage) -> None:
    """A file decided under one action must not answer for another one."""
    with storage.transaction() as tx:
        tx.add_submission(submission(idempotency_key="k"))
        assert tx.submission_by_key("k", SHA, "voice").id == "s1"
        for other in (("x", SHA, "voice"), ("k", "b" * 64, "voice"), ("k", SHA, "feed")):
            assert tx.submission_by_key(*other) is None


def test_token_is_spent_once(storage: Storage) -> None:
    """The same sending gets the stored submission; another file, key or session is refused."""
    with storage.transaction() as tx:
        assert spend(tx) is None
        assert spend(tx, submission_id="s2") == "s1"
        for other in ({"sha256": "b" * 64}, {"idempotency_key": "k"}, {"sid": "x"}):
            with pytest.raises(TokenSpent):
                spend(tx, submission_id="s3", **other)


def test_key_speaks_before_the_session(storage: Storage) -> None:
    """With a key on both sides, a retry from a renewed session is still the same sending."""
    with storage.transaction() as tx:
        spend(tx, idempotency_key="k", sid="monday")
        assert spend(tx, idempotency_key="k", sid="tuesday", submission_id="s2") == "s1"


def test_answer_of_a_verification_goes_with_its_token(storage: Storage) -> None:
    """It comes back as it went, and is forgotten when the token's record is, not before."""
    answer = {"success": True, "error-codes": [], "claim": {"q": 7}, "hostname": "ü"}
    with storage.transaction() as tx:
        spend(tx, submission_id="verify:1", expires_at=9)
        tx.add_verification("verify:1", answer, expires_at=9)
        assert (tx.verification("verify:1"), tx.verification("verify:2")) == (answer, None)
        assert (tx.forget_tokens(9), tx.verification("verify:1")) == (0, answer)
        assert (tx.forget_tokens(10), tx.verification("verify:1")) == (1, None)


def test_one_of_many_threads_spends_a_token(storage: Storage) -> None:
    """64 threads with 64 files and one token: one spends it, 63 are told that it is a duplicate."""
    start = threading.Barrier(16)

    def attempt(number: int) -> bool:
        if number < 16:
            start.wait()
        try:
            with storage.transaction() as tx:
                return spend(tx, sha256=f"{number:064d}", submission_id=f"s{number}") is None
        except TokenSpent:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(64))) == 1


def test_case_is_resolved_by_the_first_reviewer(storage: Storage) -> None:
    """The second one changes nothing, and is told."""
    words = {"note": "heard it", "at": NOW + timedelta(hours=1)}
    with storage.transaction() as tx:
        tx.add_submission(submission())
        tx.open_case(ReviewCase("r1", "s1", NOW))
        assert tx.resolve_case("r1", outcome=Outcome.SYNTHETIC, reviewer="Ada", **words)
        assert not tx.resolve_case("r1", outcome=Outcome.NOT_SYNTHETIC, reviewer="Bob", **words)
        assert not tx.resolve_case("r9", outcome=Outcome.NOT_SYNTHETIC, reviewer="Bob", **words)
        case = tx.case("r1")
    assert (case.outcome, case.reviewer, case.resolved_at) == (Outcome.SYNTHETIC, "Ada", words["at"])


def test_queue_of_cases_is_oldest_first_and_pages(storage: Storage) -> None:
    """Open cases wait in order; a resolved one leaves the queue."""
    with storage.transaction() as tx:
        for number in (3, 1, 2):
            tx.add_submission(submission(f"s{number}"))
            tx.open_case(ReviewCase(f"r{number}", f"s{number}", NOW + timedelta(minutes=number)))
        assert [case.id for case in tx.cases(is_open=True)] == ["r1", "r2", "r3"]
        assert [case.id for case in tx.cases(is_open=True, limit=1, offset=1)] == ["r2"]
        tx.resolve_case("r1", outcome=Outcome.INCONCLUSIVE, note="", reviewer="Ada", at=NOW)
        assert [case.id for case in tx.cases(is_open=False)] == ["r1"]
        assert (tx.count_cases(is_open=True), tx.count_cases(is_open=False)) == (2, 1)
        assert tx.case_for("s2").id == "r2"


def test_submission_has_one_case(storage: Storage) -> None:
    """A second case for the same submission is refused."""
    with pytest.raises(StorageError), storage.transaction() as tx:  # noqa: PT012
        tx.add_submission(submission())
        tx.open_case(ReviewCase("r1", "s1", NOW))
        tx.open_case(ReviewCase("r2", "s1", NOW))


def test_everything_survives_a_restart(database_url: str) -> None:
    """A second opening migrates nothing and finds all of it."""
    first = open_storage(database_url)
    with first.transaction() as tx:
        tx.add_submission(submission())
    first.close()
    second = open_storage(database_url)
    with second.read() as tx:
        assert tx.submission("s1") == submission()
    second.close()


def test_migrations_make_exactly_the_tables_of_the_code(storage: SqlStorage) -> None:
    """What Alembic made and what SQLAlchemy expects do not differ, the engine's and the log's tables included."""
    with storage.read() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_type": True})
        assert compare_metadata(context, [tables.metadata, embedded.metadata, audit.metadata]) == []


def test_several_openings_of_an_empty_database_migrate_it_once(postgres: Postgres) -> None:
    """Four processes that start together make one set of tables; none fails."""
    url = postgres.empty()
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(open_storage, [url] * 4):
            assert revision_of(opened) in known_revisions()
            opened.close()
    postgres.drop(url)


def test_chore_is_taken_by_one_of_many(storage: Storage) -> None:
    """Also the first time, when there is no row of it yet."""

    def take(_: int) -> bool:
        with storage.transaction() as tx:
            return tx.take_chore("sweep", NOW, every=timedelta(hours=1))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(16))) == 1


def test_reader_sees_one_picture_while_others_write(storage: Storage) -> None:
    """A reading transaction neither blocks a writer nor sees what it stores meanwhile."""
    with storage.read() as tx:
        assert tx.submission("s1") is None
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: add(storage)).result()
        assert tx.submission("s1") is None
    with storage.read() as tx:
        assert tx.submission("s1") is not None


def add(storage: Storage) -> None:
    with storage.transaction() as tx:
        tx.add_submission(submission())
