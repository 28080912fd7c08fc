"""Resizing by matrix products: Pillow's and TensorFlow's pixels, from any size to any size."""

import numpy as np
import pytest
import torch
from counting_cases import pictures
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from limner.errors import ConfigError
from limner.features.preparation import Preparation
from limner.features.resize import resize, weights

SIDES = st.integers(1, 130)


def by_pillow(image: np.ndarray, height: int, width: int, kernel: str) -> np.ndarray:
    """(H, W) float32 resized in mode F, as clean-fid does it with each channel."""
    how = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}[kernel]
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize((width, height), how))


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["bicubic", "bilinear"]))
def test_antialiased_kernels_give_what_pillow_gives_in_floats(height, width, new_height, new_width, kernel):
    image = pictures(1, height, width)
    ours = resize(torch.from_numpy(image[:, None]).float(), new_height, new_width, kernel)[0, 0].numpy()
    assert np.abs(ours - by_pillow(image[0], new_height, new_width, kernel)).max() < 1e-3  # of 255


@pytest.mark.parametrize(("source", "target"), [(512, 299), (299, 512), (47, 299), (1000, 64)])
def test_bands_of_a_large_matrix_leave_nothing_out(source, target):
    image = pictures(2, source, source)
    ours = resize(torch.from_numpy(image[:, None]).float(), target, target)[:, 0].numpy()
    theirs = np.stack([by_pillow(one, target, target, "bicubic") for one in image])
    assert np.abs(ours - theirs).max() < 1e-3


@pytest.mark.parametrize(("source", "target"), [(32, 299), (299, 299), (400, 299), (7, 3), (1, 5)])
def test_legacy_is_the_linear_interpolation_of_tensorflow_1(source, target):
    """Its rule, pixel by pixel: place i · source / target, neighbours below and above, the last pixel repeated."""
    image = pictures(1, source, source)[0].astype(np.float64)
    ours = resize(torch.from_numpy(image[None, None]).float(), target, target, "legacy")[0, 0].numpy()
    for row, column in [(0, 0), (target - 1, target - 1), (target // 2, target // 3), (1, target - 1)]:
        y, x = row * source / target, column * source / target
        top, left = int(y), int(x)
        bottom, right = min(top + 1, source - 1), min(left + 1, source - 1)
        above = image[top, left] + (image[top, right] - image[top, left]) * (x - left)
        below = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * (x - left)
        assert ours[row, column] == pytest.approx(above + (below - above) * (y - top), abs=1e-3)


@given(SIDES, SIDES, st.sampled_from(["bicubic", "bilinear", "legacy"]))
def test_a_flat_image_stays_flat_because_weights_sum_to_1(source, target, kernel):
    assert np.abs(weights(source, target, kernel).sum(1) - 1).max() < 1e-12


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear", "legacy"])
def test_the_same_size_changes_nothing(kernel):
    assert np.array_equal(weights(9, 9, kernel), np.eye(9))


def test_legacy_shifts_the_image_and_the_others_do_not():
    """A symmetric picture stays symmetric only when pixel centres are aligned."""
    image = torch.zeros(1, 1, 8, 8)
    image[..., 3:5] = 255.0
    for kernel, symmetric in [("bicubic", True), ("bilinear", True), ("legacy", False)]:
        wide = resize(image, 8, 32, kernel)
        assert torch.allclose(wide, wide.flip(3), atol=1e-3) is symmetric


@pytest.mark.parametrize("size", [(0, 8), (8, 0)])
def test_an_empty_side_is_refused(size):
    with pytest.raises(ConfigError, match="sides are at least 1"):
        resize(torch.zeros(1, 1, 4, 4), *size)


def test_an_unknown_kernel_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean bicubic"):
        resize(torch.zeros(1, 1, 4, 4), 8, 8, "cubic")


# --- what a network is given ----------------------------------------------------------------------------------------


def test_images_are_brought_to_size_and_range():
    ready = Preparation(16, mean=(128.0,) * 3, std=(64.0,) * 3)(np.full((2, 8, 8, 3), 192, np.uint8))
    assert ready.shape == (2, 3, 16, 16) and torch.allclose(ready, torch.ones(()), atol=1e-6)


def test_the_overshoot_of_bicubic_is_clipped():
    edges = np.zeros((1, 8, 8, 3), np.uint8)
    edges[:, :, 4:] = 255
    ready = Preparation(64)(edges)
    assert ready.min() == 0 and ready.max() == 255


def test_gray_is_the_same_as_its_colour_picture():
    gray = pictures(3, 9, 7, 1)
    prepare = Preparation(16, mean=(120.0, 110.0, 100.0), std=(60.0, 61.0, 62.0))
    assert torch.equal(prepare(gray), prepare(np.repeat(gray, 3, axis=3)))


def test_alpha_is_composited_on_white():
    clear = np.concatenate([pictures(2, 8, 8, 3), np.zeros((2, 8, 8, 1), np.uint8)], 3)
    solid = np.concatenate([pictures(2, 8, 8, 3), np.full((2, 8, 8, 1), 255, np.uint8)], 3)
    assert torch.equal(Preparation(None)(clear), torch.full((2, 3, 8, 8), 255.0))
    assert torch.equal(Preparation(16)(solid), Preparation(16)(solid[..., :3]))


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8)), np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8, 2), np.uint8), np.zeros((1, 0, 8, 3))]
)
def test_other_arrays_than_images_are_refused(images):
    with pytest.raises(ConfigError, match="features are of uint8"):
        Preparation(16)(images)


def test_the_words_of_a_preparation_say_size_and_filter():
    assert Preparation(128).words == "squash to 128×128, antialiased bicubic"
    assert Preparation(299, "legacy").words == "squash to 299×299, bilinear as in TensorFlow 1"
    assert Preparation(None).words == "none"
