"""The kernel distance between two sets of features, squared maximum mean discrepancy: KID where they are Inception's.

Without bias for any number of images, so the one to read for small sets; where the distributions are equal it is 0 on
average and half the time below. All pairs are taken, a tile at a time, so that memory does not grow with them; very
large sets fall into random blocks whose distances are averaged. It does not know what the features are of.
Sources: Gretton et al. 2012, A kernel two-sample test; Bińkowski et al. 2018, arXiv 1801.01401.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .bootstrap import Estimate, group_numbers, student_deviations
from .frechet import check_features
from .squared_distance import interval_of_square

BLOCK = 5000  # rows on a side that are paired with each other at once; the time grows with its square
TILE = 1024
SUBSETS, SUBSET_SIZE = 100, 1000
MEDIAN_ROWS = 1000


class Kernel(Protocol):
    """A similarity of two rows. `name` is for protocols."""

    @property
    def name(self) -> str: ...

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(n, D) and (m, D) float64 -> (n, m)."""


@dataclass(frozen=True)
class Polynomial:
    """(x·y / D + 1)³, the kernel of KID."""

    degree: int = 3
    offset: float = 1.0

    @property
    def name(self) -> str:
        return f"(x·y/D + {self.offset:g})^{self.degree}"

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        products = a @ b.T
        products /= a.shape[1]
        products += self.offset
        return products**self.degree if self.degree != 3 else products * products * products


@dataclass(frozen=True)
class Gaussian:
    """exp(-|x - y|² / (2 bandwidth²)), which tells all distributions apart; CMMD's with a bandwidth of 10 on CLIP.

    Source: Jayasumana et al. 2024, arXiv 2401.09603.
    """

    bandwidth: float

    def __post_init__(self) -> None:
        if not (self.bandwidth > 0 and math.isfinite(self.bandwidth)):
            raise ConfigError(f"bandwidth={self.bandwidth} is not a length above 0; use median_bandwidth")

    @property
    def name(self) -> str:
        return f"exp(-|x - y|²/(2 · {self.bandwidth:.6g}²))"

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
        return np.exp(np.maximum(squares, 0) / (-2 * self.bandwidth**2))


@dataclass(frozen=True)
class SubsetEstimate:
    """The mean of the distances of random subsets, as published, and their standard deviation (over the subsets).

    Subsets share images, so the standard deviation is no error of the mean; `kernel_distance` has one.
    """

    value: float
    deviation: float
    subsets: int
    size: int


def kernel_distance(
    a: np.ndarray,
    b: np.ndarray,
    *,
    kernel: Kernel | None = None,
    level: float = 0.95,
    block: int = BLOCK,
    seed: int = 0,
) -> Estimate:
    """The unbiased squared kernel distance between features (N, D) and (M, D), with an interval.

    kernel   None for KID's
    block    rows on a side up to which all are paired with each other

    The variance is that of a two-sample U-statistic by the jackknife, less what the jackknife counts twice.
    Raises ConfigError for unlike dimensions, DataError for fewer than 2 rows or what is not finite.
    Source: Gretton et al. 2012, lemma 6; Efron and Stein 1981 for the variance.
    """
    _check(a, b)
    found = _statistics(a, b, kernel or Polynomial(), block=block, seed=seed)
    how = "all pairs" if max(len(a), len(b)) <= block else f"pairs within blocks of at most {block:,}"
    interval = interval_of_square(
        found.value,
        jackknifed=found.jackknifed,
        second_order=found.second_order,
        noise=found.noise,
        deviations=student_deviations(level, min(len(a), len(b)) - 1),
        level=level,
        method=f"jackknife over images, {how}",
    )
    variance = max(found.jackknifed - found.second_order, found.jackknifed / 2)
    return Estimate(found.value, math.sqrt(variance), interval)


def kernel_subsets(
    a: np.ndarray,
    b: np.ndarray,
    *,
    kernel: Kernel | None = None,
    subsets: int = SUBSETS,
    size: int = SUBSET_SIZE,
    seed: int = 0,
) -> SubsetEstimate:
    """The mean distance of `subsets` random subsets of `size` rows on both sides: how KID was published.

    Subsets are drawn without repeats within one. Raises DataError where a side has fewer than `size` rows.
    """
    _check(a, b)
    if subsets < 1 or size < 2:
        raise ConfigError(f"subsets={subsets} of size={size} are not possible; use at least 1 of at least 2")
    if min(len(a), len(b)) < size:
        raise DataError(f"subsets of {size:,} need as many images on both sides; the smaller has {min(len(a), len(b))}")
    found = np.empty(subsets)
    for subset in range(subsets):
        stream = generator(seed, "kernel subsets", subset)
        rows = (stream.choice(len(a), size, replace=False), stream.choice(len(b), size, replace=False))
        found[subset] = _statistics(a[rows[0]], b[rows[1]], kernel or Polynomial()).value
    return SubsetEstimate(float(found.mean()), float(found.std()), subsets, size)


def median_bandwidth(a: np.ndarray, b: np.ndarray, *, rows: int = MEDIAN_ROWS, seed: int = 0) -> float:
    """The median distance between rows of both sides, of at most `rows` random ones: a length for `Gaussian`.

    A bandwidth that depends on the features makes numbers that cannot be compared with others'; note it with them.
    """
    _check(a, b)
    drawn = [
        np.asarray(side[generator(seed, f"bandwidth {name}").permutation(len(side))[: -(-rows // 2)]], np.float64)
        for side, name in ((a, "first"), (b, "second"))
    ]
    pooled = np.concatenate(drawn)
    pooled -= pooled.mean(axis=0)
    lengths = np.square(pooled).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths - 2 * pooled @ pooled.T, 0)
    found = float(np.median(np.sqrt(squares[np.triu_indices(len(pooled), 1)])))
    if not found > 0:
        raise DataError("more than half of the rows are equal, so they have no median distance; give a bandwidth")
    return found


# --- sums over pairs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Means of a kernel over pairs of rows.

    rows, columns   over all pairs of a row, of the one side and of the other
    square          of the kernel's square, over all pairs
    pairs           how many there are, each pair of one side counted twice
    alone           mean of the kernel of a row and itself; 0 across sides
    """

    rows: np.ndarray
    columns: np.ndarray
    square: float
    pairs: int
    alone: float = 0.0

    @property
    def interaction(self) -> float:
        """The mean square of the kernel less the means of its rows and columns: what only the pairs have."""
        parts = self.square - float(np.square(self.rows).mean()) - float(np.square(self.columns).mean())
        return max(0.0, parts + float(self.rows.mean()) ** 2)


@dataclass(frozen=True)
class _Statistics:
    """What an interval needs; `interval_of_square` says what they are."""

    value: float
    jackknifed: float
    second_order: float
    noise: float


def _check(a: np.ndarray, b: np.ndarray) -> None:
    check_features(a, "the first features")
    check_features(b, "the second features")
    if a.shape[1] != b.shape[1]:
        raise ConfigError(f"features of {a.shape[1]} and of {b.shape[1]} dimensions cannot be compared")


def _statistics(a: np.ndarray, b: np.ndarray, kernel: Kernel, *, block: int = 1 << 62, seed: int = 0) -> _Statistics:
    """Of all pairs within blocks; `block` is as in `kernel_distance`."""
    parts = [max(1, -(-len(side) // block)) for side in (a, b)]
    first = _numbers(a, parts[0], seed, "kernel blocks within the first side")
    second = _numbers(b, parts[1], seed, "kernel blocks within the second side")
    own, other = _within(a, first, kernel), _within(b, second, kernel)
    facing = [_numbers(side, min(parts), seed, f"kernel blocks across, {name} side") for side, name in ((a, 1), (b, 2))]
    across = _across(a, b, facing, kernel)
    # (N,) and (M,): how much nearer a row is to its own side than to the other, on average
    lean, other_lean = own.rows - across.rows, other.rows - across.columns
    return _Statistics(
        value=float(lean.mean() + other_lean.mean()),
        jackknifed=4 * float(lean.var(ddof=1)) / len(a) + 4 * float(other_lean.var(ddof=1)) / len(b),
        second_order=sum(
            weight * part.interaction / part.pairs for weight, part in ((2, own), (2, other), (4, across))
        ),
        noise=(own.alone - float(own.rows.mean())) / len(a) + (other.alone - float(other.rows.mean())) / len(b),
    )


def _numbers(side: np.ndarray, parts: int, seed: int, purpose: str) -> np.ndarray:
    """(N,) the random block of each row."""
    if parts == 1:
        return np.zeros(len(side), np.int64)
    return group_numbers(len(side), parts, seed=seed, purpose=purpose)


def _within(rows: np.ndarray, blocks: np.ndarray, kernel: Kernel) -> _Pairs:
    """Means over pairs of two different rows of one block."""
    means, squares, pairs, alone = np.empty(len(rows)), 0.0, 0, 0.0
    for block in range(int(blocks.max()) + 1):
        at = np.flatnonzero(blocks == block)
        sums, square, diagonal = _half(np.asarray(rows[at], np.float64), kernel)
        means[at] = sums / (len(at) - 1)
        squares, pairs, alone = squares + square, pairs + len(at) * (len(at) - 1), alone + diagonal
    return _Pairs(means, means, squares / pairs, pairs, alone / len(rows))


def _half(rows: np.ndarray, kernel: Kernel) -> tuple[np.ndarray, float, float]:
    """(N,) sums over the other rows, the sum of squares, and that of rows with themselves.

    Each tile of the upper half serves the lower one too.
    """
    sums, squares, alone = np.zeros(len(rows)), 0.0, 0.0
    for start in range(0, len(rows), TILE):
        tile = kernel(rows[start : start + TILE], rows[start:])
        size = len(tile)
        alone += float(np.trace(tile))
        np.fill_diagonal(tile, 0)
        sums[start : start + size] += tile.sum(axis=1)
        sums[start + size :] += tile[:, size:].sum(axis=0)
        squares += float(np.square(tile[:, :size]).sum()) + 2 * float(np.square(tile[:, size:]).sum())
    return sums, squares, alone


def _across(a: np.ndarray, b: np.ndarray, blocks: list[np.ndarray], kernel: Kernel) -> _Pairs:
    """Means over pairs of a row of one side and a row of the other, of blocks of one number."""
    rows, columns, squares, pairs = np.empty(len(a)), np.empty(len(b)), 0.0, 0
    for block in range(int(blocks[0].max()) + 1):
        left, right = (np.flatnonzero(numbers == block) for numbers in blocks)
        facing, sums = np.asarray(b[right], np.float64), np.zeros(len(right))
        for start in range(0, len(left), TILE):
            at = left[start : start + TILE]
            tile = kernel(np.asarray(a[at], np.float64), facing)
            rows[at] = tile.mean(axis=1)
            sums += tile.sum(axis=0)
            squares += float(np.square(tile).sum())
        columns[right] = sums / len(left)
        pairs += len(left) * len(right)
    return _Pairs(rows, columns, squares / pairs, pairs)
