"""MIND, the Monge Inception distance: a distance of features by slices, which is sound from few images on.

MIND = α times the mean, over M random directions, of the squared Wasserstein distance of order 2 between the two sides'
projections, with α = 3 D for features of dimension D. It takes matrix products and sorts and no covariance, so N may be
far below D. Like every distance of samples it is biased upwards, by about c / N; `debiased` is without most of that.
Source: Berthet et al. 2026, MIND: Monge Inception distance for generative models evaluation, arXiv 2605.06797, as also
defined in torch-fidelity 0.4. They draw from the larger set until both have one size; here unequal sets are joined
quantile to quantile, which is the same distance, of all images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from .checks import check_sides
from .halves import LEVEL, METHOD, SPLITS, STUDENT, Measured, halves, random_groups, smallest_half, standard_error
from .number import Interval
from .transport import coupling, transport_cost, unit_directions

DIRECTIONS = 1_000
ROWS = 4_096  # features brought to float64 at once
PROJECTED_VALUES = 1 << 23  # of one side held at once: 64 MiB


@dataclass(frozen=True)
class Mind:
    """The distance as published, and without its bias; that may fall below 0 when the two sides are alike.

    bias   what the published value is expected to be above the distance of the distributions, at this N and M
    """

    distance: Measured
    debiased: Measured
    bias: float | None


def mind(generated: np.ndarray, real: np.ndarray, *, directions: int = DIRECTIONS, seed: int = 0) -> Mind:
    """MIND of `generated` (N, D) and `real` (M, D) rows of features.

    The bias is the expected transport within each side, read off its half-samples: E W²(half, other half) is four times
    what a side adds to E W². For Gaussian features 4 % of it remain at N = 200 and 13 % at N = 16, for there c still
    grows, with log log N, and up to 20 % when one side is four times the other. Both it and the intervals need 8 images
    a side, and are None below.
    Costs 2 (N + M) D directions operations, and sorts that take about as long.
    Raises ConfigError for unlike dimensions, DataError for values that are not finite.
    """
    check_sides(generated, real)
    if directions < 1:
        raise ConfigError(f"directions={directions} is not possible; use 1 or more")
    sides = [generated, real]
    groups = [
        random_groups(len(rows), seed=seed, side=name) for rows, name in zip(sides, ("generated", "real"), strict=True)
    ]
    alpha = 3 * generated.shape[1]
    enough = min(smallest_half(len(rows)) for rows in sides) > 0
    whole, between, within = 0.0, np.zeros((SPLITS, 2)), 0.0
    for block in _blocks(sides, directions, seed):
        projected = [_projected(rows, block) for rows in sides]
        whole += _cost(*(np.sort(part, axis=1) for part in projected))
        if enough:
            apart, inside = _half_costs(projected, groups)
            between, within = between + apart, within + inside
    value = alpha * whole / directions
    if not enough:
        return Mind(Measured(value), Measured(value), None)
    return _measured(value, alpha * between / directions, alpha * within / directions)


def _measured(value: float, pairs: np.ndarray, bias: float) -> Mind:
    """Intervals: symmetric for the root of the distance, which keeps them above 0, and then moved by the bias."""
    root = math.sqrt(value)
    half = STUDENT * standard_error(pairs) / (2 * root) if value > 0 else 0.0
    low, high = max(0.0, root - half) ** 2, (root + half) ** 2
    return Mind(
        Measured(value, Interval(low, high, LEVEL, METHOD)),
        Measured(value - bias, Interval(low - bias, high - bias, LEVEL, METHOD)),
        bias,
    )


def _blocks(sides: list[np.ndarray], directions: int, seed: int) -> Iterator[np.ndarray]:
    """(L, D) random directions, as many at once as may be projected on."""
    everything = unit_directions(directions, sides[0].shape[1], seed=seed, purpose="mind directions")
    size = max(1, PROJECTED_VALUES // max(len(rows) for rows in sides))
    for start in range(0, directions, size):
        yield everything[start : start + size]


def _projected(rows: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(L, N) float64."""
    out = np.empty((len(directions), len(rows)))
    for start in range(0, len(rows), ROWS):
        out[:, start : start + ROWS] = directions @ np.asarray(rows[start : start + ROWS], np.float64).T
    return out


def _cost(first: np.ndarray, second: np.ndarray) -> float:
    """The sum over directions of the squared distance of sorted rows."""
    return float(transport_cost(first, second, coupling(first.shape[1], second.shape[1]), power=2).sum())


def _half_costs(projected: list[np.ndarray], groups: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """(7, 2) costs between the sides' halves, and the bias, which the costs within the sides show."""
    between, within = np.empty((SPLITS, 2)), 0.0
    for split in range(SPLITS):
        masks = [halves(of, split) for of in groups]
        parts = [[np.sort(rows[:, half], axis=1) for half in pair] for rows, pair in zip(projected, masks, strict=True)]
        between[split] = [_cost(parts[0][place], parts[1][place]) for place in (0, 1)]
        for first, second in parts:
            # E W²(n, m) of samples of one distribution is c (1 / n + 1 / m), and the side's share of the bias is c / N
            n, m = first.shape[1], second.shape[1]
            within += _cost(first, second) * n * m / (n + m) ** 2 / SPLITS
    return between, within
