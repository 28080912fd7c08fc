"""SSIM and MS-SSIM against closed forms, against scikit-image and torchmetrics, and where they cannot be taken."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from limner.errors import ConfigError, DataError
from limner.metrics import psnr as psnr_module
from limner.metrics.ssim import SCALE_WEIGHTS, ms_ssim, scales_that_fit, smallest_side, ssim


def noisy_pair(channels=3, count=3, height=40, width=51, std=30.0):
    """Smooth images and the same ones with noise: similar, but not at every scale to the same degree."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    phase = rng.uniform(0, 6, (count, 1, 1, channels))
    images = 127 + 100 * np.sin(rows[..., None] / 7 + phase) * np.cos(columns[..., None] / 9 - phase)
    fine, coarse = (rng.normal(0, std, (count, height + 8, width + 8, channels)) for _ in range(2))
    blocks = coarse[:, ::8, ::8].repeat(8, axis=1).repeat(8, axis=2)
    noise = (fine + blocks[:, : height + 8, : width + 8])[:, :height, :width]
    return images.astype(np.uint8), np.clip(images + noise, 0, 255).astype(np.uint8)


def by_scikit_image(a, b, **constants):
    """The published window on one pair: Gaussian weights, variances of the window itself and not estimates."""
    return structural_similarity(
        a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, **constants
    )


def tensor(images):
    return torch.from_numpy(images.astype(np.float64)).permute(0, 3, 1, 2)


# --- one scale --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_windows_inside_the_image_agree_with_scikit_image(channels):
    images, others = noisy_pair(channels)
    expected = [by_scikit_image(a, b) for a, b in zip(images, others, strict=True)]
    np.testing.assert_allclose(ssim(images, others), expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_windows_around_every_pixel_agree_with_torchmetrics(channels):
    images, others = noisy_pair(channels)
    expected = structural_similarity_index_measure(
        tensor(images), tensor(others), sigma=1.5, data_range=255.0, reduction="none"
    )
    found = ssim(images, others, border="reflect")
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert np.abs(found - ssim(images, others)).min() > 1e-4  # so the border is part of the protocol


@pytest.mark.parametrize(("first", "second"), [(0, 255), (100, 100), (30, 200)])
def test_flat_images_differ_by_their_brightness_alone(first, second):
    images, others = (np.full((1, 12, 12, 1), value, np.uint8) for value in (first, second))
    c1 = (0.01 * 255) ** 2
    expected = (2.0 * first * second + c1) / (first**2 + second**2 + c1)
    assert ssim(images, others)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("border", ["valid", "reflect"])
def test_equal_images_have_a_similarity_of_exactly_1(border):
    images, _ = noisy_pair(height=180, width=176)
    assert ssim(images, images, border=border).tolist() == [1.0] * 3
    assert ms_ssim(images, images, border=border).tolist() == [1.0] * 3


def test_a_negative_image_is_less_similar_than_noise():
    images, others = noisy_pair()
    assert (ssim(images, 255 - images) < 0).all() and (ssim(images, others) > 0).all()


def test_floats_agree_with_uint8_when_their_range_is_said():
    images, others = noisy_pair()
    scaled = [side / 255 for side in (images, others)]
    np.testing.assert_allclose(ssim(*scaled, data_range=1.0), ssim(images, others), atol=1e-9)
    with pytest.raises(ConfigError, match="give data_range"):
        ssim(*scaled)


def test_a_pair_is_worth_the_same_alone_and_in_any_chunk(monkeypatch):
    images, others = noisy_pair()
    together = ssim(images, others), ms_ssim(images, others, scales=2)
    monkeypatch.setattr(psnr_module, "CHUNK_VALUES", 1)
    np.testing.assert_allclose(ssim(images, others), together[0], atol=1e-12)
    np.testing.assert_allclose(ms_ssim(images, others, scales=2), together[1], atol=1e-12)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="it reads its memory from /proc")
def test_memory_does_not_grow_with_the_number_of_pairs():
    """It did: each chunk's few results, kept between its large arrays, tore the heap apart, 61 MiB for these."""
    code = """
import resource
import numpy as np
from limner.metrics import psnr, ssim
psnr.CHUNK_VALUES = 1 << 19
images = np.full((4000, 64, 64, 1), 7, np.uint8)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

ssim.ssim(images[:500], images[:500])
before = resident()
ssim.ssim(images, images)
print(resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 32


# --- several scales ---------------------------------------------------------------------------------------------------


def halved(images):
    """The mean of each 2×2 block; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in images.shape[1:3])
    cut = images[:, :height, :width].astype(np.float64)
    return (cut[:, ::2, ::2] + cut[:, 1::2, ::2] + cut[:, ::2, 1::2] + cut[:, 1::2, 1::2]) / 4


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 176, 200), (3, 190, 176)])
def test_it_is_the_product_of_scikit_images_parts(channels, height, width):
    """A K1 so large that brightness no longer counts leaves the contrast and structure part of a scale."""
    images, others = noisy_pair(channels, 2, height, width)
    expected = np.ones(2)
    a, b = images, others
    for scale, weight in enumerate(SCALE_WEIGHTS):
        constants = {} if scale == 4 else {"K1": 1e7}
        expected *= [by_scikit_image(x, y, **constants) ** weight for x, y in zip(a, b, strict=True)]
        a, b = halved(a), halved(b)
    np.testing.assert_allclose(ms_ssim(images, others), expected, atol=1e-6)


def test_torchmetrics_agrees_when_the_coarsest_scale_is_mirrored():
    images, others = noisy_pair(1, 1, 190, 176)
    expected = multiscale_structural_similarity_index_measure(
        tensor(images), tensor(others), sigma=1.5, data_range=255.0, reduction="none"
    )
    np.testing.assert_allclose(ms_ssim(images, others, border="reflect"), expected.numpy(), atol=1e-6)


def test_one_scale_is_the_similarity_itself():
    images, others = noisy_pair()
    np.testing.assert_allclose(ms_ssim(images, others, scales=1), ssim(images, others), atol=1e-12)


def test_fewer_scales_take_the_finest_weights_rescaled_to_a_sum_of_1():
    images, others = noisy_pair(1, 1, 40, 40)
    two = ms_ssim(images, others, scales=2)
    weight = SCALE_WEIGHTS[0] / (SCALE_WEIGHTS[0] + SCALE_WEIGHTS[1])
    fine = by_scikit_image(images[0], others[0], K1=1e7)
    coarse = by_scikit_image(halved(images)[0], halved(others)[0])
    assert two[0] == pytest.approx(fine**weight * coarse ** (1 - weight), abs=1e-6)


def test_a_structure_turned_round_counts_as_0():
    images, _ = noisy_pair()
    assert ms_ssim(images, 255 - images, scales=2).tolist() == [0.0] * 3


@pytest.mark.parametrize("scales", [1, 2, 3, 4, 5])
def test_the_smallest_side_is_the_smallest_that_works(scales):
    side = smallest_side(scales)
    assert scales_that_fit(side, side + 9) == scales and scales_that_fit(side + 9, side - 1) == scales - 1
    images = np.zeros((1, side, side, 1), np.uint8)
    assert ms_ssim(images, images, scales=scales).tolist() == [1.0]
    with pytest.raises(ConfigError, match=rf"smallest side is {side} pixels"):
        ms_ssim(images[:, 1:], images[:, 1:], scales=scales)


def test_small_images_are_told_how_many_scales_fit():
    images = np.zeros((2, 28, 28, 1), np.uint8)
    with pytest.raises(ConfigError, match=r"28x28 .* 176 pixels: use scales=2"):
        ms_ssim(images, images)


# --- what cannot be compared ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("similarity", [ssim, lambda a, b, **rest: ms_ssim(a, b, scales=1, **rest)])
def test_bad_pairs_are_refused(similarity):
    images = np.zeros((2, 16, 16, 3))
    broken = images.copy()
    broken[1, 3, 3, 0] = math.nan
    with pytest.raises(DataError, match="not finite"):
        similarity(images, broken, data_range=1.0)
    with pytest.raises(ConfigError, match="make no pairs"):
        similarity(images, images[:1], data_range=1.0)
    with pytest.raises(ConfigError, match="N, H, W, C"):
        similarity(images[0], images[0], data_range=1.0)
    with pytest.raises(ConfigError, match="10x16 are too small"):
        similarity(images[:, :10], images[:, :10], data_range=1.0)
    with pytest.raises(ConfigError, match="unknown border 'reflct'; did you mean reflect"):
        similarity(images, images, data_range=1.0, border="reflct")


@pytest.mark.parametrize("scales", [0, 6, -1])
def test_a_number_of_scales_that_cannot_be_is_refused(scales):
    with pytest.raises(ConfigError, match=f"scales={scales}"):
        ms_ssim(np.zeros((1, 200, 200, 1), np.uint8), np.zeros((1, 200, 200, 1), np.uint8), scales=scales)
