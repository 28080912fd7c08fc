"""How often the intervals of numbers hold the truth: `python -m benchmarks.coverage [--resamples 200] [--features F]`.

Each row draws both sets anew many times, from Gaussians whose distance is known in closed form or, with replacement,
from a finite population whose distance can be computed; and counts how often the interval of level 95 % holds it. The
goal is 95 ± 2 %; a coverage counted over 200 draws errs by 1.5 % itself. The population is heavy-tailed and skew like
the pooled features of a network, or rows of a file of features (.npy). The last rows show why the plain bootstrap is
not used for the Fréchet distance.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from limner.metrics.bootstrap import bias_corrected, over_seeds, percentile
from limner.metrics.classifier_score import classifier_score
from limner.metrics.frechet import frechet_distance, gaussian_distance
from limner.metrics.frechet_interval import frechet_estimate
from limner.metrics.kernel import kernel_distance
from limner.metrics.moments import Moments
from limner.metrics.number import Interval
from limner.rng import generator

LEVEL, GOAL = 0.95, (0.93, 0.97)
DIMENSIONS, POPULATION = 32, 10_000
SIZES = ((64, 64), (64, 1000), (128, 128), (500, 500))  # two rows a dimension and more
KERNEL_SIZES = ((20, 20), (50, 200), (200, 200))

Draw = Callable[[np.random.Generator, int], np.ndarray]  # stream, N -> (N, D)


@dataclass(frozen=True)
class Pair:
    """Two distributions, what is known of them, and how to draw from them."""

    name: str
    first: Draw
    second: Draw
    frechet: float
    kernel: float


@dataclass(frozen=True)
class Row:
    """One line of the table.

    held    share of the intervals that hold the truth
    width   median width of the intervals
    """

    number: str
    data: str
    sizes: str
    truth: float
    held: float
    width: float
    in_goal: bool = True  # whether the goal is meant for this row


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--features", type=Path, help="a .npy file of features (N, D), for the finite population")
    options = parser.parse_args(arguments)
    started, rows = time.monotonic(), list(measure(options.resamples, options.features))
    show(Console(width=None if sys.stdout.isatty() else 140), rows, options.resamples, time.monotonic() - started)
    return 0


def measure(resamples: int, features: Path | None = None) -> Iterator[Row]:
    """Every row of the table."""
    pairs = [*gaussians(), *populations(features)]
    for pair in pairs:
        for sizes in SIZES:
            yield _row("FD (debiased)", pair, sizes, pair.frechet, _frechet, resamples)
    for pair in pairs:
        for sizes in KERNEL_SIZES:
            yield _row("KID", pair, sizes, pair.kernel, _kernel, resamples)
    yield from means(resamples)
    yield from scores(resamples)
    for pair in pairs[:2]:
        naive = _row("FD, plain bootstrap", pair, (128, 128), pair.frechet, _naive, resamples // 4)
        yield Row(**{**vars(naive), "in_goal": False})


def coverage(interval_of: Callable[[int], Interval], truth: float, resamples: int) -> tuple[float, float]:
    """(share of intervals that hold the truth, their median width)."""
    found = [interval_of(index) for index in range(resamples)]
    held = [interval.low <= truth <= interval.high for interval in found]
    return float(np.mean(held)), float(np.median([interval.high - interval.low for interval in found]))


# --- distributions ----------------------------------------------------------------------------------------------------


def gaussians() -> Iterator[Pair]:
    """Gaussians in 32 dimensions with variances 1, 1/2, 1/3 …: two that are far apart, near each other, and equal."""
    stream, size = generator(0, "coverage: Gaussians"), DIMENSIONS
    variances = 1 / np.arange(1, size + 1)
    turn = np.linalg.qr(np.eye(size) + 0.05 * stream.standard_normal((size, size)))[0]
    other = turn @ np.diag(variances * np.exp(0.5 * stream.standard_normal(size))) @ turn.T
    shift = 0.3 * stream.standard_normal(size) * np.sqrt(variances)
    none, plain = np.zeros(size), np.diag(variances)
    for name, mean, covariance in (
        ("Gaussians, far", shift, other),
        ("Gaussians, near", shift / 3, 1.2 * plain),
        ("Gaussians, equal", none, plain),
    ):
        root = np.linalg.cholesky(covariance)
        yield Pair(
            name,
            partial(_gaussian, none, np.linalg.cholesky(plain)),
            partial(_gaussian, mean, root),
            gaussian_distance(none, plain, mean, covariance),
            _gaussian_kernel((none, plain), (none, plain))
            + _gaussian_kernel((mean, covariance), (mean, covariance))
            - 2 * _gaussian_kernel((none, plain), (mean, covariance)),
        )


def populations(features: Path | None) -> Iterator[Pair]:
    """Finite populations, drawn from with replacement: two that differ, and one held against itself."""
    first, second = _rows(features)
    for name, other in (("population, differing", second), ("population, itself", first)):
        moments = [_population_moments(rows) for rows in (first, other)]
        yield Pair(
            name,
            partial(_drawn, first),
            partial(_drawn, other),
            gaussian_distance(*moments[0], *moments[1]),
            _population_kernel(first, first) + _population_kernel(other, other) - 2 * _population_kernel(first, other),
        )


def _gaussian(mean: np.ndarray, root: np.ndarray, stream: np.random.Generator, count: int) -> np.ndarray:
    return mean + stream.standard_normal((count, len(mean))) @ root.T


def _drawn(rows: np.ndarray, stream: np.random.Generator, count: int) -> np.ndarray:
    return rows[stream.integers(len(rows), size=count)]


def _rows(features: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Two populations (N, D): halves of a file's rows, or synthetic ones, above zero with tails of Student's t."""
    stream = generator(0, "coverage: population")
    if features is not None:
        held = np.asarray(np.load(features, mmap_mode="r"), np.float64)
        held = held[stream.permutation(len(held))][:, stream.permutation(held.shape[1])[:DIMENSIONS]]
        return held[: len(held) // 2], held[len(held) // 2 :]
    mixing = stream.standard_normal((DIMENSIONS, DIMENSIONS)) / np.arange(1, DIMENSIONS + 1)[:, None]
    first, second = (stream.standard_t(8, (POPULATION, DIMENSIONS)) @ mixing + shift for shift in (0.0, 0.2))
    return np.logaddexp(first, 0), np.logaddexp(1.1 * second, 0)


def _population_moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    moments = Moments.of(rows)
    return moments.mean, moments.scatter / moments.count


def _population_kernel(first: np.ndarray, second: np.ndarray) -> float:
    """The mean of KID's kernel over all pairs, a row with itself as well: draws with replacement meet it."""
    sums = ((first[start : start + 1000] @ second.T / first.shape[1] + 1) ** 3 for start in range(0, len(first), 1000))
    return sum(float(part.sum()) for part in sums) / (len(first) * len(second))


def _gaussian_kernel(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """E (x·y / D + 1)³ of Gaussians x and y, from their first three moments."""
    (mean, covariance), (other_mean, other_covariance) = first, second
    size = len(mean)
    line = float(mean @ other_mean)
    square = float(np.sum((covariance + np.outer(mean, mean)) * (other_covariance + np.outer(other_mean, other_mean))))
    cube = float(np.sum(_third(mean, covariance) * _third(other_mean, other_covariance)))
    return 1 + 3 * line / size + 3 * square / size**2 + cube / size**3


def _third(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """(D, D, D) E x xᵀ x of a Gaussian."""
    turns = ("i,jk->ijk", "j,ik->ijk", "k,ij->ijk")
    return np.einsum("i,j,k->ijk", mean, mean, mean) + sum(np.einsum(turn, mean, covariance) for turn in turns)


# --- rows of the table ------------------------------------------------------------------------------------------------


def _row(
    number: str,
    pair: Pair,
    sizes: tuple[int, int],
    truth: float,
    interval: Callable[[np.ndarray, np.ndarray, int], Interval],
    resamples: int,
) -> Row:
    def found(index: int) -> Interval:
        stream = generator(1, f"coverage: {pair.name} {sizes}", index)
        return interval(pair.first(stream, sizes[0]), pair.second(stream, sizes[1]), index)

    return Row(number, pair.name, f"{sizes[0]} and {sizes[1]}", truth, *coverage(found, truth, resamples))


def _frechet(first: np.ndarray, second: np.ndarray, seed: int) -> Interval:
    interval = frechet_estimate(first, second, seed=seed).interval
    assert interval is not None  # there are rows enough for one
    return interval


def _kernel(first: np.ndarray, second: np.ndarray, seed: int) -> Interval:
    return kernel_distance(first, second, seed=seed).interval


def _naive(first: np.ndarray, second: np.ndarray, seed: int) -> Interval:
    stream = generator(seed, "coverage: plain bootstrap")
    found = [
        frechet_distance(*(rows[stream.integers(len(rows), size=len(rows))] for rows in (first, second)))
        for _ in range(100)
    ]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def means(resamples: int) -> Iterator[Row]:
    """Means of values of images: normal ones, and skew ones such as squared errors; then means over seeds."""
    for number, method in (("mean, percentile", percentile), ("mean, BCa", bias_corrected)):
        for data, sizes in (("normal", (20, 100)), ("chi-squared, 2 degrees", (50, 200))):
            for count in sizes:
                yield Row(number, data, str(count), 1.0, *coverage(partial(_mean, method, data, count), 1.0, resamples))
    for spread in (0.0, 1.0):
        held = coverage(partial(_seeds, spread), 0.0, resamples)
        yield Row("mean over seeds", f"seeds vary by {spread:g}, images by 1", "4 × 100", 0.0, *held)


def _mean(method: Callable[..., object], data: str, count: int, index: int) -> Interval:
    stream = generator(2, f"coverage: means {data} {count}", index)
    values = 1 + stream.standard_normal(count) if data == "normal" else stream.exponential(size=count)
    return method(values, seed=index).interval  # type: ignore[attr-defined]


def _seeds(spread: float, index: int) -> Interval:
    stream = generator(2, f"coverage: seeds {spread}", index)
    return over_seeds([spread * stream.standard_normal() + stream.standard_normal(100) for _ in range(4)]).interval


def scores(resamples: int) -> Iterator[Row]:
    """The classifier score of a population of logits of 10 classes."""
    stream = generator(3, "coverage: logits")
    logits = 3 * stream.standard_normal((POPULATION, 10)) + np.linspace(-1, 1, 10)
    truth = classifier_score(logits).value
    for count in (100, 1000):

        def found(index: int, count: int = count) -> Interval:
            return classifier_score(_drawn(logits, generator(3, f"coverage: scores {count}", index), count)).interval

        yield Row("classifier score", "population", str(count), truth, *coverage(found, truth, resamples))


def show(console: Console, rows: Sequence[Row], resamples: int, seconds: float) -> None:
    """Print the table, and the mean of all rows that the goal is meant for."""
    table = Table(title=f"Coverage of {LEVEL:.0%} intervals over {resamples} resamples", title_justify="left")
    for column in ("number", "data", "images", "truth", "width", "coverage"):
        table.add_column(column, justify="left" if column in ("number", "data") else "right")
    for row in rows:
        mark = "" if GOAL[0] <= row.held <= GOAL[1] or not row.in_goal else " *"
        table.add_row(row.number, row.data, row.sizes, f"{row.truth:.4g}", f"{row.width:.3g}", f"{row.held:.1%}{mark}")
    console.print(table)
    meant = [row.held for row in rows if row.in_goal]
    error = np.sqrt(LEVEL * (1 - LEVEL) / resamples)
    console.print(
        f"mean {np.mean(meant):.1%} over {len(meant)} rows; * outside {GOAL[0]:.0%} to {GOAL[1]:.0%}, "
        f"where one row errs by {error:.1%} by chance; {seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
