"""Whether raters agree, and whether they can tell made images from real ones.

Agreement beyond chance: Krippendorff's alpha for any number of raters with gaps, Fleiss' kappa for equal numbers of
ratings, Cohen's kappa for two raters; all for labels without order. Intervals come from drawing the units again.
Real or made: the error rate that HYPE∞ is, and each rater's d'.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..errors import DataError
from ..rng import generator
from .number import Interval
from .raters import ENOUGH, percentiles
from .shares import wilson as interval_of_share

MISSING = -1  # a rating that was not given
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Agreement:
    """1 is full agreement, 0 what chance would give; `interval` is None for fewer than two units."""

    value: float
    interval: Interval | None
    units: int
    raters: int


def krippendorff_alpha(ratings: np.ndarray, *, seed: int = 0, resamples: int = 1000, level: float = 0.95) -> Agreement:
    """Krippendorff's alpha for labels without order.

    ratings   (R, U)   label ≥ 0 that rater r gave unit u, MISSING where none

    Units with fewer than two ratings say nothing of agreement and are left out. Raises DataError when none is left.
    When all raters give one and the same label, there is nothing to disagree on: alpha is 1.
    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability, section C.
    """
    counts = _label_counts(ratings)
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        raise DataError("no unit was rated by two raters, so their agreement is unknown; let raters share units")
    return Agreement(
        _alpha(counts), _over_units(_alpha, counts, seed, resamples, level), len(counts), len(np.asarray(ratings))
    )


def fleiss_kappa(counts: np.ndarray, *, seed: int = 0, resamples: int = 1000, level: float = 0.95) -> Agreement:
    """Fleiss' kappa.

    counts   (U, L)   how many raters gave unit u the label l; every unit has the same number of ratings, at least 2

    Raises DataError otherwise. Source: Fleiss 1971, Psychological Bulletin 76, equations 1 to 7.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or not counts.size or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise DataError(f"counts of {counts.dtype} {counts.shape} are no whole numbers (units, labels) of at least 0")
    given = counts.sum(axis=1)
    if given.min() != given.max() or given[0] < 2:
        raise DataError(
            f"units have {given.min()} to {given.max()} ratings; Fleiss' kappa needs the same number, at least 2, for "
            "each; take Krippendorff's alpha"
        )
    return Agreement(_fleiss(counts), _over_units(_fleiss, counts, seed, resamples, level), len(counts), int(given[0]))


def cohen_kappa(
    first: np.ndarray, second: np.ndarray, *, seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> Agreement:
    """Cohen's kappa of two raters' labels, both (U,) and ≥ 0. Source: Cohen 1960, EPM 20, equation 1."""
    first, second = np.asarray(first), np.asarray(second)
    pair = np.stack([first, second]) if first.shape == second.shape else np.empty((0, 0))
    if pair.ndim != 2 or not pair.size or pair.dtype.kind not in "iu" or (pair < 0).any():
        raise DataError("two raters' labels must be whole numbers of at least 0, as many of one as of the other")
    return Agreement(_cohen(pair.T), _over_units(_cohen, pair.T, seed, resamples, level), pair.shape[1], 2)


def _label_counts(ratings: np.ndarray) -> np.ndarray:
    """(R, U) labels -> (U, L) how often each was given."""
    ratings = np.asarray(ratings)
    if ratings.ndim != 2 or not ratings.size or ratings.dtype.kind != "i" or (ratings < MISSING).any():
        raise DataError(
            f"ratings of {ratings.dtype} {ratings.shape} are no signed whole numbers (raters, units) of -1 or more"
        )
    labels = np.unique(ratings[ratings != MISSING])
    return np.stack([(ratings == label).sum(axis=0) for label in labels], axis=1) if len(labels) else np.zeros((0, 1))


def _alpha(counts: np.ndarray) -> float:
    """1 - observed / expected disagreement, from the coincidences of labels within units."""
    given = counts.sum(axis=1, keepdims=True)
    observed = ((given * counts - counts**2) / (given - 1)).sum()
    totals = counts.sum(axis=0)
    n = totals.sum()
    expected = (n**2 - (totals**2).sum()) / (n - 1)
    return float(1 - observed / expected) if expected else 1.0


def _fleiss(counts: np.ndarray) -> float:
    ratings = counts.sum(axis=1)[0]
    observed = ((counts**2).sum(axis=1) - ratings).mean() / (ratings * (ratings - 1))
    expected = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((observed - expected) / (1 - expected)) if expected < 1 else 1.0


def _cohen(pairs: np.ndarray) -> float:
    """(U, 2) labels."""
    labels = np.unique(pairs)
    shares = (pairs[..., None] == labels).mean(axis=0)  # (2, L)
    observed, expected = (pairs[:, 0] == pairs[:, 1]).mean(), (shares[0] * shares[1]).sum()
    return float((observed - expected) / (1 - expected)) if expected < 1 else 1.0


def _over_units(
    statistic: Callable[[np.ndarray], float], units: np.ndarray, seed: int, resamples: int, level: float
) -> Interval | None:
    """Percentile interval of a statistic when units are drawn again."""
    if len(units) < 2:
        return None
    rng = generator(seed, "bootstrap over units")
    values = [statistic(units[rng.integers(len(units), size=len(units))]) for _ in range(resamples)]
    low, high = percentiles(np.array(values), units=len(units), level=level)
    return Interval(float(low), float(high), level, f"bootstrap over {len(units):,} units, {resamples:,} resamples")


# --- real or made -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sensitivity:
    """How well one rater tells real from made.

    d_prime     0 is guessing; 1 is about 69 % right, 2 is 84 %, without a leaning to either answer
    criterion   the leaning: above 0 towards "made", below 0 towards "real"
    """

    rater: int
    d_prime: float
    interval: Interval
    criterion: float
    votes: int


@dataclass(frozen=True)
class RealOrFake:
    """What raters answered when they were shown real and made images.

    error     mean of `fooled` and `missed`; ½ means that nobody can tell. With as many real as made images this is the
              share of wrong answers, HYPE∞
    fooled    share of made images that were taken for real
    missed    share of real images that were taken for made
    """

    error: float
    error_interval: Interval
    fooled: float
    fooled_interval: Interval
    missed: float
    missed_interval: Interval
    raters: tuple[Sensitivity, ...]
    votes: int


def real_or_fake(
    is_real: np.ndarray, said_real: np.ndarray, rater: np.ndarray, *, seed: int = 0, level: float = 0.95
) -> RealOrFake:
    """Judge answers, (V,) each: whether the image was real, whether the rater said so, who the rater was.

    Intervals draw whole raters again when there are at least ENOUGH of them, else they are Wilson's, which take votes
    as independent. Raises DataError unless both real and made images were judged.
    Source: Zhou et al. 2019, HYPE, arXiv 1904.01121, section 3.2.
    """
    is_real, said_real, rater = (np.asarray(part) for part in (is_real, said_real, rater))
    if not is_real.shape == said_real.shape == rater.shape or is_real.ndim != 1:
        raise DataError(
            f"answers have the shapes {is_real.shape}, {said_real.shape}, {rater.shape}; three (V,) are needed"
        )
    if is_real.dtype != bool or said_real.dtype != bool or rater.dtype.kind not in "iu":
        raise DataError("answers are two arrays of bool and one of rater numbers")
    if not (is_real.any() and (~is_real).any()):
        raise DataError("both real and made images must have been judged; the votes hold one kind only")
    table = _answers(is_real, said_real, rater)  # (R, 4)
    shares = _shares(table.sum(axis=0))
    if len(table) >= ENOUGH:
        intervals = _over_raters(table, seed, level)
    else:
        intervals = _as_independent(table.sum(axis=0), level)
    skills = tuple(
        sensitivity(int(who), *(int(n) for n in row), level=level)
        for who, row in zip(np.unique(rater), table, strict=True)
    )
    error, fooled, missed = (float(share) for share in shares)
    return RealOrFake(error, intervals[0], fooled, intervals[1], missed, intervals[2], skills, len(is_real))


def wilson(count: int, of: int, *, level: float = 0.95) -> Interval:
    """Wilson's interval of `count` votes `of` so many; raises DataError for counts that are no share."""
    if not 0 <= count <= of or of < 1:
        raise DataError(f"{count} of {of} is no share; give 0 to {of} of at least 1")
    return Interval(*interval_of_share(count / of, of, level=level), level, f"Wilson, {of:,} votes")


def sensitivity(rater: int, hits: int, real: int, alarms: int, made: int, *, level: float = 0.95) -> Sensitivity:
    """d' of one rater: z(hit rate) - z(false-alarm rate), where a hit is a real image called real.

    hits of `real` real images and `alarms` of `made` made ones were called real. Half an answer is added to every cell,
    so that rates of 0 and 1 stay finite (Hautus 1995); the variance is that of Gourevitch and Galanter 1967.
    """
    hit, alarm = (hits + 0.5) / (real + 1), (alarms + 0.5) / (made + 1)
    z_hit, z_alarm = _NORMAL.inv_cdf(hit), _NORMAL.inv_cdf(alarm)
    variance = hit * (1 - hit) / ((real + 1) * _NORMAL.pdf(z_hit) ** 2)
    variance += alarm * (1 - alarm) / ((made + 1) * _NORMAL.pdf(z_alarm) ** 2)
    spread = _NORMAL.inv_cdf((1 + level) / 2) * math.sqrt(variance)
    d_prime = z_hit - z_alarm
    interval = Interval(d_prime - spread, d_prime + spread, level, "normal approximation")
    return Sensitivity(rater, d_prime, interval, -(z_hit + z_alarm) / 2, real + made)


def _answers(is_real: np.ndarray, said_real: np.ndarray, rater: np.ndarray) -> np.ndarray:
    """(R, 4) for each rater: real images called real, real images, made images called real, made images."""
    cells = [is_real & said_real, is_real, ~is_real & said_real, ~is_real]
    return np.array([[int(cell[rater == who].sum()) for cell in cells] for who in np.unique(rater)])


def _shares(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(…, 4) answers -> error, fooled, missed."""
    hits, real, alarms, made = np.moveaxis(answers.astype(float), -1, 0)
    fooled, missed = alarms / np.maximum(made, 1), 1 - hits / np.maximum(real, 1)
    return (fooled + missed) / 2, fooled, missed


def _over_raters(table: np.ndarray, seed: int, level: float, resamples: int = 1000) -> list[Interval]:
    rng = generator(seed, "bootstrap over raters")
    drawn = table[rng.integers(len(table), size=(resamples, len(table)))].sum(axis=1)  # (S, 4)
    drawn = drawn[(drawn[:, 1] > 0) & (drawn[:, 3] > 0)]
    method = f"bootstrap over {len(table)} raters, {resamples:,} resamples"
    ends = [percentiles(part, units=len(table), level=level) for part in _shares(drawn)]
    return [Interval(float(low), float(high), level, method) for low, high in ends]


def _as_independent(answers: np.ndarray, level: float) -> list[Interval]:
    """Wilson's intervals, and for the mean of the two shares theirs put together as Newcombe 1998 (method 10) does."""
    hits, real, alarms, made = (int(n) for n in answers)
    fooled, missed = wilson(alarms, made, level=level), wilson(real - hits, real, level=level)
    p, q = alarms / made, (real - hits) / real
    below = math.hypot(p - fooled.low, q - missed.low) / 2
    above = math.hypot(fooled.high - p, missed.high - q) / 2
    centre = (p + q) / 2
    return [Interval(centre - below, centre + above, level, "Wilson's intervals combined"), fooled, missed]
