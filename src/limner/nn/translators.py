"""Generators that turn one picture into another of the same size: a U-Net with skips, and a residual network.

Both normalise each picture by itself (instance normalisation), so a picture is taken as a whole and never depends on
others in its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional

from .initialise import initialise

_SHINING = 0.5  # contrast of the source in what a residual network makes at first
_SMALLEST = 2  # places a side that are left at the bottom: one place alone has no variance to divide by


class UNetTranslator(nn.Module):
    """Halves the picture `depth` times and doubles it again, with skips: what goes in and out shares its outlines.

    Source: Isola et al. 2017, arXiv 1611.07004, section 6.1, with instance for batch normalisation.
    """

    def __init__(self, given: int, wanted: int, *, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.multiple = 2**depth
        sides = [min(width * 2**level, 8 * width) for level in range(depth)]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2, padding=1) for a, b in zip([given, *sides[:-1]], sides, strict=True)
        )
        ups = list(reversed(sides))
        self.up = nn.ModuleList(
            nn.Conv2d(a if level == 0 else 2 * a, b, 3, padding=1)
            for level, (a, b) in enumerate(zip(ups, [*ups[1:], width], strict=True))
        )
        self.last = nn.Conv2d(width + given, wanted, 3, padding=1)
        self.dropout = dropout
        initialise(self, normalised=True)

    def forward(self, source: Tensor) -> Tensor:
        """(B, c, H, W) -> (B, C, H, W) in [-1, 1]."""
        hidden, kept = source, []
        for level, layer in enumerate(self.down):
            hidden = layer(functional.leaky_relu(hidden, 0.2) if level else hidden)
            hidden = functional.instance_norm(hidden) if level else hidden
            kept.append(hidden)
        kept.pop()
        for level, layer in enumerate(self.up):
            large = functional.interpolate(functional.relu(hidden), scale_factor=2.0, mode="nearest")
            hidden = functional.instance_norm(layer(large))
            if self.training and self.dropout and level < 2:
                hidden = functional.dropout(hidden, self.dropout)
            if kept:
                hidden = torch.cat([hidden, kept.pop()], 1)
        return torch.tanh(self.last(torch.cat([functional.relu(hidden), source], 1)))


class ResNetTranslator(nn.Module):
    """Two halvings, residual blocks at a quarter of the size, two doublings; the last layer sees the source as well.

    It starts with the source shining through, so outlines that are kept need not be drawn again: without that, what a
    few minutes of a CPU gave was blurred. It does not start as the source itself: that is the sharp bottom of a cycle's
    absolute errors, which it would not leave (docs/log.md 2026-11-26, "Translation, again").

    condition   numbers that scale and shift what each block has normalised: beside the pixels, normalisation would
                take out whatever is the same everywhere
    Source: Johnson et al. 2016, arXiv 1603.08155, as in Zhu et al. 2017, arXiv 1703.10593, section 4.
    """

    multiple = 4

    def __init__(self, given: int, wanted: int, *, width: int, blocks: int, condition: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(given, width, 7)
        self.down = nn.ModuleList(nn.Conv2d(a * width, 2 * a * width, 3, 2, padding=1) for a in (1, 2))
        self.blocks = nn.ModuleList(_Block(4 * width, condition) for _ in range(blocks))
        self.up = nn.ModuleList(nn.Conv2d(2 * a * width, a * width, 3, padding=1) for a in (2, 1))
        self.last = nn.Conv2d(width + given, wanted, 7)
        self.widths = (given, width, 2 * width, 4 * width, 4 * width)  # of what `encoded` gives
        initialise(self, normalised=True)
        same = torch.eye(wanted) if given == wanted else torch.full((wanted, given), 1 / given)
        with torch.no_grad():
            self.last.weight[:, width:, 3, 3] += _SHINING * same

    def forward(self, source: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, c, H, W), (B, K) -> (B, C, H, W) in [-1, 1]."""
        hidden = self.encoded(source, condition)[-1]
        for block in self.blocks[len(self.blocks) // 2 :]:
            hidden = block(hidden, condition)
        for layer in self.up:
            hidden = functional.interpolate(hidden, scale_factor=2.0, mode="nearest")
            hidden = functional.relu(functional.instance_norm(layer(hidden)))
        return torch.tanh(self.last(_mirrored(torch.cat([hidden, source], 1), 3)))

    def encoded(self, source: Tensor, condition: Tensor | None = None) -> Sequence[Tensor]:
        """What it sees on its way to the middle: the picture, three sizes of features, half of the blocks."""
        hidden = functional.relu(functional.instance_norm(self.first(_mirrored(source, 3))))
        seen = [source, hidden]
        for layer in self.down:
            hidden = functional.relu(functional.instance_norm(layer(hidden)))
            seen.append(hidden)
        for block in self.blocks[: len(self.blocks) // 2]:
            hidden = block(hidden, condition)
        return [*seen, hidden]


class _Block(nn.Module):
    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(width, width, 3), nn.Conv2d(width, width, 3)
        self.told = nn.Linear(condition, 2 * width) if condition else None

    def forward(self, image: Tensor, condition: Tensor | None) -> Tensor:
        hidden = functional.instance_norm(self.one(_mirrored(image, 1)))
        if self.told is not None and condition is not None:
            scale, shift = self.told(condition)[:, :, None, None].chunk(2, dim=1)
            hidden = hidden * (1 + scale) + shift
        hidden = functional.relu(hidden)
        return image + functional.instance_norm(self.two(_mirrored(hidden, 1)))


def _mirrored(image: Tensor, places: int) -> Tensor:
    """Continued beyond its edges: mirrored, or repeated where it is too small for that."""
    small = min(image.shape[2:]) <= places
    return functional.pad(image, (places,) * 4, mode="replicate" if small else "reflect")


def fitting_depth(height: int, width: int, most: int) -> int:
    """How many times a picture can be halved, up to `most`: both sides whole, and two places left."""
    depth = 0
    while depth < most and height % 2 ** (depth + 1) == width % 2 ** (depth + 1) == 0:
        if min(height, width) // 2 ** (depth + 1) < _SMALLEST:
            break
        depth += 1
    return min(depth, int(log2(max(1, min(height, width)))))
