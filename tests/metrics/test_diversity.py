"""Diversity: the design of pairs, errors of means over them, what a loss of variety does, errors."""

from __future__ import annotations

import numpy as np
import pytest

from limner.errors import ConfigError, DataError
from limner.metrics.diversity import (
    feature_spread,
    mean_over_pairs,
    ms_ssim_diversity,
    ms_ssim_within_classes,
    random_pairs,
)
from limner.metrics.ssim import ms_ssim
from limner.rng import generator


def pictures(count: int, size: int = 24, index: int = 0) -> np.ndarray:
    coarse = generator(0, "diversity pictures", index).integers(0, 256, size=(count, 6, 6, 1), dtype=np.uint8)
    return np.kron(coarse, np.ones((1, size // 6, size // 6, 1), np.uint8))


@pytest.mark.parametrize(("count", "wanted"), [(2, 10), (3, 10), (7, 1), (20, 60), (20, 10_000), (500, 100)])
def test_pairs_are_distinct_and_every_item_of_them_occurs_equally_often(count, wanted):
    pairs = random_pairs(count, wanted, seed=0)
    assert len({frozenset(pair) for pair in pairs.tolist()}) == len(pairs)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len(set(np.unique(pairs, return_counts=True)[1])) == 1
    assert len(pairs) >= min(wanted, count * ((count - 1) // 2)) and len(pairs) < wanted + count + 2


def test_the_error_of_a_mean_over_pairs_is_how_much_it_varies():
    """|x - y| of pairs of normal numbers; each of 40 numbers is in 10 pairs, so pairs are correlated."""
    pairs, means, errors = random_pairs(40, 200, seed=0), [], []
    for draw in range(2_000):
        numbers = generator(0, "pairs", draw).normal(size=40)
        mean, error = mean_over_pairs(np.abs(numbers[pairs[:, 0]] - numbers[pairs[:, 1]]), pairs)
        means.append(mean)
        errors.append(error**2)
    assert np.mean(means) == pytest.approx(2 / np.pi**0.5, abs=0.01)
    assert np.mean(errors) ** 0.5 == pytest.approx(np.std(means), rel=0.06)


def test_the_error_over_disjoint_pairs_is_the_classical_one():
    values = generator(0, "values").normal(size=30)
    pairs = np.arange(60).reshape(30, 2)
    assert mean_over_pairs(values, pairs)[1] == pytest.approx(values.std(ddof=1) / 30**0.5)


def test_it_is_the_mean_of_ms_ssim_over_the_pairs():
    images = pictures(9)
    pairs = random_pairs(9, 30, seed=4)
    found = ms_ssim_diversity(images, pairs=30, seed=4)
    assert found.pairs == len(pairs) and found.scales == 2
    expected = ms_ssim(images[pairs[:, 0]], images[pairs[:, 1]], scales=2).mean()
    assert found.mean.value == pytest.approx(expected)


def test_copies_of_one_image_have_no_variety():
    found = ms_ssim_diversity(np.repeat(pictures(1), 6, axis=0))
    assert found.mean.value == pytest.approx(1) and found.mean.interval.low == pytest.approx(1)


def test_fewer_different_images_are_more_alike():
    images = pictures(60)
    found = [ms_ssim_diversity(images[np.arange(60) % kept]).mean.value for kept in (60, 12, 4)]
    assert found == sorted(found) and found[-1] > found[0] + 0.1


def test_intervals_cover_what_is_measured_on_average():
    draws = [ms_ssim_diversity(pictures(16, index=draw), pairs=80).mean for draw in range(100)]
    mean = np.mean([draw.value for draw in draws])
    assert 0.88 <= np.mean([draw.interval.low <= mean <= draw.interval.high for draw in draws]) <= 1


def test_within_classes_only_images_of_one_class_are_compared():
    """Two classes of copies of one image each: all variety is between the classes."""
    images, labels = np.repeat(pictures(2), 5, axis=0), np.repeat([0, 3], 5)
    within, over_all = ms_ssim_within_classes(images, labels), ms_ssim_diversity(images)
    assert within.mean.value == pytest.approx(1) and within.classes == pytest.approx({0: 1, 3: 1})
    assert over_all.mean.value < 0.8


def test_images_without_a_class_and_classes_with_one_image_are_left_out():
    labels = np.array([-1, -1, 0, 1, 1, 1])
    assert set(ms_ssim_within_classes(pictures(6), labels).classes) == {1}
    with pytest.raises(DataError, match="no class has two images"):
        ms_ssim_within_classes(pictures(6), np.array([-1, -1, 0, 1, 2, 3]))


def test_a_class_counts_the_same_however_many_images_it_has():
    images = np.concatenate([pictures(4), np.repeat(pictures(1, index=1), 20, axis=0)])
    found = ms_ssim_within_classes(images, np.repeat([0, 1], [4, 20]))
    assert found.mean.value == pytest.approx((found.classes[0] + 1) / 2)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_spread_of_scaled_features_is_the_scale(scale):
    rows = generator(0, "rows").normal(size=(80, 16)).astype(np.float32)
    other = generator(0, "rows", 1).normal(size=(80, 16)).astype(np.float32)
    assert feature_spread(scale * rows, rows).ratio.value == pytest.approx(scale, rel=1e-6)
    found = feature_spread(scale * other, rows).ratio
    assert found.interval.low < scale < found.interval.high
    assert found.interval.high / found.interval.low < 1.3


def test_the_mean_distance_of_standard_normals_is_that_of_a_chi_distribution():
    rows = generator(0, "rows").normal(size=(2_000, 3))
    assert feature_spread(rows, rows).real == pytest.approx(4 / np.pi**0.5, rel=0.02)  # √2 E[chi_3]


def test_collapse_to_one_point_has_spread_zero_and_no_interval():
    rows = generator(0, "rows").normal(size=(10, 3))
    found = feature_spread(np.zeros((10, 3)), rows).ratio
    assert found.value == 0 and found.interval is None
    with pytest.raises(DataError, match="all real features are equal"):
        feature_spread(rows, np.zeros((10, 3)))


def test_two_images_have_a_value_and_no_interval():
    assert ms_ssim_diversity(pictures(2)).mean.interval is None
    rows = generator(0, "rows").normal(size=(2, 3))
    assert feature_spread(rows, rows).ratio.interval is None


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="1 image makes no pairs"):
        ms_ssim_diversity(pictures(1))
    with pytest.raises(ConfigError, match="10x10 are too small"):
        ms_ssim_diversity(np.zeros((4, 10, 10, 1), np.uint8))
    with pytest.raises(ConfigError, match="use uint8"):
        ms_ssim_diversity(np.zeros((4, 16, 16, 1)))
    with pytest.raises(ConfigError, match="do not name a class"):
        ms_ssim_within_classes(pictures(4), np.zeros(3, np.int64))
    with pytest.raises(ConfigError, match="use one feature space"):
        feature_spread(np.zeros((4, 2)), np.ones((4, 3)))
    with pytest.raises(DataError, match="row 0 of generated features is not finite"):
        feature_spread(np.full((4, 2), np.nan), np.ones((4, 2)))
