"""The small parts that networks are built from: normalisation, residual blocks, embeddings of a condition.

Nothing here knows what a network is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["batch", "layer", "pixel", "none"]
NORMS: tuple[Norm, ...] = ("batch", "layer", "pixel", "none")


@dataclass(frozen=True)
class Blueprint:
    """What a network is built from.

    shape            (C, H, W) of the images; H and W divisible by 2**depth, except for an MLP, which has no depth
    condition_width  length of the encoded condition; 0 for none
    width            channels at full resolution; they double at each halving, at most three times
    depth            halvings between the image and the smallest features
    latent           length of the latent
    blocks           residual blocks at each resolution, where there are any
    """

    shape: tuple[int, int, int]
    condition_width: int
    width: int
    depth: int
    latent: int = 64
    blocks: int = 1
    norm: Norm = "none"
    dropout: float = 0.0
    spectral_norm: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the smallest features."""
        return self.shape[1] >> self.depth, self.shape[2] >> self.depth

    @property
    def bias(self) -> bool:
        """Whether layers need a bias: batch normalisation brings its own."""
        return self.norm != "batch"


class PixelNorm(nn.Module):
    """Scales the channels of each pixel to unit mean square: (B, C, ...) -> (B, C, ...). It learns nothing.

    Source: Karras et al. 2018, arXiv 1710.10196, section 4.2.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def norm_layer(norm: Norm, channels: int, *, spatial: bool = True) -> nn.Module:
    """The normalisation called `norm`, of (B, C, H, W) features, or of (B, C) features when not `spatial`.

    Only `batch` mixes the images of a batch; in eval mode it uses running statistics and mixes nothing.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels) if spatial else nn.BatchNorm1d(channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    return PixelNorm() if norm == "pixel" else nn.Identity()


def level_channels(width: int, level: int) -> int:
    """Channels after `level` halvings of the resolution: doubling from `width`, at most eightfold."""
    return width * 2 ** min(level, 3)


class ResidualBlock(nn.Module):
    """x + convolutions(x), with normalisation and activation before each 3x3 convolution: (B, C, H, W) -> same.

    Source: He et al. 2016, arXiv 1603.05027, full pre-activation.
    """

    def __init__(self, channels: int, norm: Norm = "none", *, dropout: float = 0.0) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            norm_layer(norm, channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1),
            norm_layer(norm, channels),
            nn.LeakyReLU(0.2),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    @property
    def last(self) -> nn.Conv2d:
        """The convolution that ends the branch; initialisation makes it small."""
        layer = self.branch[-1]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class ConditionEmbedding(nn.Linear):
    """(B, W) encoded condition -> (B, E), a learned vector for each class and attribute; zeros where all is unknown."""

    def __init__(self, condition_width: int, width: int) -> None:
        super().__init__(condition_width, width, bias=False)


def spectral_normalise(module: nn.Module) -> None:
    """Divide every convolution and linear weight in `module` by its largest singular value, from now on.

    The value is followed by one power iteration at each training forward. A weight must not be zero.
    Source: Miyato et al. 2018, arXiv 1802.05957, algorithm 1.
    """
    for layer in list(module.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.utils.parametrizations.spectral_norm(layer)
