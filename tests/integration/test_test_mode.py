"""The test mode over HTTP: eight fixed outcomes where tests are run, and nothing of it in production."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from prelisten.config import load_config
from prelisten.hints.seal import FIXED_OUTCOMES
from prelisten.keys import Key, Keys, ensure_keys, key_file, write_keys
from prelisten.records import Action, Recomputed, TokenState
from prelisten.verification import Question, answer
from tests.integration.conftest import make_site, screening
from tests.integration.test_api_keys import key
from tests.integration.test_api_keys import post as upload
from tests.integration.test_routes import API, ORIGIN
from tests.integration.test_verify import ACTION, RECORDING, SHA256, ask, ask_about, honest_token_under

ANSWERS = {
    "clear": (True, "clear", 50, []),
    "elevated": (True, "elevated", 600, []),
    "high": (True, "high", 950, []),
    "inconclusive": (True, "inconclusive", None, []),
    "unsupported": (False, None, None, ["HINT_ABSENT"]),
    "error": (False, None, None, ["HINT_ABSENT"]),
    "timeout": (False, None, None, ["HINT_ABSENT"]),
    "expired": (False, None, None, ["HINT_EXPIRED"]),
}


def challenged(site, **fields):
    return site.client().post(f"{API}/challenge", json={"action": ACTION, **fields}, headers=ORIGIN)


@pytest.fixture(params=["test", "development"])
def test_site(request, tmp_path):
    made = make_site(tmp_path / "data", env=request.param, wait_s=0)
    yield made
    made.close()


def test_every_outcome_is_listed_here():
    assert set(ANSWERS) == set(FIXED_OUTCOMES)


@pytest.mark.parametrize("outcome", FIXED_OUTCOMES)
def test_each_outcome_is_answered_as_what_it_stands_for(test_site, outcome):
    """Through challenge, seal and verify, by the sum and by the file; whatever the claim said."""
    for asked in (ask, ask_about):
        challenge = challenged(test_site, test=outcome).json
        assert challenge["test"] is True
        fields = {"secret": key(test_site), "response": honest_token_under(test_site.client(), challenge)}
        told = (
            asked(test_site, **fields).json
            if asked is ask_about
            else ask(test_site, fields["secret"], fields["response"]).json
        )
        claim = told["claim"] or {"band": None, "q": None}
        assert (told["success"], claim["band"], claim["q"], told["error-codes"]) == ANSWERS[outcome]
        assert told["codes"] == (["HINT_TEST"] if told["success"] else told["error-codes"])
        assert (told["recomputed"], told["floor"]) == ("not_run", "accept")


def test_real_hints_work_beside_them(test_site):
    """A challenge without an outcome says that this is no production, and its token is an ordinary one."""
    challenge = challenged(test_site)
    assert challenge.json["test"] is True
    told = ask(test_site, key(test_site), honest_token_under(test_site.client(), challenge.json)).json
    assert (told["success"], told["codes"]) == (True, [])


def test_fixed_outcome_never_decides_an_upload(tmp_path):
    """A token of the test mode is no claim to compare: the recording is screened as every other one."""
    with screening(make_site(tmp_path, env="test", wait_s=30)) as site:
        for outcome, state in (
            ("high", TokenState.OK),
            ("expired", TokenState.EXPIRED),
            ("error", TokenState.ABSENT),
        ):
            token = honest_token_under(site.client(), challenged(site, test=outcome).json)
            sent = upload(site, key(site), recording=RECORDING, action=ACTION, **{"file-hint": token}).json
            with site.services.storage.read() as tx:
                stored, decision = tx.submission(sent["id"]), tx.decision(sent["id"])
            assert stored.hint_check.token is state
            assert stored.hint_check.recomputed is Recomputed.NOT_RUN
            assert stored.hint_check.floor is Action.ACCEPT
            assert decision is not None


@pytest.mark.parametrize("outcome", ["genuine", "", None, True, [], {}, 7, "CLEAR"])
def test_other_words_are_no_outcome(test_site, outcome):
    assert challenged(test_site, test=outcome).status_code == 400


@pytest.mark.parametrize("outcome", [*FIXED_OUTCOMES, "x", None])
@pytest.mark.parametrize("settings", [{}, {"env": "production"}], ids=["unset", "production"])
def test_production_gives_no_fixed_outcome(tmp_path, outcome, settings):
    """An unset PRELISTEN_ENV is production; its challenges do not speak of tests."""
    site = make_site(tmp_path, **settings)
    refused = challenged(site, test=outcome)
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "test_mode_off")
    assert "PRELISTEN_ENV" in refused.json["error"]["message"]
    assert "test" not in challenged(site).json
    site.close()


def test_what_a_test_mode_made_is_worth_nothing_in_production(tmp_path):
    """With the same keys: neither its challenges are sealed, nor are its tokens `ok`, for verify or an upload."""
    data = tmp_path / "data"
    ensure_keys(load_config({}, data=data))  # Keys of production, carried into a test by somebody's mistake.
    site = make_site(data, env="test", wait_s=0)
    outcomes = {outcome: challenged(site, test=outcome).json for outcome in FIXED_OUTCOMES}
    tokens = [honest_token_under(site.client(), challenge) for challenge in outcomes.values()]
    site.close()
    site = make_site(data, wait_s=0)
    for challenge, token in zip(outcomes.values(), tokens, strict=True):
        assert honest_token_under(site.client(), challenge) == "unknown_key"
        assert ask(site, key(site), token).json["error-codes"] == ["HINT_UNKNOWN_KEY"]
        sent = upload(site, key(site), recording=RECORDING, action=ACTION, **{"file-hint": token}).json
        with site.services.storage.read() as tx:
            assert tx.submission(sent["id"]).hint_check.token is TokenState.UNKNOWN_KEY
    site.close()


def test_tokens_under_test_keys_are_nothing_in_production(tmp_path):
    """The key itself does not get in; and where it did, what it signed would still be of an unknown key."""
    data = tmp_path / "data"
    site = make_site(data, env="test")
    assert site.services.keys.signing.is_test
    token = honest_token_under(site.client(), challenged(site).json)
    assert token.startswith("test-")
    ring = site.services.keys.ring
    site.close()
    write_keys(key_file(site.config), Keys((Key.generate(),)), replace=True)
    site = make_site(data)
    assert ask(site, key(site), token).json["error-codes"] == ["HINT_UNKNOWN_KEY"]
    both = Keys((*site.services.keys.ring, *ring), site.services.keys.ring[0])
    question = Question(token, SHA256, ACTION, None, None, "asker")
    told = answer(question, replace(site.services, keys=both), listening=nullcontext)
    assert told["error-codes"] == ["HINT_UNKNOWN_KEY"]
    site.close()
