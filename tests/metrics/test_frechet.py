"""The Fréchet distance: closed forms, other implementations, bias, extrapolation, intervals, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance, _compute_fid

from limner.errors import ConfigError, DataError
from limner.metrics.frechet import (
    Side,
    cross_spectrum,
    frechet_bias,
    frechet_distance,
    frechet_infinity,
    gaussian_distance,
    sides,
)
from limner.metrics.frechet_bounds import trace_bound, transport_bound
from limner.metrics.frechet_interval import debiased, frechet_estimate, trace_of_root
from limner.metrics.moments import Moments
from limner.rng import generator


def gaussian(rows: int, size: int, *, index: int = 0, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Rows with variances 1, 1/2, 1/3 …, times scale²."""
    noise = generator(0, "frechet tests", index).standard_normal((rows, size))
    return shift + scale * noise / np.sqrt(np.arange(1, size + 1))


def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(axis=0), np.cov(rows.T)


def by_scipy(a: np.ndarray, b: np.ndarray) -> float:
    (mean, covariance), (other_mean, other) = moments(a), moments(b)
    root = scipy.linalg.sqrtm(covariance @ other).real
    return float(np.square(mean - other_mean).sum() + np.trace(covariance + other - 2 * root))


# --- the distance -----------------------------------------------------------------------------------------------------


def test_commuting_gaussians_have_the_distance_of_their_standard_deviations():
    stds, others = np.array([1.0, 2.0, 0.5]), np.array([0.3, 2.5, 0.0])
    found = gaussian_distance(np.zeros(3), np.diag(stds**2), np.array([1.0, 2.0, 3.0]), np.diag(others**2))
    assert found == pytest.approx(14 + np.square(stds - others).sum(), rel=1e-9)


def test_it_agrees_with_a_matrix_square_root():
    a, b = gaussian(300, 40), gaussian(250, 40, index=1, scale=1.2, shift=0.1)
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-6)


def test_it_agrees_with_torchmetrics_on_the_same_features():
    a, b = gaussian(300, 40), gaussian(250, 40, index=1, scale=1.2, shift=0.1)
    parts = [torch.from_numpy(part) for part in (*moments(a), *moments(b))]
    assert frechet_distance(a, b) == pytest.approx(float(_compute_fid(*parts)), rel=1e-6)


def test_it_agrees_with_torchmetrics_whole_metric():
    class Same(torch.nn.Module):
        num_features = 16

        def forward(self, rows):
            return rows

    a, b = gaussian(200, 16), gaussian(150, 16, index=1, shift=0.2)
    theirs = FrechetInceptionDistance(Same())
    theirs.update(torch.from_numpy(a), real=True)
    theirs.update(torch.from_numpy(b), real=False)
    assert frechet_distance(a, b) == pytest.approx(float(theirs.compute()), rel=1e-6)


@pytest.mark.parametrize(("rows", "others"), [(12, 15), (15, 12), (12, 200), (200, 12), (41, 41)])
def test_rows_fewer_than_dimensions_give_what_the_covariances_give(rows, others):
    a, b = gaussian(rows, 40), gaussian(others, 40, index=1, shift=0.1)
    assert frechet_distance(a, b) == pytest.approx(gaussian_distance(*moments(a), *moments(b)), rel=1e-6)


@pytest.mark.parametrize("rows", [2, 20, 200])
def test_equal_sets_are_no_distance_apart(rows):
    a = gaussian(rows, 40)
    assert frechet_distance(a, a) <= 1e-6 * np.trace(np.cov(a.T))


def test_it_does_not_depend_on_the_order_of_rows_or_sides():
    a, b = gaussian(90, 20), gaussian(70, 20, index=1)
    assert frechet_distance(a[::-1], b) == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_moments_gathered_in_parts_give_what_the_rows_give():
    a, b = gaussian(90, 20), gaussian(70, 20, index=1)
    gathered = Moments(20).extend([a[:13], a[13:50], a[50:]])
    assert frechet_distance(gathered, b) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_sets_without_variance_have_the_distance_of_their_means():
    a, b = np.zeros((5, 8)), np.full((200, 8), 3.0)
    assert frechet_distance(a, b) == pytest.approx(72)
    assert frechet_estimate(np.zeros((50, 8)), b).corrected == pytest.approx(72)


# --- bias and extrapolation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1000, 4000])
def test_the_bias_formula_is_right_to_5_percent(rows):
    size, repeats = 32, 60
    truth = Moments(size)
    truth.count, truth.scatter = 10**12, np.diag(1 / np.arange(1, size + 1)) * (10**12 - 1)
    found = [frechet_distance(gaussian(rows, size, index=10 + index), truth) for index in range(repeats)]
    sample = Moments(size)
    sample.count, sample.scatter = rows, np.diag(1 / np.arange(1, size + 1)) * (rows - 1)
    assert np.mean(found) == pytest.approx(frechet_bias(sample, truth), rel=0.05)


def test_the_bias_formula_is_that_of_eigenvalues_where_covariances_are_equal():
    a = gaussian(100, 6)
    values = np.linalg.eigvalsh(np.cov(a.T))
    pairs = np.outer(values, values) * (1 + np.eye(6)) / (values[:, None] + values)
    assert frechet_bias(a, a) == pytest.approx(2 / 100 * (values.sum() + pairs.sum() / 2), rel=1e-6)


def test_the_extrapolation_takes_most_of_the_bias_away():
    a, b = gaussian(2000, 24), gaussian(2000, 24, index=1)
    found = frechet_infinity(a, b)
    assert len(found.distances) >= 10 and found.shares[-1] == 1
    assert found.distances[-1] == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert abs(found.value) < 0.15 * frechet_distance(a, b)
    assert frechet_infinity(a, b).value == found.value


@pytest.mark.parametrize("rows", [30, 100])
def test_the_extrapolation_is_finite_for_few_rows(rows):
    assert np.isfinite(frechet_infinity(gaussian(rows, 64), gaussian(rows, 64, index=1)).value)


@pytest.mark.parametrize("freedoms", [(60, 60), (45, 400), (10**9, 10**9)])
def test_random_matrix_theory_undoes_the_bias_of_the_trace(freedoms):
    size, roots = 32, 1 / np.sqrt(np.arange(1, 33))
    stream = generator(0, "wishart", freedoms[0])
    truth, found = float(np.square(roots).sum()), []
    if min(freedoms) > 10**6:
        found.append(trace_of_root(np.sort(np.square(roots)), *freedoms))
    else:
        for _ in range(30):
            a, b = (
                Side(n, np.zeros(size), square=np.cov((stream.standard_normal((n + 1, size)) * roots).T))
                for n in freedoms
            )
            found.append(trace_of_root(cross_spectrum(a, b), *freedoms))
    assert np.mean(found) == pytest.approx(truth, rel=0.02)


def test_equal_distributions_are_no_distance_apart_without_bias():
    """With 1.6 rows a dimension, where the plain distance is all bias."""
    plain, without = [], []
    for index in range(30):
        left, right = sides(gaussian(102, 64, index=2 * index), gaussian(102, 64, index=2 * index + 1))
        spectrum = cross_spectrum(left, right)
        plain.append(frechet_distance(gaussian(102, 64, index=2 * index), gaussian(102, 64, index=2 * index + 1)))
        without.append(debiased(left, right, spectrum))
    assert abs(np.mean(without)) < 0.1 * np.mean(plain)


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "method"), [(4, "none"), (20, "bracket"), (79, "bracket"), (110, "jackknife")])
def test_every_number_of_rows_gets_what_it_allows(rows, method):
    found = frechet_estimate(gaussian(rows, 80), gaussian(rows, 80, index=1, scale=1.3))
    assert found.method == method and np.isfinite([found.value, found.bias, found.corrected]).all()
    if found.interval is None:
        assert method == "none"
    else:
        assert found.interval.low <= found.corrected <= found.interval.high
        assert found.again.low <= found.value <= found.again.high


def test_the_bracket_holds_the_truth():
    mean, plain, other = np.zeros(80), np.diag(1 / np.arange(1, 81)), 4 * np.diag(1 / np.arange(1, 81))
    truth = gaussian_distance(mean, plain, mean + 0.3, other)
    for index in range(10):
        a, b = gaussian(40, 80, index=2 * index), gaussian(40, 80, index=2 * index + 1, scale=2, shift=0.3)
        found = frechet_estimate(a, b)
        assert found.method == "bracket" and found.interval.low <= truth <= found.interval.high


def test_lower_bounds_stay_below_the_truth_on_average():
    mean, plain = np.zeros(40), np.diag(1 / np.arange(1, 41))
    truth = gaussian_distance(mean, plain, mean + 0.2, 2.25 * plain)
    by_maps, by_traces = [], []
    for index in range(20):
        a, b = gaussian(30, 40, index=2 * index), gaussian(30, 40, index=2 * index + 1, scale=1.5, shift=0.2)
        by_maps.append(transport_bound(a, b)[0])
        by_traces.append(trace_bound(*sides(a, b))[0])
    assert np.mean(by_maps) < truth and np.mean(by_traces) < 1.05 * truth


def test_a_side_given_as_moments_is_taken_for_fixed():
    a, b = gaussian(300, 16), gaussian(300, 16, index=1, shift=0.2)
    both, one = frechet_estimate(a, b), frechet_estimate(a, Moments.of(b))
    assert one.value == pytest.approx(both.value, rel=1e-9)
    assert one.interval.high - one.interval.low < both.interval.high - both.interval.low


def test_the_estimate_is_the_same_every_time():
    a, b = gaussian(100, 16), gaussian(90, 16, index=1)
    assert frechet_estimate(a, b, seed=3) == frechet_estimate(a, b, seed=3)


@pytest.mark.heavy
@pytest.mark.parametrize("rows", [20, 200, 876, 2047])
def test_small_sets_of_wide_features_get_a_finite_interval(rows):
    found = frechet_estimate(
        gaussian(rows, 1280).astype(np.float32), gaussian(rows, 1280, index=1, scale=1.2).astype(np.float32)
    )
    assert found.method == ("jackknife" if rows == 2047 else "bracket")
    assert np.isfinite([found.value, found.corrected, found.interval.low, found.interval.high]).all()


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("measure", [frechet_distance, frechet_bias, frechet_infinity, frechet_estimate])
def test_features_that_are_not_finite_are_refused(measure, bad):
    a = gaussian(50, 8)
    a[7, 3] = bad
    with pytest.raises(DataError, match="row 7"):
        measure(a, gaussian(50, 8, index=1))


@pytest.mark.parametrize("measure", [frechet_distance, frechet_estimate])
def test_one_row_is_refused(measure):
    with pytest.raises(DataError, match="has 1 row"):
        measure(gaussian(1, 8), gaussian(50, 8))


def test_unlike_dimensions_are_refused():
    with pytest.raises(ConfigError, match="8 and of 9"):
        frechet_distance(gaussian(50, 8), gaussian(50, 9))
    with pytest.raises(ConfigError, match="8 and of 9"):
        gaussian_distance(np.zeros(8), np.eye(8), np.zeros(9), np.eye(9))


def test_what_is_no_covariance_is_refused():
    with pytest.raises(ConfigError, match=r"\(D, D\)"):
        gaussian_distance(np.zeros(3), np.eye(2), np.zeros(3), np.eye(3))
    with pytest.raises(DataError, match="not symmetric"):
        gaussian_distance(np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), np.zeros(2), np.eye(2))
    with pytest.raises(DataError, match="not finite"):
        gaussian_distance(np.zeros(2), np.eye(2) * np.nan, np.zeros(2), np.eye(2))


def test_too_few_sizes_or_rows_for_an_extrapolation_are_refused():
    with pytest.raises(ConfigError, match="sizes=5"):
        frechet_infinity(gaussian(50, 8), gaussian(50, 8), sizes=5)
    with pytest.raises(DataError, match="at least 30"):
        frechet_infinity(gaussian(29, 8), gaussian(50, 8))
