"""Streamed moments: those of all rows at once, in any parts, in any processes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import ConfigError, DataError
from limner.metrics.moments import Moments
from limner.rng import generator


def rows_of(count: int, width: int, *, shift: float = 0.0, index: int = 0) -> np.ndarray:
    """Correlated float32 rows, far from zero when shifted."""
    noise = generator(0, "test moments", index)
    mixing = noise.standard_normal((width, width))
    return (noise.standard_normal((count, width)) @ mixing + shift).astype(np.float32)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 7), st.sampled_from([0.0, 1000.0]))
def test_parts_of_any_size_give_the_mean_and_covariance_of_the_whole(sizes, width, shift):
    rows = rows_of(sum(sizes) + 2, width, shift=shift)
    cuts = np.cumsum(sizes)
    moments = Moments(width).extend(np.split(rows, cuts))
    wide = rows.astype(np.float64)
    scale = wide.var(axis=0).max() + 1e-9
    assert moments.count == len(rows)
    assert np.allclose(moments.mean, wide.mean(0), rtol=1e-13, atol=1e-12)
    assert np.abs(moments.covariance - np.cov(wide, rowvar=False)).max() < 1e-12 * scale + 1e-10


def test_the_covariance_is_exact_where_float32_products_are_not():
    """256 features around 100: numpy's float64 is met to 1e-13, a float32 product errs a thousand times as much."""
    rows = rows_of(3000, 256, shift=100.0)
    wide = rows.astype(np.float64)
    exact = np.cov(wide, rowvar=False)
    ours = np.abs(Moments.of(rows).covariance - exact).max() / exact.max()
    centred = rows - rows.mean(0)
    single = np.abs((centred.T @ centred) / 2999 - exact).max() / exact.max()
    assert ours < 1e-13 and single > 1e-10


@given(st.integers(0, 30), st.integers(0, 30))
def test_merged_moments_are_those_of_both(left, right):
    rows = rows_of(left + right, 5, shift=50.0)
    merged = Moments(5).add(rows[:left]).merge(Moments(5).add(rows[left:]))
    whole = Moments(5).add(rows)
    assert merged.count == left + right
    assert np.allclose(merged.mean, whole.mean, rtol=1e-12) and np.allclose(merged.scatter, whole.scatter, atol=1e-9)


def test_blocks_of_a_large_part_are_joined():
    rows = rows_of(2500, 3)
    assert np.allclose(Moments.of(rows).covariance, np.cov(rows.astype(np.float64), rowvar=False), rtol=1e-12)


def test_the_covariance_is_exactly_symmetric():
    covariance = Moments(40).extend(np.split(rows_of(300, 40, shift=3.0), 3)).covariance
    assert np.array_equal(covariance, covariance.T)


def test_equal_rows_have_no_variance():
    assert np.array_equal(Moments.of(np.full((50, 4), 0.1, np.float32)).scatter, np.zeros((4, 4)))


def test_moments_survive_a_file(tmp_path):
    moments = Moments.of(rows_of(20, 4))
    np.savez(tmp_path / "moments.npz", **moments.state())
    with np.load(tmp_path / "moments.npz") as arrays:
        again = Moments.from_state(arrays)
    assert again.count == 20 and np.array_equal(again.covariance, moments.covariance)
    assert np.allclose(again.add(rows_of(20, 4)).mean, moments.mean)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_named(bad):
    rows = rows_of(1500, 3)
    rows[1234, 1] = bad
    with pytest.raises(DataError, match="row 1234 is not finite"), np.errstate(invalid="ignore"):
        Moments(3).add(rows)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_have_no_covariance(count):
    with pytest.raises(DataError, match=f"{count} rows have no covariance"):
        Moments(3).add(rows_of(count, 3)).covariance  # noqa: B018


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 1)])
def test_rows_of_another_width_are_refused(shape):
    with pytest.raises(ConfigError, match="do not fit"):
        Moments(3).add(np.zeros(shape, np.float32))


def test_moments_of_other_widths_do_not_merge():
    with pytest.raises(ConfigError, match="do not fit"):
        Moments(3).merge(Moments(4))


def test_nothing_else_is_taken_for_moments():
    state = Moments(3).state()
    with pytest.raises(ConfigError, match="are no moments"):
        Moments.from_state(state | {"mean": np.zeros(4)})
    with pytest.raises(ConfigError, match="at least 1 feature"):
        Moments(0)
    with pytest.raises(ConfigError, match="have no moments"):
        Moments.of(np.zeros(3))
