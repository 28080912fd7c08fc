"""A tokenizer of rising scales: one token for the whole image first, then maps of ever more of them.

It is what models of next-scale prediction are trained on (nn/scale_quantizer.py). As a plain tokenizer its grid is one
row, coarse to fine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import setting
from ..errors import ConfigError
from ..nn.scale_quantizer import ScaleQuantizer, scale_sides
from ..types import DataSpec
from . import checks
from .tokenizer import GridConfig, Tokenizer


@dataclass(frozen=True)
class ScaleTokenizerConfig(GridConfig):
    """Settings of `residual-vq`."""

    codes: int = setting("rows of the codebook that all scales share: the vocabulary", 512)
    code_width: int = setting("numbers in a row of the codebook", 16)
    sides: tuple[int, ...] | None = setting(
        "of the maps of tokens, rising to that of the grid; by default by half", None
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 2, "codes")
        checks.at_least(self, 1, "code_width")
        if self.sides is not None and (not self.sides or list(self.sides) != sorted(set(self.sides))):
            raise ConfigError(f"sides={self.sides} do not rise; use for example 1,2,3,4,7")

    def quantizer_for(self, grid: tuple[int, int]) -> ScaleQuantizer:
        rows, columns = grid
        if rows != columns:
            raise ConfigError(f"scales need square images, and this grid is {rows}x{columns}; use resolution=SIDE")
        sides = scale_sides(rows) if self.sides is None else self.sides
        if sides[0] < 1 or sides[-1] != rows:
            raise ConfigError(f"sides={sides} must lead from 1 or more to {rows}, the side of the grid")
        return ScaleQuantizer(self.codes, self.code_width, sides)


class ScaleTokenizer(Tokenizer):
    """Encodes images to square maps of tokens of rising side, and decodes them.

    scales   the sides of the maps; an image has sum(side²) tokens, coarse to fine
    """

    Config: ClassVar[type] = ScaleTokenizerConfig
    name: ClassVar[str] = "residual-vq"
    quantizer: ScaleQuantizer

    def __init__(self, config: ScaleTokenizerConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.scales = self.quantizer.sides
        self.grid = (1, self.quantizer.ends[-1])

    @torch.no_grad()
    def tokenize_scales(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, T) int64, coarse to fine."""
        return self.tokenize(image).flatten(1)

    def detokenize_scales(self, tokens: Tensor) -> Tensor:
        """(B, T) int64 -> (B, C, H, W) in [-1, 1]; tokens of the first few scales give a coarser image."""
        return self._picture(self.quantizer.added(tokens))

    def partial(self, tokens: Tensor) -> Tensor:
        """Tokens of the first k scales -> (B, D, s, s): what they add up to, at the side of scale k + 1.

        That is the input from which scale k + 1 is predicted: zeros for k = 0. All scales give the whole code.
        Raises ValueError unless the tokens are those of whole scales.
        """
        scale = self.quantizer.scales_in(tokens.shape[1])
        return F.adaptive_avg_pool2d(self.quantizer.added(tokens), self.scales[min(scale, len(self.scales) - 1)])

    def _code(self, tokens: Tensor) -> Tensor:
        return self.quantizer.added(tokens.flatten(1))
