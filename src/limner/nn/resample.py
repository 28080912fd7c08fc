"""Halving and doubling of feature maps, smooth and twice differentiable (penalties need the second derivative)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Upsample(nn.Module):
    """(B, C, H, W) -> (B, C, 2H, 2W), bilinear: the [1, 3, 3, 1] filter, which leaves no checkerboard."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Downsample(nn.Module):
    """(B, C, H, W) -> (B, C, H/2, W/2): the mean of each 2x2 block. H and W are even."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2)
