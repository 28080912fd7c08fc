"""Agreement of raters against published examples and scikit-learn; real-or-made against observers of known skill."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from limner.errors import DataError
from limner.metrics.agreement import (
    MISSING,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    real_or_fake,
    sensitivity,
    wilson,
)
from limner.rng import generator

_ = MISSING
FOUR_CODERS = np.array(  # Krippendorff 2011, section C
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)
FOURTEEN_RATERS = np.array(  # subjects by categories
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def rng(index: int = 0) -> np.random.Generator:
    return generator(0, "agreement tests", index)


def test_alpha_of_the_published_example():
    found = krippendorff_alpha(FOUR_CODERS, resamples=50)
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert found.units == 11  # the last was rated once only
    assert found.interval.low < found.value < found.interval.high


def test_fleiss_kappa_of_the_published_example():
    assert fleiss_kappa(FOURTEEN_RATERS, resamples=50).value == pytest.approx(0.210, abs=5e-4)


def test_cohen_kappa_is_that_of_scikit_learn():
    first, second = rng().integers(4, size=(2, 200))
    second[:120] = first[:120]
    assert cohen_kappa(first, second, resamples=10).value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


@pytest.mark.parametrize("agreement", [krippendorff_alpha, lambda r, **how: cohen_kappa(*r, **how)])
def test_equal_raters_agree_fully_and_unrelated_ones_not_at_all(agreement):
    ratings = rng().integers(3, size=(2, 3000))
    assert agreement(np.stack([ratings[0], ratings[0]]), resamples=10).value == 1
    found = agreement(ratings, resamples=200)
    assert found.value == pytest.approx(0, abs=0.05) and found.interval.low < 0 < found.interval.high


def test_raters_who_always_say_the_same_agree():
    assert krippendorff_alpha(np.zeros((3, 5), np.int64), resamples=10).value == 1
    assert fleiss_kappa(np.array([[3, 0], [3, 0]]), resamples=10).value == 1
    assert cohen_kappa(np.zeros(4, np.int64), np.zeros(4, np.int64), resamples=10).value == 1


def test_alpha_and_fleiss_kappa_meet_for_many_units():
    labels = rng().integers(3, size=4000)
    ratings = np.where(rng(1).random((3, 4000)) < 0.7, labels, rng(2).integers(3, size=(3, 4000)))
    counts = np.stack([(ratings == label).sum(axis=0) for label in range(3)], axis=1)
    alpha, kappa = krippendorff_alpha(ratings, resamples=10).value, fleiss_kappa(counts, resamples=10).value
    assert alpha == pytest.approx(kappa, abs=1e-3)
    assert alpha == pytest.approx(0.49, abs=0.03)  # both of a pair know the label in 0.7² of the cases


def test_intervals_of_alpha_cover_95_percent():
    hits = []
    for index in range(150):
        labels = rng(10 + index).integers(2, size=80)
        flips = rng(1000 + index).random((3, 80)) < 0.15
        found = krippendorff_alpha(np.where(flips, 1 - labels, labels), seed=index, resamples=200)
        hits.append(found.interval.low <= 0.49 <= found.interval.high)  # (1 - 2 · 0.15)²
    assert np.mean(hits) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: krippendorff_alpha(np.full((2, 3), MISSING)), "no unit"),
        (lambda: krippendorff_alpha(np.array([[0, 1, _], [_, _, 1]])), "no unit"),
        (lambda: krippendorff_alpha(np.array([[0.0, np.nan]])), "signed whole numbers"),
        (lambda: krippendorff_alpha(np.array([[0, -2]])), "signed whole numbers"),
        (lambda: fleiss_kappa(np.array([[2, 1], [2, 2]])), "3 to 4 ratings"),
        (lambda: fleiss_kappa(np.array([[1, 0]])), "at least 2"),
        (lambda: fleiss_kappa(np.array([[-1, 3]])), "at least 0"),
        (lambda: cohen_kappa(np.array([0, 1]), np.array([0])), "as many"),
        (lambda: cohen_kappa(np.array([0.5]), np.array([0.5])), "whole numbers"),
    ],
)
def test_ratings_that_say_nothing_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


# --- real or made -----------------------------------------------------------------------------------------------------


def test_shares_are_counted():
    is_real = np.array([True] * 10 + [False] * 20)
    said_real = np.array([True] * 8 + [False] * 2 + [True] * 5 + [False] * 15)
    found = real_or_fake(is_real, said_real, np.zeros(30, np.int64))
    assert (found.missed, found.fooled, found.error) == (pytest.approx(0.2), pytest.approx(0.25), pytest.approx(0.225))
    assert found.fooled_interval == wilson(5, 20)
    assert found.error_interval.low < found.error < found.error_interval.high


def observed(skill: float, leaning: float, count: int, index: int = 0):
    """Answers of one observer who sees real images `skill` standard deviations above made ones."""
    is_real = np.arange(count) % 2 == 0
    seen = rng(index).normal(size=count) + np.where(is_real, skill / 2, -skill / 2)
    return is_real, seen > leaning


def test_the_skill_and_the_leaning_of_an_observer_are_found():
    is_real, said_real = observed(1.4, 0.3, 20_000)
    found = real_or_fake(is_real, said_real, np.full(20_000, 7)).raters[0]
    assert found.rater == 7
    assert found.d_prime == pytest.approx(1.4, abs=0.06) and found.criterion == pytest.approx(0.3, abs=0.03)


def test_intervals_of_d_prime_cover_95_percent():
    hits = []
    for index in range(300):
        is_real, said_real = observed(1.0, 0.2, 120, index)
        interval = real_or_fake(is_real, said_real, np.zeros(120, np.int64)).raters[0].interval
        hits.append(interval.low <= 1.0 <= interval.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.035)


def test_a_perfect_observer_has_a_finite_d_prime():
    assert 3 < sensitivity(0, 30, 30, 0, 30).d_prime < 5


def test_error_intervals_cover_95_percent_over_new_raters():
    """Raters differ in skill and in leaning; the truth is the error of the whole population of raters."""
    fooled = NormalDist().cdf(-0.5 / np.sqrt(1 + 0.25**2 + 0.3**2))  # of seen - leaning over all raters
    hits = []
    for index in range(120):
        draw = rng(5000 + index)
        skills, leanings = draw.normal(1.0, 0.5, 16), draw.normal(0, 0.3, 16)
        answers = [
            observed(*who, 40, 100_000 + 100 * index + k) for k, who in enumerate(zip(skills, leanings, strict=True))
        ]
        is_real, said_real = (np.concatenate(part) for part in zip(*answers, strict=True))
        found = real_or_fake(is_real, said_real, np.repeat(np.arange(16), 40), seed=index)
        assert "16 raters" in found.error_interval.method
        hits.append(found.error_interval.low <= fooled <= found.error_interval.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.045)


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 0.2775), (5, 0.2366, 0.7634), (10, 0.7225, 1.0)])
def test_wilson_has_its_published_ends(count, low, high):
    found = wilson(count, 10)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: real_or_fake(np.ones(3, bool), np.ones(3, bool), np.zeros(3, int)), "one kind"),
        (lambda: real_or_fake(np.ones(3), np.ones(3, bool), np.zeros(3, int)), "bool"),
        (lambda: real_or_fake(np.ones(3, bool), np.ones(2, bool), np.zeros(3, int)), r"\(V,\)"),
        (lambda: wilson(3, 2), "3 of 2"),
        (lambda: wilson(0, 0), "0 of 0"),
    ],
)
def test_answers_that_say_nothing_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
