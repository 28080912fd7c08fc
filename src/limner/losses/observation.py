"""What a decoder's output says of an image: the likelihood families, each with the parameters that it learns.

An observation model turns the decoder's numbers into log p(image | latent) and into the picture to show.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from .likelihood import ROUNDING_STD, bernoulli_log_prob, gaussian_log_prob, logistic_log_prob

LikelihoodName = Literal["gaussian", "optimal_gaussian", "bernoulli", "logistic"]
FIRST_STD = 0.25  # well below the spread of images: a decoder that starts more doubtful may never use its latent
CERTAIN = 0.998  # the brightest that a Bernoulli decoder starts with: log odds of 7
HALFLIFE_IMAGES = 5_000  # of the running variance of an OptimalGaussian


class Observation(nn.Module, ABC):
    """p(image | decoder's output)."""

    @abstractmethod
    def log_prob(self, image: Tensor, output: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] and the decoder's output of the same shape -> (B,) nats, float32."""

    def log_probs(self, image: Tensor, output: Tensor) -> Tensor:
        """(B, C, H, W) and k outputs for each of them, (B, k, C, H, W) -> (B, k) nats, float32."""
        rows, samples = output.shape[:2]
        return self.log_prob(image.repeat_interleave(samples, 0), output.flatten(0, 1)).view(rows, samples)

    def mean(self, output: Tensor) -> Tensor:
        """The decoder's output -> the expected image, (B, C, H, W) float32 in [-1, 1]."""
        return output.float().clamp(-1, 1)

    def output_for(self, image: Tensor) -> Tensor:
        """The decoder's output whose picture is `image`, or as near as is safe to start from."""
        return image

    def terms(self) -> Mapping[str, Tensor]:
        """What is worth logging."""
        return {}

    def after_step(self) -> None:
        """Called when an optimiser step has been taken on the last log_prob."""


class Gaussian(Observation):
    """One learned standard deviation for all pixels; it never falls below what rounding to 8 bits leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.log_std = nn.Parameter(torch.tensor(FIRST_STD).log())

    @property
    def std(self) -> Tensor:
        """Scalar. Without the floor, images of one flat colour would drive the likelihood to infinity."""
        return torch.sqrt(torch.exp(2 * self.log_std) + ROUNDING_STD**2)

    def log_prob(self, image: Tensor, output: Tensor) -> Tensor:
        return gaussian_log_prob(image, output, self.std)

    def terms(self) -> Mapping[str, Tensor]:
        return {"sigma": self.std.detach()}


class OptimalGaussian(Observation):
    """The standard deviation is the best one in closed form: the root mean squared error of the batch at hand.

    In eval mode it is a running value. A batch taken in parts uses each part's own error.
    Source: Rybkin et al. 2020, Simple and effective VAE training with calibrated decoders, arXiv 2006.13202, section 4.
    """

    variance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("variance", torch.tensor(FIRST_STD**2))
        self._last = (torch.tensor(FIRST_STD**2), 0)  # variance and size of the batch that log_prob saw last

    def log_prob(self, image: Tensor, output: Tensor) -> Tensor:
        variance = self.variance
        if self.training:
            # detached at no loss: at the optimum the likelihood's slope in the variance is 0
            variance = (image - output.detach().float()).square().mean() + ROUNDING_STD**2
            self._last = (variance, len(image))
        return gaussian_log_prob(image, output, variance.sqrt())

    def terms(self) -> Mapping[str, Tensor]:
        return {"sigma": self._last[0].sqrt()}

    @torch.no_grad()
    def after_step(self) -> None:
        variance, images = self._last
        self.variance.lerp_(variance.to(self.variance), 1 - 0.5 ** (images / HALFLIFE_IMAGES))


class Bernoulli(Observation):
    """Pixels are on or off; the decoder's output is their log odds, and the picture shows their probability."""

    def log_prob(self, image: Tensor, output: Tensor) -> Tensor:
        return bernoulli_log_prob(image, output)

    def log_probs(self, image: Tensor, output: Tensor) -> Tensor:
        """With x in [-1, 1] and log odds l, a pixel has (x l - |l|) / 2 - log(1 + exp(-|l|)) nats.

        Scoring with thousands of latents spends its time here, next to the decoder: so the image is not repeated for
        its outputs, and one logarithm is taken for up to 16 pixels. In training the plain form has the faster gradient.
        """
        if torch.is_grad_enabled():
            return super().log_probs(image, output)
        logits, pixels = output.float().flatten(2), image.float().flatten(1)[:, None]  # (B, k, D), (B, 1, D)
        below = torch.copysign(logits, logits.new_tensor(-1.0))  # -|l|
        linear = torch.addcmul(below, logits, pixels).sum(2)  # together, for the sums of either would lose digits
        return linear / 2 - _log_product(below.exp_().add_(1))

    def mean(self, output: Tensor) -> Tensor:
        return torch.tanh(output.float() / 2)  # 2 sigmoid(output) - 1

    def output_for(self, image: Tensor) -> Tensor:
        return 2 * torch.atanh(image.clamp(-CERTAIN, CERTAIN))


def _log_product(factors: Tensor) -> Tensor:
    """(..., D) numbers in [1, 2] -> (...) the log of their product; no product of 16 of them is above 65,536."""
    for _ in range(4):
        if factors.shape[-1] % 2:
            break
        left, right = factors.chunk(2, dim=-1)
        factors = left * right
    return factors.log().sum(-1)


class Logistic(Observation):
    """256 grey levels under a logistic distribution with one learned scale for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.full((channels, 1, 1), FIRST_STD / 2).log())

    def log_prob(self, image: Tensor, output: Tensor) -> Tensor:
        # e^-7 is a quarter of half a grey level: narrower, and a pixel of one colour would drive the scale to 0
        return logistic_log_prob(image, output, self.log_scale.clamp(min=-7.0))

    def terms(self) -> Mapping[str, Tensor]:
        return {"scale": self.log_scale.detach().exp().mean()}


def observation(likelihood: LikelihoodName, channels: int) -> Observation:
    """A new observation model of that name."""
    if likelihood == "logistic":
        return Logistic(channels)
    return {"gaussian": Gaussian, "optimal_gaussian": OptimalGaussian, "bernoulli": Bernoulli}[likelihood]()
