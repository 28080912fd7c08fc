"""Walking through the latent space: from one picture to another, and along single latent dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError
from ..model import Decodes, Model
from ..types import Condition
from .generate import need
from .reconstruct import decode
from .tiles import pick


def slerp(start: Tensor, stop: Tensor, share: Tensor) -> Tensor:
    """Great-circle interpolation between latents (…), by the angle between them; straight where they are parallel.

    Normal latents of many dimensions lie near a sphere, which a straight line leaves.
    """
    cosine = (start * stop).sum() / (start.norm() * stop.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:
        return torch.lerp(start, stop, share)
    return (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * stop) / torch.sin(angle)


def interpolate(model: Model, latent: Tensor, condition: Condition, *, steps: int) -> Tensor:
    """Pictures along the way through `latent` (K, *latent_shape), K ≥ 2: ((K - 1) * steps + 1, C, H, W).

    Labels and attributes are those of the nearer end.
    """
    need(model, Decodes)
    if len(latent) < 2 or steps < 1:
        raise ConfigError(f"interpolation needs 2 or more pictures and 1 or more steps, got {len(latent)} and {steps}")
    shares = torch.linspace(0, 1, steps + 1, device=latent.device)[:-1]
    path = [slerp(a, b, share) for a, b in zip(latent[:-1], latent[1:], strict=True) for share in shares]
    nearest = [round(place / steps) for place in range((len(latent) - 1) * steps + 1)]
    return decode(model, torch.stack([*path, latent[-1]]), pick(condition, nearest))


def traverse(
    model: Model, latent: Tensor, condition: Condition, *, dimensions: list[int], values: list[float]
) -> Tensor:
    """One latent (1, *latent_shape) with each of `dimensions` set to each of `values` in turn.

    returns (len(dimensions), len(values), C, H, W). Raises ConfigError for a dimension that does not exist.
    """
    need(model, Decodes)
    size = latent[0].numel()
    for dimension in dimensions:
        if not 0 <= dimension < size:
            raise ConfigError(f"dimension {dimension} does not exist; this model's latent has 0 to {size - 1}")
    rows = latent.repeat(len(dimensions) * len(values), *[1] * (latent.ndim - 1))
    flat = rows.view(len(dimensions), len(values), size)
    for row, dimension in enumerate(dimensions):
        flat[row, :, dimension] = torch.tensor(values, device=latent.device)
    pictures = decode(model, rows, pick(condition, [0] * len(rows)))
    return pictures.view(len(dimensions), len(values), *pictures.shape[1:])
