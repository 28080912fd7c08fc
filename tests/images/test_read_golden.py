"""Odd but legal images come out pixel by pixel as their formats' specifications say."""

import numpy as np
import pytest
from image_cases import CASES

from limner.images.read import decode, inspect


def test_the_set_is_large_enough():
    assert len(CASES) >= 120


@pytest.mark.parametrize("name", CASES)
def test_pixels_are_as_expected(name):
    data, expected, tolerance = CASES[name]
    pixels = decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape
    worst = np.abs(pixels.astype(int) - expected).max()
    assert worst <= tolerance


@pytest.mark.parametrize("name", CASES)
def test_inspect_foretells_what_decode_gives(name):
    data, expected, _ = CASES[name]
    info = inspect(data)
    assert (info.height, info.width, info.channels) == expected.shape
    assert info.frames == (2 if name.endswith(("animated", "pages")) and "orientation" not in name else 1)
