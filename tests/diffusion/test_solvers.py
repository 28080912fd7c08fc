"""Solvers against the exact answer for Gaussian images: known gains, orders of convergence, rows that never meet."""

import math

import pytest
import torch
from gaussian import STD, exact, one

from limner.diffusion import paths, solvers
from limner.errors import ConfigError
from limner.rng import ImageRng

EDM, LINEAR, COSINE = (paths.path(name) for name in ("edm", "linear", "cosine"))


def gain(name, path, steps, schedule="auto"):
    """Standard deviation of what the solver makes, as a multiple of the data's."""
    times = paths.times(path, steps, schedule)
    return float(solvers.solve(name, exact, one(), path, times, ImageRng(0, [0]))) / STD


@pytest.mark.parametrize(("steps", "wanted"), [(5, 2.516), (10, 1.2196), (18, 1.05525), (40, 1.00975), (100, 1.00144)])
def test_heun_with_edm_steps_has_the_gains_that_algebra_gives(steps, wanted):
    assert gain("heun", EDM, steps) == pytest.approx(wanted, abs=3e-4)


@pytest.mark.parametrize(("steps", "wanted"), [(5, 0.467), (10, 0.730), (18, 0.846), (40, 0.930), (100, 0.972)])
def test_euler_with_edm_steps_has_the_gains_that_algebra_gives(steps, wanted):
    assert gain("euler", EDM, steps) == pytest.approx(wanted, abs=6e-4)


@pytest.mark.parametrize(
    ("name", "steps", "wanted"),
    [
        ("euler", 2, 0.4),
        ("euler", 10, 0.8616),
        ("euler", 100, 0.9853),
        ("midpoint", 2, 0.98877),
        ("midpoint", 10, 0.99977),
    ],
)
def test_flow_matching_has_the_gains_that_algebra_gives(name, steps, wanted):
    assert gain(name, LINEAR, steps) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("path", [EDM, LINEAR, COSINE], ids=lambda path: path.name)
@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("midpoint", 2), ("dpm", 2)])
def test_a_solver_converges_at_its_order(name, order, path):
    """Twice the steps, 2^order times less error; between the ends of a path, where it is smooth."""
    limit = gain(name, path, 3_000 if order == 1 else 1_000, "karras")
    errors = [abs(gain(name, path, steps, "karras") - limit) for steps in (50, 100)]
    measured = math.log2(errors[0] / errors[1])
    # the midpoint rule gains an order on this equation, whose odd errors cancel
    assert order - 0.35 < measured < order + (1.35 if name == "midpoint" else 0.35), errors


@pytest.mark.parametrize("path", [EDM, LINEAR, COSINE], ids=lambda path: path.name)
def test_adaptive_steps_keep_their_tolerance(path):
    noise = one(2)
    start = float(paths.times(path, 3)[0])
    loose, tight = (float(solvers.rk45(exact, noise, path, start=start, tolerance=t)[0]) for t in (1e-3, 1e-6))
    assert tight / STD == pytest.approx(1, abs=2e-4)  # what starting from pure noise costs
    assert abs(loose - tight) < 0.01


def test_ancestral_sampling_keeps_the_variance():
    noise = torch.randn(4_000, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rng = ImageRng(0, range(4_000))
    made = solvers.solve("ancestral", exact, noise, COSINE, paths.times(COSINE, 200), rng)
    assert float(made.std()) == pytest.approx(STD, rel=0.03)
    assert abs(float((made * noise).mean())) < 0.05 * STD  # nothing of the first noise is left


@pytest.mark.parametrize("name", ["euler", "heun", "midpoint", "dpm", "ddim", "ancestral", "rk45"])
def test_rows_never_meet(name):
    noise = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noise[3] *= 40  # a row that needs other steps

    def run(rows):
        times = paths.times(LINEAR, 6)
        return solvers.solve(name, exact, noise[rows], LINEAR, times, ImageRng(0, rows), tolerance=1e-4)

    assert torch.equal(run([0, 1, 2, 3, 4])[2], run([2])[0])


def test_integrate_solves_an_equation_with_a_known_answer():
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    end = solvers.integrate(lambda x, t: -x * t[:, None], x, 0.0, 2.0, tolerance=1e-9)
    assert torch.allclose(end, x * math.exp(-2), rtol=1e-7)


def test_a_tolerance_that_cannot_be_met_is_an_error():
    with pytest.raises(ConfigError, match="tolerance"):
        solvers.integrate(lambda x, t: x * torch.nan, one(), 0.0, 1.0, tolerance=1e-3)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="heun"):
        solvers.solve("huen", exact, one(), EDM, paths.times(EDM, 2), ImageRng(0, [0]))
    with pytest.raises(ConfigError, match="karras"):
        paths.times(EDM, 2, "karas")
    with pytest.raises(ConfigError, match="linear"):
        paths.path("liner")
    with pytest.raises(ConfigError, match="steps=0"):
        paths.times(EDM, 0)


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [EDM, LINEAR, COSINE], ids=lambda path: path.name)
def test_a_path_is_what_its_slopes_say(path):
    time = torch.linspace(0.05, 0.95, 9, dtype=torch.float64, requires_grad=True)
    for value, slope in ((path.image, path.image_slope), (path.noise, path.noise_slope)):
        (found,) = torch.autograd.grad((value(time) + 0 * time).sum(), time)
        assert torch.allclose(slope(time.detach()), found)
    assert torch.allclose(path.time_of(path.sigma(time.detach())), time.detach())


@pytest.mark.parametrize("schedule", ["karras", "uniform", "logsnr"])
def test_times_fall_to_zero(schedule):
    for path in (EDM, LINEAR, COSINE):
        times = paths.times(path, 12, schedule)
        assert len(times) == 13 and times[-1] == 0
        assert bool((times.diff() < 0).all())
        assert float(path.sigma(times[:1])) == pytest.approx(path.sigma_max, rel=1e-4)
