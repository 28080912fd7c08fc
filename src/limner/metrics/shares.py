"""Intervals of shares, so many of so many, and of the difference of two shares; good near 0 and near 1 too."""

from __future__ import annotations

import math
from statistics import NormalDist

from ..errors import ConfigError


def deviations(level: float) -> float:
    """How many standard deviations to both sides hold a share `level` of a normal distribution: 1.96 for 0.95."""
    if not 0 < level < 1:
        raise ConfigError(f"level={level} is not a share between 0 and 1; use 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(share: float, count: float, *, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share that was seen in `count` independent trials.

    count   may be an effective number, of trials that hang together

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if not (0 <= share <= 1 and count > 0):
        raise ConfigError(f"a share of {share} in {count} trials has no interval; use 0 to 1 and more than 0 trials")
    z = deviations(level)
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (max(0.0, middle - half) if share > 0 else 0.0), (min(1.0, middle + half) if share < 1 else 1.0)


def difference(
    share: float, count: float, other: float, other_count: float, *, level: float = 0.95
) -> tuple[float, float]:
    """The interval of `share` - `other`, each seen in its own number of trials.

    Source: Newcombe 1998, Interval estimation for the difference between independent proportions, method 10.
    """
    low, high = wilson(share, count, level=level)
    other_low, other_high = wilson(other, other_count, level=level)
    apart = share - other
    return apart - math.hypot(share - low, other_high - other), apart + math.hypot(high - share, other - other_low)
