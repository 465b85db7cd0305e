"""What is remembered of a decision: the log's entries, the policy's text, the shadow's word, the reviewers' budget."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from prelisten import Prelisten, audit
from prelisten.config import load_config
from prelisten.decisions import activate_policy, is_used_up, storable
from prelisten.engine.interface import LeaseLost
from prelisten.errors import ConfigError, StorageError
from prelisten.keys import ensure_keys
from prelisten.pipeline import Services, receive, screen_submission
from prelisten.policy import load_policy, parse_policy
from prelisten.policy.document import Budgets
from prelisten.records import Action, Context, Finding, FindingState
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, quarantined, screened

CONTENT = wav_bytes(speech_like(4.0, seed=1))
REVIEW_ALL = "default: {thresholds: {review: 0.0}, inconclusive: review}"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path)
    yield made
    made.storage.close()


def log_of(services: Services) -> list[audit.Entry]:
    with services.storage.read() as tx:
        found = list(audit.read_entries(tx.connection))
    assert audit.verify(found).problem is None
    return found


def test_upload_and_decision_are_in_the_log(services: Services) -> None:
    """By id and keyed digest: neither the file's name nor its hash is there, and nothing of the session."""
    submission, decision = screened(services, CONTENT, file_name="grandma.wav", session="ada@example.org")
    received, decided = log_of(services)
    assert [(entry.kind, entry.subject) for entry in (received, decided)] == [
        ("received", submission.id),
        ("decision", submission.id),
    ]
    assert json.loads(decided.body)["action"] == decision.action
    text = received.body + decided.body
    assert not any(word in text for word in (submission.sha256, "grandma", "ada", decision.evidence_sha256))


def test_name_of_a_form_that_is_no_word_stops_nothing(services: Services) -> None:
    """An application may call its forms as it likes; the log holds a digest then."""
    submission, _ = screened(services, CONTENT, action="Grüße an Oma")
    received = json.loads(log_of(services)[0].body)
    assert submission.action == "Grüße an Oma"
    assert len(received["action"]) == 64


def test_same_sending_is_received_once(services: Services) -> None:
    """A double click leaves one entry."""
    for _ in range(2):
        receive(quarantined(services, CONTENT, idempotency_key="k"), services)
    assert [entry.kind for entry in log_of(services)] == ["received"]


def test_what_was_not_stored_is_not_in_the_log(services: Services) -> None:
    """A lost lease and a disk that fails leave no entry behind."""
    submission, _ = receive(quarantined(services, CONTENT), services)
    lease = services.engine.claim("w")
    with pytest.raises(LeaseLost):
        screen_submission(submission.id, services, lease=replace(lease, fence=0))
    (services.config.data / "blobs" / "ab").mkdir(exist_ok=True)
    broken = replace(services, blobs=type(services.blobs)(services.config.data / "prelisten.sqlite3"))
    with pytest.raises(StorageError):
        receive(quarantined(services, CONTENT), broken)
    assert [entry.kind for entry in log_of(services)] == ["received"]


def test_policy_text_is_stored_with_its_first_decision(services: Services) -> None:
    """The version that decided can be read back to the same policy."""
    _, decision = screened(services, CONTENT)
    with services.storage.read() as tx:
        assert parse_policy(tx.policy_text(decision.policy_version)).version == services.policy.version


def test_change_of_policy_is_in_the_log_once(services: Services) -> None:
    """A restart with the same policy says nothing; another one does, and so does the way back."""
    other = parse_policy(f"name: other\n{REVIEW_ALL}")
    for policy in (services.policy, services.policy, other, other, services.policy):
        activate_policy(services.storage, policy)
    activated = [entry.subject for entry in log_of(services)]
    assert activated == [services.policy.version, other.version, services.policy.version]


def test_shadow_policy_decides_beside_and_nothing_acts_on_it(services: Services) -> None:
    """Its word is stored; decision, case and status are the active policy's."""
    shadow = parse_policy(f"name: tried\nstatus: shadow\n{REVIEW_ALL}")
    submission, decision = screened(replace(services, shadow=shadow), CONTENT)
    with services.storage.read() as tx:
        (tried,) = tx.shadow_decisions(submission.id)
        assert (tried.action, tried.policy_version) == (Action.REVIEW, shadow.version)
        assert decision.action is not Action.REVIEW
        assert tx.case_for(submission.id) is None
        assert tx.policy_text(shadow.version) is not None


def test_active_policy_is_no_shadow(tmp_path: Path) -> None:
    """Two files that were mixed up stop the start."""
    path = tmp_path / "policy.yaml"
    path.write_text(f"name: a\n{REVIEW_ALL}")
    with pytest.raises(ConfigError, match="status: shadow"):
        load_policy(path, status="shadow")


@pytest.mark.parametrize("over_budget", ["review", "label"])
def test_reviewers_get_their_fill_first(services: Services, over_budget: str) -> None:
    """Past the budget every case is still there, marked, behind the ones within it."""
    text = "name: busy\nbudgets: {reviews_per_hour: 2}\n" + REVIEW_ALL.replace("}", "}", 1)
    policy = parse_policy(text[:-1] + f", over_budget: {over_budget}}}")
    busy = replace(services, policy=policy)
    made = [screened(busy, CONTENT) for _ in range(4)]
    assert [decision.is_over_budget for _, decision in made] == [False, False, True, True]
    assert [decision.action for _, decision in made] == ["review", "review", over_budget, over_budget]
    with services.storage.transaction() as tx:
        assert tx.count_cases(is_open=True) == 4
        tx.connection.exec_driver_sql(
            "UPDATE cases SET opened_at = '2020-01-01 00:00:00.000000' WHERE submission_id = ?",
            (made[3][0].id,),
        )
        queue = [case.submission_id for case in tx.cases(is_open=True)]
    assert queue[:2] == [made[0][0].id, made[1][0].id]


def test_used_up_budget_comes_back(services: Services) -> None:
    """An hour later there is room again, however many stood in line meanwhile; the day has its own bound."""
    policy = parse_policy(f"name: busy\nbudgets: {{reviews_per_hour: 1}}\n{REVIEW_ALL}")
    for _ in range(3):
        screened(replace(services, policy=policy), CONTENT)
    now = datetime.now(UTC)
    with services.storage.read() as tx:
        per_hour, per_day = Budgets(reviews_per_hour=1), Budgets(reviews_per_day=1)
        assert is_used_up(tx, per_hour, now)
        assert not is_used_up(tx, per_hour, now + timedelta(minutes=61))
        assert is_used_up(tx, per_day, now + timedelta(hours=23))
        assert not is_used_up(tx, per_day, now + timedelta(hours=25))
        assert not is_used_up(tx, Budgets(), now)
    with (
        services.storage.transaction() as tx
    ):  # The only one within the budget was long ago, the others just now.
        tx.connection.exec_driver_sql(
            "UPDATE cases SET opened_at = '2020-01-01 00:00:00.000000' WHERE submission_id IN "
            "(SELECT submission_id FROM decisions WHERE NOT is_over_budget)"
        )
        assert not is_used_up(tx, per_hour, now)


def test_context_is_the_hosts_word_and_is_remembered(services: Services) -> None:
    """The same upload under another context is another submission, decided by that context's lines."""
    policy = parse_policy(
        "name: a\ndefault: {thresholds: {reject: 1.0}, "
        "contexts: {live: {thresholds: {reject: 0.0}, inconclusive: reject}}}"
    )
    strict = replace(services, policy=policy)
    made = [screened(strict, CONTENT, idempotency_key="k", context=context) for context in ("feed", "live")]
    assert [submission.context for submission, _ in made] == [Context.FEED, Context.LIVE]
    assert [decision.context for _, decision in made] == [Context.FEED, Context.LIVE]
    assert made[1][1].action is Action.REJECT
    assert made[0][1].action is not Action.REJECT


def test_view_says_where_a_recording_is_played(tmp_path: Path) -> None:
    """The host application's word reaches the policy; one that does not exist stops the start."""
    app = Flask(__name__)
    ensure_keys(load_config({}, data=tmp_path))
    prelisten = Prelisten(app, data=tmp_path, workers=0, wait_s=0)

    @app.post("/talk")
    @prelisten.screened("voice", action="talk", context="live")
    def talk(screening):
        return screening.to_dict()

    sent = app.test_client().post("/talk", data={"voice": (io.BytesIO(CONTENT), "x.wav")})
    with prelisten.services.storage.read() as tx:
        assert tx.submission(sent.json["id"]).context is Context.LIVE
    with pytest.raises(ValueError, match="radio"):
        prelisten.screened("voice", action="talk", context="radio")
    prelisten.services.storage.close()


def test_score_that_is_none_counts_as_a_failed_check() -> None:
    """A database keeps no NaN, and what cannot be kept cannot be decided on again."""
    odd = storable(Finding("forensic", "1", FindingState.DONE, float("nan")))
    assert (odd.state, odd.spoof_score) == (FindingState.ERROR, None)
