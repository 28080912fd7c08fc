"""The distribution that latents of a variational autoencoder are drawn from: fixed, or learned with the networks."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import ConfigError
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
        self.couplings = nn.ModuleList(_Coupling(part, size - part, width) for part in kept)

    def log_prob(self, latent: Tensor) -> Tensor:
        """(..., D) -> (...) log density in nats."""
        log_volume = torch.zeros(latent.shape[:-1], device=latent.device)
        with torch.autocast(latent.device.type, enabled=False):  # a log density is float32 all the way
            for coupling in self.couplings:
                latent, log_scale = coupling(latent)
                log_volume = log_volume - log_scale.sum(-1)
        return log_volume - 0.5 * (latent.square() + math.log(2 * math.pi)).sum(-1)

    def transform(self, noise: Tensor) -> Tensor:
        """(B, D) standard normal -> (B, D) draws from the prior: the couplings inverted, last first."""
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, _Coupling)
            noise = coupling.inverse(noise)
        return noise


class _Coupling(nn.Module):
    """[kept | moved] -> [(moved - shift(kept)) / scale(kept) | kept]: the halves change places for the next one."""

    LARGEST = 2.0  # largest log scale: unbounded ones overflow early in training

    def __init__(self, kept: int, moved: int, width: int) -> None:
        super().__init__()
        self.kept, self.moved = kept, moved
        self.network = MLP(kept, 2 * moved, width=width, depth=2)
        nn.init.zeros_(self.network.last.weight)
        nn.init.zeros_(self.network.last.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(..., kept + moved) -> (..., moved + kept) and the log scales (..., moved)."""
        kept, moved = x.split([self.kept, self.moved], dim=-1)
        shift, log_scale = self._affine(kept)
        return torch.cat([(moved - shift) * torch.exp(-log_scale), kept], dim=-1), log_scale

    def inverse(self, x: Tensor) -> Tensor:
        """Undoes `forward`."""
        moved, kept = x.split([self.moved, self.kept], dim=-1)
        shift, log_scale = self._affine(kept)
        return torch.cat([kept, moved * torch.exp(log_scale) + shift], dim=-1)

    def _affine(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self.network(kept).chunk(2, dim=-1)
        return shift, self.LARGEST * torch.tanh(log_scale / self.LARGEST)
