"""Bins that differ: the share of regions of the real set that generated images visit too often or too seldom.

K-means cuts the real rows into bins; a bin differs when a z-test of two proportions finds its share of the generated
rows unlike its share of the real ones at the 0.05 level. NDB / K is about 0.05 when nothing differs. Beside it stands
the Jensen–Shannon divergence of the two histograms, in nats, at most log 2. Both depend on K, N and M.
Source: Richardson and Weiss 2018, On GANs and GMMs, arXiv 1805.12462, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..errors import ConfigError
from .checks import check_sides
from .halves import LEVEL, Measured
from .neighbours import clusters, nearest
from .number import Interval
from .shares import deviations, wilson

BINS = 100
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Bins:
    """How two sets fill the same bins.

    share       NDB / K: the share of bins that differ
    divergence  Jensen–Shannon, in nats
    expected    the divergence that sampling alone brings, (K - 1) (1/N + 1/M) / 8
    different   (K,) bool
    generated, real   (K,) how many rows of each side fall into each bin
    """

    share: Measured
    divergence: Measured
    expected: float
    different: np.ndarray
    generated: np.ndarray
    real: np.ndarray


def different_bins(generated: np.ndarray, real: np.ndarray, *, bins: int = BINS, seed: int = 0) -> Bins:
    """How `generated` (N, D) rows fill the k-means bins of `real` (M, D) rows: features, or pixels of small images.

    seed   of k-means++

    The intervals hold the bins fixed. Raises ConfigError for unlike dimensions and for more bins than real rows,
    DataError for values that are not finite.
    """
    check_sides(generated, real, what="values")
    if not 2 <= bins <= len(real):
        raise ConfigError(f"{bins} bins of {len(real)} real images are not possible; use 2 to {len(real)}")
    centres = clusters(real, bins, seed=seed)
    counts = [np.bincount(nearest(rows, centres).indices[:, 0], minlength=len(centres)) for rows in (generated, real)]
    return compare_counts(*counts)


def compare_counts(generated: np.ndarray, real: np.ndarray) -> Bins:
    """The same from (K,) counts of both sides in bins that are given."""
    if generated.shape != real.shape or generated.ndim != 1 or min(generated.sum(), real.sum()) < 1:
        raise ConfigError(
            f"counts of shapes {generated.shape} and {real.shape} cannot be compared; use (K,), neither of them empty"
        )
    different = np.abs(_z_scores(generated, real)) > NormalDist().inv_cdf(1 - SIGNIFICANCE / 2)
    value = float(different.mean())
    low, high = wilson(value, len(different), level=LEVEL)
    expected = (len(different) - 1) * (1 / generated.sum() + 1 / real.sum()) / 8
    return Bins(
        Measured(value, Interval(low, high, LEVEL, "Wilson's interval, each bin a test of its own")),
        _divergence_measured(generated, real),
        float(expected),
        different,
        generated,
        real,
    )


def jensen_shannon(generated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(..., K) shares that sum to 1 on both sides -> (...) divergence in nats, 0 to log 2."""
    middle = (generated + real) / 2
    return np.maximum((_divergence(generated, middle) + _divergence(real, middle)) / 2, 0)


def _divergence(shares: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Kullback–Leibler, with 0 log 0 = 0; `others` is above 0 wherever `shares` is."""
    ratio = np.divide(shares, others, out=np.ones_like(others), where=shares > 0)
    return (shares * np.log(ratio)).sum(axis=-1)


def _z_scores(generated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(K,) of the pooled test of two proportions; 0 for a bin that is empty or holds everything."""
    n, m = generated.sum(), real.sum()
    pooled = (generated + real) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.divide(generated / n - real / m, error, out=np.zeros(len(pooled)), where=error > 0)


def _divergence_measured(generated: np.ndarray, real: np.ndarray) -> Measured:
    """The divergence with an interval by the jackknife, which leaves out each image once; equal images do it alike."""
    n, m = generated.sum(), real.sum()
    value = float(jensen_shannon(generated / n, real / m))
    if min(n, m) < 2:
        return Measured(value)
    variance = _left_out_variance(generated, real / m) + _left_out_variance(real, generated / n)
    half = deviations(LEVEL) * variance**0.5
    low, high = max(0.0, value - half), min(float(np.log(2)), value + half)
    return Measured(value, Interval(low, high, LEVEL, "jackknife over the images of both sets, bins held fixed"))


def _left_out_variance(counts: np.ndarray, others: np.ndarray) -> float:
    """The jackknife variance from leaving one image of `counts` (K,) out, against the shares `others` (K,)."""
    total, filled = counts.sum(), np.flatnonzero(counts)
    left = np.repeat(counts[None].astype(np.float64), len(filled), axis=0)
    left[np.arange(len(filled)), filled] -= 1
    values, weights = jensen_shannon(left / (total - 1), others[None]), counts[filled]
    mean = (weights * values).sum() / total
    return float((total - 1) / total * (weights * np.square(values - mean)).sum())
