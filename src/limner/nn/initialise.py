"""First weights of adversarial networks."""

from __future__ import annotations

import math

from torch import nn

from .blocks import ConditionEmbedding, ResidualBlock

LEAKY_GAIN = math.sqrt(2 / (1 + 0.2**2))  # keeps the variance through a leaky ReLU of slope 0.2


def initialise(network: nn.Module, *, normalised: bool) -> None:
    """Set the first weights: as DCGAN does where batch normalisation follows, else so that variance is kept.

    Radford et al. 2016, arXiv 1511.06434, section 4: N(0, 0.02). Without normalisation that would let the signal die
    out layer by layer, so there it is He et al. 2015, arXiv 1502.01852, and residual branches start at a tenth of it.
    """
    for layer in network.modules():
        if isinstance(layer, ConditionEmbedding):
            nn.init.normal_(layer.weight)  # a class's vector is then as large as the latent beside it
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02 if normalised else LEAKY_GAIN / math.sqrt(_fan_in(layer)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, ResidualBlock):
            layer.last.weight.data.mul_(0.1)  # not 0: spectral normalisation divides by the weight's norm


def _fan_in(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> float:
    """How many inputs meet in one output."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    taps = float(math.prod(layer.kernel_size))
    if isinstance(layer, nn.ConvTranspose2d):
        taps /= math.prod(layer.stride)  # the other taps of the kernel meet inserted zeros
    return layer.in_channels * taps
