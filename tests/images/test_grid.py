"""Grids put every image where it belongs, and the model's range maps to pixels and back without loss."""

import numpy as np
import pytest

from limner.errors import ConfigError, ModelError
from limner.images.grid import from_uint8, grid, labelled_rows, shortened, to_uint8


def batch(number, height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, height, width, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("columns", "shape"), [(None, (3, 3)), (4, (2, 4)), (1, (7, 1)), (50, (1, 7))])
def test_every_image_is_found_in_its_cell(channels, columns, shape):
    images = batch(7, 5, 4, channels)
    picture = grid(images, columns=columns, padding=2, background=9, scale=3)
    rows, across = shape
    assert picture.shape == (rows * 17 + 2, across * 14 + 2, channels)
    for index, image in enumerate(images):
        top, left = index // across * 17 + 2, index % across * 14 + 2
        cell = picture[top : top + 15, left : left + 12]
        np.testing.assert_array_equal(cell, np.kron(image, np.ones((3, 3, 1), np.uint8)))


def test_the_rest_is_background():
    picture = grid(np.zeros((3, 4, 4, 1), np.uint8), columns=2, padding=1, background=77)
    assert (picture == 77).sum() == picture.size - 3 * 16
    assert (picture[6:, 6:] == 77).all()  # the empty cell


def test_transparency_shows_a_light_checkerboard():
    images = batch(2, 16, 16, 4)
    images[..., 3] = 0
    picture = grid(images, padding=0)
    assert picture.shape[2] == 3
    assert set(np.unique(picture)) == {228, 255}
    images[..., 3] = 255
    np.testing.assert_array_equal(grid(images[:1], padding=0), images[0, ..., :3])


@pytest.mark.parametrize(("channels", "shown"), [(2, 1), (5, 3)])
def test_odd_channel_counts_show_what_can_be_shown(channels, shown):
    images = batch(1, 4, 4, channels)
    np.testing.assert_array_equal(grid(images, padding=0), images[0, ..., :shown])


@pytest.mark.parametrize("images", [batch(0, 4, 4, 3), np.zeros((2, 4, 4, 3)), batch(2, 4, 4, 3)[0]])
def test_what_is_no_batch_is_an_error(images):
    with pytest.raises(ConfigError, match="cannot be shown"):
        grid(images)


def test_rows_are_stacked_under_their_captions():
    rows = {"data": batch(4, 8, 8, 3), "samples": batch(2, 8, 8, 1), "with alpha": batch(3, 8, 8, 4)}
    picture = labelled_rows(rows, scale=2)
    assert picture.ndim == 3 and picture.shape[2] == 3
    for images in rows.values():
        body = np.broadcast_to(grid(images, columns=len(images), scale=2), (20, 18 * len(images) + 2, 3))
        assert contains_rows(picture[:, : body.shape[1]], body)


def contains_rows(picture, body):
    starts = range(len(picture) - len(body) + 1)
    return any(np.array_equal(picture[top : top + len(body)], body) for top in starts)


@pytest.mark.parametrize(("background", "ink"), [(255, 0), (0, 255)])
def test_captions_can_be_read_and_are_not_cut(background, ink):
    images = np.full((1, 2, 2, 1), background, np.uint8)
    long = labelled_rows({"a caption much wider than the image": images}, background=background)
    longer = labelled_rows({"a caption much wider than the image!!!!": images}, background=background)
    assert longer.shape[1] > long.shape[1] > 100
    assert (long == ink).any()


def test_no_rows_is_an_error():
    with pytest.raises(ConfigError, match="no rows"):
        labelled_rows({})


def test_all_levels_survive_the_way_to_the_model_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    images = from_uint8(levels)
    assert images.shape == (1, 1, 16, 16) and images.dtype == np.float32
    assert images.min() == -1 and images.max() == 1
    np.testing.assert_array_equal(to_uint8(images), levels)


def test_values_are_rounded_and_clipped():
    values = np.array([-9, -1, -1 + 0.9 / 255, -1 + 1.1 / 255, 0, 1, 9], np.float32).reshape(1, 1, 1, 7)
    assert to_uint8(values).ravel().tolist() == [0, 0, 0, 1, 128, 255, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_is_an_error_not_a_dark_picture(value):
    images = np.zeros((3, 1, 2, 2), np.float32)
    images[1, 0, 0, 0] = value
    with pytest.raises(ModelError, match="1 of 3 images are not finite, the first is 1"):
        to_uint8(images)


def test_captions_have_no_letters_that_cannot_be_drawn():
    """Those that the font lacks are drawn as their like without accents, or as ?, not as boxes."""
    images = np.zeros((1, 30, 300, 1), np.uint8)
    draw = lambda text: labelled_rows({text: images})  # noqa: E731
    assert np.array_equal(draw("漢 x"), draw("? x"))
    assert np.array_equal(draw("ệ"), draw("e")) or not np.array_equal(draw("ệ"), draw("?"))
    assert not np.array_equal(draw("é"), draw("?"))


@pytest.mark.parametrize("width", [20, 60, 120, 400])
def test_a_long_caption_is_shortened_to_its_room(width):
    text = "a rather long caption of many words"
    short = shortened(text, width)
    drawn = labelled_rows({short: np.zeros((1, 8, 8, 1), np.uint8)})
    assert drawn.shape[1] <= max(width, 12) and (short == text or short.endswith("…"))
