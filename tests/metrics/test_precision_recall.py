"""Precision, recall, density, coverage: naive reference, closed forms, published values, ties, intervals, errors."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from limner.errors import ConfigError, DataError
from limner.metrics import precision_recall as module
from limner.metrics.precision_recall import density_coverage, expected_coverage, precision_recall
from limner.rng import generator


def normal(count: int, dimension: int, purpose: str, index: int = 0) -> np.ndarray:
    return generator(7, purpose, index).standard_normal((count, dimension)).astype(np.float32)


def measured(generated: np.ndarray, real: np.ndarray, *, k: int) -> list[float]:
    one, other = precision_recall(generated, real, k=k), density_coverage(generated, real, k=k)
    return [found.value for found in (one.precision, one.recall, other.density, other.coverage)]


def naive(generated: np.ndarray, real: np.ndarray, *, k: int) -> list[float]:
    """All distances at once, by subtraction, from the definitions."""

    def squares(a, b):
        return np.square(a[:, None].astype(np.float64) - b).sum(axis=2)

    def radii(rows):
        return np.sort(squares(rows, rows), axis=1)[:, k]  # the nearest is the row itself

    across = squares(generated, real)
    in_real, in_generated = across <= radii(real), across <= radii(generated)[:, None]
    return [in_real.any(1).mean(), in_generated.any(0).mean(), in_real.sum(1).mean() / k, in_real.any(0).mean()]


@pytest.mark.parametrize(
    ("n", "m", "dimension", "k"), [(60, 60, 3, 3), (200, 90, 40, 5), (31, 150, 2, 1), (9, 7, 4, 6)]
)
def test_it_equals_the_naive_reference(n, m, dimension, k):
    generated, real = normal(n, dimension, "generated") * 0.9 + 0.1, normal(m, dimension, "real")
    assert measured(generated, real, k=k) == pytest.approx(naive(generated, real, k=k), abs=1e-12)


@pytest.mark.parametrize("offset", [0, 1_000])
def test_ties_between_whole_numbers_count_exactly(offset):
    """On a lattice most distances are equal to others; rounding would decide at random which are below a radius."""
    rng = generator(0, "lattice")
    generated, real = (rng.integers(0, 4, size=(count, 3)).astype(np.float32) + offset for count in (120, 80))
    assert measured(generated, real, k=3) == naive(generated, real, k=3)


def test_a_line_by_hand():
    real = np.array([[0.0], [1.0], [5.0]])  # radii 1, 1, 4: balls [-1, 1], [0, 2], [1, 9]
    generated = np.array([[-2.0], [1.0], [9.0], [20.0]])  # radii 3, 3, 8, 11: balls [-5, 1], [-2, 4], [1, 17], [9, 31]
    found = measured(generated, real, k=1)
    assert found == [2 / 4, 3 / 3, (0 + 3 + 1 + 0) / 4, 3 / 3]


def test_equal_sets_in_any_order_are_wholly_precise_and_recalled():
    rows = normal(300, 64, "real")
    precision, recall, density, coverage = measured(rows[::-1].copy(), rows, k=5)
    assert (precision, recall, coverage) == (1, 1, 1) and density > 1


def test_sets_far_apart_share_nothing():
    assert measured(normal(50, 8, "generated") + 100, normal(50, 8, "real"), k=5) == [0, 0, 0, 0]


def test_repeated_rows_have_balls_of_radius_zero():
    real = np.repeat(normal(4, 3, "real"), 5, axis=0)
    assert measured(real[::5].copy(), real, k=3) == [1, 1, 5 / 3, 1]
    assert measured(real + np.float32(1e-3), real, k=3) == [0, 0, 0, 0]


def test_neither_tiles_nor_orders_change_a_bit(monkeypatch):
    generated, real = normal(90, 20, "generated"), normal(70, 20, "real")
    whole = precision_recall(generated, real), density_coverage(generated, real)
    monkeypatch.setattr(module, "BLOCK", 3)
    assert (precision_recall(generated, real), density_coverage(generated, real)) == whole
    mixed = generated[::-1].copy(), np.roll(real, 13, axis=0)
    assert measured(*mixed, k=5) == measured(generated, real, k=5)


def test_memory_does_not_grow_with_the_square_of_the_number(monkeypatch):
    """6,000 rows a side: all distances would be 275 MiB."""
    monkeypatch.setattr(module, "BLOCK", 256)
    generated, real = normal(6_000, 2, "generated"), normal(6_000, 2, "real")
    tracemalloc.start()
    density_coverage(generated, real)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20


def test_density_and_coverage_of_equal_distributions_are_what_the_closed_forms_say():
    """Both hold for any distribution, at any N; here 25 against 40."""
    draws = [density_coverage(normal(25, 3, "generated", i), normal(40, 3, "real", i), k=4) for i in range(200)]
    for found, expected in (("density", 1), ("coverage", expected_coverage(25, 40, 4))):
        values = [getattr(draw, found).value for draw in draws]
        assert np.mean(values) == pytest.approx(expected, abs=3 * np.std(values) / len(values) ** 0.5)


def test_coverage_of_large_equal_sets_is_one_minus_two_to_the_minus_k():
    assert expected_coverage(10_000, 10_000, 5) == pytest.approx(1 - 2**-5, abs=1e-4)


@pytest.mark.heavy
def test_10_000_against_10_000_standard_normals_in_1_000_dimensions():
    """The example of Naeem et al.'s package, of one draw without a seed: P .4772, R .4705, D 1.0555, C .9735.

    Draws differ by more than the digits suggest: over 16 of them the standard deviations are those below. So the values
    are held against all distances in another library, and only then against the published draw.
    """
    generated, real = normal(10_000, 1_000, "generated"), normal(10_000, 1_000, "real")
    found = measured(generated, real, k=5)
    assert found == pytest.approx(in_torch(generated, real, k=5), abs=2e-4)
    deviations = np.array([0.008, 0.011, 0.054, 0.0045])
    assert (np.abs(np.subtract(found, [0.4772, 0.4705, 1.0555, 0.9735])) < 3 * 2**0.5 * deviations).all()


def in_torch(generated: np.ndarray, real: np.ndarray, *, k: int) -> list[float]:
    """From distances in float64, rounded as they come, 1,000 rows at a time."""
    ours, theirs = (torch.from_numpy(side).double() for side in (generated, real))

    def radii(rows):
        return torch.cat([torch.cdist(part, rows).kthvalue(k + 1, dim=1).values for part in rows.split(1_000)])

    of_real, of_generated = radii(theirs), radii(ours).split(1_000)
    across = [torch.cdist(part, theirs) for part in ours.split(1_000)]
    balls = torch.cat([(part <= of_real).sum(1) for part in across])
    recalled = torch.stack(
        [(part <= radius[:, None]).any(0) for part, radius in zip(across, of_generated, strict=True)]
    )
    covered = torch.stack([(part <= of_real).any(0) for part in across])
    shares = [balls > 0, recalled.any(0), balls / k, covered.any(0)]
    return [share.double().mean().item() for share in shares]


@pytest.mark.parametrize(("dimension", "scale"), [(3, 1.0), pytest.param(12, 0.8, marks=pytest.mark.heavy)])
def test_intervals_cover_what_is_measured_on_average(dimension, scale):
    """95 % nominal; by 200 draws the share is known to 1.5 %."""
    draws = [
        (normal(96, dimension, "generated", draw) * scale, normal(96, dimension, "real", draw)) for draw in range(200)
    ]
    one, other = ([of(*pair, k=5) for pair in draws] for of in (precision_recall, density_coverage))
    for found in (
        [each.precision for each in one],
        [each.recall for each in one],
        [each.density for each in other],
        [each.coverage for each in other],
    ):
        mean = np.mean([each.value for each in found])
        covered = np.mean([each.interval.low <= mean <= each.interval.high for each in found])
        assert 0.91 <= covered <= 0.99


@pytest.mark.parametrize("count", [20, 200])
def test_small_sets_have_sensible_intervals(count):
    """Features of more dimensions than there are images."""
    found = precision_recall(normal(count, 256, "generated"), normal(count, 256, "real"))
    for each in (found.precision, found.recall):
        assert 0 <= each.interval.low <= each.value <= each.interval.high <= 1
        assert 0.01 < each.interval.high - each.interval.low < 0.9


def test_sets_whose_halves_hold_no_k_neighbours_have_a_value_and_no_interval():
    found = precision_recall(normal(9, 4, "generated"), normal(9, 4, "real"), k=5)
    assert found.precision.interval is None and found.recall.interval is None


def test_values_that_are_not_finite_are_refused():
    rows = normal(20, 4, "real")
    broken = rows.copy()
    broken[7, 2] = np.nan
    with pytest.raises(DataError, match="row 7 of generated features"):
        precision_recall(broken, rows)
    with pytest.raises(DataError, match="row 7 of real features"):
        density_coverage(rows, broken)


@pytest.mark.parametrize("k", [0, 20])
def test_a_k_that_is_not_possible_is_refused(k):
    with pytest.raises(ConfigError, match=f"k={k} needs more than"):
        precision_recall(normal(30, 4, "generated"), normal(20, 4, "real"), k=k)


def test_unlike_dimensions_and_shapes_are_refused():
    with pytest.raises(ConfigError, match="4 features and real rows of 5"):
        density_coverage(normal(20, 4, "generated"), normal(20, 5, "real"))
    with pytest.raises(ConfigError, match="not rows of features"):
        precision_recall(np.zeros(4), np.zeros((4, 4)))
