"""Paired tests: SciPy's exact ones, uniform p-values without a difference, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from limner.errors import ConfigError, DataError
from limner.metrics.paired_test import paired_test, sign_test
from limner.rng import generator


def values(count: int, purpose: str) -> np.ndarray:
    return generator(0, purpose).standard_normal(count)


@pytest.mark.parametrize(("above", "below"), [(0, 0), (5, 0), (9, 1), (40, 60), (700, 650)])
def test_the_sign_test_is_scipys(above, below):
    theirs = scipy.stats.binomtest(above, above + below).pvalue if above + below else 1.0
    assert sign_test(above, below) == pytest.approx(theirs, rel=1e-9)


def test_all_exchanges_are_gone_through_for_few_pairs():
    a, b = values(10, "a") + 0.5, values(10, "b")
    theirs = scipy.stats.permutation_test(
        (a - b,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    found = paired_test(a, b)
    assert found.exact and found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_random_exchanges_come_near_all_of_them(monkeypatch):
    a, b = values(12, "a") + 0.4, values(12, "b")
    exact = paired_test(a, b).p_value
    monkeypatch.setattr("limner.metrics.paired_test.EXACT", 0)
    assert paired_test(a, b).p_value == pytest.approx(exact, abs=0.02)


def test_pairing_finds_what_is_small_beside_the_spread_of_images():
    b = 10 * values(100, "hard or easy")
    found = paired_test(b + 0.1 + 0.1 * values(100, "noise"), b)
    assert found.p_value < 0.001 and found.interval.low > 0 and found.above > found.below


def test_equal_values_are_no_difference():
    found = paired_test(np.ones(30), np.ones(30))
    assert (found.difference, found.p_value, found.sign_p_value, found.above, found.below) == (0, 1, 1, 0, 0)


def test_p_values_are_even_where_there_is_no_difference():
    found = [paired_test(values(12, f"a{k}"), values(12, f"b{k}")).p_value for k in range(150)]
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.001


def test_what_is_not_in_pairs_is_refused():
    with pytest.raises(ConfigError, match="not pairs"):
        paired_test(np.zeros(3), np.zeros(4))
    with pytest.raises(DataError, match="pair 1"):
        paired_test(np.array([0.0, np.inf]), np.zeros(2))
    with pytest.raises(DataError, match="1 image"):
        paired_test(np.zeros(1), np.zeros(1))
    with pytest.raises(ConfigError, match="flips=5"):
        paired_test(np.zeros(40), np.zeros(40), flips=5)
    with pytest.raises(ConfigError, match="-1 above"):
        sign_test(-1, 3)
