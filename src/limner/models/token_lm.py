"""A language model of images: their tokens row by row, each foretold from those before it.

Source: Esser et al. 2021, Taming transformers, arXiv 2012.09841, section 3.2; the transformer as in Sun et al. 2024,
LlamaGen, arXiv 2406.06525.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..model import Loss, Step
from ..nn.decoding import one_by_one
from ..nn.token_network import Reading, causal, grid_positions
from ..rng import Rng
from ..types import Batch
from .token_model import TokenModel, TokenOptions, surprise, token_terms


class TokenLM(TokenModel):
    """Draws tokens one by one. Knows the exact probability of every sequence, and is the slowest of the three."""

    name: ClassVar[str] = "token-lm"

    def _layout(self) -> tuple[Tensor, Tensor]:
        positions = grid_positions(*self.tokenizer.grid)
        return positions, causal(len(positions))

    def _embedding(self) -> nn.Module:
        return nn.Embedding(self._start + 1, self.config.width)

    @property
    def _start(self) -> int:
        """The token that stands before the first."""
        return self.tokenizer.vocabulary

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Nats a token, of each token knowing those before it."""
        tokens = self.precompute(batch.image) if batch.code is None else batch.code.long()  # (B, N)
        known = self.conditioning.hidden(batch.condition, len(tokens), self.config.condition_dropout, step.rng)
        before = torch.cat([torch.full_like(tokens[:, :1], self._start), tokens[:, :-1]], dim=1)
        logits = self._foretold(before, known)  # (B, N, V)
        yield Loss("model", surprise(logits, tokens).mean(), token_terms(logits, tokens))

    def _draw(self, reading: Reading, rng: Rng, options: TokenOptions, known: Tensor | None) -> Tensor:
        return one_by_one(
            lambda token, place: reading.logits(token[:, None], place)[:, 0],
            options.pick,
            rng.uniform(self.places),
            start=self._start,
            known=known,
        )
