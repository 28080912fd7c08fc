"""A PNG written in bands is read by Pillow as the picture that it was made of."""

import io

import numpy as np
import pytest
from PIL import Image

from limner.errors import ConfigError
from limner.images.stream import encode_png_bands


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("heights", [(1,), (5, 3, 2), (1, 1, 1)])
def test_bands_are_one_picture(channels, heights):
    image = np.random.default_rng(0).integers(0, 256, (sum(heights), 7, channels), np.uint8)
    bands = np.split(image, np.cumsum(heights)[:-1])
    packed = b"".join(encode_png_bands(bands, len(image), 7, channels))
    read = np.array(Image.open(io.BytesIO(packed)))
    assert np.array_equal(read.reshape(image.shape), image)


@pytest.mark.parametrize("rows", [3, 5])
def test_bands_that_do_not_add_up_are_refused(rows):
    with pytest.raises(ConfigError, match="rows"):
        list(encode_png_bands([np.zeros((rows, 2, 3), np.uint8)], 4, 2, 3))


def test_what_is_no_png_is_refused():
    with pytest.raises(ConfigError, match="channels"):
        list(encode_png_bands([], 4, 2, 2))
    with pytest.raises(ConfigError, match="does not fit"):
        list(encode_png_bands([np.zeros((4, 3, 3), np.uint8)], 4, 2, 3))
