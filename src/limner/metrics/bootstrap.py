"""Intervals by resampling: of a mean over images, over seeds and images, and of anything by a jackknife over groups.

Draws are keyed, so an interval is the same wherever it is taken. A bootstrap fits what is a mean of values that each
image has by itself, or a smooth function of such means. It does not fit a statistic that an image repeated would
change, such as a distance to neighbours, nor one with a bias, which it would double: for those there is the jackknife.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .number import Interval
from .shares import deviations

RESAMPLES = 1000
FEWEST = 2
NORMAL_FREEDOM = 10_000  # degrees from which Student's t is normal to five digits
AT_ONCE = 1 << 22  # drawn row numbers held at once

Statistic = Callable[[np.ndarray], np.ndarray]  # (R, K) means -> (R,) values


@dataclass(frozen=True)
class Estimate:
    """A value, the standard error of it, and where the truth lies."""

    value: float
    error: float
    interval: Interval


@dataclass(frozen=True)
class SeedEstimate:
    """A mean over seeds, and where its spread comes from.

    between_seeds    standard deviation of what the seeds would give with endless images
    between_images   mean standard deviation of images within a seed
    """

    value: float
    error: float
    interval: Interval
    between_seeds: float
    between_images: float


def percentile(
    values: np.ndarray,
    statistic: Statistic | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A mean over images, with the percentiles of the means of resamples around it.

    values      (N,) a value of each image, or (N, K) with a `statistic`
    statistic   of the means: (R, K) -> (R,), smooth; None for the mean itself

    The share of resamples outside is that of Student's t, as there are N images and not endless ones.
    Raises ConfigError for a shape or a level that cannot be used, DataError for what is not finite or too few.
    Source: Efron 1979; Hesterberg 2015, arXiv 1411.5279, section 5.2, for the share outside.
    """
    held, of = _checked(values, statistic)
    value, drawn = _resampled(held, of, resamples=resamples, seed=seed)
    tail = _tail(level, len(held))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    interval = Interval(float(low), float(high), level, f"percentile bootstrap over images, {resamples:,} resamples")
    return Estimate(value, float(drawn.std(ddof=1)), interval)


def bias_corrected(
    values: np.ndarray,
    statistic: Statistic | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """As `percentile`, for values that are skew: BCa, which shifts both percentiles by the skewness it finds.

    Source: Efron 1987, Better bootstrap confidence intervals, equations 2.3 and 7.4.
    """
    held, of = _checked(values, statistic)
    value, drawn = _resampled(held, of, resamples=resamples, seed=seed)
    normal = NormalDist()
    below = (float((drawn < value).sum()) + float((drawn == value).sum()) / 2) / resamples
    shift = normal.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    without = of((held.sum(axis=0) - held) / (len(held) - 1))
    pull = without.mean() - without
    spread = float(np.square(pull).sum())
    skewness = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    z = -normal.inv_cdf(_tail(level, len(held)))
    shares = [normal.cdf(shift + (shift + side) / (1 - skewness * (shift + side))) for side in (-z, z)]
    low, high = np.quantile(drawn, shares)
    interval = Interval(float(low), float(high), level, f"BCa bootstrap over images, {resamples:,} resamples")
    return Estimate(value, float(drawn.std(ddof=1)), interval)


def over_seeds(values: Sequence[np.ndarray], *, level: float = 0.95) -> SeedEstimate:
    """The mean of values of images made with several seeds: of training, or of sampling.

    values   (N,) for each seed; their lengths may differ

    Images of one seed hang together, so that there are as many independent values as seeds. With three seeds there
    are ten different resamples, too few for percentiles: the interval is Student's around the mean of the seeds'
    means, in which the spread of the images has its part. Raises DataError for fewer than 2 seeds or images.
    """
    if len(values) < FEWEST:
        raise DataError(f"{len(values)} seed says nothing about the spread between seeds; use at least 3")
    held = [_checked(np.asarray(part), None)[0][:, 0] for part in values]
    means = [float(part.mean()) for part in held]
    inside = np.array([part.var(ddof=1) for part in held])
    found = over_runs(means, level=level)
    left = found.error**2 * len(means) - float((inside / [len(part) for part in held]).mean())
    between, within = math.sqrt(max(left, 0.0)), float(np.sqrt(inside.mean()))
    return SeedEstimate(found.value, found.error, found.interval, between, within)


def over_runs(values: Sequence[float], *, level: float = 0.95) -> Estimate:
    """The mean of one value of each run of training, with Student's interval: where the mean of other runs would lie.

    Raises DataError for fewer than two runs, or a value that is not finite.
    """
    held = np.asarray(values, np.float64)
    if len(held) < FEWEST or not np.isfinite(held).all():
        raise DataError(f"values {list(values)} of runs give no interval; use two or more, all of them finite")
    value, error = float(held.mean()), float(held.std(ddof=1)) / math.sqrt(len(held))
    half = student_deviations(level, len(held) - 1) * error
    return Estimate(value, error, Interval(value - half, value + half, level, f"Student's t over {len(held)} seeds"))


def jackknife(value: float, without: np.ndarray) -> tuple[float, float]:
    """(value without its bias of order 1 / N, standard error) from the values (G,) without one group each.

    value   of all images

    The error counts a variance that falls as 1 / N² twice.
    Sources: Quenouille 1956; Efron and Stein 1981, The jackknife estimate of variance.
    """
    groups = len(without)
    if groups < FEWEST:
        raise ConfigError(f"a jackknife over {groups} group is not possible; use at least 2")
    corrected = value + (groups - 1) * (value - float(np.mean(without)))
    return corrected, (groups - 1) * float(np.std(without, ddof=1)) / math.sqrt(groups)


def group_numbers(count: int, groups: int, *, seed: int, purpose: str) -> np.ndarray:
    """(count,) the random group, 0 to `groups` - 1, of each image; sizes differ by one at most."""
    if not FEWEST <= groups <= count:
        raise ConfigError(f"{groups} groups of {count} images are not possible; use 2 to {count}")
    return generator(seed, purpose).permutation(count) % groups


def student_deviations(level: float, freedom: int) -> float:
    """How many standard errors to both sides hold a share `level` of Student's t: 2.262 for 0.95 and 9 degrees."""
    if freedom < 1:
        raise ConfigError(f"{freedom} degrees of freedom are too few; use at least 1")
    if not 0 < level < 1:
        raise ConfigError(f"level={level} is not a share between 0 and 1; use 0.95")
    if freedom > NORMAL_FREEDOM:
        return deviations(level)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _inside(angle: float, freedom: int) -> float:
    """The share of Student's t within √freedom tan(angle) of 0. Source: Abramowitz and Stegun 1964, 26.7.3 and 4."""
    odd, squared = freedom % 2, math.cos(angle) ** 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 0.0)
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= squared * power / (power + 1)
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def _tail(level: float, count: int) -> float:
    """The share of resamples beyond each end: a resampled mean varies by (N - 1) / N of what a mean does."""
    return NormalDist().cdf(-student_deviations(level, count - 1) * math.sqrt(count / (count - 1)))


def _checked(values: np.ndarray, statistic: Statistic | None) -> tuple[np.ndarray, Statistic]:
    """(N, K) float64 values, and a statistic of their means."""
    held = np.asarray(values, np.float64)
    if held.ndim not in (1, 2) or 0 in held.shape[1:] or (statistic is None and held[0:1].size > 1):
        raise ConfigError(f"values {held.shape} are not one for each image; use (N,), or (N, K) with a statistic")
    if len(held) < FEWEST:
        raise DataError(f"{len(held)} image says nothing about the spread of images; use at least 2")
    finite = np.isfinite(held.reshape(len(held), -1)).all(axis=1)
    if not finite.all():
        raise DataError(f"value {int(finite.argmin())} is not finite; look for what made it so")
    return held.reshape(len(held), -1), statistic or (lambda means: means[:, 0])


def _resampled(held: np.ndarray, of: Statistic, *, resamples: int, seed: int) -> tuple[float, np.ndarray]:
    """The statistic of the means, and (resamples,) of the means of rows drawn again."""
    if resamples < 100:
        raise ConfigError(f"resamples={resamples} is too few for percentiles; use at least 100")
    count, stream = len(held), generator(seed, "bootstrap over images")
    means = np.empty((resamples, held.shape[1]))
    size = max(1, AT_ONCE // count)
    for start in range(0, resamples, size):
        drawn = stream.integers(count, size=(min(size, resamples - start), count))
        means[start : start + size] = held[drawn].mean(axis=1)
    return float(of(held.mean(axis=0, keepdims=True))[0]), np.asarray(of(means), np.float64)
