import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio as skimage_psnr
from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr

from limner.errors import ConfigError, DataError
from limner.metrics import psnr as module
from limner.metrics.psnr import mean_squared_error, psnr


def noisy_pair(channels=3, count=5, side=24, std=20.0):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side + 3, channels), dtype=np.uint8)
    return images, np.clip(images + rng.normal(0, std, images.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("difference", [1, 7, 255])
def test_a_constant_difference_has_the_psnr_of_its_square(difference):
    dark = np.zeros((2, 4, 5, 3), np.uint8)
    assert psnr(dark, dark + np.uint8(difference)) == pytest.approx(20 * math.log10(255 / difference), abs=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_scikit_image_and_torchmetrics_agree(channels):
    images, others = noisy_pair(channels)
    found = psnr(images, others)
    for value, a, b in zip(found, images, others, strict=True):
        assert value == pytest.approx(skimage_psnr(a, b, data_range=255), abs=1e-4)
        a, b = (torch.from_numpy(side.astype(np.float64)) for side in (a, b))
        assert value == pytest.approx(float(torchmetrics_psnr(a, b, data_range=255.0)), abs=1e-4)


def test_the_scale_of_floats_counts_with_their_range_alone():
    images, others = noisy_pair()
    scaled = [side.astype(np.float32) / 127.5 - 1 for side in (images, others)]
    np.testing.assert_allclose(psnr(*scaled, data_range=2.0), psnr(images, others), atol=1e-4)


def test_equal_images_are_infinitely_far_above_the_noise():
    images, others = noisy_pair()
    others[2] = images[2]
    assert np.isinf(psnr(images, others)).tolist() == [False, False, True, False, False]
    assert psnr(images, images).tolist() == [math.inf] * 5


def test_a_pair_is_worth_the_same_alone_and_in_any_chunk(monkeypatch):
    images, others = noisy_pair()
    together = psnr(images, others)
    monkeypatch.setattr(module, "CHUNK_VALUES", 1)
    np.testing.assert_allclose(psnr(images, others), together, rtol=1e-12)


def test_one_side_may_be_uint8_and_the_other_floats():
    images, others = noisy_pair()
    mixed = psnr(images, others.astype(np.float32), data_range=255)
    assert np.array_equal(mixed, psnr(images, others))
    with pytest.raises(ConfigError, match="uint8 and float32"):
        psnr(images, others.astype(np.float32))


def test_the_mean_squared_error_does_not_wrap_around():
    black, white = np.zeros((1, 2, 2, 1), np.uint8), np.full((1, 2, 2, 1), 255, np.uint8)
    assert mean_squared_error(black, white).tolist() == [255.0**2]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused_with_their_place(value):
    images = np.zeros((3, 4, 4, 1))
    broken = images.copy()
    broken[1, 0, 0] = value
    for sides in ((images, broken), (broken, images)):
        with pytest.raises(DataError, match="pairs 0 to 2 hold values that are not finite"):
            psnr(*sides, data_range=1.0)


@pytest.mark.parametrize(
    ("shape", "other", "message"),
    [
        ((2, 4, 4, 3), (2, 4, 4, 1), "make no pairs"),
        ((2, 4, 4, 3), (3, 4, 4, 3), "make no pairs"),
        ((4, 4, 3), (4, 4, 3), "N, H, W, C"),
        ((0, 4, 4, 3), (0, 4, 4, 3), "none of them 0"),
    ],
)
def test_what_makes_no_pairs_is_refused(shape, other, message):
    with pytest.raises(ConfigError, match=message):
        psnr(np.zeros(shape, np.uint8), np.zeros(other, np.uint8))


def test_whole_numbers_of_other_types_are_refused():
    with pytest.raises(ConfigError, match="int64"):
        psnr(np.zeros((1, 4, 4, 1), int), np.zeros((1, 4, 4, 1), int), data_range=255)


@pytest.mark.parametrize("data_range", [0.0, -1.0, math.nan, math.inf])
def test_a_range_that_cannot_be_is_refused(data_range):
    with pytest.raises(ConfigError, match=f"data_range={data_range}"):
        psnr(np.zeros((1, 4, 4, 1)), np.ones((1, 4, 4, 1)), data_range=data_range)
