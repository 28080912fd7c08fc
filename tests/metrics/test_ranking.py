"""Strengths from pairwise votes: closed forms, a published table, a general optimiser, and raters of known taste."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from limner.errors import ConfigError, DataError
from limner.metrics.ranking import (
    ELO,
    Comparisons,
    fit,
    rank_by_bootstrap,
    rank_by_information,
    votes_for_width,
    votes_needed,
)
from limner.rng import generator

TASTE = np.array([1.0, 0.4, -0.2, -1.2])  # mean 0


def from_table(wins, ties=None) -> Comparisons:
    """Votes of a table: wins[i][j] times i beat j, ties[i][j] (i < j) times neither."""
    rows = []
    for i, j in combinations(range(len(wins)), 2):
        rows += [(i, j, 1)] * wins[i][j] + [(i, j, -1)] * wins[j][i] + [(i, j, 0)] * (ties[i][j] if ties else 0)
    first, second, outcome = np.array(rows).T
    return Comparisons(len(wins), first, second, outcome, np.zeros(len(rows), np.int64))


def simulated(theta, count: int, *, ties: float = 0.0, raters: int = 10, index: int = 0) -> Comparisons:
    """Votes as the model draws them, each of two different items at random."""
    rng = generator(1, "simulated votes", index)
    first = rng.integers(len(theta), size=count)
    second = (first + rng.integers(1, len(theta), size=count)) % len(theta)
    odds = np.exp((theta[first] - theta[second]) / 2)
    draw = rng.random(count) * (odds + 1 / odds + ties)
    outcome = np.where(draw < odds, 1, np.where(draw < odds + 1 / odds, -1, 0))
    return Comparisons(len(theta), first, second, outcome, np.arange(count) % raters)


def test_two_items_have_the_closed_form():
    strengths = fit(from_table([[0, 30], [10, 0]]))
    assert strengths.theta == pytest.approx([np.log(3) / 2, -np.log(3) / 2], abs=1e-9)
    assert strengths.covariance[0, 0] == pytest.approx((1 / 30 + 1 / 10) / 4, rel=1e-6)  # of half the log odds
    assert strengths.score()[0, 1] == pytest.approx(0.75) and not strengths.regularised


def test_two_items_with_ties_have_the_closed_form():
    strengths = fit(from_table([[0, 20], [5, 0]], [[0, 15], [0, 0]]))
    assert strengths.theta[0] - strengths.theta[1] == pytest.approx(np.log(4), abs=1e-9)
    assert strengths.ties == pytest.approx(15 / np.sqrt(20 * 5), rel=1e-8)
    assert strengths.score()[0, 1] == pytest.approx((20 + 7.5) / 40)


def test_the_baseball_table_gives_the_published_strengths():
    """American League 1987, Agresti 2002, section 10.6: strengths against the last team."""
    wins = [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ]
    theta = fit(from_table(wins)).theta
    assert theta - theta[-1] == pytest.approx([1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0], abs=6e-4)


def test_the_fit_with_ties_is_where_a_general_optimiser_ends():
    votes = simulated(TASTE, 300, ties=0.7)
    counts = votes.counts().sum(axis=0)

    def loss(at):
        total = 0.0
        for (i, j), (won, lost, tied) in zip(combinations(range(4), 2), counts, strict=True):
            terms = np.array([at[i], at[j], at[4] + (at[i] + at[j]) / 2])
            total += (won + lost + tied) * np.logaddexp.reduce(terms) - terms @ (won, lost, tied)
        return total

    found = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-7}).x
    strengths = fit(votes)
    assert strengths.theta == pytest.approx(found[:4] - found[:4].mean(), abs=1e-5)
    assert np.log(strengths.ties) == pytest.approx(found[4], abs=1e-5)


def test_neither_the_order_of_votes_nor_the_sides_matter():
    votes = simulated(TASTE, 120, ties=0.4)
    turned = Comparisons(4, votes.second[::-1], votes.first[::-1], -votes.outcome[::-1], votes.rater[::-1])
    assert fit(turned).theta == pytest.approx(fit(votes).theta, abs=1e-9)


@pytest.mark.parametrize("ties", [0.0, 0.8])
def test_the_known_order_comes_out(ties):
    ranking = rank_by_information(simulated(TASTE, 4000, ties=ties))
    assert ranking.order() == [0, 1, 2, 3]
    assert ranking.places() == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert ranking.strengths.ties == pytest.approx(ties, abs=0.1)


def test_few_votes_leave_places_open():
    places = rank_by_information(simulated(TASTE / 4, 40)).places()
    assert all(best < worst for best, worst in places)


@pytest.mark.parametrize("ties", [0.0, 0.8])
def test_intervals_from_the_information_cover_95_percent(ties):
    hits = []
    for index in range(250):
        ranking = rank_by_information(simulated(TASTE, 240, ties=ties, index=index))
        hits += [one.low <= truth <= one.high for one, truth in zip(ranking.intervals, TASTE, strict=True)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)


def _opinionated(index: int, raters: int = 12, each: int = 24) -> Comparisons:
    """Raters whose tastes differ from each other about a common one."""
    rng = generator(2, "opinions", index)
    parts = []
    for who in range(raters):
        taste = TASTE + rng.normal(0, 0.7, 4)
        votes = simulated(taste, each, index=1000 * index + who)
        parts.append((votes.first, votes.second, votes.outcome, np.full(each, who)))
    return Comparisons(4, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def test_intervals_over_raters_cover_when_raters_differ_and_those_over_votes_do_not():
    truth = fit(Comparisons(4, *_many_opinions())).theta  # what the whole population of raters would say
    by_rater, by_vote = [], []
    for index in range(80):
        votes = _opinionated(index)
        for hits, ranking in (
            (by_rater, rank_by_bootstrap(votes, seed=index, resamples=200)),
            (by_vote, rank_by_information(votes)),
        ):
            hits += [one.low <= t <= one.high for one, t in zip(ranking.intervals, truth, strict=True)]
    assert np.mean(by_rater) >= 0.9
    assert np.mean(by_vote) < np.mean(by_rater) - 0.05


def _many_opinions():
    many = [_opinionated(10_000 + k, raters=40, each=24) for k in range(40)]
    return [np.concatenate([getattr(v, part) for v in many]) for part in ("first", "second", "outcome", "rater")]


def test_few_raters_have_their_votes_drawn_again_and_the_interval_says_so():
    ranking = rank_by_bootstrap(simulated(TASTE, 200, raters=3), seed=0, resamples=100)
    assert "votes" in ranking.intervals[0].method and ranking.raters == 3
    assert (
        rank_by_bootstrap(simulated(TASTE, 200, raters=9), seed=0, resamples=100)
        .intervals[0]
        .method.startswith("bootstrap over 9 raters")
    )


def test_the_bootstrap_is_the_same_for_a_seed():
    votes = simulated(TASTE, 100)
    first, again, other = (rank_by_bootstrap(votes, seed=seed, resamples=50).intervals for seed in (4, 4, 5))
    assert first == again and first != other


@pytest.mark.parametrize(
    "votes",
    [
        from_table([[0, 5, 5], [0, 0, 5], [0, 0, 0]]),  # each beats all below it
        from_table([[0, 5], [0, 0]], [[0, 3], [0, 0]]),  # never lost, though tied
        from_table([[0, 0], [0, 0]], [[0, 4], [0, 0]]),  # ties only
    ],
)
def test_votes_that_put_a_strength_at_infinity_are_held_by_a_prior(votes):
    ranking = rank_by_information(votes)
    assert ranking.strengths.regularised
    assert np.isfinite(ranking.strengths.theta).all() and np.abs(ranking.strengths.theta).max() < 6
    assert all(np.isfinite([one.low, one.high]).all() and one.low <= one.high for one in ranking.intervals)
    rank_by_bootstrap(votes, seed=0, resamples=20)


def test_one_vote_the_other_way_needs_no_prior():
    assert not fit(from_table([[0, 2000], [1, 0]])).regularised


def test_items_never_compared_with_the_rest_are_named():
    with pytest.raises(DataError, match=r"items \[2, 3\] were never compared"):
        fit(from_table([[0, 3, 0, 0], [2, 0, 0, 0], [0, 0, 0, 4], [0, 0, 1, 0]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": np.array([0, 4])}, "outside"),
        ({"first": np.array([-1, 0])}, "outside"),
        ({"second": np.array([0, 1])}, "to itself"),
        ({"outcome": np.array([2, 0])}, "outcomes"),
        ({"outcome": np.array([0.5, np.nan])}, "whole numbers"),
        ({"rater": np.array([0])}, "shapes"),
        ({"rater": np.array([-1, 0])}, "raters"),
    ],
)
def test_votes_that_do_not_fit_together_are_refused(change, message):
    good = {
        "first": np.array([0, 1]),
        "second": np.array([1, 2]),
        "outcome": np.array([1, 0]),
        "rater": np.array([0, 0]),
    }
    with pytest.raises(DataError, match=message):
        Comparisons(3, **{**good, **change})


def test_no_votes_are_refused():
    with pytest.raises(DataError, match="at least one"):
        Comparisons(2, *(np.zeros(0, np.int64),) * 4)


@pytest.mark.parametrize(("half_width", "votes"), [(0.1, 97), (0.05, 385)])
def test_votes_needed_are_those_of_the_binomial(half_width, votes):
    assert votes_needed(half_width) == votes


@pytest.mark.parametrize("half_width", [0, 1, -0.1, float("nan")])
def test_a_width_that_is_none_is_refused(half_width):
    with pytest.raises(ConfigError, match="half_width"):
        votes_needed(half_width)


def test_the_forecast_of_votes_holds():
    small = rank_by_information(simulated(TASTE, 400))
    target = max(one.high - one.low for one in small.intervals) / 6
    enough = rank_by_information(simulated(TASTE, votes_for_width(small, target), index=1))
    assert max(one.high - one.low for one in enough.intervals) / 2 == pytest.approx(target, rel=0.15)
    with pytest.raises(ConfigError):
        votes_for_width(small, 0)


def test_400_elo_are_odds_of_ten_to_one():
    assert np.log(10) * ELO == pytest.approx(400)
