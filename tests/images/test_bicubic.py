"""MATLAB-style bicubic resizing: against its definition written out, Pillow's kernel, and what a cubic reproduces."""

import math

import numpy as np
import pytest
from PIL import Image

from limner.errors import ConfigError
from limner.images.bicubic import resize, resize_to

FACTORS = [1 / 4, 1 / 3, 0.5, 0.77, 1.3, 2, 3]


def picture(height=24, width=31, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def naive_line(line, factor):
    """One line of numbers resized, straight from the definition: more taps than needed, each mirrored by walking."""
    made, narrowing = [], min(factor, 1.0)
    for place in range(math.ceil(len(line) * factor - 1e-9)):
        centre = (place + 0.5) / factor - 0.5
        total = weights = 0.0
        for source in range(math.floor(centre) - 20, math.floor(centre) + 21):
            weight = cubic(narrowing * (centre - source))
            while not 0 <= source < len(line):
                source = -1 - source if source < 0 else 2 * len(line) - 1 - source
            total += weight * line[source]
            weights += weight
        made.append(total / weights)
    return made


@pytest.mark.parametrize("factor", FACTORS)
def test_it_is_its_definition_down_the_columns_and_along_the_rows(factor):
    image = picture(11, 9, 1)[..., 0].astype(float)
    columns = np.array([naive_line(column, factor) for column in image.T]).T
    expected = np.array([naive_line(row, factor) for row in columns])
    found = resize(image[..., None], factor)[..., 0]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(12, 16), (40, 90), (24, 31), (61, 20)])
def test_pillow_has_the_same_kernel_inside_the_image(height, width):
    """At the edge Pillow leaves out what lies beyond it, where MATLAB mirrors."""
    image = picture(channels=1)[..., 0].astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    rows, columns = (math.ceil(2.5 * max(1, new / old)) for old, new in zip(image.shape, (height, width), strict=True))
    inside = (slice(rows, -rows), slice(columns, -columns))
    np.testing.assert_allclose(resize_to(image[..., None], height, width)[..., 0][inside], expected[inside], atol=1e-3)


@pytest.mark.parametrize("factor", FACTORS)
def test_one_colour_stays_that_colour(factor):
    for value in (0, 1, 77, 255):
        assert (resize(np.full((9, 14, 3), value, np.uint8), factor) == value).all()


@pytest.mark.parametrize("factor", [1.3, 2, 3])
def test_enlarging_reproduces_a_parabola_inside_the_image(factor):
    """Keys's choice of a = -1/2 is the one that does; places are those of pixel centres."""
    old = np.arange(30.0)
    found = resize((old**2 - 7 * old)[:, None, None], factor)[:, 0, 0]
    places = (np.arange(len(found)) + 0.5) / factor - 0.5
    inside = slice(8, -10)
    np.testing.assert_allclose(found[inside], (places**2 - 7 * places)[inside], atol=1e-9)


def test_a_factor_of_1_changes_nothing():
    assert np.array_equal(resize(picture(), 1), picture()) and np.array_equal(resize_to(picture(), 24, 31), picture())


def test_shrinking_counts_every_pixel():
    """Single pixels of a checkerboard blend into gray; without antialiasing they would beat with the new pixels."""
    board = (np.indices((40, 40)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    for factor in (1 / 4, 1 / 3):
        inside = resize(board, factor)[3:-3, 3:-3]
        assert abs(inside.astype(int) - 128).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(6, 8), (8, 31), (19, 44), (48, 93)])
def test_mirrored_and_turned_images_give_mirrored_and_turned_ones(height, width):
    image = picture().astype(float)
    found = resize_to(image, height, width)
    np.testing.assert_allclose(resize_to(image[::-1], height, width)[::-1], found, atol=1e-9)
    np.testing.assert_allclose(resize_to(image.swapaxes(0, 1), width, height).swapaxes(0, 1), found, atol=1e-9)


@pytest.mark.parametrize("factor", FACTORS)
def test_an_image_is_the_same_alone_and_in_a_batch(factor):
    batch = np.stack([picture(seed=seed) for seed in range(6)]).reshape(2, 3, 24, 31, 3)
    found = resize(batch, factor)
    assert found.shape[:2] == (2, 3)
    assert all(np.array_equal(found[i, j], resize(batch[i, j], factor)) for i in range(2) for j in range(3))


def test_8_bit_images_are_rounded_to_nearest_and_clipped_at_the_end_alone():
    image = picture()
    image[:, :15], image[:, 15:] = 0, 255  # the cubic overshoots beside such an edge
    exact = resize(image.astype(float), 2)
    found = resize(image, 2)
    assert exact.min() < -5 and exact.max() > 260 and found.dtype == np.uint8
    assert np.array_equal(found, np.floor(exact + 0.5).clip(0, 255))


@pytest.mark.parametrize("side", range(1, 40))
def test_sides_are_rounded_up_but_for_the_error_of_a_third(side):
    assert resize(np.zeros((3 * side, 1, 1), np.uint8), 1 / 3).shape == (side, 1, 1)
    assert resize(np.zeros((3 * side + 1, 1, 1), np.uint8), 1 / 3).shape == (side + 1, 1, 1)


@pytest.mark.parametrize("factor", [0, -1, math.nan, math.inf])
def test_a_factor_that_cannot_be_is_refused(factor):
    with pytest.raises(ConfigError, match=f"factor={factor}"):
        resize(picture(), factor)


def test_what_is_no_image_and_an_empty_size_are_refused():
    for wrong in (picture()[..., 0], picture().astype(int), picture()[:0]):
        with pytest.raises(ConfigError, match="is no image"):
            resize(wrong, 2)
        with pytest.raises(ConfigError, match="is no image"):
            resize_to(wrong, 4, 4)
    with pytest.raises(ConfigError, match="0x4 is empty"):
        resize_to(picture(), 0, 4)
