"""Mean and covariance of features that come in parts, in constant memory: what Gaussian distances are computed on.

All sums are float64 and taken around the mean, so features far from zero lose nothing; float32 products would err by
some 1e-7 of the variances, which a small distance between large covariances would show.
Source: Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance, equation 2.1, for vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..errors import ConfigError, DataError

BLOCK = 1024  # rows that are taken to float64 at once


class Moments:
    """Count, mean and scatter of rows of length D.

    count      N
    mean       (D,) float64
    scatter    (D, D) float64, the sum of (row - mean)(row - mean)ᵀ
    """

    def __init__(self, dimension: int) -> None:
        if dimension < 1:
            raise ConfigError(f"dimension={dimension} is not possible; rows have at least 1 feature")
        self.count = 0
        self.mean = np.zeros(dimension)
        self.scatter = np.zeros((dimension, dimension))

    @classmethod
    def of(cls, rows: np.ndarray) -> Moments:
        """The moments of all rows at hand; they may be mapped from a file."""
        if rows.ndim != 2:
            raise ConfigError(f"rows of shape {rows.shape} have no moments; use (N, D)")
        return cls(rows.shape[1]).extend([rows])

    @property
    def covariance(self) -> np.ndarray:
        """(D, D) float64 with the divisor N - 1. Raises DataError for fewer than 2 rows."""
        if self.count < 2:
            raise DataError(f"{self.count} rows have no covariance; give at least 2")
        return self.scatter / (self.count - 1)

    def add(self, rows: np.ndarray) -> Moments:
        """Take in (B, D) rows; returns itself. Raises ConfigError for another width, DataError for NaN or infinity."""
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise ConfigError(f"rows of shape {rows.shape} do not fit moments of (…, {len(self.mean)})")
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK].astype(np.float64)
            mean = block.mean(axis=0)
            if not np.isfinite(mean).all():
                first = start + int(np.isfinite(block).all(axis=1).argmin())
                raise DataError(f"row {first} is not finite; look for what made it so")
            self._join(len(block), mean, block - mean)
        return self

    def extend(self, parts: Iterable[np.ndarray]) -> Moments:
        """Take in parts one after the other; returns itself."""
        for rows in parts:
            self.add(rows)
        return self

    def merge(self, other: Moments) -> Moments:
        """Take in what another has taken in, such as another process; returns itself."""
        if other.mean.shape != self.mean.shape:
            raise ConfigError(f"moments of {len(other.mean)} features do not fit those of {len(self.mean)}")
        self.scatter += other.scatter
        self._join(other.count, other.mean, np.empty((0, len(self.mean))))
        return self

    def state(self) -> dict[str, np.ndarray]:
        """Plain arrays, for a file; `from_state` reads them."""
        return {"count": np.array(self.count), "mean": self.mean, "scatter": self.scatter}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Moments:
        """What `state` gave. Raises KeyError or ConfigError for anything else."""
        count, mean, scatter = int(state["count"]), np.asarray(state["mean"]), np.asarray(state["scatter"])
        if mean.ndim != 1 or scatter.shape != (len(mean), len(mean)) or count < 0:
            raise ConfigError(f"{count} rows, a mean {mean.shape} and a scatter {scatter.shape} are no moments")
        moments = cls(len(mean))
        moments.count, moments.mean, moments.scatter = count, mean, scatter
        return moments

    def _join(self, count: int, mean: np.ndarray, centred: np.ndarray) -> None:
        """Take in `count` rows with this mean. `centred`: those rows less it, unless their scatter is in already."""
        total = self.count + count
        if total == 0:
            return
        apart = mean - self.mean
        # the distance of the means as one more row: a single product then gives the whole of what is added
        weight = np.sqrt(self.count * count / total)
        rows = np.vstack([centred, weight * apart])
        self.scatter += rows.T @ rows
        self.mean = self.mean + apart * (count / total)
        self.count = total
