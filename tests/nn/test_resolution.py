import pytest

from limner.errors import ConfigError
from limner.nn.resolution import check_divisible, halvings


@pytest.mark.parametrize(
    ("height", "width", "depth", "way_out"),
    [
        (30, 30, 3, "resolution 30x30 is not divisible by 8 (3 downsamplings); use 24 or 32, or depth=1"),
        (24, 30, 3, "resolution 24x30 is not divisible by 8 (3 downsamplings); use 24 or 24x32, or depth=1"),
        (5, 5, 3, "resolution 5x5 is not divisible by 8 (3 downsamplings); use 8"),
    ],
)
def test_the_error_names_the_nearest_sizes_and_the_depth_that_fits(height, width, depth, way_out):
    with pytest.raises(ConfigError) as caught:
        check_divisible(height, width, depth)
    assert str(caught.value) == way_out


@pytest.mark.parametrize(("height", "width", "depth"), [(24, 40, 3), (7, 5, 0), (64, 64, 6)])
def test_sides_that_can_be_halved_pass(height, width, depth):
    check_divisible(height, width, depth)


@pytest.mark.parametrize(("height", "width", "expected"), [(28, 28, 2), (64, 24, 3), (31, 32, 0)])
def test_halvings_counts_for_both_sides(height, width, expected):
    assert halvings(height, width) == expected
