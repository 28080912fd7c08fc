"""Stacks of convolutions: the small networks of super-resolution and denoising, without normalisation unless named.

Each gives a correction, (B, C, scale h, scale w), that its model adds to what enlarging or copying gives. The last
layer starts at zero, so an untrained network is exactly that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .enlarge import Enlarge


class PixelShuffleNet(nn.Module):
    """Plain 3x3 convolutions on the small image, the last one's channels shuffled into pixels.

    Source: Shi et al. 2016, arXiv 1609.05158, section 3, with more and thinner layers, as in Dong et al. 2016,
    arXiv 1608.00367.
    """

    multiple = 1

    def __init__(self, given: int, wanted: int, scale: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.scale, self.reach = scale, depth
        sides = [given, *[width] * (depth - 1)]
        self.layers = nn.ModuleList(nn.Conv2d(a, width, 3, padding=1) for a in sides[:-1])
        self.last = nn.Conv2d(sides[-1], wanted * scale * scale, 3, padding=1)
        _begin(self.layers, self.last)

    def forward(self, source: Tensor) -> Tensor:
        hidden = source
        for layer in self.layers:
            hidden = functional.relu(layer(hidden), inplace=True)
        return functional.pixel_shuffle(self.last(hidden), self.scale)


class SRCNN(nn.Module):
    """9-5-5 convolutions on the enlarged image. Source: Dong et al. 2014, arXiv 1501.00092, section 3."""

    multiple = 1

    def __init__(self, given: int, wanted: int, scale: int, *, width: int) -> None:
        super().__init__()
        self.enlarge = Enlarge(scale)
        self.reach = 2 + -(-8 // scale)
        self.layers = nn.ModuleList([nn.Conv2d(given, width, 9, padding=4), nn.Conv2d(width, width // 2, 5, padding=2)])
        self.last = nn.Conv2d(width // 2, wanted, 5, padding=2)
        _begin(self.layers, self.last)

    def forward(self, source: Tensor) -> Tensor:
        hidden = self.enlarge(source)
        for layer in self.layers:
            hidden = functional.relu(layer(hidden), inplace=True)
        return self.last(hidden)


class ESPCN(nn.Module):
    """5-3-3 convolutions with tanh, then pixels from channels. Source: Shi et al. 2016, arXiv 1609.05158, section 3."""

    multiple = 1
    reach = 4

    def __init__(self, given: int, wanted: int, scale: int, *, width: int) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.ModuleList([nn.Conv2d(given, width, 5, padding=2), nn.Conv2d(width, width // 2, 3, padding=1)])
        self.last = nn.Conv2d(width // 2, wanted * scale * scale, 3, padding=1)
        _begin(self.layers, self.last)

    def forward(self, source: Tensor) -> Tensor:
        hidden = source
        for layer in self.layers:
            hidden = torch.tanh(layer(hidden))
        return functional.pixel_shuffle(self.last(hidden), self.scale)


class EDSR(nn.Module):
    """Residual blocks without normalisation, on the small image. Source: Lim et al. 2017, arXiv 1707.02921."""

    multiple = 1

    def __init__(self, given: int, wanted: int, scale: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.scale, self.reach = scale, 2 * depth + 3
        self.first = nn.Conv2d(given, width, 3, padding=1)
        self.ones, self.twos = (nn.ModuleList(_convolutions(width, depth)) for _ in range(2))
        self.after = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, wanted * scale * scale, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, source: Tensor) -> Tensor:
        first = hidden = self.first(source)
        for one, two in zip(self.ones, self.twos, strict=True):
            hidden = hidden + two(functional.relu(one(hidden)))
        return functional.pixel_shuffle(self.last(first + self.after(hidden)), self.scale)


class ShuffledNet(nn.Module):
    """Plain 3x3 convolutions on the image folded two by two into channels: four times fewer places to compute at.

    Source: Zhang et al. 2018, FFDNet, arXiv 1710.04026, section 3, without normalisation.
    """

    multiple = 2

    def __init__(self, given: int, wanted: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.reach = 2 * depth + 1
        self.layers = nn.ModuleList(nn.Conv2d(a, width, 3, padding=1) for a in [4 * given, *[width] * (depth - 2)])
        self.last = nn.Conv2d(width, 4 * wanted, 3, padding=1)
        _begin(self.layers, self.last)

    def forward(self, source: Tensor) -> Tensor:
        hidden = functional.pixel_unshuffle(source, 2)
        for layer in self.layers:
            hidden = functional.relu(layer(hidden), inplace=True)
        return functional.pixel_shuffle(self.last(hidden), 2)


class DnCNN(nn.Module):
    """3x3 convolutions at full size with batch normalisation. Source: Zhang et al. 2017, arXiv 1608.03981."""

    multiple = 1

    def __init__(self, given: int, wanted: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.reach = depth
        self.first = nn.Conv2d(given, width, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(depth - 2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, momentum=0.05) for _ in range(depth - 2))
        self.last = nn.Conv2d(width, wanted, 3, padding=1)
        _begin([self.first, *self.layers], self.last)

    def forward(self, source: Tensor) -> Tensor:
        hidden = functional.relu(self.first(source), inplace=True)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            hidden = functional.relu(norm(layer(hidden)), inplace=True)
        return self.last(hidden)


def _convolutions(width: int, count: int) -> list[nn.Conv2d]:
    return [nn.Conv2d(width, width, 3, padding=1) for _ in range(count)]


def _begin(layers, last: nn.Conv2d) -> None:
    """He's initialisation for what a ReLU follows, zeros for the last layer."""
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
