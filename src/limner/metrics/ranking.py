"""Ranking by pairwise votes: the Bradley-Terry model, with Davidson's tie where raters may call one.

Item i has a strength θᵢ. Against j it wins, loses or ties with odds exp(θᵢ) : exp(θⱼ) : ν exp((θᵢ + θⱼ) / 2); without
ties ν is 0 and the model is Bradley and Terry's. The log-likelihood is that of a multinomial logit, concave in
(θ, ln ν), so Newton's method finds its maximum. Strengths are known up to a constant; here their mean is 0.
Sources: Bradley and Terry 1952, Biometrika 39; Davidson 1970, JASA 65, equation 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .number import Interval
from .raters import ENOUGH, percentiles

ELO = 400 / math.log(10)  # Elo points in one unit of strength: 400 points are odds of 10 to 1
PRIOR_STD = 2.0  # of a strength about the mean, used only where the maximum lies at infinity
_FLAT = 1e-5  # curvature: one vote the other way gives more than this, none gives nothing


@dataclass(frozen=True)
class Comparisons:
    """Votes, each between two of `items` things. Raises DataError when they do not fit together.

    first, second   (V,)   index of the item, from 0
    outcome         (V,)   1 where the first won, -1 where the second won, 0 for a tie
    rater           (V,)   index of who voted, from 0
    """

    items: int
    first: np.ndarray
    second: np.ndarray
    outcome: np.ndarray
    rater: np.ndarray

    def __post_init__(self) -> None:
        parts = [np.asarray(part) for part in (self.first, self.second, self.outcome, self.rater)]
        if len({part.shape for part in parts}) != 1 or parts[0].ndim != 1 or len(parts[0]) == 0:
            shapes = ", ".join(str(part.shape) for part in parts)
            raise DataError(f"votes have the shapes {shapes}; four equal shapes (V,) with at least one vote are needed")
        if any(part.dtype.kind not in "iu" for part in parts):
            raise DataError("votes must be whole numbers: indices of items and raters, and outcomes of -1, 0 or 1")
        first, second, outcome, rater = parts
        if self.items < 2 or min(first.min(), second.min()) < 0 or max(first.max(), second.max()) >= self.items:
            raise DataError(f"votes name items outside 0 … {self.items - 1}; at least two items are compared")
        if (first == second).any():
            raise DataError(
                f"vote {int((first == second).argmax())} compares item {first[first == second][0]} to itself"
            )
        if not np.isin(outcome, (-1, 0, 1)).all() or rater.min() < 0:
            raise DataError("outcomes are -1, 0 or 1, and raters are numbered from 0")

    def __len__(self) -> int:
        return len(self.first)

    def counts(self) -> np.ndarray:
        """(R, P, 3): for each rater and each pair i < j, how often i won, j won, and neither."""
        pair_of = np.zeros((self.items, self.items), np.int64)
        for pair, (i, j) in enumerate(combinations(range(self.items), 2)):
            pair_of[i, j] = pair_of[j, i] = pair
        in_order = np.where(self.first < self.second, self.outcome, -self.outcome)
        what = np.where(in_order == 0, 2, np.where(in_order == 1, 0, 1))
        counts = np.zeros((int(self.rater.max()) + 1, math.comb(self.items, 2), 3))
        np.add.at(counts, (self.rater, pair_of[self.first, self.second], what), 1)
        return counts[counts.sum(axis=(1, 2)) > 0]


@dataclass(frozen=True)
class Strengths:
    """The fitted model.

    theta         (K,)     strengths, mean 0; log-odds between two items are their difference
    covariance    (K, K)   of theta, from the Fisher information
    ties          ν; 0 when nobody called a tie
    regularised   whether the votes alone had put a strength at infinity (an item that always won, say), so that a
                  normal prior with standard deviation PRIOR_STD was needed
    """

    theta: np.ndarray
    covariance: np.ndarray
    ties: float
    regularised: bool

    def score(self) -> np.ndarray:
        """(K, K): the share of votes that item i is expected to win against j, a tie counting half; diagonal ½."""
        gap = self.theta[:, None] - self.theta
        win, lose = np.exp(gap / 2), np.exp(-gap / 2)
        return (win + self.ties / 2) / (win + lose + self.ties)


@dataclass(frozen=True)
class Ranking:
    """Strengths with their intervals, and what can be said of the order.

    intervals   one for each item, of theta
    beats       (K, K)   whether the interval of θᵢ - θⱼ lies above 0, each pair judged by itself
    """

    strengths: Strengths
    intervals: tuple[Interval, ...]
    beats: np.ndarray
    votes: int
    raters: int

    def places(self) -> list[tuple[int, int]]:
        """(best, worst) place that each item may hold, from 1: those that beat it stand above, those it beats below."""
        items = len(self.beats)
        return [(1 + int(self.beats[:, k].sum()), items - int(self.beats[k].sum())) for k in range(items)]

    def order(self) -> list[int]:
        """The items from the strongest to the weakest."""
        return [int(k) for k in np.argsort(-self.strengths.theta, kind="stable")]


def fit(votes: Comparisons) -> Strengths:
    """Strengths by maximum likelihood; raises DataError when some items were never compared with the rest."""
    counts = votes.counts().sum(axis=0)
    _check_connected(counts, votes.items)
    return _strengths(counts, votes.items)


def rank_by_information(votes: Comparisons, *, level: float = 0.95) -> Ranking:
    """Ranking with intervals from the Fisher information: right when votes are independent, quick for any number."""
    strengths = fit(votes)
    z = NormalDist().inv_cdf((1 + level) / 2)
    spread = z * np.sqrt(np.diag(strengths.covariance))
    intervals = [
        Interval(float(t - s), float(t + s), level, "normal, from the Fisher information, votes independent")
        for t, s in zip(strengths.theta, spread, strict=True)
    ]
    variance = np.diag(strengths.covariance)
    gap = strengths.theta[:, None] - strengths.theta
    error = np.sqrt(np.maximum(variance[:, None] + variance - 2 * strengths.covariance, 0))
    return Ranking(strengths, tuple(intervals), gap > np.maximum(z * error, 1e-12), len(votes), len(votes.counts()))


def rank_by_bootstrap(votes: Comparisons, *, seed: int, level: float = 0.95, resamples: int = 1000) -> Ranking:
    """Ranking with percentile intervals: whole raters are drawn again, single votes when there are fewer than ENOUGH.

    Votes of one rater hang together, so that intervals over single votes are too narrow when raters disagree.
    """
    by_rater = votes.counts()  # (R, P, 3)
    total = by_rater.sum(axis=0)
    _check_connected(total, votes.items)
    rng = generator(seed, "bootstrap over raters")
    units = len(by_rater) if len(by_rater) >= ENOUGH else int(total.sum())
    if units == len(by_rater):
        times = rng.multinomial(len(by_rater), np.full(len(by_rater), 1 / len(by_rater)), size=resamples)  # (S, R)
        drawn, what = np.einsum("sr,rpo->spo", times, by_rater), f"{len(by_rater)} raters"
    else:
        chances = total.ravel() / total.sum()
        drawn = rng.multinomial(units, chances, size=resamples).reshape(resamples, *total.shape).astype(float)
        what = f"{units:,} votes, as there are fewer than {ENOUGH} raters"
    theta = _maximum(drawn, votes.items)[0]  # (S, K)
    low, high = percentiles(theta, units=units, level=level)
    method = f"bootstrap over {what}, {resamples:,} resamples"
    intervals = tuple(Interval(float(a), float(b), level, method) for a, b in zip(low, high, strict=True))
    beats = percentiles(theta[:, :, None] - theta[:, None], units=units, level=level)[0] > 0
    return Ranking(_strengths(total, votes.items), intervals, beats, len(votes), len(by_rater))


def votes_needed(half_width: float, *, level: float = 0.95, share: float = 0.5) -> int:
    """Votes on one pair after which its winning share is known to ± half_width: share (1 - share) (z / half_width)²."""
    if not (0 < half_width < 1 and 0 < level < 1 and 0 < share < 1):
        raise ConfigError(f"half_width={half_width}, level={level}, share={share} must all lie between 0 and 1")
    z = NormalDist().inv_cdf((1 + level) / 2)
    return math.ceil(share * (1 - share) * (z / half_width) ** 2)


def votes_for_width(ranking: Ranking, half_width: float) -> int:
    """Votes in all after which the widest interval of a strength would be ± half_width, by the square-root law."""
    if not half_width > 0:
        raise ConfigError(f"half_width={half_width} must be above 0")
    widest = max(interval.high - interval.low for interval in ranking.intervals) / 2
    return math.ceil(ranking.votes * (widest / half_width) ** 2)


def _check_connected(counts: np.ndarray, items: int) -> None:
    """Raise DataError unless every item is linked to every other by a chain of comparisons."""
    reached, pairs = {0}, list(combinations(range(items), 2))
    for _ in range(items):
        linked = [pair for pair, n in zip(pairs, counts.sum(axis=1), strict=True) if n and reached & set(pair)]
        reached |= {item for pair in linked for item in pair}
    if apart := sorted(set(range(items)) - reached):
        raise DataError(
            f"items {apart} were never compared with the others, so they cannot be ranked; gather votes on them"
        )


def _strengths(counts: np.ndarray, items: int) -> Strengths:
    """(P, 3) counts -> the fitted model."""
    theta, log_ties, covariance, regularised = (part[0] for part in _maximum(counts[None], items))
    return Strengths(theta, covariance, float(np.exp(log_ties)), bool(regularised))


def _maximum(counts: np.ndarray, items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(S, P, 3) counts -> theta (S, K), ln ν (S,), covariance (S, K, K), regularised (S,), each of S fits its own.

    A fit whose likelihood is flat in some direction has its maximum at infinity and is done again with the prior.
    """
    with_ties = bool(counts[..., 2].any())
    design = _design(items, with_ties)
    counts = counts[..., : design.shape[1]]
    at, information = _newton(design, counts, items, prior=0.0)
    flat = np.linalg.eigvalsh(information)[:, 0] < _FLAT
    if flat.any():
        at[flat], information[flat] = _newton(design, counts[flat], items, prior=PRIOR_STD**-2)
    covariance = np.linalg.inv(information)[:, :items, :items]
    covariance -= covariance.mean(axis=2, keepdims=True)
    covariance -= covariance.mean(axis=1, keepdims=True)  # of strengths about their mean
    log_ties = at[:, items] if with_ties else np.full(len(at), -np.inf)
    return at[:, :items], log_ties, covariance, flat


def _design(items: int, with_ties: bool) -> np.ndarray:
    """(P, 2 or 3, K or K + 1): what each outcome of a pair adds up of (θ, ln ν); i wins, j wins, tie."""
    design = np.zeros((math.comb(items, 2), 2 + with_ties, items + with_ties))
    for pair, (i, j) in enumerate(combinations(range(items), 2)):
        design[pair, 0, i] = design[pair, 1, j] = 1
        if with_ties:
            design[pair, 2, [i, j]], design[pair, 2, items] = 0.5, 1
    return design


def _newton(design: np.ndarray, counts: np.ndarray, items: int, *, prior: float) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of the log-likelihood with a normal prior of that precision: (S, D) and the information (S, D, D).

    Steps are held to 1, within which the curvature of a logit changes by no more than a factor e, so that they climb.
    """
    size = design.shape[2]
    at = np.zeros((len(counts), size))
    # θ + c gives the same chances for any c: this keeps the mean at 0 and the information invertible
    fixed = np.zeros((size, size))
    fixed[:items, :items] = 1
    fixed += prior * np.eye(size)
    shown = counts.sum(axis=2, keepdims=True)
    information = np.empty((len(counts), size, size))
    for _ in range(200):
        utility = np.einsum("pod,sd->spo", design, at)
        chance = np.exp(utility - utility.max(axis=2, keepdims=True))
        chance /= chance.sum(axis=2, keepdims=True)
        gradient = np.einsum("spo,pod->sd", counts - shown * chance, design) - prior * at
        mean = np.einsum("spo,pod->spd", chance, design)
        centred = design - mean[:, :, None]  # (S, P, O, D)
        information = np.einsum("spo,spod,spoe->sde", shown * chance, centred, centred, optimize=True) + fixed
        # a hair on the diagonal: where nothing holds a strength back, the information runs towards 0
        step = np.linalg.solve(information + 1e-12 * np.eye(size), gradient[..., None])[..., 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        at = at + step / np.maximum(largest, 1)
        if (np.abs(gradient) < 1e-9 * (1 + shown.sum(axis=(1, 2))[:, None])).all() and (
            (largest[:, 0] < 1e-9) | (np.linalg.eigvalsh(information)[:, 0] < _FLAT)
        ).all():
            break
    return at, information
