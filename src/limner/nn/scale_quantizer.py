"""A quantizer in steps of resolution: coarse tokens first, each scale coding what the coarser ones left over.

Models of next-scale prediction make one scale at a time from the picture that the scales before it add up to.
Source: Tian et al. 2024, Visual autoregressive modeling, arXiv 2404.02905, algorithms 1 and 2.
"""

from __future__ import annotations

from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..rng import Rng
from .quantizer import Codebook, Quantized, Quantizer

GROWTH = 1.5  # of the side from one scale to the next
CLOSE = 1.3  # a scale that the whole grid exceeds by less is left out


class ScaleQuantizer(Quantizer):
    """Tokens of square maps of rising side, all from one codebook.

    sides   of the maps; the last is the side of the grid. Their tokens are laid out coarse to fine, row by row.

    A map's embeddings are enlarged to the grid and smoothed by a small convolution of its own; the code is their sum.
    """

    def __init__(self, size: int, width: int, sides: tuple[int, ...]) -> None:
        super().__init__()
        self.codebook = Codebook(size, width, normalised=False)
        self.vocabulary, self.width, self.sides = size, width, sides
        self.ends = tuple(accumulate(side * side for side in sides))  # where each scale's tokens end
        self.smooth = nn.ModuleList(_identity(width) for _ in sides)

    def bounded(self, features: Tensor) -> Tensor:
        return features

    def forward(self, features: Tensor) -> Quantized:
        target = features.detach()
        total, tokens, inputs = torch.zeros_like(target), [], []
        for scale, side in enumerate(self.sides):
            small = F.adaptive_avg_pool2d(target - total.detach(), side)  # (B, D, s, s)
            inputs.append(small.flatten(2).transpose(1, 2))  # (B, s s, D)
            tokens.append(self.codebook.nearest(inputs[-1]))
            total = total + self._enlarged(tokens[-1], scale)
        cost = F.mse_loss(features, total.detach()) + F.mse_loss(total, target)  # the second teaches the smoothing
        code = total + (features - target)  # the value of `total`, with gradients to the smoothing and the features
        return Quantized(code, torch.cat(tokens, 1), cost, torch.cat(inputs, 1))

    def embed(self, tokens: Tensor) -> Tensor:
        return self.codebook.embed(tokens)

    def learn(self, found: Quantized, rng: Rng) -> None:
        self.codebook.learn(found, rng)

    def added(self, tokens: Tensor) -> Tensor:
        """(B, T) tokens of the first few scales -> (B, D, S, S): what they add up to; zeros for no tokens.

        Raises ValueError unless T is the number of tokens of whole scales.
        """
        side = self.sides[-1]
        total = self.codebook.table.new_zeros(len(tokens), self.width, side, side)
        for scale in range(self.scales_in(tokens.shape[1])):
            total = total + self._enlarged(tokens[:, self._start(scale) : self.ends[scale]], scale)
        return total

    def scales_in(self, count: int) -> int:
        """How many scales `count` tokens are; raises ValueError when the last is not whole."""
        if count and count not in self.ends:
            raise ValueError(f"{count} tokens are not whole scales; scales end after {', '.join(map(str, self.ends))}")
        return self.ends.index(count) + 1 if count else 0

    def _start(self, scale: int) -> int:
        return self.ends[scale - 1] if scale else 0

    def _enlarged(self, tokens: Tensor, scale: int) -> Tensor:
        """(B, s s) tokens of one scale -> (B, D, S, S): its share of the code."""
        side = self.sides[scale]
        small = self.codebook.embed(tokens).transpose(1, 2).unflatten(2, (side, side))  # (B, D, s, s)
        whole = small if side == self.sides[-1] else F.interpolate(small, self.sides[-1], mode="bicubic")
        return self.smooth[scale](whole)


def _identity(channels: int) -> nn.Conv2d:
    """A 3x3 convolution that starts by changing nothing."""
    layer = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.dirac_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def scale_sides(side: int) -> tuple[int, ...]:
    """Sides from 1 to `side` that grow by about half each time: 7 -> 1 2 3 4 7, 8 -> 1 2 3 4 6 8."""
    sides = [1]
    while sides[-1] < side:
        sides.append(max(sides[-1] + 1, int(sides[-1] * GROWTH)))
    return (*(coarse for coarse in sides if coarse * CLOSE <= side), side)
