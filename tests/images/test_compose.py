"""Joining pictures: exact where mathematics says so, and without seams where eyes would see them."""

import numpy as np
import pytest

from limner.errors import ConfigError
from limner.images.bicubic import resize_to
from limner.images.compose import finished
from limner.images.compose.blend import alpha, collapsed, laplacian, pyramid
from limner.images.compose.colours import harmonised, transported
from limner.images.compose.poisson import poisson, residual
from limner.images.compose.seams import closed_cut, cut, offset, panorama, seamless


def smooth(height, width, channels=3, seed=0):
    """A picture with broad and fine structure."""
    rng = np.random.default_rng(seed)
    return (
        resize_to(rng.random((6, 7, channels)), height, width) * 180 + 40 + 10 * rng.random((height, width, channels))
    )


def disc(height, width, radius=0.3):
    rows, columns = np.arange(height)[:, None] - height / 2, np.arange(width) - width / 2
    return (np.hypot(rows, columns) < radius * min(height, width)).astype(float)


def jump(image, mask):
    """How much steeper a picture is across the rim of a mask than elsewhere: mean absolute differences."""
    inside = mask > 0.5
    across = inside[:, 1:] != inside[:, :-1]
    steps = np.abs(np.diff(image, axis=1)).mean(axis=2)
    return steps[across].mean() - steps[~across].mean()


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (5, 9), (1, 1), (3, 128)])
@pytest.mark.parametrize("levels", [1, 3, 5])
def test_a_pyramid_gives_its_picture_back(size, levels):
    image = smooth(*size)
    assert np.abs(collapsed(laplacian(image, levels)) - image).max() <= 1e-6


@pytest.mark.parametrize("join", [alpha, pyramid])
def test_a_picture_joined_with_itself_is_itself_and_masks_of_one_value_choose(join):
    under, over = smooth(40, 33), smooth(40, 33, seed=1)
    np.testing.assert_allclose(join(under, under, disc(40, 33)), under, atol=1e-9)
    np.testing.assert_allclose(join(under, over, np.zeros((40, 33))), under, atol=1e-9)
    np.testing.assert_allclose(join(under, over, np.ones((40, 33))), over, atol=1e-9)


@pytest.mark.parametrize("mask", [disc(40, 33), np.pad(np.ones((10, 12)), ((0, 30), (0, 21))), disc(40, 33, 0.05)])
def test_poisson_is_solved(mask):
    under, over = smooth(40, 33), smooth(40, 33, seed=1)
    made = poisson(under, over, mask)
    assert residual(made, under, over, mask) <= 1e-6
    assert np.array_equal(made[mask <= 0.5], under[mask <= 0.5])
    assert residual(over, under, over, mask) > 1e-3  # the check can fail


def odd_masks(side):
    """Holes of every kind: scattered, in lines, along the edge, nearly everything, in a spiral one pixel wide."""
    rng = np.random.default_rng(0)
    rows, columns = np.arange(side)[:, None] - side / 2, np.arange(side) - side / 2
    turns = np.hypot(rows, columns) / 3 - np.arctan2(rows, columns) / (2 * np.pi)
    yield from (rng.random((side, side)) < share for share in (0.001, 0.3, 0.6, 0.999))
    yield np.broadcast_to(np.arange(side) % 7 == 0, (side, side))
    yield np.pad(np.ones((side - 1, side), bool), ((1, 0), (0, 0)))
    yield turns % 1 < 0.4


@pytest.mark.parametrize("side", [33, 256])
def test_poisson_takes_few_steps_whatever_the_mask_and_the_size(side, monkeypatch):
    """Preconditioned by its diagonal alone, the equation took two minutes at 800x600."""
    monkeypatch.setattr("limner.images.compose.poisson._MOST_STEPS", 30)
    under, over = smooth(side, side, 1), smooth(side, side, 1, seed=1)
    for mask in odd_masks(side):
        assert residual(poisson(under, over, mask * 1.0), under, over, mask * 1.0) <= 1e-6


def test_poisson_equals_a_dense_solve():
    under, over, mask = smooth(7, 8, 1), smooth(7, 8, 1, seed=1), np.zeros((7, 8))
    mask[2:5, 0:6] = 1  # touches the edge of the picture
    places = [tuple(place) for place in np.argwhere(mask > 0.5)]
    matrix, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for row, (y, x) in enumerate(places):
        for b, a in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if 0 <= b < 7 and 0 <= a < 8:
                matrix[row, row] += 1
                right[row] += over[y, x, 0] - over[b, a, 0]
                if (b, a) in places:
                    matrix[row, places.index((b, a))] -= 1
                else:
                    right[row] += under[b, a, 0]
    np.testing.assert_allclose(poisson(under, over, mask)[mask > 0.5, 0], np.linalg.solve(matrix, right), atol=1e-4)


def test_pasting_a_shifted_copy_gives_the_picture_back():
    """Colours all moved alike have the same gradients, so the rim decides."""
    under = smooth(40, 40)
    np.testing.assert_allclose(poisson(under, under + 35, disc(40, 40)), under, atol=1e-3)
    np.testing.assert_allclose(poisson(under, under, disc(40, 40), mixed=True), under, atol=1e-3)


@pytest.mark.parametrize("join", [pyramid, poisson])
def test_seams_jump_a_fifth_of_a_plain_paste_at_most(join):
    under, over = smooth(96, 96), smooth(96, 96, seed=1) * 0.5
    mask = disc(96, 96)
    plain = jump(alpha(under, over, mask), mask)
    assert plain > 20 and abs(jump(join(under, over, mask), mask)) <= 0.2 * plain


def test_transport_carries_mean_and_covariance():
    rng = np.random.default_rng(0)
    of, to = (
        rng.normal(size=(5000, 3)) * [30, 10, 20] + 100,
        rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3)) * 15 + 60,
    )
    moved = transported(of, of, to)
    np.testing.assert_allclose(moved.mean(0), to.mean(0), atol=1e-6)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(to.T), atol=4)  # within the unit that keeps flat colours flat


def test_harmonising_by_nothing_changes_nothing_and_by_all_brings_the_mean_over():
    under, over, mask = smooth(40, 40), smooth(40, 40, seed=1) * 0.4, disc(40, 40)
    assert np.array_equal(harmonised(over, under, mask, strength=0), over)
    inside = mask > 0.5
    moved = harmonised(over, under, mask, strength=1)
    np.testing.assert_allclose(moved[inside].mean(0), under[~inside].mean(0), atol=1e-6)


def test_a_seamless_texture_wraps():
    image = smooth(64, 80)
    made = seamless(image)
    assert made.shape == (48, 60, 3)
    for axis in (0, 1):
        steps = np.abs(np.diff(made, axis=axis)).mean()
        wrap = np.abs(made.take(0, axis) - made.take(-1, axis)).mean()
        before = np.abs(image.take(0, axis) - image.take(-1, axis)).mean()
        assert wrap < 2 * steps and before > 3 * steps


@pytest.mark.parametrize("seed", range(4))
def test_every_row_and_column_of_a_texture_wraps(seed):
    """The bands where ends were joined, too: the second joint must not break the first."""
    made = seamless(smooth(96, 120, seed=seed) + 20 * smooth(96, 120, seed=seed + 9).round(-2) / 100)
    for axis in (0, 1):
        around = np.abs(made.take(0, axis) - made.take(-1, axis)).mean(-1)
        inner = np.abs(np.diff(made, axis=axis)).mean(-1)
        assert around.max() <= 1.5 * np.quantile(inner, 0.999)


@pytest.mark.parametrize("size", [(64, 80), (97, 71), (120, 33)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_border_of_a_seamless_texture_is_as_smooth_as_its_neighbourhood(size, seed):
    """The band blended last once met itself at neither end of its cut, nor at the ends of its blend."""
    rng = np.random.default_rng(seed)
    made = seamless(resize_to(rng.random((9, 8, 3)), *size) * 200)  # smooth, so that a jump is a seam
    for axis in (0, 1):
        steps = np.abs(made - np.roll(made, 1, axis)).mean(axis=2)  # index 0 is the wrapped border
        band = round(0.25 * size[1 - axis])
        inner = np.delete(steps, 0, axis)
        for part in (slice(0, band), slice(band, None)):  # in the blended band, with the corner, and beyond it
            across = (slice(None), part) if axis == 0 else (part, slice(None))
            assert steps[across].take(0, axis).max() <= inner[across].max()
            assert steps[across].take(0, axis).mean() <= 2 * inner[across].mean()


def test_a_closed_cut_ends_where_it_began():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cost = rng.random((30, 9))
        path = closed_cut(cost)
        assert len(path) == 30 and np.abs(np.diff(np.append(path, path[0]))).max() <= 1
        open_cost = cost[np.arange(30), cut(cost)].sum()
        assert open_cost <= cost[np.arange(30), path].sum() <= open_cost + 4


@pytest.mark.parametrize("shift", [(0, 70), (4, 55), (-6, 83)])
def test_a_panorama_finds_where_its_pictures_lie(shift):
    scene = smooth(90, 260)
    first, second = scene[10:74, :110], scene[10 + shift[0] : 74 + shift[0], shift[1] : shift[1] + 110]
    assert offset(first, second) == shift
    whole = panorama([first, second])
    top, bottom = 10 + max(0, shift[0]), 74 + min(0, shift[0])
    np.testing.assert_allclose(whole, scene[top:bottom, : shift[1] + 110], atol=1e-6)


def test_three_pictures_in_a_row():
    scene = smooth(48, 300)
    whole = panorama([scene[:, :120], scene[:, 80:200], scene[:, 170:300]])
    np.testing.assert_allclose(whole, scene, atol=1e-6)


def test_pictures_that_do_not_overlap_are_refused():
    with pytest.raises(ConfigError, match="one height"):
        panorama([smooth(20, 30), smooth(21, 30)])
    with pytest.raises(ConfigError, match="picture 2 of the panorama does not overlap"):
        panorama([smooth(32, 40), smooth(32, 40, seed=5)])


def test_a_cut_takes_the_cheapest_way():
    cost = np.ones((6, 5))
    for row, column in enumerate([2, 3, 3, 4, 3, 2]):
        cost[row, column] = 0
    assert cut(cost).tolist() == [2, 3, 3, 4, 3, 2]


@pytest.mark.parametrize("join", [alpha, pyramid, poisson])
def test_unlike_sizes_are_refused(join):
    with pytest.raises(ConfigError, match="a mask of 5x5 cannot be joined"):
        join(smooth(6, 6), smooth(6, 6), np.ones((5, 5)))
    with pytest.raises(ConfigError, match="covers the whole picture"):
        poisson(smooth(6, 6), smooth(6, 6), np.ones((6, 6)))


def test_finished_pictures_are_rounded_and_clipped():
    assert finished(np.array([[[-3.0, 0.5, 300.0]]])).tolist() == [[[0, 1, 255]]]
