"""The convolutional encoder and decoder of autoencoders: strided convolutions down to a few pixels, and back up.

A residual block sits at the bottom, where it costs least.
There is no normalisation in them: none is needed at these depths, and without it no image depends on its neighbours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..types import DataSpec
from .blocks import ResidualBlock, level_channels
from .initialise import initialise
from .resolution import check_divisible

SMALLEST = 4  # the side that an image is halved down to, when the depth is left open


class ConvEncoder(nn.Module):
    """Image and condition -> `outputs` features. Raises ConfigError when the sides cannot be halved `depth` times."""

    def __init__(self, data: DataSpec, outputs: int, *, condition: int, width: int, depth: int) -> None:
        super().__init__()
        check_divisible(data.height, data.width, depth)
        layers: list[nn.Module] = []
        fine = data.channels
        for level in range(1, depth + 1):
            coarse = level_channels(width, level)
            layers += [nn.Conv2d(fine, coarse, 4, 2, padding=1), nn.LeakyReLU(0.2)]
            fine = coarse
        self.features = nn.Sequential(*layers, ResidualBlock(fine), nn.LeakyReLU(0.2))
        initialise(self.features, normalised=False)
        pixels = (data.height >> depth) * (data.width >> depth)
        self.head = nn.Linear(fine * pixels + condition, outputs)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] and (B, condition) -> (B, outputs)."""
        features = self.features(image).flatten(1)  # (B, c h w)
        return self.head(torch.cat([features, condition], dim=1))


class ConvDecoder(nn.Module):
    """Latent and condition -> one number per channel and pixel. Raises ConfigError as ConvEncoder does."""

    def __init__(self, data: DataSpec, latent: int, *, condition: int, width: int, depth: int) -> None:
        super().__init__()
        check_divisible(data.height, data.width, depth)
        coarse = level_channels(width, depth)
        self.shape = (coarse, data.height >> depth, data.width >> depth)
        self.start = nn.Linear(latent + condition, math.prod(self.shape))
        layers: list[nn.Module] = [ResidualBlock(coarse), nn.LeakyReLU(0.2)]
        for level in range(depth - 1, -1, -1):
            fine = level_channels(width, level)
            layers += [nn.ConvTranspose2d(coarse, fine, 4, 2, padding=1), nn.LeakyReLU(0.2)]
            coarse = fine
        self.features = nn.Sequential(*layers)
        initialise(self.features, normalised=False)
        self.head = nn.Conv2d(coarse, data.channels, 3, padding=1)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """(B, latent) and (B, condition) -> (B, C, H, W), unbounded."""
        start = self.start(torch.cat([latent, condition], dim=1)).unflatten(1, self.shape)  # (B, c, h, w)
        return self.head(self.features(start))

    @torch.no_grad()
    def centre(self, output: Tensor) -> None:
        """Make each channel's mean of (C, H, W) what an untrained decoder gives on average: the last layer's bias."""
        assert self.head.bias is not None
        self.head.bias.copy_(output.mean((1, 2)))


def open_depth(data: DataSpec) -> int:
    """The halvings that bring the shorter side down to 4 to 7 pixels."""
    return max(0, int(math.log2(min(data.height, data.width) / SMALLEST)))
