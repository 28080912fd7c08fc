"""The exact likelihood of a picture under the probability flow, up to the solver's tolerance and the trace's noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..precise import precise
from .denoiser import Denoiser
from .paths import Path
from .solvers import integrate, velocity


def log_density(
    denoiser: Denoiser, image: Tensor, path: Path, probe: Tensor, *, sigma_max: float, tolerance: float = 1e-3
) -> Tensor:
    """(B,) nats: log density of `image` (B, C, H, W), from the change of variables along the flow.

    probe       (B, C, H, W) of -1 and 1: the divergence is estimated as probe . J probe (Hutchinson)
    sigma_max   where the flow is taken to have become Gaussian noise
    The flow starts at path.sigma_min, not at 0, where it is singular. Source: Song et al. 2021, arXiv 2011.13456,
    equation 39; Grathwohl et al. 2019, arXiv 1810.01367.
    """
    ends = torch.tensor([path.sigma_min, sigma_max], dtype=torch.float64)
    start, stop = (float(time) for time in path.time_of(ends))
    shape = image.shape[1:]

    def slope(state: Tensor, time: Tensor) -> Tensor:
        x = state[:, :-1].unflatten(1, shape).float()
        with torch.enable_grad():
            x = x.requires_grad_(True)
            moved, _ = velocity(denoiser, path, x, time)
            pulled = torch.autograd.grad((moved * probe).sum(), x)[0]
        divergence = (pulled * probe).flatten(1).sum(1, keepdim=True)
        return torch.cat([moved.detach().flatten(1), divergence], dim=1).to(state)

    first = float(path.image(ends[:0].new_tensor([start]))) * image
    state = precise(torch.cat([first.flatten(1), torch.zeros(len(image), 1, device=image.device)], dim=1))
    end = integrate(slope, state, start, stop, tolerance=tolerance)
    scale = float(path.noise(ends.new_tensor([stop])))
    last, change = end[:, :-1] / scale, end[:, -1]
    size = last.shape[1]
    prior = -0.5 * last.square().sum(1) - size * (0.5 * math.log(2 * math.pi) + math.log(scale))
    return prior + change + size * math.log(float(path.image(ends.new_tensor([start]))))
