"""How far one picture is drawn in the manner of another: statistics of maps, which forget where things are.

Maps are (B, C, H, W); B of the style is 1, or that of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..precise import precise

_EPSILON = 1e-5
_DIRECTIONS = 64


def gram(maps: Tensor) -> Tensor:
    """(B, C, C) the mean product of every two channels. Source: Gatys et al. 2016, equation 3, over the places."""
    flat = maps.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_distance(maps: Tensor, style: Tensor) -> Tensor:
    """Scalar: the squared distance of Gram matrices, as a share of the style's own squared size.

    style   (B or 1, C, C) a Gram matrix
    """
    apart = (gram(maps) - style).square().sum((1, 2))
    return (apart / (style.square().sum((1, 2)) + _EPSILON)).mean()


def moments(maps: Tensor) -> Tensor:
    """(B, 2 C) mean and deviation of each channel. Source: Huang and Belongie 2017, AdaIN, arXiv 1703.06868."""
    flat = maps.float().flatten(2)
    return torch.cat([flat.mean(2), (flat.var(2, correction=0) + _EPSILON).sqrt()], 1)


def moment_distance(maps: Tensor, style: Tensor) -> Tensor:
    """Scalar: the squared distance of means and deviations, as a share of the style's own squared size."""
    return ((moments(maps) - style).square().sum(1) / (style.square().sum(1) + _EPSILON)).mean()


def directions(channels: int, seed: int, device: torch.device | str = "cpu") -> Tensor:
    """(C, 64) directions of unit length, always the same ones of a seed."""
    stream = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(channels, _DIRECTIONS, generator=stream), dim=0).to(device)


def sliced_distance(maps: Tensor, style: Tensor, along: Tensor) -> Tensor:
    """Scalar: the mean squared distance of the two distributions of features along directions, sorted.

    maps    (1, C, H, W)
    style   (1, C, h, w): of any size, its sorted values are taken at as many places
    along   (C, D)
    Source: Heitz et al. 2021, A sliced Wasserstein loss for neural texture synthesis, arXiv 2006.07229, equation 3.
    """
    ours, theirs = ((along.T @ side.float().flatten(2)[0]).sort(dim=1).values for side in (maps, style))
    if theirs.shape[1] != ours.shape[1]:
        theirs = functional.interpolate(theirs[None], ours.shape[1], mode="linear", align_corners=True)[0]
    return (ours - theirs).square().mean() / (theirs.square().mean() + _EPSILON)


def roughness(image: Tensor) -> Tensor:
    """Scalar: the mean absolute difference of neighbours (total variation)."""
    down, right = image[:, :, 1:] - image[:, :, :-1], image[:, :, :, 1:] - image[:, :, :, :-1]
    return down.abs().mean() + right.abs().mean()


def whitened(content: Tensor, style: Tensor) -> Tensor:
    """(B, C, H, W) features moved to the style's mean and covariance by the shortest way between two Gaussians.

    Source: Mroueh 2020, Wasserstein style transfer, arXiv 1905.12828, equation 5.
    """
    return torch.stack(
        [_transported(a, b) for a, b in zip(content, style.expand(len(content), -1, -1, -1), strict=True)]
    )


def _transported(content: Tensor, style: Tensor) -> Tensor:
    flat, other = precise(content).flatten(1), precise(style).flatten(1)
    (mean, spread), (wanted, target) = _moments(flat), _moments(other)
    root = _power(spread, 0.5)
    back = _power(spread, -0.5)
    matrix = back @ _power(root @ target @ root, 0.5) @ back
    return (matrix @ (flat - mean) + wanted).view_as(content).to(content.dtype)


def _moments(flat: Tensor) -> tuple[Tensor, Tensor]:
    mean = flat.mean(1, keepdim=True)
    centred = flat - mean
    return mean, centred @ centred.T / flat.shape[1] + 1e-4 * torch.eye(len(flat), dtype=flat.dtype, device=flat.device)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=1e-9) ** exponent) @ vectors.T


def renormalised(content: Tensor, style: Tensor) -> Tensor:
    """(B, C, H, W) features with the style's mean and deviation of each channel (AdaIN, equation 8)."""
    own, wanted = moments(content), moments(style)
    mean, deviation = (part[:, :, None, None].to(content.dtype) for part in own.chunk(2, 1))
    new_mean, new_deviation = (part[:, :, None, None].to(content.dtype) for part in wanted.chunk(2, 1))
    return (content - mean) / deviation * new_deviation + new_mean
