"""Whether A is better than B on the same images or the same noise: the mean difference, its interval, and tests.

Pairing takes out what both have in common, such as how hard an image is, so that far fewer images show a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .bootstrap import bias_corrected
from .number import Interval

EXACT = 16  # pairs up to which all 2^N signs are gone through
FLIPS = 9999
AT_ONCE = 1 << 22  # signs held at once


@dataclass(frozen=True)
class PairedTest:
    """A against B.

    difference     mean of A - B
    interval       where the difference lies for endless pairs
    p_value        how often a mean at least as far from 0 comes about when A and B are exchanged at random
    sign_p_value   the same of the number of pairs in which A is above B; exact, and deaf to how much above
    above, below   pairs in which A is above B, and below
    exact          whether all exchanges were gone through for `p_value`, and not random ones
    """

    difference: float
    interval: Interval
    p_value: float
    sign_p_value: float
    above: int
    below: int
    exact: bool


def paired_test(a: np.ndarray, b: np.ndarray, *, level: float = 0.95, flips: int = FLIPS, seed: int = 0) -> PairedTest:
    """Compares values (N,) of A and of B, the k-th of both on the k-th image.

    Raises ConfigError for unlike lengths, DataError for fewer than 2 pairs or what is not finite.
    Sources: Fisher 1935, The design of experiments, section 21; Phipson and Smyth 2010, arXiv 1603.05766, for the
    p-value of random exchanges, which is never 0.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ConfigError(f"values {a.shape} and {b.shape} are not pairs; give one of A and one of B for each image")
    apart = a - b
    if not np.isfinite(apart).all():
        raise DataError(f"pair {int(np.isfinite(apart).argmin())} is not finite; look for what made it so")
    estimate = bias_corrected(apart, level=level, seed=seed)
    exact = len(apart) <= EXACT
    p_value = _all_signs(apart) if exact else _random_signs(apart, flips, seed)
    above, below = int((apart > 0).sum()), int((apart < 0).sum())
    return PairedTest(estimate.value, estimate.interval, p_value, sign_test(above, below), above, below, exact)


def sign_test(above: int, below: int) -> float:
    """The two-sided p-value of so many pairs above and below, if both are as likely; ties are left out. Exact."""
    if min(above, below) < 0:
        raise ConfigError(f"{above} above and {below} below are not numbers of pairs; use 0 or more")
    count = above + below
    ways, total = 1, 0  # whole numbers of any length: nothing is rounded before the division
    for k in range(min(above, below) + 1):
        total += ways
        ways = ways * (count - k) // (k + 1)
    return min(1.0, 2 * total / 2**count)


def _all_signs(apart: np.ndarray) -> float:
    """The share of all exchanges of A and B that leave a mean at least as far from 0."""
    numbers = np.arange(1 << len(apart))
    signs = 1.0 - 2.0 * (numbers[:, None] >> np.arange(len(apart)) & 1)
    return float((np.abs(signs @ apart) >= _threshold(apart)).mean())


def _random_signs(apart: np.ndarray, flips: int, seed: int) -> float:
    """The same over random exchanges, the one that was seen counted among them."""
    if flips < 99:
        raise ConfigError(f"flips={flips} is too few for a p-value; use at least 99")
    stream, as_far = generator(seed, "paired test"), 0
    size = max(1, AT_ONCE // len(apart))
    for start in range(0, flips, size):
        signs = 1.0 - 2.0 * stream.integers(2, size=(min(size, flips - start), len(apart)))
        as_far += int((np.abs(signs @ apart) >= _threshold(apart)).sum())
    return (1 + as_far) / (1 + flips)


def _threshold(apart: np.ndarray) -> float:
    """The sum that was seen, less what its rounding may be: equal sums must count as equal."""
    return abs(float(apart.sum())) - 1e-12 * float(np.abs(apart).sum())
