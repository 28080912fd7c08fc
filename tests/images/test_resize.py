"""Resizing keeps what it must: size, channels, means, centre, and colours free of what is hidden."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import ConfigError
from limner.images.resize import fit

HOWS = ["crop", "pad", "squash"]
SIZES = st.integers(1, 40)


def noise(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@settings(max_examples=150, deadline=None)
@given(SIZES, SIZES, st.integers(1, 6), SIZES, SIZES, st.sampled_from(HOWS))
def test_any_image_gets_any_size(height, width, channels, new_height, new_width, how):
    out = fit(noise(height, width, channels), new_height, new_width, how=how)
    assert out.shape == (new_height, new_width, channels)
    assert out.dtype == np.uint8


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_an_image_of_the_size_is_returned_as_it_is(how, channels):
    image = noise(7, 9, channels)
    assert fit(image, 7, 9, how=how) is image


@pytest.mark.parametrize("how", HOWS)
def test_one_colour_stays_one_colour(how):
    image = np.full((31, 17, 3), (10, 120, 250), np.uint8)
    assert (fit(image, 24, 24, how=how, background=(10, 120, 250)) == (10, 120, 250)).all()


def test_shrinking_averages_rather_than_skips():
    """A fine checkerboard becomes gray; without antialiasing it would become stripes."""
    board = (np.indices((128, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    out = fit(board, 16, 16, how="squash")
    assert np.abs(out.astype(int) - 127).max() <= 3


def test_crop_keeps_the_centre():
    image = np.zeros((20, 60, 1), np.uint8)
    image[:, 20:40] = 200
    assert (fit(image, 20, 20) == 200).all()  # nothing is scaled, so nothing of the sides may come in
    assert (fit(image, 10, 10)[:, 1:-1] >= 195).all()


def test_crop_is_symmetric():
    image = noise(33, 50, 3)
    np.testing.assert_array_equal(fit(image[:, ::-1], 16, 16), fit(image, 16, 16)[:, ::-1])


def test_pad_shows_all_of_the_image_on_the_background():
    image = np.full((10, 40, 3), 50, np.uint8)
    out = fit(image, 40, 40, how="pad", background=(1, 2, 3))
    assert (out[15:25] == 50).all()
    assert (out[:15] == (1, 2, 3)).all() and (out[25:] == (1, 2, 3)).all()


def test_pad_is_transparent_where_there_is_alpha_and_gray_where_there_is_no_colour():
    assert (fit(noise(4, 16, 4), 16, 16, how="pad")[0, :, 3] == 0).all()
    assert (fit(noise(4, 16, 1), 16, 16, how="pad", background=(90, 90, 90))[0] == 90).all()


@pytest.mark.parametrize("size", [(8, 8), (50, 50)])
def test_hidden_colours_do_not_bleed(size):
    image = np.zeros((32, 32, 4), np.uint8)
    image[..., 0] = 255  # red everywhere, but it shows only where alpha is; the rest hides green
    image[:, 16:] = (0, 255, 0, 0)
    image[:, :16, 3] = 255
    out = fit(image, *size, how="squash")
    shown = out[out[..., 3] > 16]
    assert (shown[:, 0] > 240).all() and (shown[:, 1] < 16).all()


@pytest.mark.parametrize("channels", [2, 5])
def test_more_channels_are_resized_like_single_ones(channels):
    image = noise(20, 30, channels)
    out = fit(image, 9, 11)
    for channel in range(channels):
        np.testing.assert_array_equal(out[..., channel], fit(image[..., channel : channel + 1], 9, 11)[..., 0])


def test_thin_images_survive():
    assert fit(noise(1, 2000, 3), 16, 16, how="pad").shape == (16, 16, 3)
    assert fit(noise(2000, 1, 3), 16, 16).shape == (16, 16, 3)


def test_errors_name_value_and_way_out():
    with pytest.raises(ConfigError, match="did you mean crop"):
        fit(noise(4, 4, 3), 2, 2, how="corp")
    with pytest.raises(ConfigError, match="0x5"):
        fit(noise(4, 4, 3), 0, 5)
    with pytest.raises(ConfigError, match="float64"):
        fit(np.zeros((4, 4, 3)), 2, 2)
