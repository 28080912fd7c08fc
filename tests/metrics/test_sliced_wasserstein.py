"""Sliced Wasserstein distance: pyramids and distances against SciPy, what counts and what does not, errors."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter
from scipy.stats import wasserstein_distance

from limner.errors import ConfigError, DataError
from limner.metrics import sliced_wasserstein as module
from limner.metrics.sliced_wasserstein import laplacian_pyramid, level_shapes, sliced_wasserstein
from limner.metrics.transport import unit_directions
from limner.rng import generator

TAPS = np.array([1, 4, 6, 4, 1]) / 16


def pictures(count: int, *shape: int, index: int = 0, smooth: float = 1.5) -> np.ndarray:
    """Random images, uint8 (count, *shape), with detail down to `smooth` pixels."""
    noise = generator(0, "swd pictures", index).normal(size=(count, *shape))
    smooth = gaussian_filter(noise, (0, smooth, smooth, 0), mode="wrap")
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def value(generated: np.ndarray, real: np.ndarray, seed: int = 0) -> float:
    return sliced_wasserstein(generated, real, seed=seed).average.value


@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        ((16, 16), [(16, 16)]),
        ((28, 28), [(28, 28)]),
        ((64, 64), [(64, 64), (32, 32), (16, 16)]),
        ((33, 50), [(33, 50), (17, 25)]),
    ],
)
def test_levels_go_down_to_16_pixels(size, shapes):
    assert level_shapes(*size) == shapes


def test_the_pyramid_is_that_of_convolutions_with_mirrored_edges():
    images = pictures(2, 32, 48, 3).astype(np.float32)
    kernel = np.outer(TAPS, TAPS)[None, :, :, None]
    small = convolve(images, kernel, mode="mirror")[:, ::2, ::2]
    zeros = np.zeros_like(images)
    zeros[:, ::2, ::2] = small
    fine, coarse = laplacian_pyramid(images, 2)
    assert coarse == pytest.approx(small, abs=1e-3)
    assert fine == pytest.approx(images - convolve(zeros, 4 * kernel, mode="mirror"), abs=1e-3)


def test_an_even_picture_has_no_detail_at_any_scale_but_the_coarsest():
    pyramid = laplacian_pyramid(np.full((1, 67, 67, 1), 9, np.float32), 3)
    assert [np.abs(level).max() for level in pyramid] == pytest.approx([0, 0, 9], abs=1e-4)


def test_the_distance_is_the_mean_of_scipys_over_directions():
    """From the definition, patch by patch, for unequal numbers of images."""
    sides = pictures(3, 17, 16, 2), pictures(2, 17, 16, 2, index=1)
    directions = unit_directions(512, 98, seed=0, purpose="swd directions 0")
    projections = []
    for images in sides:
        patches = []
        for image in images:
            for down, right in module._places(image, 1, 0)[0]:
                top, left = int(down * 11), int(right * 10)
                patches.append(image[top : top + 7, left : left + 7].astype(float))
        patches = np.array(patches)
        normal = (patches - patches.mean((0, 1, 2))) / patches.std((0, 1, 2))
        projections.append(directions @ normal.reshape(len(patches), -1).T)
    expected = 1000 * np.mean([wasserstein_distance(a, b) for a, b in zip(*projections, strict=True)])
    assert value(*sides) == pytest.approx(expected, rel=1e-4)


def test_equal_sets_are_at_no_distance_in_any_order():
    images = pictures(12, 32, 32, 3)
    assert value(images, images) == 0
    assert value(images[::-1], images) == pytest.approx(0, abs=1e-3)


def test_chunks_change_nothing(monkeypatch):
    sides = pictures(10, 32, 32, 1), pictures(8, 32, 32, 1, index=1)
    whole = value(*sides)
    monkeypatch.setattr(module, "CHUNK_VALUES", 1)
    monkeypatch.setattr(module, "PROJECTED_VALUES", 1)
    assert value(*sides) == pytest.approx(whole, rel=1e-6)


def test_it_rises_with_noise():
    real, other = (pictures(24, 16, 16, 1, index=index) for index in (0, 1))
    noise = generator(0, "noise").normal(size=other.shape)
    noisy = [np.clip(other + strength * noise, 0, 255).astype(np.uint8) for strength in (0, 20, 40, 80)]
    found = [value(images, real) for images in noisy]
    assert found == sorted(found) and found[-1] > 2 * found[0]


def test_it_rises_with_blur():
    real, other = (pictures(24, 16, 16, 1, index=index, smooth=0.5) for index in (0, 1))
    found = [value(gaussian_filter(other, (0, sigma, sigma, 0)), real) for sigma in (0, 1, 2, 4)]
    assert found == sorted(found) and found[-1] > 2 * found[0]


def test_blur_shows_at_the_fine_level_first():
    real, other = (pictures(16, 32, 32, 1, index=index, smooth=0.7) for index in (0, 1))
    plain, blurred = (sliced_wasserstein(side, real) for side in (other, gaussian_filter(other, (0, 0.7, 0.7, 0))))
    fine, coarse = (
        after.distance.value / before.distance.value for after, before in zip(blurred.levels, plain.levels, strict=True)
    )
    assert fine > 1.4 * coarse
    assert blurred.average.value == pytest.approx(np.mean([level.distance.value for level in blurred.levels]))


def test_brightness_and_contrast_of_a_whole_set_do_not_count(monkeypatch):
    images = pictures(6, 16, 16, 1).astype(np.float64)
    other = pictures(6, 16, 16, 1, index=1).astype(np.float64)
    places = cycle(generator(0, "places").random((12, 1, 128, 2), dtype=np.float32))
    monkeypatch.setattr(module, "_places", lambda *_: next(places))  # by turns, where they go by content
    assert value(images, other) == pytest.approx(value(0.5 * images + 30, other), rel=1e-4)


def test_sets_without_contrast_are_compared_all_the_same():
    black = np.zeros((3, 16, 16, 1), np.uint8)
    assert value(black, black + 9) == pytest.approx(0, abs=0.01)
    assert value(black, pictures(3, 16, 16, 1)) > 100


def test_more_images_than_the_protocol_has_are_drawn_from(monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 5)
    images = pictures(9, 16, 16, 1)
    assert value(images, images) > 0  # the two sides draw differently
    assert value(images, images) == value(images, images)


def test_intervals_cover_what_is_measured_on_average():
    draws = [
        sliced_wasserstein(pictures(16, 16, 16, 1, index=2 * i), pictures(16, 16, 16, 1, index=2 * i + 1)).average
        for i in range(40)
    ]
    mean = np.mean([draw.value for draw in draws])
    assert np.mean([draw.interval.low <= mean <= draw.interval.high for draw in draws]) >= 0.88
    widths = [draw.interval.high - draw.interval.low for draw in draws]
    assert np.mean(widths) < 8 * np.std([draw.value for draw in draws])


def test_too_few_images_have_a_value_and_no_interval():
    found = sliced_wasserstein(pictures(3, 16, 16, 1), pictures(20, 16, 16, 1, index=1)).average
    assert found.value > 0 and found.interval is None


@pytest.mark.parametrize(
    ("generated", "real", "message"),
    [
        ((4, 16, 16, 1), (4, 16, 16, 3), "16×16×1 and 16×16×3 cannot be compared"),
        ((4, 32, 32, 1), (4, 16, 16, 1), "cannot be compared"),
        ((4, 12, 16, 1), (4, 12, 16, 1), "12x16 are too small"),
        ((0, 16, 16, 1), (4, 16, 16, 1), "have no patches"),
    ],
)
def test_unlike_and_small_images_are_refused(generated, real, message):
    with pytest.raises(ConfigError, match=message):
        sliced_wasserstein(np.zeros(generated, np.uint8), np.zeros(real, np.uint8))


def test_values_that_are_not_finite_are_refused():
    images = pictures(4, 16, 16, 1).astype(np.float32)
    images[1, 2, 3, 0] = np.inf
    with pytest.raises(DataError, match="not finite"):
        sliced_wasserstein(images, pictures(4, 16, 16, 1))
