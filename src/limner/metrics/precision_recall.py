"""Precision and recall, density and coverage: where two sets of feature rows lie among each other's neighbours.

A set's manifold is the union of balls around its rows, each reaching to the row's k-th nearest neighbour in the set.

precision   share of generated rows in a ball of a real row        recall     share of real rows in a generated ball
density     real balls that a generated row lies in, over k        coverage   share of real balls with a generated row

Distances are computed exactly, from rows rounded to a grid, a tile at a time: neither ties nor results depend on tiles
and orders, and memory does not grow with the square of N.
Sources: Kynkäänniemi et al. 2019, arXiv 1904.06991, equations 1 and 2; Naeem et al. 2020, arXiv 2002.09797,
equations 4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError
from .checks import check_sides
from .halves import FIRST_HALF, GROUPS, Measured, random_groups, ratio, share, smallest_half

BLOCK = 1024  # rows of a tile: 8 MiB of distances
GRID_BITS = 25  # of the longest row: squares and products stay below 2^53, where float64 is exact
WHOLE, VERSIONS = 0, GROUPS  # the whole sets, and 7 splits of them


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares between 0 and 1: how plausible the generated rows are, and how much of the real variety they have."""

    precision: Measured
    recall: Measured


@dataclass(frozen=True)
class DensityCoverage:
    """Density, 1 on average for equal distributions and unbounded; coverage, about 1 - 2^-k for them."""

    density: Measured
    coverage: Measured


def precision_recall(generated: np.ndarray, real: np.ndarray, *, k: int = 3, seed: int = 0) -> PrecisionRecall:
    """Improved precision and recall of `generated` (N, D) against `real` (M, D).

    k      neighbour that balls reach to
    seed   of the random groups behind the intervals; the values do not depend on it

    Costs about 2 (N² / 2 + M² / 2 + N M) D operations. Both numbers depend on N, M and k: compare them at equal ones.
    Raises ConfigError for unlike dimensions and a k that is not possible, DataError for values that are not finite.
    """
    sides = _Sides.of(generated, real, k, seed)
    of_generated, of_real = sides.generated.radii(k), sides.real.radii(k)
    precise = np.zeros((VERSIONS, len(generated)), bool)
    recalled = np.zeros((VERSIONS, len(real)), bool)
    for tile in sides.tiles():
        for version in tile.versions:
            precise[version, tile.rows] |= (tile.squares <= of_real[version, tile.columns]).any(axis=1)
            inside = tile.squares <= of_generated[version, tile.rows, None]
            recalled[version, tile.columns] |= inside.any(axis=0)
    return PrecisionRecall(
        _share(precise, sides.generated.groups, sides.halves), _share(recalled, sides.real.groups, sides.halves)
    )


def density_coverage(generated: np.ndarray, real: np.ndarray, *, k: int = 5, seed: int = 0) -> DensityCoverage:
    """Density and coverage of `generated` (N, D) against `real` (M, D).

    Costs about 2 (M² / 2 + N M) D operations. Arguments and errors as `precision_recall`.
    """
    sides = _Sides.of(generated, real, k, seed)
    radii = sides.real.radii(k)
    balls = np.zeros((VERSIONS, len(generated)), np.int64)
    covered = np.zeros((VERSIONS, len(real)), bool)
    for tile in sides.tiles():
        for version in tile.versions:
            inside = tile.squares <= radii[version, tile.columns]
            balls[version, tile.rows] += np.count_nonzero(inside, axis=1)
            covered[version, tile.columns] |= inside.any(axis=0)
    density = float(balls[WHOLE].mean()) / k
    pairs = _half_means(balls, sides.generated.groups) / k if sides.halves else None
    return DensityCoverage(
        Measured(density) if pairs is None else ratio(density, pairs),
        _share(covered, sides.real.groups, sides.halves),
    )


def expected_coverage(generated: int, real: int, k: int) -> float:
    """Coverage that sets of those sizes have on average when their distributions are equal, whatever these are.

    A ball stays empty when the k nearest of all other rows are real. About 1 - 2^-k for sides of equal size.
    Source: Naeem et al. 2020, arXiv 2002.09797, equation 9, here also for sides of unequal size.
    """
    empty = 1.0
    for taken in range(k):
        empty *= (real - 1 - taken) / (real - 1 - taken + generated)
    return 1 - empty


@dataclass(frozen=True)
class _Tile:
    """Exact squared distances (n, m) of generated `rows` and real `columns`, and the versions in which both occur."""

    rows: np.ndarray
    columns: np.ndarray
    squares: np.ndarray
    versions: list[int]


@dataclass(frozen=True)
class _Side:
    """One set on the grid: rows are rounded when a block of them is needed, so that no copy of the set is held."""

    features: np.ndarray
    groups: np.ndarray
    scale: float
    centre: np.ndarray

    def blocks(self) -> list[tuple[int, np.ndarray]]:
        """(group, rows) of blocks that each lie in one group."""
        members = [np.flatnonzero(self.groups == group) for group in range(GROUPS)]
        return [(group, of[start : start + BLOCK]) for group, of in enumerate(members) for start in _starts(len(of))]

    def on_grid(self, rows: np.ndarray) -> np.ndarray:
        """(n, D) integers, as float64."""
        return np.rint(np.asarray(self.features[rows], np.float64) * self.scale) - self.centre

    def radii(self, k: int) -> np.ndarray:
        """(8, N) squared distance to the k-th nearest other row: in the whole set, and in the row's half of each split.

        Infinite where a half holds no k others.
        """
        nearest = np.full((len(self.features), GROUPS, k), np.inf)  # of each group, in no order
        blocks = self.blocks()
        for place, (group, rows) in enumerate(blocks):
            points = self.on_grid(rows)
            for other_group, others in blocks[place:]:
                squares = squared_distances(points, points if others is rows else self.on_grid(others))
                if others is rows:
                    np.fill_diagonal(squares, np.inf)
                nearest[rows, other_group] = _smallest(nearest[rows, other_group], squares)
                if others is not rows:
                    nearest[others, group] = _smallest(nearest[others, group], squares.T)
        together = [np.ones((GROUPS, GROUPS), bool), *(half[:, None] == half for half in FIRST_HALF)]
        return np.stack([_kth(nearest, same[self.groups]) for same in together])


@dataclass(frozen=True)
class _Sides:
    """Both sets on one grid.

    halves   whether halves hold enough rows for intervals
    """

    generated: _Side
    real: _Side
    halves: bool

    @classmethod
    def of(cls, generated: np.ndarray, real: np.ndarray, k: int, seed: int) -> _Sides:
        check_sides(generated, real)
        fewest = min(len(generated), len(real))
        if not 1 <= k < fewest:
            raise ConfigError(
                f"k={k} needs more than {k} images on both sides and at least 1; the smaller has {fewest}"
            )
        centre = real.mean(axis=0, dtype=np.float64)
        longest = max(_longest(generated, centre), _longest(real, centre))
        if not np.isfinite(longest):
            raise DataError("features are too large for their distances to be computed; scale them down")
        # a power of two: rows that are small integers, such as pixels, stay what they are
        scale = 2.0 ** min(1000.0, np.floor(GRID_BITS - np.log2(longest))) if longest > 0 else 1.0
        ours, theirs = (
            _Side(rows, random_groups(len(rows), seed=seed, side=side), scale, np.rint(centre * scale))
            for rows, side in ((generated, "generated"), (real, "real"))
        )
        return cls(ours, theirs, halves=smallest_half(fewest) > k)

    def tiles(self) -> Iterator[_Tile]:
        """Distances of all generated rows to all real rows, a tile at a time."""
        columns = self.real.blocks()
        for group, rows in self.generated.blocks():
            points = self.generated.on_grid(rows)
            for other_group, others in columns:
                together = FIRST_HALF[:, group] == FIRST_HALF[:, other_group]
                versions = [WHOLE, *(np.flatnonzero(together) + 1)] if self.halves else [WHOLE]
                yield _Tile(rows, others, squared_distances(points, self.real.on_grid(others)), versions)


def squared_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, D), (m, D) -> (n, m); exact for integers whose squares sum to less than 2^51."""
    squares = points @ others.T
    squares *= -2
    squares += np.square(points).sum(axis=1)[:, None]
    squares += np.square(others).sum(axis=1)
    return squares


def _starts(count: int) -> range:
    return range(0, count, BLOCK)


def _longest(features: np.ndarray, centre: np.ndarray) -> float:
    blocks = (np.asarray(features[start : start + BLOCK], np.float64) for start in _starts(len(features)))
    with np.errstate(over="ignore"):
        return max(float(np.linalg.norm(block - centre, axis=1).max()) for block in blocks)


def _smallest(known: np.ndarray, more: np.ndarray) -> np.ndarray:
    """(n, k) and (n, m) -> the k smallest of both, in no order."""
    k = known.shape[1]
    few = np.partition(more, k - 1, axis=1)[:, :k] if more.shape[1] > k else more
    return np.partition(np.concatenate([known, few], axis=1), k - 1, axis=1)[:, :k]


def _kth(nearest: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(N, 8, k) the k nearest of each group, (N, 8) groups that count -> (N,) the k-th nearest of those."""
    k = nearest.shape[2]
    counted = np.where(allowed[:, :, None], nearest, np.inf).reshape(len(nearest), -1)
    return np.partition(counted, k - 1, axis=1)[:, k - 1]


def _half_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(8, N) -> (7, 2) means over the two halves of each split."""
    first = FIRST_HALF[:, groups]
    return np.stack([[row[half].mean(), row[~half].mean()] for row, half in zip(values[1:], first, strict=True)])


def _share(inside: np.ndarray, groups: np.ndarray, halves: bool) -> Measured:
    value = float(inside[WHOLE].mean())
    return share(value, _half_means(inside, groups), len(groups)) if halves else Measured(value)
