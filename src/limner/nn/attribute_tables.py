"""What each member of a mixture says of an image's attributes: a table of probabilities, learned with the members.

Given the member, attributes are independent of one another and of the pixels, so unknown ones are simply left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ..types import Attribute

BACK_OFF = 0.03  # weight of the whole data set in each member's table, as a share of an average member's
LEAST_VARIANCE = 0.01  # of a continuous attribute, whose variance over the data set is 1
CERTAIN = 1e-3  # least probability of a value


class AttributeTables(nn.Module):
    """log p(attributes | member) as level + slope * value + curve * value^2, summed over what is known.

    Values are laid out as limner.types.Attribute says: a categorical attribute is one-hot, a binary one or one of
    several labels is -1 or 1, a continuous one is standardised. So one quadratic in each place serves every kind.
    """

    level: Tensor  # (K, A)
    slope: Tensor
    curve: Tensor
    sums = ("known", "value", "value_square")  # what `gather` gives, each (K, A)

    def __init__(self, members: int, attributes: Iterable[Attribute]) -> None:
        super().__init__()
        self.kinds = [(attribute.kind, attribute.width) for attribute in attributes]
        self.width = sum(width for _, width in self.kinds)
        for name in ("level", "slope", "curve"):  # zeros: nothing is known, and every value is as probable
            self.register_buffer(name, torch.zeros(members, self.width))

    def log_prob(self, values: Tensor, known: Tensor) -> Tensor:
        """(B, A) values that are 0 where `known` (B, A) is -> (B, K) nats."""
        known, values = known.to(self.level), values.to(self.level)
        return known @ self.level.T + values @ self.slope.T + values.square() @ self.curve.T

    def gather(self, values: Tensor, known: Tensor, shares: Tensor) -> dict[str, Tensor]:
        """What the tables depend on, in images that belong to the members by shares (B, K): means over images."""
        parts = zip(self.sums, (known, values, values.square()), strict=True)
        return {name: shares.T @ part.to(shares) / len(shares) for name, part in parts}

    def maximise(self, sums: Mapping[str, Tensor]) -> None:
        """The tables that fit the sums, drawn a little towards what holds for the whole data set."""
        known, value, square = (_backed_off(sums[name]) for name in self.sums)
        seen = known.sum(0) > 0
        known = known.clamp(min=1e-12)
        start = 0
        for kind, width in self.kinds:
            part = slice(start, start + width)
            table = _TABLES[kind](known[:, part], value[:, part], square[:, part])
            for name, entries in zip(("level", "slope", "curve"), table, strict=True):
                getattr(self, name)[:, part] = torch.where(seen[part], entries, 0.0).to(self.level)
            start += width


def _backed_off(sums: Tensor) -> Tensor:
    """(K, A) sums of each member, with a small share of the sums over all members."""
    return sums + BACK_OFF / len(sums) * sums.sum(0)


def _categorical(known: Tensor, value: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    zero = torch.zeros_like(value)
    return zero, (value / known).clamp(min=CERTAIN).log(), zero


def _signed(known: Tensor, value: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    on = (0.5 + 0.5 * value / known).clamp(CERTAIN, 1 - CERTAIN)
    return 0.5 * (on.log() + torch.log1p(-on)), 0.5 * torch.logit(on), torch.zeros_like(on)


def _continuous(known: Tensor, value: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean = value / known
    variance = (square / known - mean.square()).clamp(min=LEAST_VARIANCE)
    level = -0.5 * (mean.square() / variance + (2 * torch.pi * variance).log())
    return level, mean / variance, -0.5 / variance


_TABLES = {"categorical": _categorical, "binary": _signed, "multilabel": _signed, "continuous": _continuous}
