"""A model of masked tokens: it sees those that are known, wherever they are, and foretells all others at once.

So an image takes a few passes, not one for each token, and any part of it can be drawn anew.
Source: Chang et al. 2022, MaskGIT, arXiv 2202.04200.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..config import setting
from ..model import Loss, Step
from ..nn.decoding import by_confidence
from ..nn.token_network import Reading, grid_positions
from ..rng import Rng
from ..types import Batch
from . import checks
from .token_model import TokenModel, TokenOptions, surprise


@dataclass(frozen=True)
class MaskedOptions(TokenOptions):
    """Options of drawing tokens in passes."""

    passes: int = setting("over the image; as many as tokens, at the most, are drawn one by one", 10)
    order: Literal["confidence", "random"] = setting("which of the tokens of a pass to keep", "confidence")
    wander: float = setting("noise on the confidences: more of it, more variety", 4.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 1, "passes")
        checks.at_least(self, 0, "wander")


class MaskedTokens(TokenModel):
    """Draws all tokens at once, keeps those it is surest of, and goes on from there: ten passes make an image."""

    Options: ClassVar[type] = MaskedOptions
    name: ClassVar[str] = "masked-tokens"

    def _layout(self) -> tuple[Tensor, None]:
        return grid_positions(*self.tokenizer.grid), None

    def _embedding(self) -> nn.Module:
        return nn.Embedding(self._mask + 1, self.config.width)

    @property
    def _mask(self) -> int:
        """The token that stands for one that is not known."""
        return self.tokenizer.vocabulary

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Nats a masked token. The share that is masked is drawn for each image, and each image counts alike.

        Source: Chang et al. 2022, equation 1, with the cosine of section 3.3.
        """
        tokens = self.precompute(batch.image) if batch.code is None else batch.code.long()  # (B, N)
        known = self.conditioning.hidden(batch.condition, len(tokens), self.config.condition_dropout, step.rng)
        hidden = self._hidden(step.rng)  # (B, N)
        logits = self._foretold(torch.where(hidden, self._mask, tokens), known)  # (B, N, V)
        nats = (surprise(logits, tokens) * hidden).sum(1) / hidden.sum(1)  # (B,)
        yield Loss("model", nats.mean(), lambda: {"accuracy": _share(logits.argmax(-1) == tokens, hidden)})

    def _hidden(self, rng: Rng) -> Tensor:
        """(B, N) bool: a random choice of places, at least one in each row."""
        count = (torch.cos(math.pi / 2 * rng.uniform()) * self.places).ceil()  # (B,)
        rank = rng.uniform(self.places).argsort(dim=1).argsort(dim=1)
        return rank < count[:, None]

    def _draw(self, reading: Reading, rng: Rng, options: MaskedOptions, known: Tensor | None) -> Tensor:
        return by_confidence(
            lambda tokens: reading.logits(tokens, 0),
            options.pick,
            rng.uniform(min(options.passes, self.places), 2, self.places),
            mask=self._mask,
            known=known,
            wander=options.wander if options.order == "confidence" else None,
        )


def _share(right: Tensor, among: Tensor) -> Tensor:
    return (right & among).sum() / among.sum()
