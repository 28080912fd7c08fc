"""Couplings: one half of the channels says how the other half is moved, number by number.

The half that is kept is there when one goes back, so the network that reads it needs no inverse. How a number is moved
is a part: affinely, or through the distribution function of a mixture of logistics.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .bijections import Bijection, bounded
from .blocks import ConditionEmbedding

HALVINGS = 30  # of the bracket that holds a quantile: past the last digit of float32
LOGIT_LOG_SCALE = -0.6  # of normal numbers made logistic, whose standard deviation is 1.8


class Movement(Protocol):
    """How single numbers are moved, given `numbers` parameters for each of them.

    parameters   (B, numbers * C, ...) for x of (B, C, ...); all zeros must be a harmless start
    """

    numbers: int

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """y, rising in x, and log dy/dx, each of the shape of x."""

    def inverse(self, y: Tensor, parameters: Tensor) -> Tensor:
        """x: undoes `forward`."""


class Affine:
    """y = (x - shift) / scale, the scale bounded. All zeros change nothing.

    Source: Dinh et al. 2016, RealNVP, arXiv 1605.08803, equations 7 and 8.
    """

    numbers = 2

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = parameters.chunk(2, dim=1)
        log_scale = bounded(log_scale)
        return (x - shift) * torch.exp(-log_scale), -log_scale

    def inverse(self, y: Tensor, parameters: Tensor) -> Tensor:
        shift, log_scale = parameters.chunk(2, dim=1)
        return y * torch.exp(bounded(log_scale)) + shift


class Coupling(Bijection):
    """[kept | moved] -> [moved, each number by parameters that a network reads off kept | kept].

    The halves change places for the next one.
    network    (B, kept, ...) and what else `forward` is given -> (B, movement.numbers * moved, ...)
    """

    def __init__(self, network: nn.Module, movement: Movement, *, kept: int, moved: int) -> None:
        super().__init__()
        self.network, self.movement, self.kept, self.moved = network, movement, kept, moved

    def forward(self, x: Tensor, *context: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = x.split([self.kept, self.moved], dim=1)
        moved, log_slopes = self.movement.forward(moved, self.network(kept, *context).to(moved.dtype))
        return torch.cat([moved, kept], dim=1), log_slopes.flatten(1).sum(1)

    def inverse(self, y: Tensor, *context: Tensor) -> Tensor:
        moved, kept = y.split([self.moved, self.kept], dim=1)
        return torch.cat([kept, self.movement.inverse(moved, self.network(kept, *context).to(moved.dtype))], dim=1)


class LogisticMixture:
    """y = scale * logit F(x) - shift, where F is the distribution function of a mixture of logistics.

    It can pull apart values that an affine movement cannot: a pixel that is either ink or paper. All zeros give a
    mixture that is about N(0, 1).
    Source: Ho et al. 2019, Flow++, arXiv 1902.00275, equations 13 to 16.
    """

    def __init__(self, components: int) -> None:
        self.components, self.numbers = components, 3 * components + 2
        self._spread = [1.5 * (2 * index + 1 - components) / components for index in range(components)]
        inner = 1 - 0.75 * (1 - components**-2)  # of the variance of 1, what the spread of the means leaves to each
        self._log_scale = 0.5 * math.log(3 * inner) - math.log(math.pi)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale, *mixture = self._read(parameters)
        log_below, log_above, log_density = _mixture(x, *mixture)
        y = (log_below - log_above) * torch.exp(log_scale) - shift
        return y, log_density - log_below - log_above + log_scale

    def inverse(self, y: Tensor, parameters: Tensor) -> Tensor:
        """The quantile; its gradients are those of a step of Newton's, for it is found without any.

        It has the digits that y has, less those that the slope costs: some, between members that lie far apart.
        """
        x = self._quantile(y, parameters)
        if torch.is_grad_enabled():
            near, log_slope = self.forward(x, parameters)
            step = (y - near) * torch.exp(-log_slope.detach())
            x = x + step - step.detach()
        return x

    @torch.no_grad()
    def _quantile(self, y: Tensor, parameters: Tensor) -> Tensor:
        """Bracketed by the quantiles of the single members, and found by halving the bracket."""
        shift, log_scale, log_weights, means, log_scales = self._read(parameters)
        logit = (y + shift) * torch.exp(-log_scale)
        quantiles = means + torch.exp(log_scales) * logit[:, None]  # (B, K, C, ...)
        low, high = quantiles.amin(1), quantiles.amax(1)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            log_below, log_above, _ = _mixture(middle, log_weights, means, log_scales)
            above = log_below - log_above > logit
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return (low + high) / 2

    def _read(self, parameters: Tensor) -> tuple[Tensor, ...]:
        """Shift and log scale, (B, C, ...); log weights, means and log scales of the members, (B, K, C, ...)."""
        numbers = parameters.unflatten(1, (self.numbers, -1))
        shift, log_scale = numbers[:, 0], numbers[:, 1]
        weights, means, scales = numbers[:, 2:].chunk(3, dim=1)
        spread = torch.tensor(self._spread).to(parameters).view(-1, *[1] * (means.ndim - 2))
        log_scales = bounded(scales) + self._log_scale
        return shift, bounded(log_scale) + LOGIT_LOG_SCALE, weights.log_softmax(1), means + spread, log_scales


def _mixture(x: Tensor, log_weights: Tensor, means: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log probabilities of lying below and above x, and the log density there: (B, C, ...) of mixtures (B, K, C, ...).

    Both tails are summed as they are, so that neither loses its digits.
    """
    z = (x[:, None] - means) * torch.exp(-log_scales)
    below = F.logsigmoid(z)
    above = below - z
    log_density = (log_weights + below + above - log_scales).logsumexp(1)
    return (log_weights + below).logsumexp(1), (log_weights + above).logsumexp(1), log_density


class CouplingNetwork(nn.Module):
    """What a coupling of images reads off the half that it keeps: three convolutions, the last of which starts at 0.

    Each place has a bias of its own, for images are seldom the same everywhere, and each condition adds another.
    """

    def __init__(self, inputs: int, outputs: int, *, width: int, size: tuple[int, int], condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.place = nn.Parameter(torch.zeros(1, width, *size))  # of four dimensions, to follow the memory layout
        self.condition = ConditionEmbedding(condition, width) if condition else None
        self.middle = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, kept: Tensor, condition: Tensor) -> Tensor:
        """(B, inputs, H, W) and (B, W) -> (B, outputs, H, W)."""
        features = self.first(kept) + self.place
        if self.condition is not None:
            features = features + self.condition(condition)[:, :, None, None]
        return self.last(torch.relu(self.middle(torch.relu(features))))
