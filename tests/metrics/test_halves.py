"""Balanced half-samples: the design, and errors that equal closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from limner.metrics.halves import (
    FIRST_HALF,
    GROUPS,
    SPLITS,
    STUDENT,
    halves,
    random_groups,
    ratio,
    share,
    smallest_half,
    standard_error,
)
from limner.metrics.shares import wilson
from limner.rng import generator


def test_every_split_halves_the_groups_and_any_two_groups_lie_together_equally_often():
    assert (FIRST_HALF.sum(axis=1) == GROUPS // 2).all()
    together = [(FIRST_HALF[:, one] == FIRST_HALF[:, other]).sum() for one in range(GROUPS) for other in range(one)]
    assert set(together) == {3}


@pytest.mark.parametrize("count", [8, 20, 41])
def test_groups_are_random_even_and_the_same_for_one_seed(count):
    groups = random_groups(count, seed=1, side="real")
    sizes = np.bincount(groups, minlength=GROUPS)
    assert sizes.max() - sizes.min() <= 1
    assert (groups == random_groups(count, seed=1, side="real")).all()
    assert (groups != random_groups(count, seed=1, side="generated")).any()
    assert min(mask.sum() for split in range(SPLITS) for mask in halves(groups, split)) >= smallest_half(count)


def test_the_error_of_a_mean_is_that_of_its_group_means():
    """For a linear statistic the seven splits hold exactly what the eight groups hold."""
    values = generator(0, "test").normal(size=80)
    groups = random_groups(80, seed=0, side="real")
    pairs = np.array([[values[mask].mean() for mask in halves(groups, split)] for split in range(SPLITS)])
    means = [values[groups == group].mean() for group in range(GROUPS)]
    assert standard_error(pairs) == pytest.approx(np.std(means, ddof=1) / GROUPS**0.5)


def test_a_share_is_never_taken_to_be_surer_than_independent_images_make_it():
    found = share(0.5, np.full((SPLITS, 2), 0.5), 100)
    low, high = wilson(0.5, 100 * (1.959964 / STUDENT) ** 2)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=1e-6)


def test_a_share_of_one_has_an_interval_below_one():
    pairs = np.full((SPLITS, 2), 0.98)
    pairs[:, 0] = 0.96
    interval = share(1.0, pairs, 200).interval
    assert 0.9 < interval.low < 0.99 and interval.high == 1


def test_the_interval_of_a_ratio_is_symmetric_on_the_logarithm():
    pairs = np.array([[1.1, 0.9]] * SPLITS)
    interval = ratio(2.0, pairs).interval
    assert interval.low * interval.high == pytest.approx(4)
    assert np.log(interval.high / 2) == pytest.approx(STUDENT * 0.1, rel=1e-6)


def test_a_ratio_of_zero_has_no_interval():
    assert ratio(0.0, np.zeros((SPLITS, 2))).interval is None
