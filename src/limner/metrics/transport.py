"""Optimal transport on a line: sort both sides and join quantile to quantile, also of sets of unequal size.

Every sliced distance rests on it (sliced_wasserstein.py, mind.py). It knows no images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..rng import generator


@dataclass(frozen=True)
class Coupling:
    """Which order statistics of n values and of m values are joined, and with what mass: n + m - 1 pairs at most.

    first, second   (S,) ranks on both sides, from 0
    mass            (S,) sums to 1
    """

    first: np.ndarray
    second: np.ndarray
    mass: np.ndarray


def coupling(n: int, m: int) -> Coupling:
    """The optimal coupling of sorted sets of `n` and `m` equally heavy values: it follows both quantile functions."""
    if n == m:
        return Coupling(np.arange(n), np.arange(n), np.full(n, 1 / n))
    # in units of 1 / (n m) every step of either quantile function is a whole number
    ends = np.union1d(np.arange(1, n + 1, dtype=np.int64) * m, np.arange(1, m + 1, dtype=np.int64) * n)
    starts = np.concatenate([[0], ends[:-1]])
    return Coupling(starts // m, starts // n, (ends - starts) / (n * m))


def transport_cost(first: np.ndarray, second: np.ndarray, joined: Coupling, *, power: int) -> np.ndarray:
    """(L, n), (L, m) sorted rows -> (L,) the mean of |difference| to the `power` between joined values, in float64.

    Power 1 gives Wasserstein's distance of order 1, power 2 the square of the one of order 2.
    """
    if first.shape[1] == second.shape[1]:  # one to one: nothing is copied, and all masses are equal
        return _raised(first - second, power).mean(axis=1, dtype=np.float64)
    apart = _raised(first[:, joined.first] - second[:, joined.second], power)
    return apart.astype(np.float64, copy=False) @ joined.mass


def _raised(apart: np.ndarray, power: int) -> np.ndarray:
    """|apart| to the power, in place."""
    np.abs(apart, out=apart)
    return apart if power == 1 else np.power(apart, power, out=apart)


def unit_directions(count: int, dimension: int, *, seed: int, purpose: str) -> np.ndarray:
    """(count, dimension) directions, uniform on the sphere, float64; the first ones do not depend on `count`."""
    normal = generator(seed, purpose).standard_normal((count, dimension))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)
