"""A normalizing flow of images on several scales: squeeze, a few layers, let half of the numbers go, and again.

It maps images to standard normal noise and back, exactly, and knows the volume of the map.
Source: Dinh et al. 2016, RealNVP, arXiv 1605.08803, section 3.6; Kingma & Dhariwal 2018, Glow, arXiv 1807.03039.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .bijections import ActNorm, Bijection, Chain, InvertibleConvolution, Reorder, Standardise
from .coupling import Affine, Coupling, CouplingNetwork, LogisticMixture, Movement
from .resolution import check_divisible

MixingName = Literal["reorder", "convolution"]
Shape = tuple[int, int, int]  # (C, H, W)
# which two of the four pixels of a 2x2 block go first: a checkerboard, rows, columns
_PATTERNS = ((0, 3, 1, 2), (0, 1, 2, 3), (0, 2, 1, 3))


@dataclass(frozen=True)
class Layout:
    """What a MultiScale is built from.

    shape       (C, H, W); H and W divisible by 2**depth
    condition   length of the encoded condition; 0 for none
    depth       scales
    couplings   at each scale
    width       channels of the couplings' networks
    mixing      between couplings: `reorder` the channels, or a `convolution` that is learned
    logistics   in the mixtures that the couplings move by; 0 for affine couplings
    """

    shape: Shape
    condition: int
    depth: int
    couplings: int
    width: int
    mixing: MixingName = "reorder"
    logistics: int = 0


class MultiScale(nn.Module):
    """(B, C, H, W) <-> (B, C H W) that is N(0, 1) under the model, coarse numbers last.

    After each scale but the last, the half that the last coupling moved leaves: it is noise by then, given the other.
    Raises ConfigError when the sides cannot be halved `depth` times.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        channels, height, width = layout.shape
        check_divisible(height, width, layout.depth)
        self.scales = nn.ModuleList()
        self.leaving: list[Shape] = []  # what leaves after each scale
        for scale in range(1, layout.depth + 1):
            channels, height, width = 4 * channels, height // 2, width // 2
            layers = list(_layers(layout, (channels, height, width)))
            if scale == layout.depth:
                self.leaving.append((channels, height, width))
                layers.append(Standardise(self.leaving[-1], layout.condition))
            else:
                channels //= 2
                self.leaving.append((channels, height, width))
            self.scales.append(Chain(*layers))

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The latent, (B, C H W), and log |det d latent / d x|, (B,)."""
        latents, log_volume = [], x.new_zeros(len(x))
        for scale, (leaving, _, _) in zip(self.scales, self.leaving, strict=True):
            x, more = scale(F.pixel_unshuffle(x, 2), condition)  # (B, 4 C, H / 2, W / 2)
            log_volume = log_volume + more
            latents.append(x[:, :leaving].flatten(1))
            x = x[:, leaving:]
        return torch.cat(latents, dim=1), log_volume

    def inverse(self, latent: Tensor, condition: Tensor) -> Tensor:
        """(B, C H W) -> (B, C, H, W): undoes `forward`."""
        parts = latent.split([math.prod(shape) for shape in self.leaving], dim=1)
        x: Tensor | None = None
        for scale, part, shape in reversed(list(zip(self.scales, parts, self.leaving, strict=True))):
            left = part.unflatten(1, shape)  # (B, c, h, w)
            x = left if x is None else torch.cat([left, x], dim=1)
            x = F.pixel_shuffle(cast(Chain, scale).inverse(x, condition), 2)
        assert x is not None, "there is at least one scale"
        return x

    @torch.no_grad()
    def settle(self, x: Tensor, condition: Tensor) -> None:
        """Let every layer start from what reaches it of images (B, C, H, W)."""
        for scale, (leaving, _, _) in zip(self.scales, self.leaving, strict=True):
            x = F.pixel_unshuffle(x, 2)
            cast(Chain, scale).settle(x, condition)
            x = scale(x, condition)[0][:, leaving:]


def _layers(layout: Layout, shape: Shape) -> Iterator[Bijection]:
    """The layers of one scale: for each coupling a normalisation, a mixing of the channels and the coupling."""
    channels, size = shape[0], shape[1:]
    half, turns = channels // 2, _turns(channels)
    movement: Movement = LogisticMixture(layout.logistics) if layout.logistics else Affine()
    for index in range(layout.couplings):
        yield ActNorm(channels)
        if layout.mixing == "convolution":
            yield InvertibleConvolution(channels)
        elif index % 2 == 0:  # between them a coupling moves the half that was kept before
            yield Reorder(next(turns))
        network = CouplingNetwork(
            half, movement.numbers * half, width=layout.width, size=size, condition=layout.condition
        )
        yield Coupling(network, movement, kept=half, moved=half)


def _turns(channels: int) -> Iterator[list[int]]:
    """Orders of the channels of a squeezed image, each of which takes it from the last pattern to the next.

    A pattern puts two pixels of each 2x2 block before the other two. Pixel p of channel c was squeezed to 4 c + p.
    """
    now = list(range(channels))
    for pattern in cycle(_PATTERNS):
        wanted = [4 * channel + pixel for pixel in pattern for channel in range(channels // 4)]
        yield [now.index(channel) for channel in wanted]
        now = wanted
