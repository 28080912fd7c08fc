"""Annealed importance sampling against sums over all states."""

import itertools
import math

import pytest
import torch

from limner.nn.annealed import LogPartition, Path, ladder, log_partition
from limner.nn.boltzmann import Machine, log_partition_of_independent
from limner.rng import generator

PIXELS, UNITS = 6, 4
STATES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=PIXELS)))


def path(scale=1.0, seed=0):
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return scale * torch.randn(*shape, generator=random)

    machine = Machine(2 * draw(PIXELS, UNITS), draw(PIXELS), draw(UNITS), torch.rand(PIXELS, generator=random))
    return Path(machine, draw(PIXELS))


def exact(found):
    return float((-found.machine.to(torch.float64).free_energy(STATES.double())).logsumexp(0))


def estimate(found, *, chains=100, steps=300, seed=0):
    return log_partition(found, generator(seed, "test"), chains=chains, steps=steps)


def test_the_estimate_is_the_sum_over_all_states():
    found = path()
    result = estimate(found, chains=500, steps=500)
    assert result.value == pytest.approx(exact(found), abs=0.03)
    assert 0 < result.standard_error < 0.02 and 400 < result.effective_chains <= 500
    assert (result.chains, result.steps) == (500, 500)


def test_the_estimate_of_z_is_unbiased_however_few_steps():
    """Of Z, not of its logarithm, which comes out too low on average."""
    found = path(scale=0.7)
    results = [estimate(found, chains=20, steps=5, seed=seed).value - exact(found) for seed in range(400)]
    ratios = torch.tensor(results).exp()
    assert float(ratios.mean()) == pytest.approx(1, abs=4 * float(ratios.std()) / 20)
    assert sum(results) / 400 < 0


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    found = path(scale=0.7)
    inside = 0
    for seed in range(200):
        low, high = estimate(found, chains=100, steps=20, seed=seed).interval(0.95)
        inside += low <= exact(found) <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_more_steps_are_closer():
    found = path(scale=1.3)
    errors = [estimate(found, steps=steps).standard_error for steps in (10, 100, 1000)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.2 * errors[0]


def test_independent_pixels_need_no_estimate():
    """Without weights and hidden biases, and the same visible biases at both ends, every chain has the same weight."""
    found = path()
    machine = Machine(0 * found.machine.weight, found.base, 0 * found.machine.hidden, found.machine.centre)
    result = estimate(Path(machine, found.base), steps=3)
    assert result.value == pytest.approx(exact(Path(machine, found.base)), abs=1e-5)
    assert result.standard_error == pytest.approx(0, abs=1e-6)
    closed = log_partition_of_independent(found.base, machine.centre, UNITS)
    assert result.value == pytest.approx(float(closed), abs=1e-5)


def test_an_estimate_is_a_function_of_its_random_source():
    assert estimate(path(), seed=1) == estimate(path(), seed=1) != estimate(path(), seed=2)


@pytest.mark.parametrize("steps", [1, 2, 7, 1000, 14_500])
def test_the_ladder_rises_from_0_to_1(steps):
    rungs = ladder(steps)
    assert len(rungs) == steps + 1 and rungs[0] == 0 and rungs[-1] == pytest.approx(1)
    assert all(low < high for low, high in itertools.pairwise(rungs))


def test_the_ladder_of_14_500_steps_is_the_published_one():
    rungs = ladder(14_500)
    assert rungs[500] == pytest.approx(0.5) and rungs[4_500] == pytest.approx(0.9)
    assert rungs[501] - rungs[500] == pytest.approx(1e-4) and rungs[4_501] - rungs[4_500] == pytest.approx(1e-5)


def test_a_wider_interval_is_surer():
    result = LogPartition(10.0, 0.5, 50.0, 100, 1000)
    assert result.interval(0.95) == pytest.approx((10 - 0.98, 10 + 0.98), abs=1e-3)
    low, high = result.interval(0.99)
    assert low < 9.02 and high > 10.98 and math.isclose(low + high, 20)
