"""A model of rising scales: it foretells a whole map of tokens at once, each map from the coarser ones before it.

An image takes as many passes as it has scales. It needs a tokenizer of scales, `residual-vq`.
Source: Tian et al. 2024, Visual autoregressive modeling, arXiv 2404.02905.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from ..model import Loss, Step, Tokenizes
from ..nn.decoding import scale_by_scale
from ..nn.token_network import Reading, grid_positions
from ..rng import Rng
from ..types import Batch
from .token_model import TokenModel, TokenOptions, surprise, token_terms


@runtime_checkable
class TokenizesScales(Tokenizes, Protocol):
    """Turns images into square maps of tokens of rising side, coarse to fine, and back."""

    scales: tuple[int, ...]  # the sides of the maps

    def partial(self, tokens: Tensor) -> Tensor:
        """(B, n) tokens of the first maps -> (B, D, s, s): what they add up to, at the side of the map after them."""


class NextScale(TokenModel):
    """Draws a map of tokens at a time, coarse to fine."""

    name: ClassVar[str] = "next-scale"

    def _layout(self) -> tuple[Tensor, Tensor]:
        if not isinstance(self.tokenizer, TokenizesScales):
            raise ConfigError(f"first={self.config.first!r} makes no scales of tokens; use first=residual-vq")
        self.scales = self.tokenizer.scales
        self.grid = (self.scales[-1], self.scales[-1])
        whole = self.scales[-1]
        positions = [(grid_positions(side, side) - 0.5) * (whole / side) + 0.5 for side in self.scales]
        scale = torch.cat([torch.full((side * side,), index) for index, side in enumerate(self.scales)])
        return torch.cat(positions), scale[:, None] >= scale[None]

    def _embedding(self) -> nn.Module:
        with torch.no_grad():
            width = self.tokenizer.partial(torch.zeros(1, 0, dtype=torch.int64)).shape[1]
        return nn.Linear(width, self.config.width)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Nats a token, of each token knowing the maps coarser than its own."""
        tokens = self.precompute(batch.image) if batch.code is None else batch.code.long()  # (B, N)
        known = self.conditioning.hidden(batch.condition, len(tokens), self.config.condition_dropout, step.rng)
        starts = [0, *accumulate(side * side for side in self.scales[:-1])]
        inputs = torch.cat([self._input(tokens[:, :start]) for start in starts], dim=1)  # (B, N, D)
        logits = self._foretold(inputs, known)  # (B, N, V)
        yield Loss("model", surprise(logits, tokens).mean(), token_terms(logits, tokens))

    @torch.no_grad()
    def _input(self, tokens: Tensor) -> Tensor:
        """(B, n) tokens of the first maps -> (B, s s, D), what the next map is foretold from."""
        return self.tokenizer.partial(tokens).flatten(2).transpose(1, 2)

    def _draw(self, reading: Reading, rng: Rng, options: TokenOptions, known: Tensor | None) -> Tensor:
        return scale_by_scale(
            lambda tokens: reading.logits(self._input(tokens), tokens.shape[1]),
            options.pick,
            rng.uniform(self.places),
            self.scales,
            known=known,
        )

    def _kept(self, redo: Tensor) -> Tensor:
        """A token of a coarse map is kept unless most of what it covers is to be drawn anew."""
        shares = [F.adaptive_avg_pool2d(redo[:, None].float(), side).flatten(1) for side in self.scales]
        return torch.cat(shares, dim=1) <= 0.5  # (B, N)
