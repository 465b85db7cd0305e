"""The main path without HTTP: receive, screen, decide, on a real database, real blobs and a real decoder."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from prelisten.config import load_config
from prelisten.engine.interface import LeaseLost
from prelisten.errors import StorageError
from prelisten.hints import issue_challenge, seal
from prelisten.hints.envelope import HINT_SALT, unpack
from prelisten.media.listen import listen
from prelisten.pipeline import Services, receive, recompute_claim, screen_submission, wait_for_decision
from prelisten.policy.document import parse_policy
from prelisten.records import Action, FindingState, Recomputed, SubmissionState, TokenState
from prelisten.storage.interface import Evidence
from prelisten.worker import run_worker
from tests.recordings import speech_like, wav_bytes
from tests.services import DETECTOR, make_services, quarantined, screened
from wasm_detector.hint import claim_of
from wasm_detector.streaming import Stream

ORIGIN = "https://form.example"
CONTENT = wav_bytes(speech_like(4.0, seed=1))
OTHER = wav_bytes(speech_like(4.0, seed=2))
REVIEW_ALL = parse_policy("name: suspicious\ndefault: {thresholds: {review: 0.0}, inconclusive: review}")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    yield made
    made.storage.close()


def honest(content: bytes, folder: Path, *, max_seconds: float = 120.0) -> dict:
    """Return the detector's part of the claim that a browser would make on a page that asks for so many seconds."""
    path = folder / "of-the-browser"
    path.write_bytes(content)
    with listen(path, load_config({}, max_seconds=max_seconds)) as recording:
        stream = Stream(recording.sample_rate, total_s=recording.total_s, max_seconds=max_seconds)
        for start, samples in recording.blocks():
            stream.push(samples, start=start)
        stream.total_s = recording.found_s  # A page knows how long what it decoded is.
    return claim_of(stream.finish(), recording.exact)


def services_claim(services: Services, content: bytes, **changes) -> dict:
    """Return the claim that a verified token for a file holds."""
    return unpack(token_for(services, content, **changes), salt=HINT_SALT, keys=services.keys)["claim"]


def token_for(
    services: Services, content: bytes, *, now: int | None = None, session: str | None = None, **changes
) -> str:
    """Return the token that a browser gets for a file."""
    now = int(time.time()) if now is None else now
    text, challenge = issue_challenge(
        action="voice-upload",
        origin=ORIGIN,
        session=session,
        detectors=services.detectors,
        keys=services.keys,
        now=now,
        ttl_s=900,
    )
    claim = honest(content, services.config.data) | {
        "v": 1,
        "cid": challenge.cid,
        "file": {"size": len(content), "type": "audio/wav", "sha256": hashlib.sha256(content).hexdigest()},
        "det": {"id": DETECTOR[0], "sha256": DETECTOR[1]},
        "env": {"decoder": "wav", "rate": 16000.0},
        "t": {},
    }
    token, _ = seal(text, claim | changes, origin=ORIGIN, keys=services.keys, now=now, ttl_s=3600)
    return token


def send(services: Services, content: bytes = CONTENT, **fields):
    return receive(quarantined(services, content, origin=ORIGIN, **fields), services)


def test_upload_without_a_token_is_screened_and_decided(services: Services) -> None:
    """The form without the widget: full screening, a decision, the evidence and no trace in quarantine."""
    submission, decision = screened(services, CONTENT)
    with services.storage.read() as tx:
        findings, evidence = tx.findings(submission.id), tx.evidence(submission.id)
    assert (submission.state, submission.hint_check.token) == (SubmissionState.DECIDED, TokenState.ABSENT)
    assert {finding.check: finding.state for finding in findings} == {
        "recompute": FindingState.DONE,
        "forensic": FindingState.DONE,
        "claim": FindingState.NOT_APPLICABLE,
    }
    assert services.blobs.exists(evidence.pcm_sha256)
    assert services.blobs.exists(submission.sha256)
    assert decision.policy_version == services.policy.version
    assert list((services.config.data / "quarantine").iterdir()) == []


def test_honest_hint_is_recomputed_and_matches(services: Services) -> None:
    """The claim about a WAV agrees to the last digit."""
    submission, _ = screened(services, CONTENT, token=token_for(services, CONTENT), origin=ORIGIN)
    assert (submission.hint_check.token, submission.hint_check.recomputed) == (
        TokenState.OK,
        Recomputed.MATCH,
    )


def test_lying_hint_is_a_mismatch_and_changes_no_decision(services: Services) -> None:
    """A forged score is found out; the decision is the one that the file gets without any hint."""
    lie = token_for(services, CONTENT, band="high", q=999)
    submission, decision = screened(services, CONTENT, token=lie, origin=ORIGIN)
    _, without = screened(services, CONTENT)
    check = submission.hint_check
    assert (check.recomputed, check.floor, check.codes) == (
        Recomputed.MISMATCH,
        Action.HOLD,
        ("HINT_MISMATCH",),
    )
    assert (decision.action, decision.evidence_sha256) == (without.action, without.evidence_sha256)


def test_claim_is_recomputed_without_a_submission(services: Services, tmp_path: Path) -> None:
    """For back ends that keep the file themselves: the word, what differs, and nothing left behind."""
    (file := tmp_path / "file").write_bytes(CONTENT)
    claim = services_claim(services, CONTENT)
    assert recompute_claim(file, claim, services) == (Recomputed.MATCH, ())
    assert recompute_claim(file, claim | {"q": 999}, services) == (Recomputed.MISMATCH, ("q",))
    assert [path for path in services.blobs.root.rglob("*") if path.is_file()] == []


def test_claim_about_what_cannot_be_heard_is_not_recomputed(services: Services, tmp_path: Path) -> None:
    """Bad media is no ground to call a claim wrong, and no exception."""
    claim = services_claim(services, CONTENT)
    for number, content in enumerate((b"", b"no sound at all" * 100, CONTENT[:44])):
        (file := tmp_path / str(number)).write_bytes(content)
        assert recompute_claim(file, claim, services) == (Recomputed.NOT_RUN, ())


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        (TokenState.WRONG_FILE, {"content": OTHER}),
        (TokenState.WRONG_ACTION, {"action": "another"}),
        (TokenState.WRONG_SESSION, {"session": "somebody's"}),
        (TokenState.EXPIRED, {"age_s": 4000}),
        (TokenState.MALFORMED, {"token": "nonsense"}),
    ],
)
def test_bad_token_refuses_nothing(services: Services, state: TokenState, fields: dict) -> None:
    """Whatever is wrong with a token, the file is stored, queued, and screened in full."""
    now = int(time.time()) - fields.pop("age_s", 0)
    token = fields.pop("token", None) or token_for(services, CONTENT, now=now)
    submission, is_repeated = send(services, fields.pop("content", CONTENT), token=token, **fields)
    assert (submission.hint_check.token, is_repeated) == (state, False)
    assert services.engine.queue_depth() == 1


def test_token_used_twice_is_a_duplicate_for_another_file_or_key(services: Services) -> None:
    """The second file is stored too, with nothing gained by the token."""
    token = token_for(services, CONTENT)
    first, _ = send(services, token=token, idempotency_key="a")
    second, is_repeated = send(services, token=token, idempotency_key="b")
    assert (first.hint_check.token, second.hint_check.token) == (TokenState.OK, TokenState.DUPLICATE)
    assert (is_repeated, second.hint_check.floor) == (False, Action.HOLD)
    assert second.hint_check.claim is None


def test_bad_token_is_not_spent_by_the_attempt(services: Services) -> None:
    """Sending another file under somebody's token does not take it from them."""
    token = token_for(services, CONTENT)
    send(services, OTHER, token=token)
    submission, _ = send(services, token=token)
    assert submission.hint_check.token is TokenState.OK


@pytest.mark.parametrize(
    "fields", [{"idempotency_key": "k"}, {"idempotency_key": "k", "token": True}, {"token": True}]
)
def test_double_click_is_one_submission(services: Services, fields: dict) -> None:
    """The same file under the same key, or the same token without one: sixteen clicks at once, one submission."""
    if fields.get("token"):
        fields = fields | {"token": token_for(services, CONTENT)}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: send(services, **fields), range(16)))
    assert len({submission.id for submission, _ in answers}) == 1
    assert sorted(is_repeated for _, is_repeated in answers) == [False] + [True] * 15
    assert services.engine.queue_depth() == 1


def test_key_with_another_file_or_action_is_another_submission(services: Services) -> None:
    """A key alone proves nothing: a file decided under one action must not answer for another one."""
    sent = [
        send(services, idempotency_key="k"),
        send(services, OTHER, idempotency_key="k"),
        send(services, idempotency_key="k", action="feed"),
    ]
    assert len({submission.id for submission, _ in sent}) == 3


def test_same_bytes_twice_without_a_key_are_two_submissions(services: Services) -> None:
    """Two people may send the same file; one blob serves both."""
    assert send(services)[0].id != send(services)[0].id
    assert services.engine.queue_depth() == 2


def test_review_opens_a_case_with_what_was_scored(services: Services) -> None:
    """What the policy sends to a person has a case, once."""
    strict = replace(services, policy=REVIEW_ALL)
    submission, decision = screened(strict, CONTENT)
    with services.storage.read() as tx:
        case, evidence = tx.case_for(submission.id), tx.evidence(submission.id)
    assert (decision.action, case.outcome, case.opened_at) == (Action.REVIEW, None, decision.decided_at)
    assert services.blobs.path(evidence.pcm_sha256).stat().st_size > 4 * 16_000


def test_exhausted_attempts_are_decided_without_touching_the_recording(services: Services) -> None:
    """After three deaths a person is asked, and is told why."""
    submission, _ = send(services)
    lease = services.engine.claim("w")
    screen_submission(submission.id, services, lease=replace(lease, is_exhausted=True))
    with services.storage.read() as tx:
        decision, evidence = tx.decision(submission.id), tx.evidence(submission.id)
        assert tx.case_for(submission.id) is not None
    assert (decision.action, [reason.code for reason in decision.reasons]) == (
        "review",
        ["SCREENING_INCOMPLETE"],
    )
    assert evidence is None


def test_outdated_worker_stores_nothing(services: Services) -> None:
    """Its whole result is rolled back: the new holder's is the only one."""
    submission, _ = send(services)
    lease = services.engine.claim("w")
    with pytest.raises(LeaseLost):
        screen_submission(submission.id, services, lease=replace(lease, fence=0))
    with services.storage.read() as tx:
        assert (tx.findings(submission.id), tx.decision(submission.id), tx.evidence(submission.id)) == (
            (),
            None,
            None,
        )


def block_the_blobs(services: Services) -> None:
    (services.config.data / "blobs").write_text("a file where the folder should be")


def fill_the_disk(services: Services) -> None:
    """Let the database of this process grow no further."""
    with services.storage.read() as tx:
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


@pytest.mark.parametrize("break_it", [block_the_blobs, fill_the_disk])
def test_failing_disk_refuses_the_upload_and_leaves_nothing(services: Services, break_it) -> None:
    """No row, no job, no blob, no quarantined file, no spent token: the sender may simply try again."""
    token = token_for(services, CONTENT)
    break_it(services)
    big = {"file_name": "x" * 200_000}  # More than the free space inside the database's last pages.
    with pytest.raises(StorageError):
        send(services, token=token, **big)
    with services.storage.read() as tx:
        counts = [
            tx.connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("submissions", "jobs", "spent_tokens")
        ]
    assert counts == [0, 0, 0]
    assert [path for path in services.blobs.root.rglob("*") if path.is_file()] == []
    assert list((services.config.data / "quarantine").iterdir()) == []


def test_failed_upload_does_not_take_away_an_earlier_one(services: Services) -> None:
    """The blob of the same bytes stays when a second sending of them fails."""
    first, _ = send(services)
    fill_the_disk(services)
    with pytest.raises(StorageError):
        send(services, file_name="x" * 200_000)
    assert services.blobs.exists(first.sha256)


def test_full_disk_while_screening_is_done_later(services: Services, tmp_path: Path) -> None:
    """The samples cannot be kept, so nothing is decided; when there is room again it is, as if nothing had been."""
    submission, _ = send(services)
    (services.blobs.root / "unfinished").write_text("no folder can be here")
    lease = services.engine.claim("w")
    with pytest.raises(StorageError):
        screen_submission(submission.id, services, lease=lease)
    services.engine.release(lease, delay_s=0, is_counted=False)
    (services.blobs.root / "unfinished").unlink()
    screen_submission(submission.id, services, lease=services.engine.claim("w"))
    assert wait_for_decision(submission.id, services, 0) is not None


def test_waiting_ends_with_the_decision_or_with_the_time(services: Services) -> None:
    """`None` while there is none; the decision as soon as a worker has made it."""
    submission, _ = send(services)
    assert wait_for_decision(submission.id, services, 0.05) is None
    stop = threading.Event()
    worker = threading.Thread(target=run_worker, args=(services,), kwargs={"stop": stop})
    worker.start()
    try:
        assert wait_for_decision(submission.id, services, 30) is not None
    finally:
        stop.set()
        worker.join()


def test_everything_survives_a_restart(services: Services) -> None:
    """Another process on the same folder finds submission, decision, evidence and the queue."""
    decided, decision = screened(services, CONTENT)
    waiting, _ = send(services, OTHER)
    services.storage.close()
    again = make_services(services.config.data)
    with again.storage.read() as tx:
        assert tx.decision(decided.id) == decision
        assert isinstance(tx.evidence(decided.id), Evidence)
    assert again.engine.claim("w").submission_id == waiting.id
    again.storage.close()
