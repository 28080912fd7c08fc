"""Numbers and places as vectors: noise levels, grid positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sinusoids(values: Tensor, width: int, *, longest: float = 10_000.0) -> Tensor:
    """(N,) -> (N, width): cosines, then sines, of wavelengths from 2 pi to `longest` times it.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.5.
    """
    half = width // 2
    rates = torch.exp(-math.log(longest) * torch.arange(half, dtype=torch.float32, device=values.device) / half)
    angles = values.float()[:, None] * rates
    features = torch.cat([angles.cos(), angles.sin()], dim=1)
    return features if width % 2 == 0 else torch.cat([features, torch.zeros_like(features[:, :1])], dim=1)


def grid_positions(rows: int, columns: int, width: int) -> Tensor:
    """(rows x columns, width): sinusoids of the row beside those of the column."""
    half = width // 2
    down, across = sinusoids(torch.arange(rows), half), sinusoids(torch.arange(columns), width - half)
    return torch.cat([down.repeat_interleave(columns, 0), across.repeat(rows, 1)], dim=1)


class LevelEmbedding(nn.Module):
    """(B,) noise level, of size about 1 -> (B, width), as a small network sees it."""

    def __init__(self, width: int, *, features: int = 64) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, level: Tensor) -> Tensor:
        return self.layers(sinusoids(level * 1000, self.features))


def told(embeddings: nn.ModuleList, encoder: nn.Module | None, levels: Sequence[Tensor], condition: Tensor) -> Tensor:
    """(B, E): all that a network is told of each image, (B,) each level and (B, W) the condition, in one vector."""
    known = torch.stack([embed(level) for embed, level in zip(embeddings, levels, strict=True)]).sum(0)
    return F.silu(known if encoder is None else known + encoder(condition))
