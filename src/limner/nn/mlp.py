"""Fully connected networks: the plain stack, and the encoder and decoder of flattened images made from it.

They see an image as a list of numbers, so they suit small images (28x28) and are the fastest networks on a CPU.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..types import DataSpec


class MLP(nn.Sequential):
    """inputs -> depth hidden layers of `width` with SiLU -> outputs, (..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, *, width: int, depth: int) -> None:
        layers: list[nn.Module] = []
        for narrow, wide in pairwise([inputs] + [width] * depth):
            layers += [nn.Linear(narrow, wide), nn.SiLU()]
        super().__init__(*layers, nn.Linear(width if depth else inputs, outputs))

    @property
    def last(self) -> nn.Linear:
        """The layer that gives the outputs."""
        layer = self[-1]
        assert isinstance(layer, nn.Linear)
        return layer


class MLPEncoder(nn.Module):
    """Flattened image and condition -> `outputs` features."""

    def __init__(self, data: DataSpec, outputs: int, *, condition: int, width: int, depth: int) -> None:
        super().__init__()
        self.layers = MLP(math.prod(data.shape) + condition, outputs, width=width, depth=depth)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] and (B, condition) -> (B, outputs)."""
        return self.layers(_beside(image.flatten(1), condition))


class MLPDecoder(nn.Module):
    """Latent and condition -> one number per channel and pixel."""

    def __init__(self, data: DataSpec, latent: int, *, condition: int, width: int, depth: int) -> None:
        super().__init__()
        self.shape = data.shape
        self.layers = MLP(latent + condition, math.prod(data.shape), width=width, depth=depth)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """(B, latent) and (B, condition) -> (B, C, H, W), unbounded."""
        return self.layers(_beside(latent, condition)).unflatten(1, self.shape)

    @torch.no_grad()
    def centre(self, output: Tensor) -> None:
        """Make (C, H, W) what an untrained decoder gives on average: the last layer's bias."""
        self.layers.last.bias.copy_(output.flatten())


def _beside(features: Tensor, condition: Tensor) -> Tensor:
    """(B, F) and (B, W) -> (B, F + W); no copy when there is no condition."""
    return torch.cat([features, condition], dim=1) if condition.shape[1] else features
