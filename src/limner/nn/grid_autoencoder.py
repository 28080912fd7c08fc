"""The networks between images and small grids of features: what tokenizers and latent models are made of.

The first halving moves pixels into channels, so that no convolution runs at full resolution, where it would cost most
and learn least. What a cell of the grid holds comes from its surroundings alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..types import DataSpec
from .blocks import ResidualBlock, level_channels
from .initialise import initialise
from .resolution import check_divisible

LARGEST = 8  # the longest side of a grid whose depth is left open, unless one halving leaves more
MOMENTUM = 0.05  # of running statistics: those of the last 20 to 60 batches


class GridEncoder(nn.Module):
    """Image -> grid of features. Raises ConfigError when the sides cannot be halved `depth` times."""

    def __init__(self, data: DataSpec, channels: int, *, width: int, depth: int, blocks: int) -> None:
        super().__init__()
        check_divisible(data.height, data.width, depth)
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(4 * data.channels, width, 3, padding=1)]
        fine = width
        for level in range(1, depth):
            coarse = level_channels(width, level)
            layers += [nn.LeakyReLU(0.2), nn.Conv2d(fine, coarse, 4, 2, padding=1)]
            fine = coarse
        layers += [ResidualBlock(fine) for _ in range(blocks)]
        self.features = nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Conv2d(fine, channels, 3, padding=1))
        initialise(self.features, normalised=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, channels, H / 2^depth, W / 2^depth)."""
        return self.features(image)


class GridDecoder(nn.Module):
    """Grid of features -> one number per channel and pixel. Raises ConfigError as GridEncoder does."""

    def __init__(self, data: DataSpec, channels: int, *, width: int, depth: int, blocks: int) -> None:
        super().__init__()
        check_divisible(data.height, data.width, depth)
        coarse = level_channels(width, depth - 1)
        layers: list[nn.Module] = [nn.Conv2d(channels, coarse, 3, padding=1)]
        layers += [ResidualBlock(coarse) for _ in range(blocks)]
        for level in range(depth - 2, -1, -1):
            fine = level_channels(width, level)
            layers += [nn.LeakyReLU(0.2), nn.ConvTranspose2d(coarse, fine, 4, 2, padding=1)]
            coarse = fine
        layers += [ResidualBlock(coarse), nn.LeakyReLU(0.2)]  # the one block at half resolution: it draws the edges
        self.features = nn.Sequential(*layers)
        self.last = nn.Conv2d(coarse, 4 * data.channels, 3, padding=1)
        initialise(self, normalised=False)
        self.last.weight.data.mul_(0.1)  # the first picture is near the mean, which `centre` puts in the bias

    def forward(self, grid: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, C, 2^depth h, 2^depth w), unbounded."""
        return nn.functional.pixel_shuffle(self.last(self.features(grid)), 2)

    @torch.no_grad()
    def centre(self, output: Tensor) -> None:
        """Make each channel's mean of (C, H, W) what an untrained decoder gives: the last layer's bias."""
        assert self.last.bias is not None
        self.last.bias.copy_(output.mean((1, 2)).repeat_interleave(4))


class Standardise(nn.BatchNorm2d):
    """Features of mean 0 and variance 1 in each channel, nothing learned: (B, C, h, w) -> same.

    In training by the batch at hand, so that scaling features up is no way around noise or rounding; in eval mode by
    running statistics, so that no image depends on its neighbours.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False, momentum=MOMENTUM)

    @torch.no_grad()
    def start(self, features: Tensor) -> None:
        """Take the running statistics from (B, C, h, w)."""
        assert self.running_mean is not None and self.running_var is not None
        self.running_mean.copy_(features.mean((0, 2, 3)))
        self.running_var.copy_(features.var((0, 2, 3), correction=0))


def grid_depth(data: DataSpec) -> int:
    """The halvings that bring the shorter side down to 5 to 8 cells, and at least one: 28 -> 7, 32 -> 8, 64 -> 8."""
    return max(1, math.ceil(math.log2(min(data.height, data.width) / LARGEST)))
