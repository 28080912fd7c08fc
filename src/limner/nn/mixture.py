"""Mixtures of any family, fitted by expectation-maximisation: in full rounds over many images, or step by step.

Everything that is learned, and everything that learning remembers, lies in buffers, so a fit that is interrupted goes
on exactly. Members may belong to classes; attributes are part of what a member predicts. So the mixture is a joint
density of image and condition, from which an exact conditional one follows, with any part of the condition unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..precise import precise
from ..rng import Rng
from ..types import DataSpec
from .attribute_tables import AttributeTables
from .families import Family, Sums

DELAY = 20  # steps by which the step sizes are behind: the start counts for more than the first batch


@dataclass(frozen=True)
class Stepwise:
    """After each batch, move the sums a little towards the batch's: by (step + 20)^-decay.

    Source: Cappe & Moulines 2009, On-line expectation-maximization algorithm for latent data models, equation 10.
    """

    decay: float

    def first(self, expected: Tensor) -> Tensor:
        """What a sum is before the first batch, given what it is on average of what the start draws."""
        return expected

    def take(self, sums: Sums, batch: Sums, rows: int, gathered: Tensor) -> Sums:
        """Take in the sums of a batch, and count in `gathered`; returns those to maximise by now, or None."""
        gathered += 1
        for name, value in batch.items():
            sums[name].lerp_(value.to(sums[name]), (int(gathered) + DELAY) ** -self.decay)
        return sums


@dataclass(frozen=True)
class FullRounds:
    """Add the batches up, and take a step of textbook expectation-maximisation when `images` have been seen."""

    images: int

    def first(self, expected: Tensor) -> Tensor:
        return torch.zeros_like(expected)

    def take(self, sums: Sums, batch: Sums, rows: int, gathered: Tensor) -> Sums | None:
        for name, value in batch.items():
            sums[name].add_(value.to(sums[name]), alpha=rows)
        gathered += rows
        if int(gathered) < self.images:
            return None
        totals = {name: value / gathered for name, value in sums.items()}
        for value in (*sums.values(), gathered):
            value.zero_()
        return totals


class Mixture(nn.Module):
    """Weights over the members of a family, and what each member says of the condition.

    data   its classes share the members equally, member k belonging to class k % C, and its attributes get tables;
           see `unconditional` for leaving both out
    """

    weights: Tensor  # (K,), summing to 1
    gathered: Tensor  # steps taken, or images in the sums since the last full round
    placed: Tensor  # (K,) bool: whether a member was put at an image of its class

    def __init__(self, family: Family, data: DataSpec, learning: Stepwise | FullRounds) -> None:
        super().__init__()
        self.family, self.learning, self.classes = family, learning, len(data.classes)
        self.tables = AttributeTables(family.members, data.attributes)
        members = family.members
        self.register_buffer("weights", torch.full((members,), 1 / members))
        self.register_buffer("gathered", torch.zeros((), dtype=torch.int64))
        self.register_buffer("placed", torch.full((members,), not self.classes))
        for name, value in self._first().items():
            self.register_buffer(f"sum_{name}", value)

    @property
    def owners(self) -> Tensor:
        """(K,) the class that each member belongs to."""
        return torch.arange(self.family.members, device=self.weights.device) % max(1, self.classes)

    # --- the density ------------------------------------------------------------------------------------------------

    def log_joint(self, rows: Tensor, condition: Tensor) -> Tensor:
        """(B, D) rows and (B, W) encoded conditions -> (B, K) log p(row, condition, member), in the rows' precision."""
        return self.family.log_prob(rows) + self.log_members(condition).to(rows)

    def log_members(self, condition: Tensor) -> Tensor:
        """(B, W) encoded conditions -> (B, K) log p(condition, member)."""
        log_weights = self.weights.clamp(min=1e-30).log().expand(len(condition), -1)
        labels, values, known = self._parts(condition)
        if self.classes:
            of_class = labels[:, self.owners] > 0  # (B, K)
            unknown = ~(labels > 0).any(1, keepdim=True)
            log_weights = torch.where(of_class | unknown, log_weights, -torch.inf)
        return log_weights + self.tables.log_prob(values, known) if self.tables.width else log_weights

    def log_prob(self, rows: Tensor, condition: Tensor) -> Tensor:
        """(B,) log p(row | condition) in nats."""
        members = self.log_members(condition).to(rows)
        return (self.family.log_prob(rows) + members).logsumexp(1) - members.logsumexp(1)

    def choose(self, condition: Tensor, rng: Rng) -> Tensor:
        """(B,) a member for each condition, drawn from p(member | condition)."""
        ends = self.log_members(condition).softmax(1).cumsum(1)  # (B, K)
        place = torch.searchsorted(ends, rng.uniform(1).to(ends) * ends[:, -1:], right=True)
        return place[:, 0].clamp(max=len(self.weights) - 1)

    # --- learning ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def begin(self, rows: Tensor, random: np.random.Generator) -> None:
        """Put the members at rows (N, D) far from one another; before anything is learned."""
        centres = rows[spread(rows, self.family.members, random)]
        self.family.begin(rows, centres)
        self.weights.fill_(1 / len(self.weights))
        for name, value in self._first().items():
            getattr(self, f"sum_{name}").copy_(value)

    @torch.no_grad()
    def place(self, rows: Tensor, condition: Tensor, random: np.random.Generator) -> None:
        """Move members that were never at an image of their class to rows (B, D) of it, as far as there are any."""
        if bool(self.placed.all()):
            return
        labels = condition[:, : self.classes]
        for label in torch.nonzero((labels > 0).any(0))[:, 0].tolist():
            members = torch.nonzero(~self.placed & (self.owners == label))[:, 0]
            candidates = rows[labels[:, label] > 0]
            members = members[: len(candidates)]
            if len(members):
                self._put(members, candidates[spread(candidates, len(members), random)])

    @torch.no_grad()
    def learn(self, rows: Tensor, shares: Tensor, condition: Tensor) -> None:
        """Learn from rows (B, D) that belong to the members by shares (B, K)."""
        _, values, known = self._parts(condition)
        batch = {"mass": shares.mean(0), **self.family.gather(rows, shares)}
        batch |= self.tables.gather(values, known, shares) if self.tables.width else {}
        sums = {name: getattr(self, f"sum_{name}") for name in batch}
        totals = self.learning.take(sums, batch, len(rows), self.gathered)
        if totals is not None:
            self._maximise({name: precise(value) for name, value in totals.items()})

    def _maximise(self, sums: Sums) -> None:
        self.weights.copy_(sums["mass"] / sums["mass"].sum())
        self.family.maximise(sums["mass"], sums)
        if self.tables.width:
            self.tables.maximise(sums)

    def _put(self, members: Tensor, rows: Tensor) -> None:
        """Let members start again at rows."""
        self.family.place(members, rows)
        self.placed[members] = True
        for name, value in self._first().items():
            getattr(self, f"sum_{name}")[members] = value[members]

    def _first(self) -> dict[str, Tensor]:
        """The sums that learning starts from, for equal members as they stand."""
        members = len(self.weights)
        sums = {"mass": self.weights.new_full((members,), 1.0), **self.family.expected()}
        sums |= {name: self.weights.new_zeros(members, self.tables.width) for name in self.tables.sums}
        return {name: self.learning.first(value / members) for name, value in sums.items()}

    def _parts(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Labels (B, C), attribute values (B, A) and which of them are known (B, A): see nn/condition.py."""
        width = self.tables.width
        return condition.split([self.classes, width, width], dim=1)


def spread(rows: Tensor, count: int, random: np.random.Generator) -> Tensor:
    """(count,) indices of rows (N, D) far from one another.

    Source: Arthur & Vassilvitskii 2007, k-means++: the advantages of careful seeding.
    """
    squares = rows.square().sum(1)  # (N,)
    chosen = [int(random.integers(len(rows)))]
    distance = torch.full_like(squares, torch.inf)
    while len(chosen) < count:
        last = chosen[-1]
        to_last = squares + squares[last] - 2 * (rows @ rows[last])
        distance = torch.minimum(distance, to_last.clamp(min=0))
        distance[last] = 0
        ends = precise(distance).cumsum(0).cpu()
        if float(ends[-1]) > 0:
            place = int(torch.searchsorted(ends, float(ends[-1]) * random.random(), right=True))
        else:  # all rows are taken, or alike: any of them will do
            place = int(random.integers(len(rows)))
        chosen.append(min(place, len(rows) - 1))
    return torch.tensor(chosen, device=rows.device)
