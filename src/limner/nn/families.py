"""Densities that a mixture mixes: what every family of them is, and Bernoulli pixels; gaussian_families.py has others.

A family holds K members. It says how probable rows are under each, which sums over rows decide a member's parameters,
and what the most likely parameters are given those sums; nn/mixture.py does the rest of expectation-maximisation.
Whatever is computed on rows is computed in their precision. Nothing here is learned by gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..rng import Rng

Sums = Mapping[str, Tensor]  # name -> (K, …), means over rows
CERTAIN = 1e-4  # least probability that a pixel is on, or off
FEW = 1e-9  # mass below which a member keeps the parameters it has


class Family(nn.Module, ABC):
    """K densities of one kind over rows (B, D).

    smoothing   weight of what is known of all rows in the parameters of each member, as a share of an average
                member's; 0 gives the most likely parameters
    """

    def __init__(self, members: int, smoothing: float) -> None:
        super().__init__()
        self.members, self.smoothing = members, smoothing / members

    @abstractmethod
    def begin(self, rows: Tensor, centres: Tensor) -> None:
        """Put the members at centres (K, D), spread as the rows (N, D) are around the centre next to them."""

    @abstractmethod
    def place(self, members: Tensor, rows: Tensor) -> None:
        """Put those members (n,) at rows (n, D), and leave their spread as it is."""

    @abstractmethod
    def log_prob(self, rows: Tensor) -> Tensor:
        """(B, D) -> (B, K) nats."""

    @abstractmethod
    def gather(self, rows: Tensor, shares: Tensor) -> dict[str, Tensor]:
        """What the parameters depend on, as means over rows (B, D) that belong to the members by shares (B, K)."""

    @abstractmethod
    def expected(self) -> dict[str, Tensor]:
        """What `gather` gives on average of rows that a member itself draws."""

    @abstractmethod
    def maximise(self, mass: Tensor, sums: Sums) -> None:
        """Take the most probable parameters given mass (K,) and sums; a member that has no mass keeps its own."""

    @abstractmethod
    def log_prior(self) -> Tensor:
        """Scalar: what smoothing adds to the mean log likelihood; a full round never lowers the two together."""

    @abstractmethod
    def draw(self, chosen: Tensor, rng: Rng, temperature: float, *, noise: bool) -> Tensor:
        """(B, D): a draw from members chosen (B,); without noise, what is expected of a pixel given the rest."""


class BernoulliFamily(Family):
    """Independent pixels that are on (1) or off (0)."""

    probability: Tensor  # (K, D)
    background: Tensor  # (D,): the mean of all rows

    def __init__(self, members: int, size: int, *, smoothing: float) -> None:
        super().__init__(members, smoothing)
        self.register_buffer("probability", 0.25 + 0.5 * torch.rand(members, size))
        self.register_buffer("background", torch.full((size,), 0.5))

    def begin(self, rows: Tensor, centres: Tensor) -> None:
        self.background.copy_(rows.mean(0).clamp(CERTAIN, 1 - CERTAIN))
        self.place(torch.arange(self.members, device=rows.device), centres)

    def place(self, members: Tensor, rows: Tensor) -> None:
        # half way to the mean: one image alone would make its every pixel certain
        self.probability[members] = _possible(0.5 * rows.to(self.background) + 0.5 * self.background)

    def log_prob(self, rows: Tensor) -> Tensor:
        probability = self.probability.to(rows)
        off = torch.log1p(-probability)  # (K, D)
        return torch.addmm(off.sum(1), rows, (probability.log() - off).T)  # (B, K)

    def gather(self, rows: Tensor, shares: Tensor) -> dict[str, Tensor]:
        return {"on": shares.T @ rows / len(rows)}  # (K, D)

    def expected(self) -> dict[str, Tensor]:
        return {"on": self.probability}

    def maximise(self, mass: Tensor, sums: Sums) -> None:
        alive = mass > FEW
        on = sums["on"][alive] + self.smoothing * self.background
        self.probability[alive] = _possible(on / (mass[alive, None] + self.smoothing)).to(self.probability)

    def log_prior(self) -> Tensor:
        on, off = self.probability.log(), torch.log1p(-self.probability)
        return self.smoothing * torch.lerp(off, on, self.background).sum()

    def draw(self, chosen: Tensor, rng: Rng, temperature: float, *, noise: bool) -> Tensor:
        probability = self.probability[chosen]  # (B, D)
        if not noise:
            return probability
        logits = torch.logit(probability) / max(temperature, 1e-6)
        return (rng.uniform(probability.shape[1]) < torch.sigmoid(logits)).to(probability)


def _possible(probability: Tensor) -> Tensor:
    return probability.clamp(CERTAIN, 1 - CERTAIN)
