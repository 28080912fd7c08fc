"""The layers of a normalizing flow of images: maps with an inverse that know how much they stretch space.

Each takes (B, C, H, W) and the encoded condition (B, W), and returns the image of x with log |det Jacobian|, (B,) nats.
Couplings, which hold the networks, are in coupling.py; multiscale.py stacks the layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..precise import precise
from .blocks import ConditionEmbedding

LEAST_STD = 1e-3  # of a channel that actnorm scales to 1: a channel that is flat in the first batch may not stay so
LARGEST = 2.0  # largest log scale: unbounded ones overflow early in training, and their inverses lose digits


def bounded(log_scale: Tensor) -> Tensor:
    """Any number -> (-LARGEST, LARGEST), with slope 1 at 0."""
    return LARGEST * torch.tanh(log_scale / LARGEST)


class Bijection(nn.Module, ABC):
    """A map with an inverse and a known volume."""

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor, /) -> tuple[Tensor, Tensor]:
        """y, of the shape that x has, and log |det dy/dx|, (B,)."""

    @abstractmethod
    def inverse(self, y: Tensor, condition: Tensor, /) -> Tensor:
        """x: undoes `forward`."""

    def settle(self, x: Tensor, condition: Tensor) -> None:
        """Start from what reaches this layer before the first step; most layers need not."""


class Chain(Bijection):
    """Layers one after the other."""

    def __init__(self, *layers: Bijection) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def __iter__(self) -> Iterator[Bijection]:
        return iter(cast(Iterable[Bijection], self.layers))

    def forward(self, x: Tensor, condition: Tensor, /) -> tuple[Tensor, Tensor]:
        log_volume = x.new_zeros(len(x))
        for layer in self:
            x, more = layer(x, condition)
            log_volume = log_volume + more
        return x, log_volume

    def inverse(self, y: Tensor, condition: Tensor, /) -> Tensor:
        for layer in reversed(list(self)):
            y = layer.inverse(y, condition)
        return y

    def settle(self, x: Tensor, condition: Tensor) -> None:
        for layer in self:
            layer.settle(x, condition)
            x, _ = layer(x, condition)


class ActNorm(Bijection):
    """A scale and a shift for each channel, which start where they give it mean 0 and standard deviation 1.

    Source: Kingma & Dhariwal 2018, Glow, arXiv 1807.03039, section 3.1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    @torch.no_grad()
    def settle(self, x: Tensor, condition: Tensor) -> None:
        std, mean = torch.std_mean(x, dim=(0, 2, 3), correction=0)
        self.shift.copy_(-mean.view_as(self.shift))
        self.log_scale.copy_(-std.clamp_min(LEAST_STD).log().view_as(self.log_scale))

    def forward(self, x: Tensor, condition: Tensor, /) -> tuple[Tensor, Tensor]:
        log_volume = self.log_scale.sum() * (x.shape[2] * x.shape[3])
        return (x + self.shift) * self.log_scale.exp(), log_volume.expand(len(x))

    def inverse(self, y: Tensor, condition: Tensor, /) -> Tensor:
        return y * torch.exp(-self.log_scale) - self.shift


class Reorder(Bijection):
    """The channels in another order: which of them a coupling keeps, and which it moves."""

    order: Tensor  # (C,)
    back: Tensor  # (C,)

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("back", torch.tensor(order).argsort(), persistent=False)

    def forward(self, x: Tensor, condition: Tensor, /) -> tuple[Tensor, Tensor]:
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, y: Tensor, condition: Tensor, /) -> Tensor:
        return y[:, self.back]


class InvertibleConvolution(Bijection):
    """A 1x1 convolution that mixes the channels: W = P L (U + diag(s)), which has the determinant of its diagonal.

    It starts as a random rotation. P and the signs of s stay as they began.
    Source: Kingma & Dhariwal 2018, Glow, arXiv 1807.03039, equations 9 to 11.
    """

    permutation: Tensor  # (C, C)
    signs: Tensor  # (C,)

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("permutation", permutation)
        self.register_buffer("signs", upper.diagonal().sign())
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))
        self.log_sizes = nn.Parameter(upper.diagonal().abs().log())

    def weight(self) -> Tensor:
        """(C, C), in full precision also under autocast: the volume is that of unrounded numbers."""
        with torch.autocast(self.lower.device.type, enabled=False):
            lower = self.lower.tril(-1) + torch.eye(len(self.signs)).to(self.lower)
            return self.permutation @ lower @ (self.upper.triu(1) + torch.diag(self.signs * self.log_sizes.exp()))

    def forward(self, x: Tensor, condition: Tensor, /) -> tuple[Tensor, Tensor]:
        log_volume = self.log_sizes.sum() * (x.shape[2] * x.shape[3])
        return _mixed(x, self.weight()), log_volume.expand(len(x))

    def inverse(self, y: Tensor, condition: Tensor, /) -> Tensor:
        return _mixed(y, torch.linalg.inv(precise(self.weight())).to(y))


def _mixed(x: Tensor, weight: Tensor) -> Tensor:
    """Each pixel's channels times a (C, C) matrix, in full precision: what is rounded here has no inverse."""
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x, weight[:, :, None, None])


class Standardise(Bijection):
    """A normal distribution for each number, whose mean and scale depend on place and condition, made a standard one.

    The last layer: what it gives is N(0, 1). Before training it changes nothing.
    """

    def __init__(self, shape: tuple[int, int, int], condition: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.table = nn.Parameter(torch.zeros(2 * channels, height, width))
        self.condition = ConditionEmbedding(condition, 2 * channels) if condition else None
        if self.condition is not None:
            nn.init.zeros_(self.condition.weight)

    def forward(self, x: Tensor, condition: Tensor, /) -> tuple[Tensor, Tensor]:
        mean, log_std = self._normal(condition, len(x))
        return (x - mean) * torch.exp(-log_std), -log_std.flatten(1).sum(1)

    def inverse(self, y: Tensor, condition: Tensor, /) -> Tensor:
        mean, log_std = self._normal(condition, len(y))
        return mean + torch.exp(log_std) * y

    def _normal(self, condition: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation, each (B, C, H, W)."""
        table = self.table.expand(rows, -1, -1, -1)
        if self.condition is not None:
            table = table + self.condition(condition).float()[:, :, None, None]
        mean, log_std = table.chunk(2, dim=1)
        return mean, bounded(log_std)
