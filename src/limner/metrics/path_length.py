"""Perceptual path length: how fast pictures change on the way between two latents. Long ways leap, short ones glide.

Pictures stay floats: the step is so small that rounding them to 256 levels would measure the rounding and not the path.
The decoder and the squared distance are handed in, so it knows no model and no feature space.
Source: Karras, Laine & Aila 2019, A style-based generator architecture for GANs, arXiv 1812.04948, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, DataError
from .shares import deviations

EPSILON = 1e-4  # of the way from one latent to the other
TRIM = 0.01  # of the paths at each end: a few that cross a sharp edge would outweigh all others
FEWEST = 100  # paths

Decode = Callable[[Tensor], Tensor]  # (B, *latent) -> (B, C, H, W) floats
Distance = Callable[[Tensor, Tensor], Tensor]  # two (B, C, H, W) -> (B,) squared distances


@dataclass(frozen=True)
class PathLength:
    """The mean squared speed along the paths, in squared distance for the whole way, and its interval.

    values   (N,) of each path, before the longest and shortest 1 % were left out
    """

    value: float
    low: float
    high: float
    values: np.ndarray


def speeds(
    decode: Decode,
    starts: Tensor,
    stops: Tensor,
    shares: Tensor,
    *,
    distance: Distance | None = None,
    epsilon: float = EPSILON,
) -> np.ndarray:
    """(N,) float64: the squared distance that pictures move at one place of each path, for the whole way.

    starts, stops   (N, *latent) the ends of each path
    shares          (N,) in [0, 1): how far along each the picture is taken
    distance        squared distance of pictures; by default the mean over pixels and channels

    Raises ConfigError for unlike shapes and whole-number pictures, DataError for pictures that are not finite.
    """
    _check(starts, stops, shares, epsilon)
    distance = distance or pixel_distance
    # the points in float64: in float32 a step of 1e-4 would keep three digits
    here = slerp(starts.double(), stops.double(), shares.double())
    there = slerp(starts.double(), stops.double(), shares.double() + epsilon)
    first, second = decode(here.to(starts.dtype)), decode(there.to(starts.dtype))
    for pictures in (first, second):
        if not pictures.is_floating_point():
            raise ConfigError(f"pictures of {pictures.dtype} cannot show steps of {epsilon}; decode to floats")
    values = (distance(first.double(), second.double()) / epsilon**2).cpu().numpy()
    if not np.isfinite(values).all():
        raise DataError(f"{(~np.isfinite(values)).sum()} of {len(values)} paths give pictures that are not finite")
    return values


def path_length(values: np.ndarray, *, level: float = 0.95) -> PathLength:
    """The mean of (N,) `speeds`, without the 1 % shortest and longest. Raises ConfigError for fewer than 100.

    The interval is that of a trimmed mean, by its winsorised variance (Tukey & McLaughlin 1963).
    """
    if len(values) < FEWEST:
        raise ConfigError(f"{len(values)} paths are too few for a mean without outliers; use {FEWEST} or more")
    cut = math.floor(TRIM * len(values))
    ordered = np.sort(values)
    kept = ordered[cut : len(values) - cut]
    value = float(kept.mean())
    spread = float(ordered.clip(kept[0], kept[-1]).std(ddof=1))
    half = deviations(level) * spread / ((1 - 2 * TRIM) * math.sqrt(len(values)))
    return PathLength(value, value - half, value + half, values)


def pixel_distance(first: Tensor, second: Tensor) -> Tensor:
    """(B,) mean over pixels and channels of the squared difference of two (B, C, H, W)."""
    return (first - second).square().flatten(1).mean(1)


def slerp(starts: Tensor, stops: Tensor, shares: Tensor) -> Tensor:
    """Great-circle interpolation between (N, …) latents by (N,) shares; straight where two are parallel."""
    first, last = starts.flatten(1), stops.flatten(1)
    cosine = (first * last).sum(1) / (first.norm(dim=1) * last.norm(dim=1)).clamp_min(1e-300)
    angle = torch.acos(cosine.clamp(-1, 1))  # (N,)
    sine = angle.sin()
    straight = sine < 1e-6
    safe = torch.where(straight, torch.ones_like(sine), sine)
    weights = torch.where(straight, 1 - shares, torch.sin((1 - shares) * angle) / safe)
    others = torch.where(straight, shares, torch.sin(shares * angle) / safe)
    return (weights[:, None] * first + others[:, None] * last).view_as(starts)


def _check(starts: Tensor, stops: Tensor, shares: Tensor, epsilon: float) -> None:
    if starts.shape != stops.shape or shares.shape != (len(starts),):
        raise ConfigError(
            f"paths from {tuple(starts.shape)} to {tuple(stops.shape)} at {tuple(shares.shape)} do not fit; use two "
            "(N, …) and one (N,)"
        )
    if not 0 < epsilon < 1:
        raise ConfigError(f"epsilon={epsilon} is not a step on a path of length 1; use {EPSILON}")
