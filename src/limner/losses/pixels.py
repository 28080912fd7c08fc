"""What a network foretells of a pixel: parameters -> its log probability, and draws from it.

The channels come last here: a pixel is (…, N) values in [-1, 1], and its parameters are (…, P).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from .likelihood import LEVELS, logistic_level_log_prob

COLDEST = 1e-6  # temperature that stands for 0
NARROWEST = -7.0  # log scale: a quarter of half a level; without a floor a pixel of one colour would drive it down
FIRST_LOG_SCALE = -2.0  # of a logistic: wide enough that a few of them cover all levels


class PixelLikelihood(ABC):
    """p(pixel | parameters).

    values       N, values that are foretold together
    parameters   P, of which
    draws        uniform numbers that drawing a pixel takes
    """

    values: int
    parameters: int
    draws: int

    @abstractmethod
    def log_prob(self, pixel: Tensor, parameters: Tensor) -> Tensor:
        """(…, N) and (…, P) -> (…) nats, float32."""

    @abstractmethod
    def draw(self, parameters: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        """(B, P), (B, draws) in [0, 1) -> (B, N) in [-1, 1]."""

    @abstractmethod
    def shown(self, parameters: Tensor, drawn: Tensor, temperature: float) -> Tensor:
        """(B, P) and the (B, N) drawn from them -> (B, N) without the noise that is the pixel's own."""

    @abstractmethod
    def first(self, mean: Tensor) -> Tensor:
        """(N,) mean of the pixels -> (P,) parameters to start from."""


class BernoulliPixel(PixelLikelihood):
    """One value, on or off: its parameter is the log odds of on. What lies between is a soft target."""

    values = parameters = draws = 1

    def log_prob(self, pixel: Tensor, parameters: Tensor) -> Tensor:
        logit = parameters.float()
        return (logit * ((pixel + 1) / 2) - F.softplus(logit, threshold=30))[..., 0]

    def draw(self, parameters: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        return 2 * (uniform < torch.sigmoid(parameters / max(temperature, COLDEST))).to(parameters) - 1

    def shown(self, parameters: Tensor, drawn: Tensor, temperature: float) -> Tensor:
        return 2 * torch.sigmoid(parameters / max(temperature, COLDEST)) - 1

    def first(self, mean: Tensor) -> Tensor:
        return 2 * torch.atanh(mean.clamp(-0.99, 0.99))


class LogisticMixturePixel(PixelLikelihood):
    """256 levels of each channel under a mixture of logistics; each channel's mean moves with the channels before it.

    Source: Salimans et al. 2017, PixelCNN++, arXiv 1701.05517, sections 2.1 and 2.2; there for three channels.
    """

    def __init__(self, channels: int, components: int) -> None:
        self.values, self.components = channels, components
        self.draws = 1 + channels
        self._split = [1, channels, channels, channels * (channels - 1) // 2]
        self.parameters = components * sum(self._split)

    def log_prob(self, pixel: Tensor, parameters: Tensor) -> Tensor:
        weight, mean, log_scale, slope = self._parts(parameters.float())
        moved = [mean[..., c] + self._shift(slope, pixel[..., None, :], c) for c in range(self.values)]
        nats = logistic_level_log_prob(pixel[..., None, :], torch.stack(moved, -1), log_scale).sum(-1)  # (…, K)
        return (weight.log_softmax(-1) + nats).logsumexp(-1)

    def draw(self, parameters: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        """A temperature sharpens the choice of the component and narrows the logistic alike."""
        weight, *parts = self._parts(parameters)
        temperature = max(temperature, COLDEST)
        below = (weight / temperature).softmax(-1).cumsum(-1)  # (B, K)
        chosen = (below[:, :-1] <= uniform[:, :1]).sum(-1)
        mean, log_scale, slope = (part[torch.arange(len(part)), chosen] for part in parts)  # (B, N), (B, N), (B, S)
        noise = torch.logit(uniform[:, 1:], eps=1e-9) * log_scale.exp() * temperature
        pixel = torch.zeros_like(mean)
        for c in range(self.values):
            pixel[:, c] = rounded(mean[:, c] + self._shift(slope, pixel, c) + noise[:, c])
        return pixel

    def shown(self, parameters: Tensor, drawn: Tensor, temperature: float) -> Tensor:
        return drawn

    def first(self, mean: Tensor) -> Tensor:
        """Means spread over all levels, of equal weight, the channels independent."""
        spread = (
            torch.linspace(-1, 1, self.components)[:, None].expand(-1, self.values) if self.components > 1 else mean
        )
        parts = torch.zeros(self.components, sum(self._split))
        parts[:, 1 : 1 + self.values] = spread
        parts[:, 1 + self.values : 1 + 2 * self.values] = FIRST_LOG_SCALE
        return parts.flatten()

    def _parts(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(…, P) -> log odds of each component (…, K), means and log scales (…, K, N), slopes (…, K, N (N - 1) / 2)."""
        weight, mean, log_scale, slope = parameters.unflatten(-1, (self.components, -1)).split(self._split, dim=-1)
        return weight[..., 0], mean, log_scale.clamp(min=NARROWEST), torch.tanh(slope)

    def _shift(self, slope: Tensor, pixel: Tensor, channel: int) -> Tensor:
        """(…) how far the channels before this one, of (…, N), move its mean. Source: equation 3."""
        first = channel * (channel - 1) // 2
        return (slope[..., first : first + channel] * pixel[..., :channel]).sum(-1)


def rounded(value: Tensor) -> Tensor:
    """The nearest of the 256 levels in [-1, 1]: of a draw from a logistic, a draw from its bins."""
    half = (LEVELS - 1) / 2
    return torch.round((value.clamp(-1, 1) + 1) * half) / half - 1
