"""Balanced half-samples: how far a statistic of two sets would move if both sets were drawn again.

Images fall at random into eight groups, and the groups, by a Hadamard matrix, into two halves in seven ways, in which
any two groups lie together equally often. A statistic is computed on both halves of each split; half the variance of
one half is the variance of the whole, wherever the variance falls as 1 / N. Unlike a bootstrap it repeats no image, so
it may be used where equal images would be each other's neighbours, and both sets vary, not one of them.
Source: McCarthy 1969, Pseudo-replication: half samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..rng import generator
from .number import Interval
from .shares import deviations, wilson

GROUPS = 8
SPLITS = GROUPS - 1
LEVEL = 0.95
STUDENT = 2.365  # the 97.5 % point of Student's t with 7 degrees of freedom: one for each split
METHOD = "balanced half-samples of both sets, 7 splits of 8 random groups"

# (7, 8): whether a group lies in the first half of a split; the rows of a Hadamard matrix but its constant one
FIRST_HALF = np.array([[(split & group).bit_count() % 2 == 0 for group in range(GROUPS)] for split in range(1, GROUPS)])


@dataclass(frozen=True)
class Measured:
    """A value and its interval; None where there are too few images for one."""

    value: float
    interval: Interval | None = None


def random_groups(count: int, *, seed: int, side: str) -> np.ndarray:
    """(count,) the group, 0 to 7, of each image of a side; groups differ by one image at most."""
    return generator(seed, f"half-samples of {side}").permutation(count) % GROUPS


def halves(groups: np.ndarray, split: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) masks of the two halves of a split, 0 to 6."""
    first = FIRST_HALF[split][groups]
    return first, ~first


def smallest_half(count: int) -> int:
    """Images that every half of `count` has at least."""
    return count // GROUPS * (GROUPS // 2)


def standard_error(pairs: np.ndarray) -> float:
    """The standard error of a statistic whose values on the two halves of each split are `pairs` (7, 2)."""
    return float(np.sqrt(np.square(pairs[:, 0] - pairs[:, 1]).mean()) / 2)


def share(value: float, pairs: np.ndarray, count: int) -> Measured:
    """A share of `count` images with Wilson's interval for as many independent images as the half-samples show.

    Images of one set are not independent: they are judged against the same other set. That is why the effective number
    is mostly below `count`; it is never taken to be above.
    """
    expected = float(pairs.mean())  # of the halves: `value` may be 0 or 1, where a binomial has no variance
    binomial, variance = expected * (1 - expected) / count, standard_error(pairs) ** 2
    effective = count * min(1.0, binomial / variance) if variance > 0 else float(count)
    low, high = wilson(value, effective * (deviations(LEVEL) / STUDENT) ** 2, level=LEVEL)
    return Measured(value, Interval(low, high, LEVEL, f"{METHOD}; Wilson's interval"))


def ratio(value: float, pairs: np.ndarray) -> Measured:
    """A positive value whose error is proportional to it; no interval for 0, of which no half knows the scale."""
    total = pairs.sum(axis=1)
    if value <= 0 or not (total > 0).all():
        return Measured(value)
    # 2 (a - b) / (a + b): the difference of the logarithms to second order, and finite for a half that is 0
    error = standard_error(2 * pairs / total[:, None])
    spread = math.exp(STUDENT * error)
    return Measured(value, Interval(value / spread, value * spread, LEVEL, METHOD))
