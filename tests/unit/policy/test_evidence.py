"""Several scores as one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelisten.policy.evidence import combined_score, log_odds, probability

scores = st.floats(0, 1)
shares = st.dictionaries(st.sampled_from("abc"), st.floats(0, 1))
several = st.dictionaries(st.sampled_from("abc"), scores, min_size=1)


def together(given_scores: dict[str, float], share_of: dict[str, float] | None = None) -> float | None:
    return combined_score(given_scores, share_of or {}, default=0.5)


@given(scores, shares)
def test_one_check_keeps_its_score_to_the_last_digit(score: float, share_of: dict[str, float]) -> None:
    """So that what a page says and what the server decides speak of the same number."""
    assert together({"a": score}, share_of) == score


def test_no_score_is_no_score() -> None:
    """Nothing heard is neither 0 nor a half."""
    assert together({}) is None


def test_log_odds_add() -> None:
    """0.8 and 0.8 with a half share: 1.5 times the log-odds of 0.8."""
    assert together({"a": 0.8, "b": 0.8}) == pytest.approx(1 / (1 + 0.25**1.5))
    assert together({"a": 0.8, "b": 0.8}, {"a": 1, "b": 1}) == pytest.approx(16 / 17)


def test_no_check_talks_another_one_down() -> None:
    """Who fools one detector has still to fool the next."""
    assert together({"a": 0.9, "b": 0.0}) == 0.9
    assert together({"a": 0.2, "b": 0.1}) == 0.2
    assert together({"a": 0.8, "b": 0.8, "c": 0.1}) == together({"a": 0.8, "b": 0.8})


@given(several, shares, st.sampled_from("abc"), scores)
def test_it_only_rises(given_scores, share_of, check, score) -> None:
    """A raised score and a further one never lower it, and it stays a probability."""
    before = together(given_scores, share_of)
    raised = given_scores | {check: max(score, given_scores.get(check, 0.0))}
    assert 0.0 <= before <= together(raised, share_of) <= 1.0


@given(st.floats(1e-300, 1, exclude_max=True))
def test_log_odds_and_back(score: float) -> None:
    """The two are each other's inverse."""
    assert probability(log_odds(score)) == pytest.approx(score, rel=1e-9, abs=1e-15)
    assert (log_odds(0.0), log_odds(1.0)) == (-math.inf, math.inf)
