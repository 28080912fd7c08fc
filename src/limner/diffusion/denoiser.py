"""From what a network predicts to a denoiser: preconditioners, and the loss that trains them.

D(x, sigma) = skip(sigma) x + out(sigma) F(in(sigma) x, level(sigma)), with F the network.
Source: Karras et al. 2022, arXiv 2206.00364, section 5 and table 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..errors import ConfigError, unknown

PreconditionName = Literal["edm", "noise", "velocity", "image"]
_LARGE = 1e-20  # keeps a logarithm finite at sigma = 0


class Denoiser(Protocol):
    """D(x, sigma): the expected clean image behind x = image + sigma noise."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, C, H, W), (B,) -> (B, C, H, W)."""


Network = Callable[[Tensor, Tensor], Tensor]  # (B, C, H, W), level (B,) -> (B, C, H, W)


@dataclass(frozen=True)
class Scales:
    """The four functions of sigma at given levels, each (B,)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    level: Tensor  # what the network is told of the noise


def scales(name: PreconditionName, sigma: Tensor, sigma_data: float = 0.5) -> Scales:
    """The scales of a preconditioner at (B,) sigma; for data of root mean square `sigma_data`.

    edm        inputs and targets of unit variance at every level
    noise      F predicts the noise of a variance-preserving input (Ho et al. 2020, arXiv 2006.11239)
    velocity   F predicts noise - image on the linear path (Lipman et al. 2023, arXiv 2210.02747)
    image      F predicts the image itself
    """
    square = sigma.square()
    if name == "edm":
        total = square + sigma_data**2
        return Scales(
            sigma_data**2 / total, sigma * sigma_data * total.rsqrt(), total.rsqrt(), (sigma + _LARGE).log() / 4
        )
    if name == "noise":
        return Scales(torch.ones_like(sigma), -sigma, (square + 1).rsqrt(), (sigma + _LARGE).log() / 4)
    if name == "velocity":
        into, time = 1 / (1 + sigma), sigma / (1 + sigma)
        return Scales(into, -time, into, time)
    if name == "image":
        into, time = 1 / (1 + sigma), sigma / (1 + sigma)
        return Scales(torch.zeros_like(sigma), torch.ones_like(sigma), into, time)
    raise ConfigError(unknown("precondition", name, ["edm", "noise", "velocity", "image"]))


def denoiser(network: Network, name: PreconditionName, sigma_data: float = 0.5) -> Denoiser:
    """The denoiser that a network makes under a preconditioner."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        at = scales(name, sigma, sigma_data)
        predicted = network(_times(x, at.into), at.level)
        return _times(x, at.skip) + _times(predicted.float(), at.out)

    return denoise


def prediction_loss(
    network: Network, name: PreconditionName, image: Tensor, noise: Tensor, sigma: Tensor, sigma_data: float = 0.5
) -> Tensor:
    """(B,) mean square error per pixel of what the network predicts, before any weighting.

    For `edm` it is lambda(sigma) ||D - image||^2 with lambda = 1 / out(sigma)^2: 1 at a network that gives 0, for data
    of root mean square sigma_data. For `velocity` it is the flow-matching loss. For `image` the error is weighted as
    that of the velocity it implies (1 / t^2, at most 400: Li & He 2025, arXiv 2511.13720).
    """
    at = scales(name, sigma, sigma_data)
    x = image + _times(noise, sigma)
    predicted = network(_times(x, at.into), at.level).float()
    if name == "image":
        error = (predicted - image).square().flatten(1).mean(1)
        return error / at.level.clamp(min=0.05).square()
    # (image - skip x) / out, written so that nothing cancels at large or small sigma
    wanted = _target(name, image, noise, x, sigma, at, sigma_data)
    return (predicted - wanted).square().flatten(1).mean(1)


def _target(name: str, image: Tensor, noise: Tensor, x: Tensor, sigma: Tensor, at: Scales, sigma_data: float) -> Tensor:
    """What the network should predict."""
    if name == "noise":
        return noise
    if name == "velocity":
        return noise - image
    # edm: (sigma image - sigma_data^2 noise) / (sigma_data sqrt(sigma^2 + sigma_data^2))
    return _times(_times(image, sigma) - sigma_data**2 * noise, at.into / sigma_data)


def _times(x: Tensor, scale: Tensor) -> Tensor:
    """(B, ...) times (B,), row by row."""
    return x * scale.to(x.dtype).view(-1, *[1] * (x.ndim - 1))


def in_half(see: Denoiser) -> Denoiser:
    """The same with the network in bf16: its products are rounded, what is added to them is not."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return see(x, sigma).float()

    return denoise
