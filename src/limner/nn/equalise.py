"""The first layer of a normalizing flow: pixels whose distribution in each channel becomes the normal one.

Most pixels of most data sets lie at a few levels, such as paper and ink. An affine layer cannot spread a peak and keep
the rest; the distribution function of the pixels, counted once, does it exactly and costs the others nothing.
Source: Chen & Gopinath 2000, Gaussianization, the marginal step; Laparra et al. 2011, arXiv 1602.00229, section II.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..precise import precise

LEVELS = 256  # of a stored pixel
UNSEEN = 0.05  # share of the distribution that is spread over all levels, for those that were not seen
MARGIN = 1e-6  # of the distribution at either end: normal numbers then stay within 4.8


class Equalise(nn.Module):
    """Dequantised pixels in [-1, 1] <-> numbers that are N(0, 1) over all images, channel by channel."""

    shares: Tensor  # (C, 256), each channel's distribution over the levels

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("shares", torch.full((channels, LEVELS), 1 / LEVELS))

    def fit(self, image: Tensor) -> None:
        """Count the levels of (N, C, H, W) stored images in [-1, 1]."""
        levels = ((image + 1) * ((LEVELS - 1) / 2)).round().long().clamp(0, LEVELS - 1)
        counts = torch.stack([channel.flatten().bincount(minlength=LEVELS) for channel in levels.unbind(1)])
        seen = counts / counts.sum(1, keepdim=True)
        self.shares.copy_((1 - UNSEEN) * seen + UNSEEN / LEVELS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) in [-1, 1] -> as many numbers and log |det|, (B,)."""
        shares, below = self._tables()
        place = (precise(x) + 1) * (LEVELS / 2)  # the level and where in it, 0 to 256
        level = place.detach().floor().long().clamp(0, LEVELS - 1)
        index = level + self._offsets(level)
        probability = below[index] + (place - level) * shares[index]
        y = torch.special.ndtri(MARGIN + (1 - 2 * MARGIN) * probability)
        log_slope = torch.log(shares[index] * ((LEVELS / 2) * (1 - 2 * MARGIN))) + 0.5 * y.square()
        return y.to(x), (log_slope + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1).to(x)

    def inverse(self, y: Tensor) -> Tensor:
        """Undoes `forward`; what lies beyond the margins is taken to -1 or 1."""
        shares, below = self._tables()
        probability = (torch.special.ndtr(precise(y)) - MARGIN) / (1 - 2 * MARGIN)
        probability = probability.clamp(0, 1)
        upper = (below + shares).view(-1, LEVELS)  # where each level ends
        rows = probability.detach().transpose(0, 1).flatten(1).contiguous()  # (C, B H W)
        level = torch.searchsorted(upper, rows, right=True).clamp_max(LEVELS - 1)
        level = level.view(y.shape[1], y.shape[0], *y.shape[2:]).transpose(0, 1)  # (B, C, H, W)
        index = level + self._offsets(level)
        return ((level + (probability - below[index]) / shares[index]) * (2 / LEVELS) - 1).to(y)

    def _tables(self) -> tuple[Tensor, Tensor]:
        """The share of each level and of all levels below it, one channel after the other, (C * 256,)."""
        shares = precise(self.shares)
        shares = shares / shares.sum(1, keepdim=True)
        return shares.flatten(), (shares.cumsum(1) - shares).flatten()

    def _offsets(self, level: Tensor) -> Tensor:
        """(C, 1, 1): where in the tables a channel begins."""
        return LEVELS * torch.arange(len(self.shares), device=level.device)[:, None, None]
