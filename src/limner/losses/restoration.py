"""What restorers minimise: distances between a picture and the true one, (B, C, H, W) both, by value or of all."""

from __future__ import annotations

from math import log, log10

from torch import Tensor
from torch.nn.functional import softplus

_ROUND = 1e-3  # errors below this count as if squared
_LEAST = 1e-5  # a squared error below which no picture need be better: 56 dB
_NARROWEST = 1e-3  # scale of an error, in units of a range of 2: half of one level of 256 is 4e-3


def charbonnier(error: Tensor) -> Tensor:
    """sqrt(error² + 1e-6), an absolute error that is smooth at 0.

    Source: Lai et al. 2017, arXiv 1704.03915, equation 3.
    """
    return (error.square() + _ROUND**2).sqrt()


def decibels(error: Tensor, weights: Tensor | None) -> Tensor:
    """Scalar: minus a twentieth of the mean PSNR of the pictures, which are in [-1, 1].

    Each picture counts alike, however much of it can be known: its gradient is that of its squared error over that
    error. weights (B, 1, H, W), what each pixel counts.
    Source: Chen et al. 2021, HINet, arXiv 2105.06086, section 3.3.
    """
    costs = error.square()
    means = costs.mean((1, 2, 3)) if weights is None else (costs * weights).mean((1, 2, 3)) / weights.mean((1, 2, 3))
    return (means + _LEAST).log10().mean() / 2 - log10(4) / 2


def laplace(output: Tensor, log_scale: Tensor, image: Tensor) -> Tensor:
    """The negative log-likelihood of a Laplace distribution around `output`, less log 2.

    log_scale   (B, C, H, W)   log of the mean absolute error that is expected, as `bounded` gives it
    Source: Kendall and Gal 2017, arXiv 1703.04977, section 3.1, with L1.
    """
    return (output - image).abs() * (-log_scale).exp() + log_scale


def bounded(raw: Tensor) -> Tensor:
    """Any number as the log of a scale of error, none below 1e-3: no pixel is known better than that."""
    floor = log(_NARROWEST)
    return floor + softplus(raw.float() - floor)
