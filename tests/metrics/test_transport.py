"""Transport on a line against SciPy, and against repeating values until both sides have one size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from limner.metrics.transport import coupling, transport_cost, unit_directions
from limner.rng import generator

SIZES = [(1, 1), (5, 5), (4, 6), (1, 9), (7, 13), (12, 3)]


def sides(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(0, "transport", n, m)
    return np.sort(rng.normal(size=(3, n))), np.sort(rng.normal(1, 2, size=(3, m)))


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_order_1_is_scipys_distance(n, m):
    first, second = sides(n, m)
    expected = [wasserstein_distance(a, b) for a, b in zip(first, second, strict=True)]
    assert transport_cost(first, second, coupling(n, m), power=1) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_order_2_is_that_of_sets_repeated_to_one_size(n, m):
    first, second = sides(n, m)
    common = np.lcm(n, m)
    apart = np.repeat(first, common // n, axis=1) - np.repeat(second, common // m, axis=1)
    expected = np.square(apart).mean(axis=1)
    assert transport_cost(first, second, coupling(n, m), power=2) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_mass_is_whole_and_every_value_is_used(n, m):
    joined = coupling(n, m)
    assert joined.mass.sum() == pytest.approx(1) and (joined.mass > 0).all()
    assert set(joined.first) == set(range(n)) and set(joined.second) == set(range(m))
    assert np.bincount(joined.first, joined.mass) == pytest.approx(np.full(n, 1 / n))


def test_directions_have_length_one_and_do_not_depend_on_how_many_there_are():
    many, few = (unit_directions(count, 5, seed=3, purpose="test") for count in (40, 10))
    assert np.linalg.norm(many, axis=1) == pytest.approx(np.ones(40))
    assert (many[:10] == few).all()
