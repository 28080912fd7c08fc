"""A denoiser without convolutions, for small images and for latents that are vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from .dit import modulated
from .embedding import LevelEmbedding, told


class DenoisingMLP(nn.Module):
    """(B, C, H, W) as one vector through residual layers; arguments as in UNet. It hears a text by the condition alone.

    Beside the layers, a share of the input that depends on the level goes through: an image with more numbers than
    `width` could not get through otherwise, nor could the noise in it.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        width: int,
        depth: int,
        condition: int = 0,
        text: int = 0,
        dropout: float = 0.0,
        levels: int = 1,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.levels = nn.ModuleList(LevelEmbedding(width) for _ in range(levels))
        self.condition = nn.Linear(condition, width, bias=False) if condition else None
        self.first = nn.Linear(math.prod(shape), width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(depth))
        self.last, self.through = nn.Linear(width, math.prod(shape)), nn.Linear(width, 1)
        for layer in (self.last, self.through):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, x: Tensor, levels: Sequence[Tensor], condition: Tensor, text: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """(B, C, H, W), (B,) each, (B, condition), and text as (B, L, text) with a (B, L) mask -> (B, C, H, W)."""
        known, tokens = told(self.levels, self.condition, levels, condition), self.first(x.flatten(1))
        for block in self.blocks:
            tokens = block(tokens, known)
        made = self.last(F.silu(F.layer_norm(tokens, tokens.shape[-1:]))).unflatten(1, self.shape)
        return made + self.through(known)[:, :, None, None] * x


class _Block(nn.Module):
    """x + network(x), told of the level: (B, width) -> (B, width)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.modulation = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        shift, scale = self.modulation(known).chunk(2, dim=1)
        return x + self.layers(modulated(x, shift, scale))
