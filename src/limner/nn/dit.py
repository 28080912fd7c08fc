"""The diffusion transformer: patches of an image as tokens, told of noise and condition by adaptive normalisation.

Source: Peebles & Xie 2023, arXiv 2212.09748, adaLN-Zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from .attention import Attention, heads_for
from .embedding import LevelEmbedding, grid_positions, told


class DiT(nn.Module):
    """(B, C, H, W) and what is known of each image -> (B, C, H, W).

    patch      side of a token, in pixels; divides both sides of the image
    depth      transformer blocks
    Other arguments as in UNet.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        width: int,
        depth: int,
        patch: int,
        head_width: int = 64,
        condition: int = 0,
        text: int = 0,
        dropout: float = 0.0,
        levels: int = 1,
    ) -> None:
        super().__init__()
        channels, height, across = shape
        if height % patch or across % patch:
            raise ConfigError(
                f"patch={patch} does not divide {height}x{across}; use one of {_divisors(height, across)}"
            )
        self.patch, self.grid = patch, (height // patch, across // patch)
        self.levels = nn.ModuleList(LevelEmbedding(width) for _ in range(levels))
        self.condition = nn.Linear(condition, width, bias=False) if condition else None
        self.first = nn.Linear(channels * patch * patch, width)
        self.register_buffer("positions", grid_positions(*self.grid, width), persistent=False)
        heads = heads_for(width, head_width)
        self.blocks = nn.ModuleList(Block(width, heads, text=text, dropout=dropout) for _ in range(depth))
        self.modulation = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, channels * patch * patch)
        for layer in (self.modulation, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, x: Tensor, levels: Sequence[Tensor], condition: Tensor, text: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """(B, C, H, W), (B,) each, (B, condition), and text as (B, L, text) with a (B, L) mask -> (B, C, H, W)."""
        known = told(self.levels, self.condition, levels, condition)
        tokens = self.first(F.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2)) + self.positions
        for block in self.blocks:
            tokens = block(tokens, known, text)
        shift, scale = self.modulation(known)[:, None].chunk(2, dim=2)
        tokens = self.last(modulated(tokens, shift, scale))  # (B, N, C p p)
        return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, self.grid), self.patch)


class Block(nn.Module):
    """Attention between tokens, to the text where there is any, and a network on each token: (B, N, width) -> same."""

    def __init__(self, width: int, heads: int, *, text: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.itself = Attention(width, heads)
        self.text = Attention(width, heads, memory_width=text) if text else None
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        if self.text is not None:
            nn.init.zeros_(self.text.out.weight)

    def forward(self, x: Tensor, known: Tensor, text: tuple[Tensor, Tensor] | None = None) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(known)[:, None].chunk(6, dim=2)
        x = x + gate1 * self.itself(modulated(x, shift1, scale1))
        if self.text is not None and text is not None:
            x = x + self.text(F.layer_norm(x, x.shape[-1:]), *text)
        return x + gate2 * self.network(modulated(x, shift2, scale2))


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer normalisation with its scale and shift told from outside."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), 1 + scale)


def _divisors(height: int, width: int) -> str:
    found = [str(side) for side in range(1, min(height, width) + 1) if height % side == 0 and width % side == 0]
    return ", ".join(found)
