"""MIND: closed forms, unequal sizes, the bias and its removal, intervals, errors."""

from __future__ import annotations

import numpy as np
import pytest

from limner.errors import ConfigError, DataError
from limner.metrics import mind as module
from limner.metrics.mind import mind
from limner.metrics.transport import unit_directions
from limner.rng import generator


def normal(count: int, dimension: int, purpose: str, index: int = 0) -> np.ndarray:
    return generator(11, purpose, index).standard_normal((count, dimension)).astype(np.float32)


def test_a_shift_is_measured_exactly():
    """Moved by δ, every projection moves by u·δ: 3 D times the mean of its square, 3 |δ|² over all directions."""
    rows, shift = normal(50, 6, "rows").astype(np.float64), np.array([1.0, 0, 0, 2, 0, 0])
    directions = unit_directions(4_000, 6, seed=0, purpose="mind directions")
    found = mind(rows + shift, rows, directions=4_000).distance.value
    assert found == pytest.approx(18 * np.square(directions @ shift).mean(), rel=1e-9)
    assert found == pytest.approx(3 * 5, rel=0.03)


def test_gaussians_on_a_line_are_at_the_distance_that_the_closed_form_says():
    """W² of N(μ, s²) and N(0, 1) is μ² + (s - 1)²; α is 3 for one dimension."""
    generated, real = normal(40_000, 1, "generated") * 1.5 + 0.7, normal(40_000, 1, "real")
    assert mind(generated, real, directions=2).distance.value == pytest.approx(3 * (0.49 + 0.25), rel=0.03)


def test_isotropic_gaussians_are_at_the_distance_that_the_closed_form_says():
    """Every projection is N(u·δ, s²): 3 |δ|² + 3 D (s - 1)²."""
    shift = np.float32([1, -1, 0, 0, 0, 0, 0, 0])
    generated, real = normal(8_000, 8, "generated") * 2 + shift, normal(8_000, 8, "real")
    assert mind(generated, real, directions=200).debiased.value == pytest.approx(3 * 2 + 24, rel=0.05)


def test_equal_sets_are_at_no_distance_in_any_order():
    rows = normal(60, 30, "rows")
    assert mind(rows, rows).distance.value == 0
    assert mind(rows[::-1].copy(), rows).distance.value == pytest.approx(0, abs=1e-12)


def test_a_set_repeated_is_the_set():
    generated, real = normal(12, 5, "generated"), normal(12, 5, "real")
    once = mind(generated, real).distance.value
    assert mind(np.repeat(generated, 3, axis=0), real).distance.value == pytest.approx(once)
    assert mind(np.repeat(generated, 3, axis=0), np.repeat(real, 2, axis=0)).distance.value == pytest.approx(once)


def test_blocks_change_nothing(monkeypatch):
    sides = normal(30, 7, "generated"), normal(40, 7, "real")
    whole = mind(*sides)
    monkeypatch.setattr(module, "ROWS", 3)
    monkeypatch.setattr(module, "PROJECTED_VALUES", 1)
    apart = mind(*sides)
    assert apart.distance.value == pytest.approx(whole.distance.value, rel=1e-9)
    assert apart.debiased.value == pytest.approx(whole.debiased.value, abs=1e-6 * whole.bias)


@pytest.mark.parametrize(("n", "m", "remains"), [(40, 40, 0.1), (40, 160, 0.2)])
def test_the_bias_is_known_and_most_of_it_taken_off(n, m, remains):
    """Of equal Gaussians the distance is 0 but the expected value is not."""
    draws = [mind(normal(n, 12, "generated", i), normal(m, 12, "real", i), directions=50, seed=i) for i in range(60)]
    published, debiased = ([getattr(draw, name).value for draw in draws] for name in ("distance", "debiased"))
    error = np.std(debiased) / len(draws) ** 0.5
    assert np.mean(published) > 20 * error
    assert abs(np.mean(debiased)) < remains * np.mean(published) + 2 * error
    assert min(debiased) < 0


@pytest.mark.parametrize("count", [20, 200])
def test_fewer_images_than_dimensions_are_enough(count):
    generated, real = normal(count, 256, "generated") + 0.2, normal(count, 256, "real")
    found, alike = mind(generated, real, directions=200), mind(normal(count, 256, "other"), real, directions=200)
    assert found.debiased.value > alike.debiased.value
    assert 0 < found.distance.interval.low < found.distance.value < found.distance.interval.high


@pytest.mark.parametrize(("shift", "scale"), [(0.3, 1.0), (0.5, 1.4)])
def test_intervals_cover_what_is_measured_on_average(shift, scale):
    draws = [
        mind(normal(64, 6, "generated", i) * scale + shift, normal(64, 6, "real", i), directions=40) for i in range(200)
    ]
    for found in ([draw.distance for draw in draws], [draw.debiased for draw in draws]):
        mean = np.mean([each.value for each in found])
        covered = np.mean([each.interval.low <= mean <= each.interval.high for each in found])
        assert 0.91 <= covered <= 0.99


def test_too_few_images_have_a_value_and_neither_interval_nor_bias():
    found = mind(normal(5, 4, "generated"), normal(30, 4, "real"))
    assert found.distance.value > 0 and found.distance.interval is None and found.bias is None


def test_what_cannot_be_compared_is_refused():
    rows = normal(20, 4, "rows")
    with pytest.raises(ConfigError, match="4 features and real rows of 3"):
        mind(rows, rows[:, :3])
    with pytest.raises(ConfigError, match="directions=0"):
        mind(rows, rows, directions=0)
    broken = rows.copy()
    broken[3, 1] = np.nan
    with pytest.raises(DataError, match="row 3 of real features"):
        mind(rows, broken)
