"""Figures of merit against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prelisten.lab.metrics import auc, caught_at, cllr, eer, error_rates, paired_wins

LOW, HIGH = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.6, 0.7, 0.8, 0.9])
SCORES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30).map(np.array)


def test_perfect_separation():
    """AUC 1, EER 0, everything caught."""
    assert (auc(LOW, HIGH), eer(LOW, HIGH), caught_at(LOW, HIGH, 0.01)) == (1.0, 0.0, 1.0)


def test_scores_the_wrong_way_round():
    """AUC 0, EER 1: a detector that points the other way is not hidden."""
    assert (auc(HIGH, LOW), eer(HIGH, LOW), caught_at(HIGH, LOW, 0.05)) == (0.0, 1.0, 0.0)


def test_a_worked_example():
    """Of 4 x 4 pairs 12 are in order; one genuine recording lies above three synthetic ones."""
    bona_fide, spoof = np.array([0.1, 0.2, 0.3, 0.75]), np.array([0.25, 0.6, 0.7, 0.9])
    assert auc(bona_fide, spoof) == pytest.approx(12 / 16)
    assert eer(bona_fide, spoof) == pytest.approx(0.25)
    assert caught_at(bona_fide, spoof, 0.05) == pytest.approx(0.25)
    assert caught_at(bona_fide, spoof, 0.25) == pytest.approx(0.75)


def test_all_scores_alike_say_nothing():
    """Ties count half; the equal error rate is one half."""
    same = np.full(5, 0.5)
    assert auc(same, same) == 0.5
    assert eer(same, same) == pytest.approx(0.5)
    assert caught_at(same, same, 0.05) == 0.0


@given(SCORES, SCORES)
def test_auc_is_the_share_of_pairs_in_order(bona_fide, spoof):
    """The fast way equals counting every pair."""
    pairs = (spoof[:, None] > bona_fide).mean() + 0.5 * (spoof[:, None] == bona_fide).mean()
    assert auc(bona_fide, spoof) == pytest.approx(pairs)


@given(SCORES, SCORES)
def test_error_rates_run_from_all_alarms_to_all_misses(bona_fide, spoof):
    """False alarms only fall and misses only rise; the EER lies between the ends."""
    alarms, misses = error_rates(bona_fide, spoof)
    assert (alarms[0], misses[0], alarms[-1], misses[-1]) == (1.0, 0.0, 0.0, 1.0)
    assert (np.diff(alarms) <= 0).all()
    assert (np.diff(misses) >= 0).all()
    assert 0.0 <= eer(bona_fide, spoof) <= 1.0


def test_cllr_of_no_information_is_one_bit_and_of_certainty_none():
    """Brümmer and du Preez's two ends, and a confident mistake that costs more than a bit."""
    half = np.full(3, 0.5)
    assert cllr(half, half) == pytest.approx(1.0)
    assert cllr(np.zeros(3), np.ones(3)) == pytest.approx(0.0, abs=1e-6)
    assert cllr(np.full(3, 0.99), np.full(3, 0.01)) > 5.0


def test_a_prior_is_taken_out_of_the_scores():
    """0.2 at a prior of 0.2 says nothing."""
    same = np.full(3, 0.2)
    assert cllr(same, same, prior=0.2) == pytest.approx(1.0)


def test_pairs_count_once_each():
    """A pair of many copies weighs as much as a pair of two; without pairs there is no figure."""
    scores = np.array([0.1, 0.9, 0.9, 0.9, 0.8, 0.2])
    is_spoof = np.array([False, True, True, True, False, True])
    pairs = np.array(["a", "a", "a", "a", "b", "b"])
    assert paired_wins(scores, is_spoof, pairs) == pytest.approx(0.5)
    assert np.isnan(paired_wins(scores, is_spoof, np.array([""] * 6)))


def test_a_missing_class_is_an_error():
    """No figure is made up from nothing."""
    with pytest.raises(ValueError, match="both are needed"):
        auc(np.zeros(0), HIGH)
