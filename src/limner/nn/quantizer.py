"""Quantizers: features in, tokens and their embeddings out. Each can stand in for another.

Rounding has no gradient, so that of the embedding is handed to the features as it is ("straight through").
Source: Bengio et al. 2013, arXiv 1308.3432; van den Oord et al. 2017, arXiv 1711.00937, section 3.2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..rng import Rng

# tanh of 0.85 z is nearly uniform for a normal z (its distribution within .01 of a straight line): all levels are used
SPREAD = 0.85
HALFLIFE_IMAGES = 2_000  # of the running means that a codebook is made of
DEAD = 0.05  # of the tokens that a code would have if all were used alike; one with fewer is seeded anew
TINY = 1e-12


class Quantized(NamedTuple):
    """What a quantizer makes of features.

    code     (B, D, h, w)   embeddings of the tokens; gradients pass straight through to the features
    tokens   (B, T)         int64, row by row
    cost     scalar         how far features are from their embeddings, to be kept small; 0 where that needs no help
    inputs   (B, T, D)      what was rounded to those tokens
    """

    code: Tensor
    tokens: Tensor
    cost: Tensor
    inputs: Tensor


class Quantizer(nn.Module, ABC):
    """Tokens for features.

    vocabulary   tokens are 0 … vocabulary - 1
    width        D, numbers in an embedding
    """

    vocabulary: int
    width: int

    @abstractmethod
    def bounded(self, features: Tensor) -> Tensor:
        """(B, D, h, w) features of about unit variance -> where embeddings lie, before rounding."""

    @abstractmethod
    def forward(self, features: Tensor) -> Quantized:
        """(B, D, h, w) features of about unit variance -> tokens and embeddings."""

    @abstractmethod
    def embed(self, tokens: Tensor) -> Tensor:
        """(...) int64 -> (..., D)."""

    def learn(self, found: Quantized, rng: Rng) -> None:
        """Learn what no gradient teaches, after a training step that gave `found`."""


class FiniteScalar(Quantizer):
    """Rounds each of D numbers to one of a few levels: the codebook is their product, and nothing of it is learned.

    levels   how many levels each number has: (8, 6, 5) are 240 tokens

    Level k of L stands at (2 k + 1) / L - 1, the middle of the k-th of L equal parts of [-1, 1].
    Source: Mentzer et al. 2023, Finite scalar quantization, arXiv 2309.15505, section 3.1, where the outer levels of
    an odd L are half as wide.
    """

    levels: Tensor
    places: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.vocabulary, self.width = math.prod(levels), len(levels)
        places = [math.prod(levels[:position]) for position in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def bounded(self, features: Tensor) -> Tensor:
        return torch.tanh(SPREAD * features)

    def forward(self, features: Tensor) -> Quantized:
        within = self.bounded(features)  # (B, D, h, w) in [-1, 1]
        rows = within.flatten(2).transpose(1, 2)  # (B, T, D)
        tokens = self.round(rows)
        code = straight_through(within, as_grid(self.embed(tokens), features))
        return Quantized(code, tokens, code.new_zeros(()), rows.detach())

    def round(self, values: Tensor) -> Tensor:
        """(..., D) in [-1, 1] -> (...) int64, the nearest token."""
        steps = ((values.detach() + 1) / 2 * self.levels).long()
        return (steps.clamp(min=0).minimum(self.levels - 1) * self.places).sum(-1)  # at 1 itself there is no bin

    def embed(self, tokens: Tensor) -> Tensor:
        steps = tokens[..., None] // self.places % self.levels  # (..., D)
        return (2 * steps + 1) / self.levels - 1


class Codebook(Quantizer):
    """A table of embeddings that follow the means of the features nearest to them.

    size         rows of the table
    width        numbers in a row; 4 to 16 are searched best
    normalised   compare directions only: features and embeddings have unit length

    Rows that almost no feature chooses are set to features that are ill served. The rows are buffers: running means do
    what a gradient would, with no step size to choose.
    Sources: van den Oord et al. 2017, arXiv 1711.00937, appendix A.1, for the running means; Yu et al. 2022,
    Vector-quantized image modeling with improved VQGAN, arXiv 2110.04627, section 3.2, for short rows of unit length.
    """

    table: Tensor
    shares: Tensor
    sums: Tensor

    def __init__(self, size: int, width: int, *, normalised: bool) -> None:
        super().__init__()
        self.vocabulary, self.width, self.normalised = size, width, normalised
        table = self._placed(torch.randn(size, width))
        self.register_buffer("table", table)
        self.register_buffer("shares", torch.full((size,), 1 / size))  # running share of the tokens of each row
        self.register_buffer("sums", table / size)  # running sum of the features of each row, over all tokens

    def bounded(self, features: Tensor) -> Tensor:
        return F.normalize(features, dim=1) if self.normalised else features

    def forward(self, features: Tensor) -> Quantized:
        placed = self.bounded(features)
        rows = placed.flatten(2).transpose(1, 2)  # (B, T, D)
        tokens = self.nearest(rows)
        embedded = as_grid(self.embed(tokens), features)
        return Quantized(straight_through(placed, embedded), tokens, F.mse_loss(placed, embedded), rows.detach())

    def nearest(self, rows: Tensor) -> Tensor:
        """(..., D) -> (...) int64: the row of the table at the smallest distance."""
        likeness = rows.detach() @ self.table.T - 0.5 * self.table.square().sum(1)
        return likeness.argmax(-1)

    def embed(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.table)

    @torch.no_grad()
    def learn(self, found: Quantized, rng: Rng) -> None:
        tokens, inputs = found.tokens.flatten(), found.inputs.flatten(0, 1)  # (N,), (N, D)
        weight = 1 - 0.5 ** (len(found.tokens) / HALFLIFE_IMAGES)
        counts = torch.bincount(tokens, minlength=self.vocabulary).to(inputs)
        sums = torch.zeros_like(self.sums).index_add_(0, tokens, inputs)
        self.shares.lerp_(counts / len(tokens), weight)
        self.sums.lerp_(sums / len(tokens), weight)
        self._revive(inputs, tokens, rng.uniform(found.tokens.shape[1]).flatten())
        self.table.copy_(self._placed(self.sums / self.shares[:, None].clamp(min=TINY)))

    def _revive(self, inputs: Tensor, tokens: Tensor, uniform: Tensor) -> None:
        """Set dead rows to features, each chosen with a probability in proportion to its squared distance to its row.

        inputs (N, D), tokens (N,), uniform (N,) in [0, 1). The draw is that of Gumbel's top k: without replacement.
        """
        dead = (self.shares < DEAD / self.vocabulary).nonzero().squeeze(1)[: len(inputs)]
        if not len(dead):
            return
        distance = (inputs - self.table[tokens]).square().sum(1)
        chosen = ((distance + TINY).log() - (-(uniform + TINY).log()).log()).topk(len(dead)).indices
        self.shares[dead] = 1 / self.vocabulary
        self.sums[dead] = inputs[chosen] / self.vocabulary

    def _placed(self, rows: Tensor) -> Tensor:
        return F.normalize(rows, dim=1) if self.normalised else rows


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """`rounded`, with the gradient of `value`."""
    return rounded.detach() + (value - value.detach())  # the difference is 0, and has a gradient


def as_grid(rows: Tensor, like: Tensor) -> Tensor:
    """(B, h w, D) -> (B, D, h, w), with the height and width of `like` (B, ..., h, w)."""
    return rows.transpose(1, 2).unflatten(2, tuple(like.shape[2:]))


def usage(tokens: Tensor, vocabulary: int) -> Tensor:
    """Scalar: the share of the vocabulary that occurs among (...) tokens."""
    return (torch.bincount(tokens.flatten(), minlength=vocabulary) > 0).float().mean()


def perplexity(tokens: Tensor, vocabulary: int) -> Tensor:
    """Scalar: how many tokens would be as hard to guess if all were equally likely, for (...) tokens."""
    shares = torch.bincount(tokens.flatten(), minlength=vocabulary).float() / tokens.numel()
    return torch.special.entr(shares).sum().exp()
