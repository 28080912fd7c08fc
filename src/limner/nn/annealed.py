"""Annealing a Boltzmann machine from independent pixels: for its normaliser, and for samples that start from nothing.

The path from inverse temperature 0 to 1 turns weights and hidden biases up from 0, and the visible biases over from
those of independent pixels with the base rates of the data.
Source: Salakhutdinov & Murray 2008, On the quantitative analysis of deep belief networks, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from ..precise import finest, precise
from .boltzmann import Machine, log_partition_of_independent, log_two_cosh

# (inverse temperature, share of the steps up to it): the published ones, denser where the machine freezes
LADDER = ((0.5, 500 / 14_500), (0.9, 4_000 / 14_500), (1.0, 10_000 / 14_500))


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z by annealed importance sampling.

    The estimate of Z is unbiased, so that of log Z is too low on average, and likelihoods come out too high by as much.
    Where no chain found a part of the distribution, the standard error does not show it: this is an estimate and not a
    bound.

    standard_error        of `value`, from the spread of the chains' weights
    effective_chains      how many equally weighted chains would be as precise
    """

    value: float
    standard_error: float
    effective_chains: float
    chains: int
    steps: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Low and high."""
        half = NormalDist().inv_cdf((1 + level) / 2) * self.standard_error
        return self.value - half, self.value + half


@dataclass(frozen=True)
class Path:
    """The machines between independent pixels with log odds `base` (D,) and `machine`."""

    machine: Machine
    base: Tensor

    def start(self, uniform: Tensor) -> Tensor:
        """Uniform draws (B, D) -> (B, D) of 0 and 1, drawn at inverse temperature 0."""
        return (uniform < torch.sigmoid(self.base)).to(uniform)

    def probability(self, logits: Tensor, beta: float, uniform: Tensor) -> Tensor:
        """Half a Gibbs step at `beta`: the pixels' probabilities (B, D) given hidden units that are drawn.

        logits    (B, H)   of the hidden units of the machine itself
        uniform   (B, H)   draws
        """
        hidden = (uniform < torch.sigmoid(beta * logits)).to(logits)
        return torch.sigmoid(torch.lerp(self.base, self.machine.visible_logits(hidden), beta))

    def log_ratio(self, visible: Tensor, logits: Tensor, before: float, beta: float) -> Tensor:
        """(B, D) and their hidden logits (B, H) -> (B,) log of the weight at `beta` over that at `before`, float64."""
        bias = self.machine.visible - self.base
        linear = ((visible - self.machine.centre) * bias).sum(1)
        # subtracted before they are summed: the difference is tiny and the sum is not
        hidden = log_two_cosh(beta * logits) - log_two_cosh(before * logits)
        return (beta - before) * precise(linear) + precise(hidden).sum(1)


def ladder(steps: int) -> list[float]:
    """steps + 1 inverse temperatures from 0 to 1, spread as in the paper."""
    stops = np.cumsum([0.0, *(share for _, share in LADDER)]) * steps
    return np.interp(np.arange(steps + 1), stops, [0.0, *(beta for beta, _ in LADDER)]).tolist()


@torch.no_grad()
def log_partition(path: Path, random: np.random.Generator, *, chains: int, steps: int) -> LogPartition:
    """log Z of the path's one machine, with biases for one row. Costs `steps` Gibbs steps of `chains` chains."""
    machine, (size, hidden) = path.machine, path.machine.weight.shape

    def uniform(width: int) -> Tensor:
        return torch.from_numpy(random.random((chains, width), dtype=np.float32)).to(machine.weight)

    visible = path.start(uniform(size))
    log_weights = torch.zeros(chains, dtype=finest(visible.device), device=visible.device)
    for before, beta in pairwise(ladder(steps)):
        logits = machine.hidden_logits(visible)
        log_weights += path.log_ratio(visible, logits, before, beta)
        noise = uniform(hidden + size)
        visible = (noise[:, hidden:] < path.probability(logits, beta, noise[:, :hidden])).to(visible)
    base = float(log_partition_of_independent(precise(path.base), precise(machine.centre), hidden))
    return _summary(log_weights.cpu(), base, steps)


def _summary(log_weights: Tensor, base: float, steps: int) -> LogPartition:
    """The mean of the weights on top of the base's log Z, with the delta method's standard error."""
    chains = len(log_weights)
    weights = (log_weights - log_weights.max()).exp()
    spread = float(weights.std() / weights.mean()) if chains > 1 else math.inf
    return LogPartition(
        value=base + float(log_weights.logsumexp(0)) - math.log(chains),
        standard_error=spread / math.sqrt(chains),
        effective_chains=float(weights.sum().square() / weights.square().sum()),
        chains=chains,
        steps=steps,
    )
