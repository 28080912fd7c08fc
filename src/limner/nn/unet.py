"""The U-Net of diffusion models: residual blocks at falling and rising resolution, with skips and attention.

Source: Ho et al. 2020, arXiv 2006.11239, appendix B; the same layers as UNet2DModel of diffusers, which tests compare
it with weight by weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Attention, heads_for
from .embedding import LevelEmbedding, told


class UNet(nn.Module):
    """(B, C, H, W) and what is known of each image -> (B, C, H, W).

    width      channels at full resolution
    mults      channels at each resolution, as multiples of `width`; each after the first halves the resolution
    blocks     residual blocks at each resolution
    attention  at which of the resolutions pixels attend to each other (0 is the full one)
    condition  length of the encoded condition, added to the embedding of the level
    text       length of a text token's vector; 0 for none
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int,
        mults: Sequence[int],
        blocks: int = 2,
        attention: Sequence[int] = (),
        head_width: int = 64,
        condition: int = 0,
        text: int = 0,
        dropout: float = 0.0,
        levels: int = 1,
    ) -> None:
        super().__init__()
        embedded, groups = 4 * width, math.gcd(32, max(1, width // 4), width)
        self.levels = nn.ModuleList(LevelEmbedding(embedded, features=width) for _ in range(levels))
        self.condition = nn.Linear(condition, embedded, bias=False) if condition else None

        def block(inputs: int, outputs: int, at: int) -> nn.Module:
            looks = head_width if at in attention else 0
            return Block(inputs, outputs, embedded, groups, dropout=dropout, head_width=looks, text=text)

        self.first = nn.Conv2d(channels, width, 3, padding=1)
        sizes, skips = [width * mult for mult in mults], [width]
        self.down = nn.ModuleList()
        here = width
        for at, size in enumerate(sizes):
            for _ in range(blocks):
                self.down.append(block(here, size, at))
                here = size
                skips.append(here)
            if at + 1 < len(sizes):
                self.down.append(nn.Conv2d(here, here, 3, stride=2, padding=1))
                skips.append(here)
        last = len(sizes) - 1
        self.middle = nn.ModuleList([block(here, here, last), ResidualBlock(here, here, embedded, groups, dropout)])
        self.up = nn.ModuleList()
        for at, size in reversed(list(enumerate(sizes))):
            for _ in range(blocks + 1):
                self.up.append(block(here + skips.pop(), size, at))
                here = size
            if at:
                self.up.append(Enlarge(here))
        self.norm = nn.GroupNorm(groups, here)
        self.last = nn.Conv2d(here, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(
        self, x: Tensor, levels: Sequence[Tensor], condition: Tensor, text: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """(B, C, H, W), (B,) each, (B, condition), and text as (B, L, text) with a (B, L) mask -> (B, C, H, W)."""
        known = told(self.levels, self.condition, levels, condition)
        x = self.first(x)
        skips = [x]
        for layer in self.down:
            x = layer(x, known, text) if isinstance(layer, Block) else layer(x)
            skips.append(x)
        x = self.middle[1](self.middle[0](x, known, text), known)
        for layer in self.up:
            x = layer(torch.cat([x, skips.pop()], dim=1), known, text) if isinstance(layer, Block) else layer(x)
        return self.last(F.silu(self.norm(x)))


class ResidualBlock(nn.Module):
    """x + convolutions(x, what is known): (B, inputs, H, W), (B, E) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, embedded: int, groups: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.known = nn.Linear(embedded, outputs)
        self.norm2, self.conv2 = nn.GroupNorm(groups, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.known(known)[:, :, None, None]
        return self.skip(x) + self.conv2(self.dropout(F.silu(self.norm2(h))))


class Block(nn.Module):
    """A residual block, then attention between pixels and to the text where there is any."""

    def __init__(
        self, inputs: int, outputs: int, embedded: int, groups: int, *, dropout: float, head_width: int, text: int
    ) -> None:
        super().__init__()
        self.residual = ResidualBlock(inputs, outputs, embedded, groups, dropout)
        self.attention = PixelAttention(outputs, groups, head_width, text=text) if head_width else None

    def forward(self, x: Tensor, known: Tensor, text: tuple[Tensor, Tensor] | None = None) -> Tensor:
        x = self.residual(x, known)
        return x if self.attention is None else self.attention(x, text)


class PixelAttention(nn.Module):
    """x + attention between its pixels, then to a text: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, groups: int, head_width: int, *, text: int = 0) -> None:
        super().__init__()
        heads = heads_for(channels, head_width)
        self.norm, self.itself = nn.GroupNorm(groups, channels), Attention(channels, heads)
        self.text_norm = nn.GroupNorm(groups, channels) if text else None
        self.text = Attention(channels, heads, memory_width=text) if text else None

    def forward(self, x: Tensor, text: tuple[Tensor, Tensor] | None = None) -> Tensor:
        shape = x.shape
        x = x + self._image(self.itself(self._pixels(self.norm(x))), shape)
        if self.text is not None and self.text_norm is not None and text is not None:
            x = x + self._image(self.text(self._pixels(self.text_norm(x)), *text), shape)
        return x

    def _pixels(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)  # (B, H W, C)

    def _image(self, pixels: Tensor, shape: torch.Size) -> Tensor:
        return pixels.transpose(1, 2).reshape(shape)


class Enlarge(nn.Module):
    """Twice the resolution: nearest neighbours, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
