"""The rivals of restorers are worth beating: they do what their theory says."""

import numpy as np
from benchmarks import classical

from limner.images.degrade import parse


def smooth(seed=0, side=48):
    rng = np.random.default_rng(seed)
    return parse("blur:2")(rng.integers(0, 256, (1, side, side + 5, 1), np.uint8), rng)[0].clip(0, 255)


def test_the_wiener_filter_takes_back_a_known_blur_without_noise():
    true = smooth()
    blurred = parse("blur:1")(true[None].astype(np.uint8), np.random.default_rng(1))[0]
    (made,) = classical.wiener([blurred], [true], 1.0)
    assert classical.psnr(made, true) > classical.psnr(blurred, true) + 6


def test_with_noise_it_still_gains():
    true = smooth()
    bad = parse("blur:1,noise:4")(true[None].astype(np.uint8), np.random.default_rng(1))[0]
    (made,) = classical.wiener([bad], [true], 1.0)
    assert classical.psnr(made, true) > classical.psnr(bad, true) + 0.5


def test_diffusion_continues_a_slope_into_a_hole():
    rows, columns = np.mgrid[:20, :30]
    true = (2 * rows + 3 * columns)[..., None].astype(np.float64)
    hole = np.zeros((20, 30), bool)
    hole[5:12, 8:20] = True
    np.testing.assert_allclose(classical.diffused(true * ~hole[..., None], hole), true, atol=1e-3)
    assert classical.psnr(true * ~hole[..., None], true, hole) < 20
