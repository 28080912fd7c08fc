"""How far a reconstruction is from its image when no likelihood is asked for: pixels, and edges at several scales.

A mean error of pixels alone is content with soft edges; the differences between neighbours are what shows them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 3  # at which edges are compared: full, half and quarter resolution
LEAK = 0.01  # share of an overshoot that still counts: 0.1 leaves faint haze where images are black (docs/log.md)


def reconstruction_cost(output: Tensor, image: Tensor, edges: float) -> Tensor:
    """Scalar: the mean absolute error of pixels plus `edges` times that of differences between neighbours.

    output   (B, C, H, W)   unbounded; what lies beyond [-1, 1] is shown as -1 or 1, so it hardly counts
    image    (B, C, H, W)   in [-1, 1]
    """
    within = output.float().clamp(-1, 1)
    shown = within + LEAK * (output.float() - within)
    error = shown - image
    cost = error.abs().mean()
    return cost + edges * edge_cost(error) if edges else cost


def edge_cost(error: Tensor) -> Tensor:
    """Scalar: the mean absolute difference between neighbouring errors, averaged over up to three scales.

    error (B, C, H, W) is reconstruction minus image: differences are linear, so this compares their edges. A scale is
    half the one before it; there are no more of them than the shorter side can be halved to 2 pixels.
    """
    costs = []
    for _ in range(SCALES):
        if min(error.shape[2:]) < 2:
            break
        down = (error[:, :, 1:] - error[:, :, :-1]).abs().mean()
        right = (error[:, :, :, 1:] - error[:, :, :, :-1]).abs().mean()
        costs.append(down + right)
        error = F.avg_pool2d(error, 2)
    return torch.stack(costs).mean() if costs else error.new_zeros(())


def psnr(output: Tensor, image: Tensor) -> Tensor:
    """Scalar: decibels of the batch's mean squared error, for images in [-1, 1]."""
    return 10 * torch.log10(4 / (output.float().clamp(-1, 1) - image).square().mean())
