"""The networks that a diffusion model can have, made from one set of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from .denoising_mlp import DenoisingMLP
from .dit import DiT
from .resolution import check_divisible
from .unet import UNet

BackboneName = Literal["unet", "dit", "mlp"]


@dataclass(frozen=True)
class BackbonePlan:
    """What a backbone is built from.

    shape      (C, H, W) of what it denoises
    patch      side of the squares that become channels (unet) or tokens (dit) before anything else
    condition  length of the encoded condition; text: of a text token; 0 for none
    levels     numbers that it is told: 1 for the noise level, 2 where a step's length comes with it
    """

    name: BackboneName
    shape: tuple[int, int, int]
    width: int
    depth: int
    mults: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    patch: int
    head_width: int
    dropout: float
    condition: int
    text: int
    levels: int = 1

    def build(self) -> nn.Module:
        """The network: (x, levels, condition, text) -> like x, zero before training."""
        told: dict[str, Any] = {
            "condition": self.condition,
            "text": self.text,
            "dropout": self.dropout,
            "levels": self.levels,
        }
        if self.name == "mlp":
            return DenoisingMLP(self.shape, width=self.width, depth=self.depth, **told)
        if self.name == "dit":
            size = {"width": self.width, "depth": self.depth, "patch": self.patch, "head_width": self.head_width}
            return DiT(self.shape, **size, **told)
        channels, height, width = self.shape
        if height % self.patch or width % self.patch:
            raise ConfigError(f"patch={self.patch} does not divide {height}x{width}; use patch=1")
        check_divisible(height // self.patch, width // self.patch, len(self.mults) - 1)
        unet = UNet(
            channels * self.patch**2,
            width=self.width,
            mults=self.mults,
            blocks=self.blocks,
            attention=self.attention,
            head_width=self.head_width,
            **told,
        )
        return unet if self.patch == 1 else Patched(unet, self.patch)


MOST_TOKENS = 49  # that a transformer gets where nothing is said: a CPU trains a quarter as many four times as fast


def fitting_patch(height: int, width: int) -> int:
    """The smallest side of patches that gives at most 49 of them; the largest that divides both sides if none does."""
    sides = [side for side in range(1, min(height, width) + 1) if height % side == 0 and width % side == 0]
    few = [side for side in sides if (height // side) * (width // side) <= MOST_TOKENS]
    return few[0] if few else sides[-1]


class Patched(nn.Module):
    """A network that works at a fraction of the resolution, squares of pixels being its channels."""

    def __init__(self, network: nn.Module, patch: int) -> None:
        super().__init__()
        self.network, self.patch = network, patch

    def forward(
        self, x: Tensor, levels: Sequence[Tensor], condition: Tensor, text: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        small = self.network(F.pixel_unshuffle(x, self.patch), levels, condition, text)
        return F.pixel_shuffle(small, self.patch)
