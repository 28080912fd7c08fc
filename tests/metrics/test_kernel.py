"""The kernel distance: the naive sum, torchmetrics, blocks, intervals, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from limner.errors import ConfigError, DataError
from limner.metrics.kernel import Gaussian, Polynomial, kernel_distance, kernel_subsets, median_bandwidth
from limner.rng import generator


def rows(count: int, *, index: int = 0, scale: float = 1.0, size: int = 12) -> np.ndarray:
    return scale * generator(0, "kernel tests", index).standard_normal((count, size))


def naive(a: np.ndarray, b: np.ndarray, kernel) -> float:
    own, other, across = kernel(a, a), kernel(b, b), kernel(a, b)
    within = [(part.sum() - np.trace(part)) / (len(part) * (len(part) - 1)) for part in (own, other)]
    return float(sum(within) - 2 * across.mean())


@pytest.mark.parametrize("kernel", [Polynomial(), Polynomial(degree=2, offset=0.5), Gaussian(3.0)])
@pytest.mark.parametrize("counts", [(40, 40), (40, 57), (2, 30)])
def test_tiles_give_the_naive_sum(monkeypatch, kernel, counts):
    monkeypatch.setattr("limner.metrics.kernel.TILE", 16)
    a, b = rows(counts[0]), rows(counts[1], index=1, scale=1.3)
    assert kernel_distance(a, b, kernel=kernel).value == pytest.approx(naive(a, b, kernel), rel=1e-9, abs=1e-12)


def test_it_agrees_with_torchmetrics_on_the_same_features():
    a, b = rows(60), rows(60, index=1, scale=1.2)
    theirs = float(poly_mmd(torch.from_numpy(a), torch.from_numpy(b)))
    assert kernel_distance(a, b).value == pytest.approx(theirs, rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`")  # theirs, that it keeps all features
def test_subsets_agree_with_torchmetrics_where_a_subset_is_everything():
    class Same(torch.nn.Module):
        num_features = 12

        def forward(self, features):
            return features

    a, b = rows(50), rows(50, index=1, scale=1.2)
    theirs = KernelInceptionDistance(Same(), subsets=3, subset_size=50)
    theirs.update(torch.from_numpy(a), real=True)
    theirs.update(torch.from_numpy(b), real=False)
    found = kernel_subsets(a, b, subsets=3, size=50)
    assert found.value == pytest.approx(float(theirs.compute()[0]), rel=1e-6)
    assert found.deviation == pytest.approx(0, abs=1e-12)


def test_a_gaussian_kernel_of_one_dimension_has_its_closed_form():
    """Of N(0, 1) and N(1, 1): E k = h / √(h² + 2) exp(-shift² / (2 (h² + 2)))."""
    h, count = 1.5, 4000
    a, b = rows(count, size=1), rows(count, index=1, size=1) + 1
    height = h / np.sqrt(h * h + 2)
    truth = 2 * height * (1 - np.exp(-1 / (2 * (h * h + 2))))
    found = kernel_distance(a, b, kernel=Gaussian(h))
    assert found.interval.low <= truth <= found.interval.high
    assert found.value == pytest.approx(truth, abs=4 * found.error)


def test_blocks_estimate_what_all_pairs_do():
    a, b = rows(900), rows(700, index=1, scale=1.2)
    whole, parts = kernel_distance(a, b), kernel_distance(a, b, block=250)
    assert abs(whole.value - parts.value) < 3 * parts.error and parts.error < 2 * whole.error
    assert "blocks" in parts.interval.method


def test_equal_distributions_are_at_0_on_average():
    found = [kernel_distance(rows(40, index=2 * k), rows(40, index=2 * k + 1)) for k in range(40)]
    values = np.array([estimate.value for estimate in found])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(40) and (values < 0).any()


def test_it_is_the_same_every_time_and_of_any_order():
    a, b = rows(60), rows(50, index=1)
    assert kernel_distance(a, b, block=20, seed=1) == kernel_distance(a, b, block=20, seed=1)
    assert kernel_distance(a[::-1], b).value == pytest.approx(kernel_distance(a, b).value, abs=1e-12)


def test_the_median_bandwidth_is_the_median_distance():
    a, b = rows(30), rows(30, index=1)
    pooled = np.concatenate([a, b])
    distances = np.linalg.norm(pooled[:, None] - pooled, axis=2)[np.triu_indices(60, 1)]
    assert median_bandwidth(a, b) == pytest.approx(np.median(distances), rel=1e-9)


@pytest.mark.parametrize("measure", [kernel_distance, lambda a, b: kernel_subsets(a, b, size=2), median_bandwidth])
def test_unusable_features_are_refused(measure):
    bad = rows(20)
    bad[3, 1] = np.nan
    with pytest.raises(DataError, match="row 3"):
        measure(bad, rows(20))
    with pytest.raises(DataError, match="has 1 row"):
        measure(rows(1), rows(20))
    with pytest.raises(ConfigError, match="12 and of 5"):
        measure(rows(20), rows(20, size=5))


def test_settings_that_cannot_be_used_are_refused():
    with pytest.raises(ConfigError, match="bandwidth=0"):
        Gaussian(0)
    with pytest.raises(DataError, match="subsets of 1,000"):
        kernel_subsets(rows(20), rows(20))
    with pytest.raises(ConfigError, match="subsets=0"):
        kernel_subsets(rows(20), rows(20), subsets=0, size=5)
    with pytest.raises(DataError, match="equal"):
        median_bandwidth(np.ones((9, 2)), np.ones((9, 2)))
