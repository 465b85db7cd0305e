"""`prelisten policy`: lint, test and replay, as an operator types them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prelisten import audit
from prelisten.cli import main
from prelisten.pipeline import Services
from prelisten.policy import parse_policy
from prelisten.policy.cases import read_cases
from prelisten.records import Outcome
from tests.recordings import speech_like, wav_bytes
from tests.services import make_services, screened

CONTENT = wav_bytes(speech_like(4.0, seed=1))
REVIEW_ALL = """
name: strict
budgets: {reviews_per_hour: 2}
default: {thresholds: {review: 0.0}, inconclusive: review}
"""
SHADOW = parse_policy(
    "name: tried\nstatus: shadow\ndefault: {thresholds: {reject: 0.0}, inconclusive: reject}"
)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A site with a junk file, two recordings, and a shadow policy that saw them."""
    made = make_services(tmp_path / "data")
    for content in (CONTENT, b"fLaC" + bytes(60), CONTENT):
        screened(replace(made, shadow=SHADOW), content)
    yield made
    made.storage.close()


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    capsys.readouterr()
    status = main(["policy", *map(str, words)])
    out = capsys.readouterr()
    return status, out.out + out.err


def replayed(capsys: pytest.CaptureFixture[str], services: Services, *words: object) -> tuple[int, dict]:
    status, text = said(capsys, "replay", *words, "--data", services.config.data, "--json")
    return status, json.loads(text)


def tamper(services: Services, *statements: str) -> None:
    services.storage.close()
    with sqlite3.connect(services.config.data / "prelisten.sqlite3") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def ids(services: Services) -> list[str]:
    with services.storage.read() as tx:
        return [submission.id for submission, _ in tx.decided()]


def test_every_decision_is_given_back(services: Services, capsys) -> None:
    """Byte for byte, the shadow's too; under a policy that has long been replaced."""
    screened(replace(services, policy=parse_policy(REVIEW_ALL)), CONTENT)
    status, found = replayed(capsys, services)
    assert (status, found["ok"], found["same"], found["shadow"]) == (0, True, 7, 3)
    assert "7 decisions given back byte for byte" in said(capsys, "replay", "--data", services.config.data)[1]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE decisions SET action = 'reject' WHERE submission_id = '{}'", {"different", "altered"}),
        (
            "UPDATE decisions SET reasons = '[]', spoof_score = 0.001 WHERE submission_id = '{}'",
            {"different", "altered"},
        ),
        ("UPDATE decisions SET context = 'live' WHERE submission_id = '{}'", {"different", "altered"}),
        (
            "UPDATE findings SET spoof_score = 0.987 WHERE submission_id = '{}' AND \"check\" = 'forensic'",
            {"different"},
        ),
        (
            "UPDATE findings SET details = '{{}}' WHERE submission_id = '{}' AND \"check\" = 'forensic'",
            {"different"},
        ),
        ("UPDATE submissions SET action = 'other' WHERE id = '{}'", {"different"}),
        (
            "UPDATE policies SET text = replace(text, 'review: 0.', 'review: 0.9') WHERE '{}' <> ''",
            {"different"},
        ),
        ("UPDATE policies SET text = 'nonsense' WHERE '{}' <> ''", {"different"}),
        ("UPDATE shadow_decisions SET action = 'label' WHERE submission_id = '{}'", {"different"}),
        ("DELETE FROM decisions WHERE submission_id = '{}'", {"vanished"}),
    ],
)
def test_what_was_changed_is_named(services: Services, capsys, statement: str, what: set[str]) -> None:
    """A decision, a finding, a policy's text, changed or taken away behind the server's back."""
    first = ids(services)[0]
    tamper(services, statement.format(first))
    status, found = replayed(capsys, services)
    assert status == 1
    assert {name for name in ("different", "altered", "vanished") if first in found[name]} == what


def test_decision_changed_with_its_findings_is_found_by_the_log(services: Services, capsys) -> None:
    """Made to fit each other, they still are not what the log says."""
    first, other = ids(services)[0], ids(services)[1]
    columns = ("action", "reasons", "evidence_sha256", "spoof_score")
    tamper(
        services,
        f"DELETE FROM shadow_decisions WHERE submission_id = '{first}'",
        f"DELETE FROM findings WHERE submission_id = '{first}'",
        f"UPDATE findings SET submission_id = '{first}' WHERE submission_id = '{other}'",
        *(
            f"UPDATE decisions SET {name} = (SELECT {name} FROM decisions WHERE submission_id = '{other}') "
            f"WHERE submission_id = '{first}'"
            for name in columns
        ),
    )
    _, found = replayed(capsys, services)
    assert first not in found["different"]
    assert first in found["altered"]


def test_what_was_erased_is_skipped_and_counted(services: Services, capsys) -> None:
    """With its tombstone a missing decision is no fault, and the log still verifies."""
    first = ids(services)[0]
    with services.storage.transaction() as tx:
        for table in ("findings", "shadow_decisions", "decisions"):
            tx.connection.exec_driver_sql(f"DELETE FROM {table} WHERE submission_id = ?", (first,))
        audit.append(tx, audit.Kind.ERASURE, first, {})
    status, found = replayed(capsys, services)
    assert (status, found["erased"], found["same"]) == (0, 1, 4)
    assert main(["audit", "verify", "--data", str(services.config.data)]) == 0


def test_decision_from_before_the_log_is_skipped_and_counted(services: Services, capsys) -> None:
    """Its policy's text was never stored."""
    tamper(services, "DELETE FROM policies")
    status, found = replayed(capsys, services)
    assert (status, found["same"], found["unknown_policy"]) == (0, 0, 6)


def test_another_policy_is_compared(services: Services, capsys, tmp_path: Path) -> None:
    """From what to what, how many cases, how many past its budget, and what reviewers said of them."""
    with services.storage.transaction() as tx:
        before = [tx.decision(one).action.value for one in ids(services)]
    screened(replace(services, policy=parse_policy(REVIEW_ALL)), CONTENT)
    with services.storage.transaction() as tx:
        (case,) = tx.cases(is_open=True)
        tx.resolve_case(case.id, outcome=Outcome.NOT_SYNTHETIC, note="", reviewer="Ada", at=case.opened_at)
    (tmp_path / "strict.yaml").write_text(REVIEW_ALL)
    status, found = replayed(capsys, services, tmp_path / "strict.yaml")
    assert before[1] == "reject"
    assert (status, found["total"], found["changed"], found["cases"], found["over_budget"]) == (0, 4, 2, 3, 1)
    assert found["changes"] == [{"from": before[0], "to": "review", "count": 2}]
    assert (found["most_cases_per_hour"], found["reviewed_genuine"]) == (3, {"review": 1})
    text = said(capsys, "replay", tmp_path / "strict.yaml", "--data", services.config.data)[1]
    assert f"  {before[0]} -> review: 2" in text


def test_lint_names_file_and_line(tmp_path: Path, capsys) -> None:
    """Exit 1 for an error, 0 for a policy that can be used, 2 for a file that is not there."""
    path = tmp_path / "policy.yaml"
    path.write_text("name: a\ndefault: {thresholds: {label: 0.5}}\nextra: 1\n")
    status, text = said(capsys, "lint", path)
    assert (status, text) == (1, f"{path}:3: error: extra: there is no such key\n")
    assert said(capsys, "lint")[0] == 0
    assert said(capsys, "lint", tmp_path / "nowhere.yaml")[0] == 2


def test_built_in_cases_hold(capsys) -> None:
    """The built-in policy does what its cases say."""
    status, text = said(capsys, "test")
    assert status == 0, text
    count = len(read_cases())
    assert f"{count} of {count} cases as expected" in text


def test_failing_case_is_named(tmp_path: Path, capsys) -> None:
    """What was expected, what came, and why."""
    path = tmp_path / "policy.yaml"
    path.write_text("name: a\ndefault: {thresholds: {label: 0.5}}\n")
    path.with_suffix(".cases.yaml").write_text(
        "cases:\n- {name: strong, findings: [{spoof_score: 0.9}], expect: review}\n"
        "- {name: mild, findings: [{spoof_score: 0.6}], expect: label, reasons: [PITCH]}\n"
    )
    status, text = said(capsys, "test", path)
    assert status == 1
    assert "FAILED strong: expected review, got label" in text
    assert "FAILED mild: the reasons lack PITCH" in text
    assert "0 of 2 cases" in text


@pytest.mark.parametrize("cases", ["", "cases: []", "cases: [{name: x}]", "[", None])
def test_cases_that_prove_nothing_are_an_error(tmp_path: Path, capsys, cases: str | None) -> None:
    """No cases, or ones that cannot be read, must not read as "all passed"."""
    path = tmp_path / "policy.yaml"
    path.write_text("name: a\ndefault: {thresholds: {label: 0.5}}\n")
    if cases is not None:
        path.with_suffix(".cases.yaml").write_text(cases)
    assert said(capsys, "test", path)[0] == 2


def test_false_alarms_are_compared_with_the_budget(tmp_path: Path, capsys) -> None:
    """Two of ten genuine recordings get a label: within 20 %, above 10 %."""
    scores = tmp_path / "scores.csv"
    rows = [f"g{n},bona_fide,,{0.6 if n < 2 else 0.1},clear" for n in range(9)] + [
        "g9,bona_fide,,0.2,clear",
        "s,spoof,x,0.9,high",
    ]
    scores.write_text("id,label,system,spoof_score,band\n" + "\n".join(rows) + "\n")
    path = tmp_path / "policy.yaml"
    for allowed, status, word in ((0.2, 0, "within"), (0.1, 1, "ABOVE")):
        path.write_text(
            f"name: a\nbudgets: {{false_alarms: {{label: {allowed}}}}}\ndefault: {{thresholds: {{label: 0.5}}}}\n"
        )
        found, text = said(capsys, "test", path, "--scores", scores)
        assert (found, f"20.00%, {word} the budget" in text) == (status, True), text
    scores.write_text("id,label\n1,spoof\n")
    assert said(capsys, "test", path, "--scores", scores)[0] == 2
