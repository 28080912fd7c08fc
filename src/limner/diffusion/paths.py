"""Paths from an image to noise: x_t = a(t) image + s(t) noise, for t from 0 (image) to 1 or more (noise).

On every path x_t / a(t) is the image plus noise of sigma = s(t) / a(t), so a denoiser D(x, sigma) knows them all. The
path matters to training (which levels are met how often) and to solvers that step along it in straight lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import ConfigError, unknown

PathName = Literal["edm", "linear", "cosine"]
ScheduleName = Literal["auto", "karras", "uniform", "logsnr"]

SMALLEST = 1e-5  # of a(t): below it sigma is taken as it is here, where nothing of the image is left


@dataclass(frozen=True)
class Path:
    """A path by its two coefficients and their derivatives in t, each a function of t (B,) -> (B,).

    sigma_max    the level that sampling starts from
    sigma_min    the level below which a picture counts as clean, for solvers that divide by it
    schedule     how solvers divide this path when nothing else is asked
    """

    name: str
    image: Callable[[Tensor], Tensor]
    noise: Callable[[Tensor], Tensor]
    image_slope: Callable[[Tensor], Tensor]
    noise_slope: Callable[[Tensor], Tensor]
    time_of: Callable[[Tensor], Tensor]  # sigma -> t
    sigma_max: float
    sigma_min: float
    schedule: ScheduleName

    def sigma(self, time: Tensor) -> Tensor:
        """(B,) noise level at (B,) times."""
        return self.noise(time) / self.image(time).clamp(min=SMALLEST)


def path(name: PathName) -> Path:
    """The path called `name`.

    edm      x = image + t noise, t up to 80 (Karras et al. 2022, arXiv 2206.00364, table 1)
    linear   x = (1 - t) image + t noise (Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2023, arXiv 2209.03003)
    cosine   x = cos(pi t / 2) image + sin(pi t / 2) noise (Nichol & Dhariwal 2021, arXiv 2102.09672, without offset)
    """
    if name not in _PATHS:
        raise ConfigError(unknown("path", name, _PATHS))
    return _PATHS[name]


def times(along: Path, steps: int, schedule: ScheduleName = "auto", *, rho: float = 7.0) -> Tensor:
    """(steps + 1,) float64 times from the start of sampling down to 0.

    karras    even in sigma^(1/rho), from sigma_max to sigma_min, then 0 (Karras et al. 2022, equation 5)
    uniform   even in t
    logsnr    even in log sigma, from sigma_max to sigma_min, then 0
    """
    if steps < 1:
        raise ConfigError(f"steps={steps} makes no picture; use 1 or more")
    chosen = along.schedule if schedule == "auto" else schedule
    if chosen == "uniform":
        start = float(along.time_of(torch.tensor(along.sigma_max, dtype=torch.float64)))
        return torch.linspace(start, 0.0, steps + 1, dtype=torch.float64)
    if chosen not in ("karras", "logsnr"):
        raise ConfigError(unknown("schedule", chosen, ["auto", "karras", "uniform", "logsnr"]))
    share = torch.arange(steps, dtype=torch.float64) / max(1, steps - 1)
    if chosen == "karras":
        high, low = along.sigma_max ** (1 / rho), along.sigma_min ** (1 / rho)
        sigma = (high + share * (low - high)) ** rho
    else:
        sigma = torch.exp(math.log(along.sigma_max) + share * math.log(along.sigma_min / along.sigma_max))
    return torch.cat([along.time_of(sigma), torch.zeros(1, dtype=torch.float64)])


_PATHS: dict[str, Path] = {
    "edm": Path(
        "edm",
        image=torch.ones_like,
        noise=lambda t: t,
        image_slope=torch.zeros_like,
        noise_slope=torch.ones_like,
        time_of=lambda sigma: sigma,
        sigma_max=80.0,
        sigma_min=0.002,
        schedule="karras",
    ),
    "linear": Path(
        "linear",
        image=lambda t: 1 - t,
        noise=lambda t: t,
        image_slope=lambda t: -torch.ones_like(t),
        noise_slope=torch.ones_like,
        time_of=lambda sigma: sigma / (1 + sigma),
        sigma_max=1 / SMALLEST,
        sigma_min=0.002,
        schedule="uniform",
    ),
    "cosine": Path(
        "cosine",
        image=lambda t: torch.cos(t * (math.pi / 2)),
        noise=lambda t: torch.sin(t * (math.pi / 2)),
        image_slope=lambda t: -(math.pi / 2) * torch.sin(t * (math.pi / 2)),
        noise_slope=lambda t: (math.pi / 2) * torch.cos(t * (math.pi / 2)),
        time_of=lambda sigma: torch.atan(sigma) * (2 / math.pi),
        sigma_max=200.0,
        sigma_min=0.002,
        schedule="uniform",
    ),
}
