"""Worlds of Gaussian pictures in which the exact denoiser is known, as models that denoise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from limner.diffusion import paths, solvers
from limner.diffusion.denoiser import Denoiser
from limner.model import Model
from limner.models.diffusion import DiffusionOptions
from limner.types import Condition, DataSpec

STD = 0.25
MEANS = (-0.5, 0.5)  # of the classes; 0 where no class is asked for


@dataclass(frozen=True)
class NoConfig:
    """Nothing to set."""


class Independent(Model):
    """Every pixel is drawn on its own, around the mean of its class."""

    Options: ClassVar[type] = DiffusionOptions
    name: ClassVar[str] = "independent"

    def __init__(self, path: paths.PathName = "linear", *, std: float = STD, means: tuple[float, ...] = MEANS) -> None:
        super().__init__(NoConfig(), DataSpec(1, 8, 8, classes=("dark", "light")))
        self.path, self.std, self.means = paths.path(path), std, means
        self.place = nn.Parameter(torch.zeros(()))

    def losses(self, batch, step):
        yield from ()

    def enter(self, image: Tensor) -> Tensor:
        return image

    def leave(self, space: Tensor) -> Tensor:
        return space

    def denoiser(self, condition: Condition, options, rows: int) -> Denoiser:
        label = torch.full((rows,), -1) if condition.label is None else condition.label
        mean = torch.tensor([0.0, *self.means])[label + 1].view(-1, 1, 1, 1)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            return mean + self.seen(x - mean, sigma.to(x.dtype).view(-1, 1, 1, 1))

        return denoise

    def seen(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The expected deviation from the mean."""
        return x * self.std**2 / (self.std**2 + sigma**2)

    def sample(self, rng, condition: Condition, options) -> Tensor:
        channels, height, width = self.enter(torch.zeros(1, *self.data.shape)).shape[1:]
        noise = options.temperature * rng.normal(channels, height, width)
        times = paths.times(self.path, options.steps, options.schedule)
        see = self.denoiser(condition, options, rng.rows)
        return self.leave(solvers.solve(options.solver, see, noise, self.path, times, rng))


class Plain(Independent):
    """Every picture is of one shade."""

    def seen(self, x: Tensor, sigma: Tensor) -> Tensor:
        pixels = x[0].numel()
        mean = x.mean((1, 2, 3), keepdim=True)
        return (mean * self.std**2 / (self.std**2 + sigma**2 / pixels)).expand_as(x)


class Coarse(Independent):
    """Works in cells of 4x4 pixels, each the sum of what it holds."""

    def enter(self, image: Tensor) -> Tensor:
        return functional.avg_pool2d(image, 4)

    def leave(self, space: Tensor) -> Tensor:
        return functional.interpolate(space, scale_factor=4)


World = Callable[..., Independent]
