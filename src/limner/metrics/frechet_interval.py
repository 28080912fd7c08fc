"""How far a Fréchet distance can be trusted: its value without the bias of finite samples, and an interval of it.

The plain bootstrap is no use here. Drawing rows again from a sample adds the sample's own bias once more, so its
intervals lie above the truth and miss it nearly always (benchmarks/coverage.py). Instead, by the number of rows:

enough    at least 1.25 rows a dimension on both sides. The eigenvalues of the product of two sample covariances are
          spread wider than those of the product of the true ones; random-matrix theory undoes that for Gaussians, and
          a jackknife over random groups of images undoes what is left and measures the error, from which
          squared_distance.py makes an interval.
too few   the distance cannot be recovered without assumptions, but it can be bracketed: on average it is at most what
          is measured, and at least what transport maps fitted to one part of the images cost on the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..rng import generator
from .bootstrap import group_numbers, jackknife, student_deviations
from .frechet import Side, apart, bias_of, cross_spectrum, pair_terms, sides
from .frechet_bounds import trace_bound, transport_bound
from .moments import Moments
from .number import Interval
from .shares import deviations
from .squared_distance import interval_of_square

GROUPS = 10
ROWS_PER_DIMENSION = 1.25  # fewer, and the smallest eigenvalues of a sample say next to nothing
FEWEST = 10  # rows on a side below which no interval is given
CONTOUR = 256  # nodes on half of the contour; the sum converges geometrically
PAIRS = 4096  # of rows, to find how large the noise of second order is
RANK = 1e-13  # eigenvalues below this share of the largest are rounding

WORDS = "jackknife over {} random groups of images"

Method = Literal["jackknife", "bracket", "none"]


@dataclass(frozen=True)
class FrechetEstimate:
    """A Fréchet distance and what is known about it.

    value       of the samples as they are: the number that is published, too high by about `bias`
    bias        in closed form, for Gaussians, in first order of 1 / N
    corrected   what endless samples would give, as far as it can be told; may be a little below 0
    again       where `value` would lie for other samples as large; None without one
    interval    where the distance of endless samples lies; None without one
    method      how `corrected` and `interval` were found
    """

    value: float
    bias: float
    corrected: float
    again: Interval | None
    interval: Interval | None
    method: Method


def frechet_estimate(
    a: np.ndarray | Moments, b: np.ndarray | Moments, *, groups: int = GROUPS, level: float = 0.95, seed: int = 0
) -> FrechetEstimate:
    """The squared Fréchet distance between two sets of features, each (N, D) rows or their moments, with intervals.

    A side given as moments is taken for fixed: intervals then say how far other samples of the other side would lead.
    Costs `groups` distances beside the first. Raises as `frechet_distance`.
    """
    left, right = sides(a, b)
    spectrum = cross_spectrum(left, right)
    value = max(0.0, apart(left, right) - 2 * float(spectrum.sum()))
    bias = bias_of(left, right, spectrum)
    rows = [features for features in (a, b) if isinstance(features, np.ndarray)]
    enough = min(left.count, right.count) >= ROWS_PER_DIMENSION * _rank(spectrum) + 1
    if not rows or min(map(len, rows)) < FEWEST:
        corrected = debiased(left, right, spectrum) if enough else value - bias
        return FrechetEstimate(value, bias, corrected, None, None, "none")
    groups = min(groups, min(map(len, rows)) // 2)
    found = np.array([_both(*pair) for pair in _leaving_out(a, b, groups=groups, seed=seed)])
    _, error = jackknife(value, found[:, 0])
    if not enough:
        return _bracket(a, b, value=value, bias=bias, error=error, groups=groups, level=level, seed=seed)
    whole = debiased(left, right, spectrum)
    corrected, corrected_error = jackknife(whole, found[:, 1])
    closed_form = _second_order_variance(left, right, spectrum, found=value - corrected, expected=value - whole)
    second_order = max(closed_form, _pair_variance(a, b, left, right, seed=seed))
    interval = interval_of_square(
        corrected,
        jackknifed=corrected_error**2,
        second_order=second_order,
        noise=value - corrected,
        deviations=student_deviations(level, groups - 1),
        level=level,
        method=f"{WORDS.format(groups)}, of the distance without bias",
    )
    again = _around(value, _without_excess(error, second_order), groups, level)
    return FrechetEstimate(value, bias, corrected, again, interval, "jackknife")


# --- enough rows ------------------------------------------------------------------------------------------------------


def debiased(a: Side, b: Side, spectrum: np.ndarray) -> float:
    """The squared distance without the bias of Gaussian samples, for any N of more than D; may be below 0."""
    measured = apart(a, b) - a.trace / a.count - b.trace / b.count
    return measured - 2 * trace_of_root(spectrum, a.count - 1, b.count - 1)


def trace_of_root(spectrum: np.ndarray, freedom_a: float, freedom_b: float) -> float:
    """tr (C C')^½ of two true covariances, from the cross spectrum of two sample covariances.

    With r eigenvalues s², m(z) the mean of 1 / (s² - z) and c = r / freedom, the true product has its spectrum at
    w(z) = z / ((1 - c - c z m) (1 - c' - c' z m)), and w m_true(w) = z m(z). The sum of √w over it is a contour
    integral around the eigenvalues of the samples, taken in log z, so that small ones count for as much as large ones.
    Needs c and c' below 1. The error is of order 1 / r for Gaussians, not growing with r / N.
    Sources: Marčenko and Pastur 1967; Tiomoko and Couillet 2019, Random matrix-improved estimation of the Wasserstein
    distance between two centered Gaussian distributions, which has the closed form for equal freedoms.
    """
    eigenvalues = np.square(spectrum[len(spectrum) - _rank(spectrum) :])
    if not len(eigenvalues) or np.isinf(freedom_a) and np.isinf(freedom_b):
        return float(spectrum.sum())
    ratio_a, ratio_b = len(eigenvalues) / freedom_a, len(eigenvalues) / freedom_b
    z, steps = _contour(_left_of(eigenvalues, max(ratio_a, ratio_b)), float(eigenvalues[-1]))
    resolvent = 1 / (eigenvalues - z[:, None])
    zm, slope = z * resolvent.mean(axis=1), (eigenvalues * np.square(resolvent)).mean(axis=1)  # slope = d(zm) / dz
    left, right = 1 - ratio_a - ratio_a * zm, 1 - ratio_b - ratio_b * zm
    w = z / (left * right)
    log_slope = 1 / z + slope * (ratio_a / left + ratio_b / right)
    return -len(eigenvalues) * float((np.sqrt(w) * zm * log_slope * steps).sum().imag) / np.pi


def _rank(spectrum: np.ndarray) -> int:
    return int((np.square(spectrum) > RANK * np.square(spectrum[-1])).sum())


def _left_of(eigenvalues: np.ndarray, ratio: float) -> float:
    """A point between 0 and the smallest eigenvalue where 1 - c - c z m is above 0, so that w is."""
    low, high = 0.0, float(eigenvalues[0])
    for _ in range(60):
        middle = (low + high) / 2
        held = 1 - ratio - ratio * middle * float((1 / (eigenvalues - middle)).mean()) > 0 if middle < high else False
        low, high = (middle, high) if held else (low, middle)
    return low / 4


def _contour(left: float, right: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z and steps dz of the upper half of an ellipse in log z, from beyond `right` to `left`."""
    angles = (np.arange(CONTOUR) + 0.5) * np.pi / CONTOUR
    start, end = np.log(left), np.log(right) + 1.5
    logs = (start + end) / 2 + (end - start) / 2 * np.cos(angles) + 2j * np.sin(angles)
    turns = -(end - start) / 2 * np.sin(angles) + 2j * np.cos(angles)
    z = np.exp(logs)
    return z, z * turns * (np.pi / CONTOUR)


def _second_order_variance(a: Side, b: Side, spectrum: np.ndarray, *, found: float, expected: float) -> float:
    """The variance of the distance where the distributions are equal, which falls as 1 / N².

    found, expected   bias by the jackknife, and of Gaussian samples. What is not owed to the means is the noise of
                      covariances, which grows with the fourth moments; its variance is scaled as its square.
    """
    of_means = a.trace / a.count + b.trace / b.count
    excess = max(found - of_means, 0.0) / (expected - of_means) if expected > of_means else 1.0
    mean_noise = 2 * float(np.square(a.covariance / a.count + b.covariance / b.count).sum())
    pairs = np.square(pair_terms(spectrum))
    covariance_noise = float(pairs.sum() - np.diag(pairs).sum() / 2) * (1 / a.count + 1 / b.count) ** 2
    return mean_noise + excess**2 * covariance_noise


def _pair_variance(a: np.ndarray | Moments, b: np.ndarray | Moments, left: Side, right: Side, *, seed: int) -> float:
    """The same from the rows themselves, whose tails and skewness it sees; 0 where a side is given as moments.

    Near equal covariances of eigenvalues t the distance is the squared kernel distance of
    x·y + ½ Σᵢⱼ (xᵢ xⱼ - tᵢ δᵢⱼ) (yᵢ yⱼ - tᵢ δᵢⱼ) / (tᵢ + tⱼ), whose mean square over random pairs of rows this takes.
    """
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return 0.0
    pooled = (left.covariance * left.count + right.covariance * right.count) / (left.count + right.count)
    values, basis = np.linalg.eigh(pooled)
    kept = values > RANK**0.5 * values[-1]  # squares of smaller ones are rounding
    if not kept.any():
        return 0.0
    values, basis = values[kept], basis[:, kept]
    stream = generator(seed, "pairs of a Fréchet distance")
    first, second = (
        (np.asarray(rows[stream.integers(len(rows), size=PAIRS)], np.float64) - side.mean) @ basis
        for rows, side in ((a, left), (b, right))
    )
    products, weights = first * second, 0.5 / (values[:, None] + values)
    own = np.diag(weights) * values
    quadratic = np.einsum("nd,nd->n", products @ weights, products)
    kernel = products.sum(axis=1) + quadratic - (np.square(first) + np.square(second)) @ own + float(own @ values)
    return 2 * (1 / left.count + 1 / right.count) ** 2 * float(np.square(kernel).mean())


def _without_excess(error: float, second_order: float) -> float:
    """The standard error without what the jackknife adds to it: it counts the variance of second order twice.

    Where the distributions are equal that is all the variance there is; so no more than half is taken off.
    Source: Efron and Stein 1981, The jackknife estimate of variance.
    """
    return float(np.sqrt(max(error * error - second_order, error * error / 2)))


# --- a jackknife over groups ------------------------------------------------------------------------------------------


def _leaving_out(
    a: np.ndarray | Moments, b: np.ndarray | Moments, *, groups: int, seed: int
) -> Iterator[tuple[Side, Side]]:
    """Both sides without one random group of their rows, for each group."""
    yield from zip(
        _one_side(a, groups=groups, seed=seed, name="first"),
        _one_side(b, groups=groups, seed=seed, name="second"),
        strict=True,
    )


def _one_side(features: np.ndarray | Moments, *, groups: int, seed: int, name: str) -> Iterator[Side]:
    if not isinstance(features, np.ndarray):
        fixed = Side.of(features, name)
        yield from (fixed for _ in range(groups))
        return
    members = group_numbers(len(features), groups, seed=seed, purpose=f"jackknife of the {name} side")
    fewest = len(features) - int(np.bincount(members).max())
    whole = Moments.of(features) if fewest > features.shape[1] else None
    for group in range(groups):
        if whole is None:
            yield Side.of_rows(features[members != group])
        else:
            yield _less(whole, Moments.of(features[members == group]))


def _less(whole: Moments, part: Moments) -> Side:
    """The side of all rows but those of a part."""
    count = whole.count - part.count
    step = whole.mean - part.mean
    scatter = whole.scatter - part.scatter - whole.count * part.count / count * np.outer(step, step)
    return Side(count, whole.mean + part.count / count * step, square=scatter / (count - 1))


def _both(a: Side, b: Side) -> tuple[float, float]:
    """The distance, and the distance without bias where it can be had, else again the distance."""
    spectrum = cross_spectrum(a, b)
    value = apart(a, b) - 2 * float(spectrum.sum())
    if min(a.count, b.count) - 1 <= _rank(spectrum):
        return value, value
    return value, debiased(a, b, spectrum)


def _around(value: float, error: float, groups: int, level: float) -> Interval:
    half = student_deviations(level, groups - 1) * error
    return Interval(value - half, value + half, level, WORDS.format(groups))


# --- too few rows -----------------------------------------------------------------------------------------------------


def _bracket(
    a: np.ndarray | Moments,
    b: np.ndarray | Moments,
    *,
    value: float,
    bias: float,
    error: float,
    groups: int,
    level: float,
    seed: int,
) -> FrechetEstimate:
    """From the most that a lower bound allows to the least that an upper bound does, each at its own error."""
    again = _around(value, error, groups, level)
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return FrechetEstimate(value, bias, value - bias, again, None, "none")
    by_maps, maps_error = transport_bound(a, b, seed=seed)
    by_traces, traces_error = trace_bound(*sides(a, b))
    z = deviations(level)
    low = max(0.0, by_maps - z * maps_error, by_traces - z * traces_error)
    method = f"bracket: from a lower bound by held-out transport maps to the measured distance, {WORDS.format(groups)}"
    interval = Interval(low, max(low, again.high), level, method)
    # what is measured with fitted maps and with held-out ones errs by about as much to either side
    corrected = min(max((value + by_maps) / 2, interval.low), interval.high)
    return FrechetEstimate(value, bias, corrected, again, interval, "bracket")
