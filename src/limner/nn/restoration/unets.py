"""U-Nets for restoration: a plain one, one with gates instead of activations, one whose convolutions look past holes.

Each gives a correction as in plain.py. Nothing in them looks at a whole picture, so `reach` is finite and pictures of
any size can be taken in tiles.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_WINDOW = 4  # places to each side that channel attention averages over, at each level
_UNKNOWN = 1e-6


class ResidualUNet(nn.Module):
    """Residual blocks of 3x3 convolutions at three resolutions, of `width`, twice and three times as many channels.

    A picture that keeps its size is first folded two by two into channels, which costs nothing and saves three
    quarters of the work; one that is enlarged is corrected at its small size, and pixels come from channels.
    Source: Zhang et al. 2020, DRUNet, arXiv 2008.13751, section 3.1, here with few and thin blocks; the folding as in
    FFDNet, arXiv 1710.04026.
    """

    def __init__(self, given: int, wanted: int, scale: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.fold, self.unfold = (2, 2) if scale == 1 else (1, scale)
        sides = [width, 2 * width, 3 * width]
        steps = [*zip(sides[:-1], sides[1:], strict=True)]
        self.multiple = self.fold * 2 ** len(steps)
        self.first = nn.Conv2d(given * self.fold**2, width, 3, padding=1)
        self.encoders = nn.ModuleList(_residuals(side, depth) for side in sides[:-1])
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, 2) for fine, coarse in steps)
        self.middle = _residuals(sides[-1], depth)
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in reversed(steps))
        self.decoders = nn.ModuleList(_residuals(side, depth) for side in reversed(sides[:-1]))
        self.last = nn.Conv2d(width, wanted * self.unfold**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        seen = 2 + 4 * depth * (1 + 2) + 2 * depth * 4 + 3  # places: ends, both sides of two levels, middle, halvings
        self.reach = -(-seen * self.fold // self.multiple) * self.multiple

    def forward(self, source: Tensor) -> Tensor:
        hidden, kept = self.first(functional.pixel_unshuffle(source, self.fold)), []
        for encoder, down in zip(self.encoders, self.down, strict=True):
            hidden = encoder(hidden)
            kept.append(hidden)
            hidden = down(hidden)
        hidden = self.middle(hidden)
        for decoder, up in zip(self.decoders, self.up, strict=True):
            hidden = decoder(functional.pixel_shuffle(up(hidden), 2) + kept.pop())
        return functional.pixel_shuffle(self.last(hidden), self.unfold)


class _Residual(nn.Module):
    """Two convolutions whose result is added to what came in; it starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.kaiming_normal_(self.one.weight, nonlinearity="relu")
        nn.init.zeros_(self.two.weight)
        assert self.two.bias is not None
        nn.init.zeros_(self.two.bias)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.two(functional.relu(self.one(image), inplace=True))


def _residuals(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(depth)))


class NAFNet(nn.Module):
    """A U-Net of blocks with depthwise convolutions, gates and channel attention, without activation functions.

    Channel attention averages over a window around each place, not over the picture, so that a tile sees what the
    whole picture would.
    Source: Chen et al. 2022, arXiv 2204.04676, section 3; the window: Chu et al. 2022, arXiv 2112.04491.
    """

    def __init__(self, given: int, wanted: int, *, width: int, depth: int, levels: int = 3) -> None:
        super().__init__()
        self.multiple = 2**levels
        sides = [width * 2**level for level in range(levels + 1)]
        self.first = nn.Conv2d(given, width, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, 2 * a, 2, 2) for a in sides[:-1])
        self.encoders = nn.ModuleList(_blocks(side, depth) for side in sides[:-1])
        self.middle = _blocks(sides[-1], depth)
        self.up = nn.ModuleList(nn.Conv2d(2 * a, 4 * a, 1, bias=False) for a in reversed(sides[:-1]))
        self.decoders = nn.ModuleList(_blocks(side, depth) for side in reversed(sides[:-1]))
        self.last = nn.Conv2d(width, wanted, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        block = 1 + _WINDOW
        self.reach = sum(2 * depth * block * 2**level for level in range(levels)) + depth * block * self.multiple
        self.reach = -(-(self.reach + 2) // self.multiple) * self.multiple

    def forward(self, source: Tensor) -> Tensor:
        hidden, kept = self.first(source), []
        for encoder, down in zip(self.encoders, self.down, strict=True):
            hidden = encoder(hidden)
            kept.append(hidden)
            hidden = down(hidden)
        hidden = self.middle(hidden)
        for decoder, up in zip(self.decoders, self.up, strict=True):
            hidden = decoder(functional.pixel_shuffle(up(hidden), 2) + kept.pop())
        return self.last(hidden)


class _Block(nn.Module):
    """Two residual halves: one that mixes places, one that mixes channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_Norm(width) for _ in range(2))
        self.spread = nn.Conv2d(width, 2 * width, 1)
        self.places = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Conv2d(width, width, 1)
        self.gather = nn.Conv2d(width, width, 1)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.narrow = nn.Conv2d(width, width, 1)
        self.shares = nn.Parameter(torch.zeros(2, width, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        hidden = _gate(self.places(self.spread(self.norms[0](image))))
        hidden = hidden * self.attention(_local_mean(hidden))
        image = image + self.shares[0] * self.gather(hidden)
        return image + self.shares[1] * self.narrow(_gate(self.widen(self.norms[1](image))))


class _Norm(nn.Module):
    """Layer normalisation over the channels of each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width, 1, 1)), nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        mean = image.mean(1, keepdim=True)
        centred = image - mean
        return centred * (centred.square().mean(1, keepdim=True) + 1e-6).rsqrt() * self.weight + self.bias


def _blocks(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(width) for _ in range(depth)))


def _gate(image: Tensor) -> Tensor:
    one, two = image.chunk(2, dim=1)
    return one * two


def _local_mean(image: Tensor) -> Tensor:
    """The mean of what lies within `_WINDOW` of each place, of fewer places at the edge; (B, C, h, w)."""
    side = 2 * _WINDOW + 1
    down = functional.avg_pool2d(image, (side, 1), 1, (_WINDOW, 0), count_include_pad=False)
    return functional.avg_pool2d(down, (1, side), 1, (0, _WINDOW), count_include_pad=False)


class PartialUNet(nn.Module):
    """A U-Net of partial convolutions: each weighs the known places under it alone, and passes on what became known.

    The last channel of its source is the hole, 1 there and -1 where the picture is known.
    Source: Liu et al. 2018, arXiv 1804.07723, section 3, with additive skips.
    """

    def __init__(self, given: int, wanted: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.multiple = 2**depth
        sides = [min(width * 2**level, 8 * width) for level in range(depth + 1)]
        self.first = PartialConv(given, sides[0], 5)
        self.down = nn.ModuleList(PartialConv(a, b, 3, stride=2) for a, b in zip(sides[:-1], sides[1:], strict=True))
        self.up = nn.ModuleList(
            PartialConv(b + a, a, 3) for a, b in reversed([*zip(sides[:-1], sides[1:], strict=True)])
        )
        self.last = nn.Conv2d(sides[0], wanted, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        self.reach = -(-(3 + sum(6 * 2**level for level in range(depth + 1))) // self.multiple) * self.multiple

    def forward(self, source: Tensor) -> Tensor:
        known = (source[:, -1:] < 0).to(source.dtype)
        hidden, mask = self.first(source, known)
        kept = [(hidden, mask)]
        for layer in self.down:
            hidden, mask = layer(functional.relu(hidden), mask)
            kept.append((hidden, mask))
        hidden, mask = kept.pop()
        for layer in self.up:
            skip, skip_mask = kept.pop()
            large = functional.interpolate(functional.relu(hidden), scale_factor=2.0, mode="nearest")
            large_mask = functional.interpolate(mask, scale_factor=2.0, mode="nearest")
            parts = torch.cat([large * large_mask, functional.relu(skip) * skip_mask], 1)
            hidden, mask = layer(parts, torch.maximum(large_mask, skip_mask))
        return self.last(functional.leaky_relu(hidden, 0.2))


class PartialConv(nn.Module):
    """A convolution over the known places under it, scaled up for those that are missing; equation 1 of the source."""

    def __init__(self, given: int, wanted: int, size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, wanted, size, stride, padding=size // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(wanted, 1, 1))
        self.size, self.stride = size, stride
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, image: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """image (B, C, h, w), known (B, 1, h, w) of 0 and 1 -> the same of what comes out."""
        share = functional.avg_pool2d(known, self.size, self.stride, self.size // 2)  # beyond the edge is unknown
        made = self.conv(image * known) / share.clamp(min=1 / self.size**2)
        found = (share > _UNKNOWN).to(image.dtype)
        return (made + self.bias) * found, found
