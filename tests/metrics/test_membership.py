"""Membership inference against counted pairs, scikit-learn, and the truth of normal scores."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score, roc_curve

from limner.errors import ConfigError, DataError
from limner.metrics.membership import area, membership, midranks
from limner.metrics.shares import difference, wilson
from limner.rng import generator


def scores(count, *, shift=0.0, index=0):
    return generator(0, "test membership", index).standard_normal(count) + shift


def test_the_area_is_the_share_of_pairs_in_order_ties_counting_half():
    ours, theirs = np.round(scores(40, shift=0.5), 1), np.round(scores(30, index=1), 1)
    pairs = np.sign(ours[:, None] - theirs)
    assert area(ours, theirs).value == pytest.approx(((pairs + 1) / 2).mean())


def test_the_variance_is_delongs():
    ours, theirs = scores(40, shift=0.5), scores(30, index=1)
    wins = (ours[:, None] > theirs).astype(float)
    expected = wins.mean(1).var(ddof=1) / 40 + wins.mean(0).var(ddof=1) / 30
    assert area(ours, theirs).variance == pytest.approx(expected)


def test_area_and_true_positives_agree_with_scikit_learn():
    ours, theirs = scores(400, shift=1.0), scores(300, index=1)
    found = membership(ours, theirs, fpr=0.01)
    truth = np.r_[np.ones(400), np.zeros(300)]
    assert found.auc == pytest.approx(roc_auc_score(truth, np.r_[ours, theirs]))
    false, true, _ = roc_curve(truth, np.r_[ours, theirs], drop_intermediate=False)
    assert found.tpr == pytest.approx(true[false <= 0.01].max())


def test_midranks_are_scipys():
    values = np.round(scores(100), 1)
    assert np.array_equal(midranks(values), rankdata(values))


@pytest.mark.parametrize("shift", [0.0, 0.7, 2.5])
def test_the_interval_covers_the_truth_as_often_as_it_says(shift):
    truth = norm.cdf(shift / np.sqrt(2))
    covered = [
        low <= truth <= high
        for index in range(0, 1200, 2)
        for low, high in [area(scores(60, shift=shift, index=index), scores(50, index=index + 1)).interval()]
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


def test_scores_wholly_apart_still_leave_an_interval():
    found = membership(np.arange(20) + 100.0, np.arange(30.0))
    assert (found.auc, found.tpr, found.high) == (1, 1, 1) and 0.7 < found.low < 0.95
    assert membership(np.arange(200) + 500.0, np.arange(300.0)).low > 0.97


def test_scores_that_tell_nothing_give_a_half():
    found = membership(np.zeros(50), np.zeros(50))
    assert found.auc == 0.5 and found.low < 0.5 < found.high and found.tpr == 0


def test_too_few_and_not_finite_scores_are_refused():
    with pytest.raises(DataError, match="9 scores of others are too few"):
        membership(np.zeros(10), np.zeros(9))
    with pytest.raises(DataError, match="1 scores of members are not finite"):
        membership(np.r_[np.nan, np.zeros(10)], np.zeros(10))


# --- shares -----------------------------------------------------------------------------------------------------------


def test_the_interval_of_a_share_is_wilsons():
    """81 of 263, the example of Newcombe 1998, Two-sided confidence intervals for the single proportion, table I."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1.0, 20) == pytest.approx((0.8389, 1.0), abs=5e-5)


def test_the_interval_of_a_difference_is_newcombes():
    """56 of 70 against 48 of 80, and 10 of 10 against 0 of 20: table II of Newcombe 1998, method 10."""
    assert difference(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference(1.0, 10, 0.0, 20) == pytest.approx((0.6791, 1.0), abs=5e-5)


def test_a_share_beyond_one_is_refused():
    with pytest.raises(ConfigError, match="a share of 1.2 in 5 trials"):
        wilson(1.2, 5)
    with pytest.raises(ConfigError, match="level=95"):
        wilson(0.5, 5, level=95)
