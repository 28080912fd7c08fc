"""The super-resolution preset, choice by choice. Its figures on Set5 are checked by benchmarks/quality_bicubic.py."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from limner.errors import ConfigError
from limner.images.bicubic import resize
from limner.metrics.superresolution import bicubic_row, evaluate_pair, luma, modcrop, shrink

SCALES = [2, 3, 4]


def picture(height=61, width=70, seed=0):
    """A smooth colour image with edges in it."""
    rng = np.random.default_rng(seed)
    coarse = resize(rng.uniform(0, 255, (8, 8, 3)), 10)[:height, :width]
    rows, columns = np.mgrid[:height, :width]
    coarse[(rows - 30) ** 2 + (columns - 30) ** 2 < 200] += 60
    return np.clip(coarse, 0, 255).astype(np.uint8)


def blurred(image, scale):
    cut = modcrop(image, scale)
    return resize(resize(cut, 1 / scale), scale)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81), ((0, 255, 0), 145), ((0, 0, 255), 41)],
)
def test_brightness_is_of_the_studio_range(rgb, expected):
    assert luma(np.full((1, 2, 3), rgb, np.uint8)).tolist() == [[[expected], [expected]]]


def test_a_gray_image_stays_as_it_is():
    gray = picture()[..., :1]
    assert luma(gray) is gray


@pytest.mark.parametrize("scale", SCALES)
def test_a_pair_is_judged_by_brightness_without_its_border(scale):
    original = modcrop(picture(), scale)
    restored = blurred(original, scale)
    sides = []
    for image in (restored, original):
        red, green, blue = np.moveaxis(image / 255, 2, 0)
        bright = np.rint(16 + 65.481 * red + 128.553 * green + 24.966 * blue).astype(np.uint8)
        sides.append(bright[scale:-scale, scale:-scale])
    found = evaluate_pair(restored, original, scale)
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(*sides, data_range=255), abs=1e-4)
    expected = structural_similarity(
        *sides, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert found.ssim == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("scale", SCALES)
def test_what_is_wrong_in_the_border_does_not_count_but_what_is_beside_it_does(scale):
    original = modcrop(picture(), scale)
    framed = original.copy()
    framed[:scale], framed[-scale:], framed[:, :scale], framed[:, -scale:] = 0, 0, 0, 0
    assert evaluate_pair(framed, original, scale) == (math.inf, 1.0)
    framed[scale, scale] ^= 255
    assert evaluate_pair(framed, original, scale).psnr < 60


def test_an_original_may_be_whole_where_the_restored_image_is_cut_to_a_multiple():
    original = picture(62, 71)
    restored = blurred(original, 3)
    assert restored.shape == (60, 69, 3)
    assert evaluate_pair(restored, original, 3) == evaluate_pair(restored, modcrop(original, 3), 3)


def test_colour_errors_that_leave_the_brightness_count_for_nothing():
    original = np.full((30, 30, 3), (100, 100, 100), np.uint8)
    tinted = np.full((30, 30, 3), (139, 80, 101), np.uint8)  # 65.481 (39) = 128.553 (20) - 24.966 (1), nearly
    assert evaluate_pair(tinted, original, 2).psnr == math.inf


@pytest.mark.parametrize("scale", SCALES)
def test_the_bicubic_row_is_the_mean_over_images_of_any_size(scale):
    originals = [picture(), picture(50, 66, seed=1)]
    each = []
    for original in originals:
        bright = modcrop(luma(original), scale)
        each.append(evaluate_pair(resize(shrink(bright, scale), scale), bright, scale))
    assert bicubic_row(originals, scale) == pytest.approx(np.mean(each, axis=0))
    assert bicubic_row(iter(originals), scale) == bicubic_row(originals, scale)


def test_the_bicubic_row_falls_with_the_scale():
    rows = [bicubic_row([picture()], scale) for scale in SCALES]
    assert rows == sorted(rows, reverse=True) and 20 < rows[-1].psnr < rows[0].psnr < 60


def test_shrinking_cuts_to_a_multiple_first():
    assert shrink(picture(61, 70), 4).shape == (15, 17, 3)
    assert np.array_equal(shrink(picture(61, 70), 4), resize(picture()[:60, :68], 1 / 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate_pair(picture(40, 40), picture(44, 40), 4), "does not fit its original"),
        (lambda: evaluate_pair(picture() / 255, picture() / 255, 2), "float64"),
        (lambda: luma(np.zeros((8, 8, 4), np.uint8)), r"\(8, 8, 4\)"),
        (lambda: evaluate_pair(picture(8, 8), picture(8, 8), 4), "nothing is left of 8x8"),
        (lambda: evaluate_pair(picture(16, 16), picture(16, 16), 4), "8x8 are too small"),
        (lambda: modcrop(picture(), 0), "scale=0"),
        (lambda: bicubic_row([], 2), "no images"),
    ],
)
def test_what_does_not_fit_the_protocol_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
