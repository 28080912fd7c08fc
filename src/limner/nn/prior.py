"""The distribution that latents of a variational autoencoder are drawn from: fixed, or learned with the networks."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .coupling import Affine, Coupling
from .mlp import MLP

PriorName = Literal["normal", "coupling"]


class NormalPrior(nn.Module):
    """N(0, 1) in every dimension."""

    def log_prob(self, latent: Tensor) -> Tensor:
        """(..., D) -> (...) log density in nats."""
        return -0.5 * (latent.square() + math.log(2 * math.pi)).sum(-1)

    def transform(self, noise: Tensor) -> Tensor:
        """(B, D) standard normal -> (B, D) draws from the prior."""
        return noise


class CouplingPrior(nn.Module):
    """A normalizing flow of affine couplings: in each, one half of the latent scales and shifts the other half.

    It starts as N(0, 1). A learned prior meets the encoder half-way, which is worth several nats of likelihood.
    Source: Dinh et al. 2016, arXiv 1605.08803, equations 7 and 8; as a prior in Chen et al. 2016, arXiv 1611.02731.
    """

    def __init__(self, size: int, *, couplings: int, width: int) -> None:
        super().__init__()
        if size < 2:
            raise ConfigError(f"latent={size} has no two halves to couple; use latent=2 or more, or prior=normal")
        self.size = size
        kept = [size // 2 if index % 2 == 0 else size - size // 2 for index in range(couplings)]
        self.couplings = nn.ModuleList(_coupling(part, size - part, width) for part in kept)

    def log_prob(self, latent: Tensor) -> Tensor:
        """(..., D) -> (...) log density in nats."""
        rows, log_volume = latent.reshape(-1, self.size), torch.zeros((), device=latent.device)
        with torch.autocast(latent.device.type, enabled=False):  # a log density is float32 all the way
            for coupling in self.couplings:
                rows, more = coupling(rows)
                log_volume = log_volume + more
            return (log_volume + NormalPrior().log_prob(rows)).view(latent.shape[:-1])

    def transform(self, noise: Tensor) -> Tensor:
        """(B, D) standard normal -> (B, D) draws from the prior: the couplings inverted, last first."""
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, Coupling)
            noise = coupling.inverse(noise)
        return noise


def _coupling(kept: int, moved: int, width: int) -> Coupling:
    """An affine coupling that starts as the identity."""
    network = MLP(kept, 2 * moved, width=width, depth=2)
    nn.init.zeros_(network.last.weight)
    nn.init.zeros_(network.last.bias)
    return Coupling(network, Affine(), kept=kept, moved=moved)
