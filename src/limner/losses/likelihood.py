"""How probable an image is under what a decoder says: log p(x | z), in nats per image.

Every function sums over channels and pixels and keeps the batch: (B, C, H, W) -> (B,). All of it is done in float32,
whatever precision the decoder ran in: a sum over thousands of pixels loses whole nats in bfloat16.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Standard deviation of the rounding of an image to 8 bits: a grey level is 2/255 wide in [-1, 1], and uniform.
ROUNDING_STD = (2 / 255) / math.sqrt(12)
LEVELS = 256  # of a stored pixel


def gaussian_log_prob(image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Log density of a Gaussian with one standard deviation, or one per channel.

    image    (B, C, H, W)   in [-1, 1]
    mean     (B, C, H, W)
    std      scalar or (C, 1, 1), positive
    returns  (B,) nats; a density on [-1, 1], so it may be positive
    """
    deviation = (image - mean.float()) / std
    constant = torch.log(std) + 0.5 * math.log(2 * math.pi)
    return -(0.5 * deviation.square() + constant).flatten(1).sum(1)  # (B,)


def bernoulli_log_prob(image: Tensor, logits: Tensor) -> Tensor:
    """Log probability of independent Bernoulli pixels.

    image    (B, C, H, W)   in [-1, 1]; -1 is off and 1 is on, and what lies between is a soft target
    logits   (B, C, H, W)   log odds of on
    returns  (B,) nats; a log probability only when the image is binary
    """
    return -F.binary_cross_entropy_with_logits(logits.float(), (image + 1) / 2, reduction="none").flatten(1).sum(1)


def logistic_log_prob(image: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log probability of 8-bit pixels under a logistic distribution cut into 256 bins.

    image      (B, C, H, W)   in [-1, 1], one of the 256 grey levels
    mean       (B, C, H, W)
    log_scale  scalar or (C, 1, 1)
    returns    (B,) nats, at most 0
    """
    return logistic_level_log_prob(image, mean, log_scale).flatten(1).sum(1)  # (B,)


def logistic_level_log_prob(level: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """The same of each level by itself: tensors that broadcast -> their common shape, in nats.

    The outer two bins reach to infinity. With a and b the standardised edges of a bin, its probability is
    sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), whose logarithm is exact however far out it lies.
    Source: Salimans et al. 2017, PixelCNN++, arXiv 1701.05517, section 2.1.
    """
    half_bin, inverse_scale = 1 / 255, torch.exp(-log_scale.float())
    centred = level - mean.float()
    below_upper = F.logsigmoid(inverse_scale * (centred + half_bin))
    above_lower = F.logsigmoid(-inverse_scale * (centred - half_bin))
    inside = below_upper + above_lower + torch.log(-torch.expm1(-2 * half_bin * inverse_scale))
    inside = torch.where(level < -1 + half_bin, below_upper, inside)
    return torch.where(level > 1 - half_bin, above_lower, inside)


def binarize(image: Tensor, uniform: Tensor) -> Tensor:
    """-1 or 1 for each pixel, 1 with the probability that its brightness says; `uniform` is (B, C, H, W) in [0, 1)."""
    return (2 * uniform < image + 1).to(image.dtype) * 2 - 1


def dequantise(image: Tensor, uniform: Tensor) -> Tensor:
    """(B, C, H, W) of 256 levels in [-1, 1] -> real numbers in [-1, 1): level k anywhere in its 256th of the range."""
    return ((image + 1) * ((LEVELS - 1) / 2) + uniform) * (2 / LEVELS) - 1


def requantise(dequantised: Tensor) -> Tensor:
    """Real numbers in [-1, 1) -> images: undoes `dequantise` where uniform is 0.5; else rounding is left to do."""
    return ((dequantised + 1) * (LEVELS / 2) - 0.5) / ((LEVELS - 1) / 2) - 1


def bits_per_dim(log_likelihood: Tensor, dimensions: int) -> Tensor:
    """Nats per image -> bits per channel and pixel; comparable only where both are probabilities of the same pixels."""
    return -log_likelihood / (dimensions * math.log(2))
