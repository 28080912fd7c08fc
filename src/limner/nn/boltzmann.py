"""The Bernoulli-Bernoulli restricted Boltzmann machine: energies, conditional draws, and what needs no normaliser.

Both layers are centred: the energy of visible x and hidden h is
    E(x, h) = -(x - centre) . visible - (h - 1/2) . hidden - (x - centre) . weight . (h - 1/2)
which is a machine as any other, in coordinates in which plain gradient descent is much faster.
Source: Montavon & Mueller 2012, Deep Boltzmann machines and the centering trick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Machine:
    """One machine, or one for each row, with biases of its own.

    weight    (D, H)
    visible   (D,) or (B, D)   biases of the visible units
    hidden    (H,) or (B, H)   biases of the hidden units
    centre    (D,)             in [0, 1]
    """

    weight: Tensor
    visible: Tensor
    hidden: Tensor
    centre: Tensor

    def to(self, dtype: torch.dtype) -> Machine:
        """The same machine in another precision."""
        return Machine(self.weight.to(dtype), self.visible.to(dtype), self.hidden.to(dtype), self.centre.to(dtype))

    def cooled(self, temperature: float) -> Machine:
        """All energies divided by a temperature above 0."""
        return replace(
            self,
            weight=self.weight / temperature,
            visible=self.visible / temperature,
            hidden=self.hidden / temperature,
        )

    def hidden_logits(self, visible: Tensor) -> Tensor:
        """(B, D) -> (B, H) log odds that a hidden unit is on."""
        return self.hidden + (visible - self.centre) @ self.weight

    def visible_logits(self, hidden: Tensor) -> Tensor:
        """(B, H) -> (B, D) log odds that a visible unit is on."""
        return self.visible + (hidden - 0.5) @ self.weight.T

    def free_energy(self, visible: Tensor) -> Tensor:
        """(B, D) -> (B,): minus the log of the sum over h of exp(-E(x, h)), in nats."""
        linear = ((visible - self.centre) * self.visible).sum(1)
        return -linear - log_two_cosh(self.hidden_logits(visible)).sum(1)

    def gibbs(self, visible: Tensor, uniform: Tensor) -> Tensor:
        """One step of block Gibbs sampling: (B, D) and uniform draws (B, H + D) -> (B, D) of 0 and 1."""
        size = self.weight.shape[1]
        hidden = uniform[:, :size] < torch.sigmoid(self.hidden_logits(visible))
        logits = self.visible_logits(hidden.to(visible))
        return (uniform[:, size:] < torch.sigmoid(logits)).to(visible)

    def pseudo_log_likelihood(self, visible: Tensor, pixels: Tensor) -> Tensor:
        """(B, D), and (n,) indices of pixels -> (B,) sum over all pixels of log p(pixel | the others), in nats.

        Estimated from the n; exact when they are all. Memory for B n H numbers.
        Source: Besag 1975, Statistical analysis of non-lattice data.
        """
        rows = self.weight[pixels]  # (n, H)
        values = visible[:, pixels]  # (B, n)
        without = self.hidden_logits(visible)[:, None] - values[:, :, None] * rows  # (B, n, H), the pixel off
        gain = (log_two_cosh(without + rows) - log_two_cosh(without)).sum(2)  # (B, n)
        logits = self.visible[..., pixels] + gain
        found = -F.binary_cross_entropy_with_logits(logits, values, reduction="none").sum(1)
        return found * (visible.shape[1] / len(pixels))


def log_two_cosh(logits: Tensor) -> Tensor:
    """log(2 cosh(logits / 2)): the log of the sum over h in {0, 1} of exp((h - 1/2) logits)."""
    return F.softplus(logits) - 0.5 * logits


def log_partition_of_independent(visible: Tensor, centre: Tensor, hidden: int) -> Tensor:
    """log Z of a machine without weights and hidden biases: biases (D,) and H -> scalar."""
    return (F.softplus(visible) - visible * centre).sum() + hidden * math.log(2)
