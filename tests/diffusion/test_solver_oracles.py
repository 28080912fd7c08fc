"""Limner's solvers against the schedulers of the diffusers library, with the same network, start and levels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from limner.diffusion import paths, solvers
from limner.diffusion.denoiser import denoiser

diffusers = pytest.importorskip("diffusers")
SHAPE = (2, 3, 4, 4)


def network(x, level):
    """Something smooth that depends on its input and on the level; (B, C, H, W), (B,) or a number -> like x."""
    level = torch.as_tensor(level, dtype=torch.float32).expand(len(x)).view(-1, 1, 1, 1)
    return torch.tanh(1.3 * x + 0.2 * level) - 0.3 * x.roll(1, -1)


def noise(scale=1.0):
    return scale * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


def walked(scheduler, x, predict):
    """What the library makes of x, with what predict(scaled x, timestep) says at each step."""
    for t in scheduler.timesteps:
        x = scheduler.step(predict(scheduler.scale_model_input(x, t), t), t, x).prev_sample
    return x


EDM = {
    "euler": (diffusers.EDMEulerScheduler, {}),
    "dpm": (diffusers.EDMDPMSolverMultistepScheduler, {"solver_order": 2}),
}


@pytest.mark.parametrize("solver", EDM)
def test_on_the_path_of_edm(solver):
    """Karras's levels, EDM's preconditioner."""
    make, options = EDM[solver]
    scheduler = make(sigma_data=0.5, sigma_max=80.0, sigma_min=0.002, **options)
    scheduler.set_timesteps(9)
    wanted = walked(scheduler, noise(80.0), network)
    along = paths.path("edm")
    times = paths.times(along, 9)
    assert torch.allclose(times, scheduler.sigmas.double(), rtol=1e-5)
    found = solvers.solve(solver, denoiser(network, "edm", 0.5), noise(), along, times, None)
    assert torch.allclose(found, wanted, atol=1e-4)


DISCRETE = {
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "heun": (diffusers.HeunDiscreteScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {"clip_sample": False, "timestep_spacing": "trailing"}),
    "dpm": (diffusers.DPMSolverMultistepScheduler, {"solver_order": 2, "final_sigmas_type": "zero"}),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # the library's own
@pytest.mark.parametrize("solver", DISCRETE)
def test_at_the_levels_of_ddpm_with_predicted_noise(solver):
    """The library's variance-preserving x is Limner's image + sigma noise, scaled."""
    make, options = DISCRETE[solver]
    scheduler = make(**options)
    scheduler.set_timesteps(8)
    steps = scheduler.timesteps.double().unique().flip(0)
    kept = scheduler.alphas_cumprod.double()
    sigma = torch.from_numpy(np.interp(steps, np.arange(1000), ((1 - kept) / kept).sqrt()))
    times = torch.cat([sigma, torch.zeros(1, dtype=torch.float64)])

    def predict(x, sigma):  # noise, of an input of unit variance
        return network(x, sigma.log())

    levels = dict(
        zip(scheduler.timesteps.tolist(), np.interp(scheduler.timesteps, steps.flip(0), sigma.flip(0)), strict=True)
    )
    preserving = solver in ("ddim", "dpm")  # the others hold image + sigma noise, as Limner does
    start = float(sigma[0])
    first = noise(start) / (1 + start**2) ** 0.5 if preserving else noise(start)
    wanted = walked(scheduler, first, lambda x, t: predict(x, torch.tensor(levels[float(t)])))

    def see(x, sigma):
        scaled = x / (1 + sigma.square()).sqrt().view(-1, 1, 1, 1)
        return x - sigma.view(-1, 1, 1, 1) * predict(scaled, sigma)

    along = replace(paths.path("edm"), sigma_max=start, sigma_min=float(sigma[-1]))
    found = solvers.solve(solver, see, noise(), along, times, None)
    assert wanted.abs().max() > 0.1 and torch.allclose(found, wanted, atol=2e-4 * float(wanted.abs().max()))


def test_on_straight_lines():
    """Flow matching in equal steps."""
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 8, 8))
    wanted = walked_straight(scheduler, noise())
    along = paths.path("linear")
    found = solvers.euler(denoiser(network, "velocity"), noise(), along, paths.times(along, 8))
    assert torch.allclose(found, wanted, atol=1e-3)


def walked_straight(scheduler, x):
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t / 1000), t, x).prev_sample
    return x
