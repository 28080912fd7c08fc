"""Settings of the data are checked when they are made."""

import pytest

from limner.data import DataConfig
from limner.data.config import parse_colour, parse_resolution
from limner.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"), [("64", (64, 64)), (32, (32, 32)), ("96x64", (96, 64)), (" 9 x 7 ", (9, 7)), (None, None)]
)
def test_resolution(text, size):
    assert parse_resolution(text) == size


@pytest.mark.parametrize("text", ["0", "64x", "a", "64x64x64", -8, "5000", "1.5", ""])
def test_resolution_that_is_none(text):
    with pytest.raises(ConfigError, match="height x width"):
        DataConfig(resolution=text)


def test_colours():
    assert parse_colour("White") == (255, 255, 255) and parse_colour("#0a0B0c") == (10, 11, 12)
    with pytest.raises(ConfigError, match="did you mean white"):
        DataConfig(background="whit")


@pytest.mark.parametrize("wrong", [{"fit": "corp"}, {"channels": 2}, {"max_bad": 2.0}, {"workers": -1}])
def test_values_that_cannot_be_used(wrong):
    with pytest.raises(ConfigError):
        DataConfig(**wrong)
