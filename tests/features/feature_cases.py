"""A network that is big enough for an export and small enough for a test."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from limner.rng import generator


class Tiny(nn.Module):
    """(B, 3, H, W) -> features (B, 8), logits (B, 5): big enough for an export, small enough for a test."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.filter = nn.Conv2d(3, 8, 3, 2, 1)
        self.classify = nn.Linear(8, 5)
        noise = generator(seed, "tiny network")
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.from_numpy(noise.standard_normal(parameter.shape, dtype=np.float32)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled = torch.relu(self.filter(x / 255)).mean((2, 3))
        return pooled, self.classify(pooled)
