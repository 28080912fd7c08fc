"""A transformer over [prefix | image]: what an image is told beforehand, then one place for each of its tokens.

The prefix may be text and ends with one vector for the class and attributes, which is added at every place as well:
so it is heard from the first step of training. All of the prefix sees all of it, and every place of the image sees it.
Who sees whom within the image is what tells the ways of generating apart (`pattern`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConditionEmbedding
from .decoding import guided
from .packed import pack
from .transformer import Cache, Size, Transformer, Turns, lay_out, normalised, rotary


class Prefix(NamedTuple):
    """What is read before the image.

    vectors   (B, P, width), the last of them that of the class and attributes
    mask      (B, P) bool, True where there is something to see: each row has one; None when all is to be seen
    """

    vectors: Tensor
    mask: Tensor | None = None


class TokenNetwork(nn.Module):
    """Inputs at the N places of an image, and a prefix -> the logits of a token at each place.

    embed       inputs (B, L, ...) -> (B, L, width)
    positions   (N, axes) of the places, from 1; the prefix lies at 0
    pattern     (N, N) bool: which places each place may see; all when None
    condition   width of an encoded condition; 0 for none
    text        width of a vector of text; 0 for none
    """

    cosines: Tensor
    sines: Tensor
    pattern: Tensor

    def __init__(
        self,
        size: Size,
        embed: nn.Module,
        *,
        vocabulary: int,
        positions: Tensor,
        pattern: Tensor | None = None,
        condition: int = 0,
        text: int = 0,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.start = nn.Parameter(0.1 * torch.randn(size.width))
        self.condition = ConditionEmbedding(condition, size.width) if condition else None
        if self.condition is not None:
            nn.init.normal_(self.condition.weight)  # as large as the vector of a token
        self.text = nn.Linear(text, size.width, bias=False) if text else None
        self.places = nn.Parameter(torch.randn(len(positions), size.width))
        self.transformer = Transformer(size)
        self.head = nn.Linear(size.width, vocabulary, bias=False)
        nn.init.normal_(self.head.weight, std=0.25 * size.width**-0.5)  # all tokens about as likely at first
        lay_out(self.head)
        cosines, sines = rotary(positions, size.head_width)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        everything = torch.ones(len(positions), len(positions), dtype=torch.bool)
        self.register_buffer("pattern", everything if pattern is None else pattern, persistent=False)

    def in_bf16(self) -> TokenNetwork:
        """A copy in half precision, to draw with."""
        copied = copy.deepcopy(self).to(torch.bfloat16)
        lay_out(copied)
        pack(copied)
        return copied

    def prefix(self, condition: Tensor, text: tuple[Tensor, Tensor] | None = None) -> Prefix:
        """(B, condition) encoded classes and attributes, after (B, T, text) with a (B, T) mask where there is text."""
        last = self.start.expand(len(condition), -1)
        if self.condition is not None:
            last = last + self.condition(condition.to(last.dtype))
        last = last[:, None]  # (B, 1, width)
        if self.text is None or text is None:
            return Prefix(last)
        vectors, mask = self.text(normalised(text[0].to(last.dtype))), text[1]
        return Prefix(torch.cat([vectors, last], dim=1), torch.cat([mask, mask.new_ones(len(last), 1)], dim=1))

    def forward(self, inputs: Tensor, prefix: Prefix) -> Tensor:
        """(B, N, ...) at all places at once, or at the first few -> (B, N, vocabulary): what training needs."""
        before, places = prefix.vectors.shape[1], inputs.shape[1]
        x = torch.cat([prefix.vectors, self.placed(inputs, 0, prefix.vectors[:, -1:])], dim=1)  # (B, P + N, width)
        x = self.transformer(x, self.turns(0, places, before), self._seen(prefix, places))
        return self.head(x[:, before:])

    def read(self, prefix: Prefix, guidance: float = 1.0) -> Reading:
        """Take in the prefix, to go on with `Reading.logits`; with guidance, half of its rows are what to leave."""
        rows, before = prefix.vectors.shape[:2]
        cache = self.transformer.cache(rows, before + len(self.places), prefix.vectors)
        seen = None
        if prefix.mask is not None:
            image = prefix.mask.new_ones(rows, len(self.places))
            seen = torch.cat([prefix.mask, image], dim=1)[:, None, None]  # (B, 1, 1, P + N)
        self.transformer(prefix.vectors, self.turns(0, 0, before), None if seen is None else seen[..., :before], cache)
        return Reading(self, cache, prefix.vectors[:, -1:], before, seen, guidance)

    def placed(self, inputs: Tensor, first: int, told: Tensor) -> Tensor:
        """(B, L, ...) inputs at places `first` to `first` + L of an image told (B, 1, width) -> (B, L, width)."""
        if inputs.is_floating_point():
            inputs = inputs.to(self.places.dtype)
        return self.embed(inputs) + self.places[first : first + inputs.shape[1]] + told

    def turns(self, first: int, last: int, before: int = 0) -> Turns:
        """The rotary angles of places `first` to `last`, after `before` places that are not turned."""
        cosines, sines = self.cosines[first:last], self.sines[first:last]
        if not before:
            return cosines, sines
        flat = cosines.new_zeros(before, 1, cosines.shape[2])
        return torch.cat([flat + 1, cosines]), torch.cat([flat, sines])

    def _seen(self, prefix: Prefix, places: int) -> Tensor:
        """(B or 1, 1, P + N, P + N) bool: who sees whom in the whole sequence."""
        before = prefix.vectors.shape[1]
        seen = torch.ones(before + places, before + places, dtype=torch.bool, device=self.pattern.device)
        seen[:before, before:] = False
        seen[before:, before:] = self.pattern[:places, :places]
        if prefix.mask is None:
            return seen[None, None]
        there = torch.cat([prefix.mask, prefix.mask.new_ones(len(prefix.mask), places)], dim=1)
        return seen & there[:, None, None]


@dataclass
class Reading:
    """A network that has read a prefix, and what it has read of the image since.

    guidance   weight of what the prefix says. Unless it is 1, the second half of the rows has the prefix that says
               nothing, and both halves get the same inputs.
    """

    network: TokenNetwork
    cache: Cache
    told: Tensor
    before: int
    seen: Tensor | None
    guidance: float = 1.0

    def logits(self, inputs: Tensor, first: int) -> Tensor:
        """(B, L, ...) at places `first` to `first` + L -> (B, L, vocabulary) float32.

        These places see each other, the places before `first` as they were read last, and the prefix.
        """
        if self.guidance == 1:
            return self._all(inputs, first)
        told, untold = self._all(torch.cat([inputs, inputs]), first).chunk(2)
        return guided(told, untold, self.guidance)

    def _all(self, inputs: Tensor, first: int) -> Tensor:
        network, at = self.network, self.before + first
        last = first + inputs.shape[1]
        seen = None if self.seen is None else self.seen[..., : self.before + last]
        x = network.placed(inputs, first, self.told)
        x = network.transformer(x, network.turns(first, last), seen, self.cache, at)
        return network.head(x).float()


def grid_positions(rows: int, columns: int) -> Tensor:
    """(rows x columns, 2): the row and the column of each place, from 1."""
    row, column = torch.meshgrid(torch.arange(1, rows + 1), torch.arange(1, columns + 1), indexing="ij")
    return torch.stack([row.flatten(), column.flatten()], dim=1)


def causal(places: int) -> Tensor:
    """(N, N) bool: each place sees itself and those before it."""
    return torch.ones(places, places, dtype=torch.bool).tril()


def joined(told: Prefix, untold: Prefix) -> Prefix:
    """Both prefixes as the rows of one, the shorter filled up in front with vectors that nobody sees."""
    length = max(told.vectors.shape[1], untold.vectors.shape[1])
    if told.mask is None and untold.mask is None:
        return Prefix(torch.cat([told.vectors, untold.vectors]))  # one vector each
    rows = [_filled(prefix, length) for prefix in (told, untold)]
    return Prefix(torch.cat([vectors for vectors, _ in rows]), torch.cat([mask for _, mask in rows]))


def _filled(prefix: Prefix, length: int) -> tuple[Tensor, Tensor]:
    """The vectors and the mask of a prefix, brought to that length."""
    short, mask = length - prefix.vectors.shape[1], prefix.mask
    if mask is None:
        mask = prefix.vectors.new_ones(prefix.vectors.shape[:2], dtype=torch.bool)
    return F.pad(prefix.vectors, (0, 0, short, 0)), F.pad(mask, (short, 0))
