"""Stylising: nothing at strength 0, nearer to the style with every step, and one learned style at any size."""

import numpy as np
import pytest
import torch

from limner.errors import ConfigError
from limner.features.perception import perception
from limner.images.bicubic import resize_to
from limner.images.grid import from_uint8
from limner.losses.style import gram, gram_distance
from limner.tasks.stylize import Manner, _sizes, stylize

QUICK = {"steps": 8, "features": "random"}


def picture(height=40, width=48, seed=0):
    rng = np.random.default_rng(seed)
    return np.floor(resize_to(rng.random((9, 9, 3)), height, width).clip(0, 1) * 255).astype(np.uint8)


def stripes(side=48):
    image = np.zeros((side, side, 3), np.uint8)
    image[:, ::4] = [255, 40, 0]
    return image


def apart(image, style, features="random"):
    network = perception(features)
    with torch.no_grad():
        seen, wanted = (network(torch.from_numpy(from_uint8(each[None]))) for each in (image, style))
        return float(sum(gram_distance(a, gram(b)) for a, b in zip(seen, wanted, strict=True)))


def test_strength_nought_gives_the_picture_back():
    assert np.array_equal(stylize(picture(), [stripes()], manner=Manner(strength=0)), picture())


@pytest.mark.parametrize("statistics", ["gram", "transport", "moments", "whitening"])
@pytest.mark.parametrize("features", ["random", "lite0"])
def test_a_picture_comes_nearer_to_its_style(statistics, features):
    manner = Manner(statistics=statistics, strength=0.9, steps=12, features=features)
    made = stylize(picture(), [stripes()], manner=manner)
    assert made.shape == (40, 48, 3) and apart(made, stripes(), features) < 0.9 * apart(picture(), stripes(), features)
    assert np.array_equal(made, stylize(picture(), [stripes()], manner=manner))


def test_shares_decide_between_styles():
    flat = np.full((48, 48, 3), 30, np.uint8)
    manner = Manner(**QUICK, strength=1)
    first, second = (stylize(picture(), [stripes(), flat], shares=shares, manner=manner) for shares in ([1, 0], [0, 1]))
    assert apart(first, stripes()) < apart(second, stripes())


def test_colours_are_kept_when_asked():
    grays = np.repeat(picture(seed=3)[..., :1], 3, axis=2)
    made = stylize(grays, [stripes()], manner=Manner(**QUICK, keep_colour=True))
    assert np.ptp(made.astype(int), axis=2).max() <= 2  # a gray picture stays gray


def test_sizes_go_from_coarse_to_the_pictures_own():
    assert _sizes(100, 100) == [(100, 100)]
    assert _sizes(512, 256) == [(128, 64), (256, 128), (512, 256)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": 1.5}, "strength=1.5"),
        ({"steps": 0}, "steps=0"),
        ({"features": "resnet"}, "unknown features"),
        ({"statistics": "mean"}, "unknown statistics"),
    ],
)
def test_manners_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Manner(**settings)


def test_styles_and_sizes_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="no style"):
        stylize(picture(), [])
    with pytest.raises(ConfigError, match="no shares of 1 styles"):
        stylize(picture(), [stripes()], shares=[1, 2])
    with pytest.raises(ConfigError, match="20x300 is too small"):
        stylize(picture(20, 300), [stripes()], manner=Manner(**QUICK))
