"""Networks that tell real images from made ones: (B, C, H, W) and an encoded condition -> (B,) logits.

A discriminator is features and a linear head; a condition joins by projection. The builders at the end share one
signature, so that any of them can stand in for another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from .blocks import Blueprint, ConditionEmbedding, ResidualBlock, level_channels, norm_layer, spectral_normalise
from .initialise import initialise
from .resample import Downsample

DiscriminatorName = Literal["dcgan", "mlp", "residual"]


class Discriminator(nn.Module):
    """logit = head(features) + <embedding(condition), mean features> / sqrt(F): the projection discriminator.

    features   (B, C, H, W) -> (B, F, h, w), where F is `channels` and (h, w) is `size`
    Source: Miyato and Koyama 2018, arXiv 1802.05637, equation 3.
    """

    def __init__(self, features: nn.Module, channels: int, size: tuple[int, int], plan: Blueprint) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(channels * math.prod(size), 1, bias=plan.bias)
        self.embedding = ConditionEmbedding(plan.condition_width, channels) if plan.condition_width else None

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """image (B, C, H, W), condition (B, condition_width) -> (B,) logits, float32; above 0 means real."""
        features = self.features(image)  # (B, F, h, w)
        logits = self.head(features.flatten(1)).squeeze(1)  # (B,)
        if self.embedding is not None:
            pooled = features.mean(dim=(2, 3))  # (B, F)
            logits = logits + (self.embedding(condition) * pooled).sum(dim=1) / math.sqrt(pooled.shape[1])
        return logits.float()


def dcgan_discriminator(plan: Blueprint) -> Discriminator:
    """Strided convolutions, each halving the resolution. Source: Radford et al. 2016, arXiv 1511.06434.

    At 64x64 with width 64 and batch normalisation it is the published network: 2,765,568 parameters.
    """
    widths = [level_channels(plan.width, level) for level in range(plan.depth)]
    layers: list[nn.Module] = [nn.Conv2d(plan.shape[0], widths[0], 4, 2, padding=1, bias=plan.bias)]
    layers += _activate(plan)  # no normalisation of what meets the image
    for channels_in, channels_out in pairwise(widths):
        layers += [nn.Conv2d(channels_in, channels_out, 4, 2, padding=1, bias=plan.bias)]
        layers += [norm_layer(plan.norm, channels_out), *_activate(plan)]
    return _finish(Discriminator(nn.Sequential(*layers), widths[-1], plan.size, plan), plan)


def mlp_discriminator(plan: Blueprint) -> Discriminator:
    """Two hidden layers of 8 and 4 times `width`; for small images of any size."""
    hidden, out = 8 * plan.width, 4 * plan.width
    layers = [nn.Flatten(), nn.Linear(math.prod(plan.shape), hidden), *_activate(plan)]
    layers += [nn.Linear(hidden, out), norm_layer(plan.norm, out, spatial=False), *_activate(plan)]
    layers += [nn.Unflatten(1, (out, 1, 1))]
    return _finish(Discriminator(nn.Sequential(*layers), out, (1, 1), plan), plan)


def residual_discriminator(plan: Blueprint) -> Discriminator:
    """Residual blocks at each resolution, halving between them: the residual generator run backwards."""
    widths = [level_channels(plan.width, level) for level in range(plan.depth + 1)]
    layers: list[nn.Module] = [nn.Conv2d(plan.shape[0], widths[0], 3, padding=1)]
    for channels_in, channels_out in pairwise(widths):
        layers += [ResidualBlock(channels_in, plan.norm, dropout=plan.dropout) for _ in range(plan.blocks)]
        layers += [Downsample(), nn.Conv2d(channels_in, channels_out, 1, bias=False)]
    layers += [ResidualBlock(widths[-1], plan.norm, dropout=plan.dropout) for _ in range(plan.blocks)]
    layers += [nn.LeakyReLU(0.2)]
    return _finish(Discriminator(nn.Sequential(*layers), widths[-1], plan.size, plan), plan)


def _activate(plan: Blueprint) -> list[nn.Module]:
    return [nn.LeakyReLU(0.2, inplace=True), *([nn.Dropout(plan.dropout)] if plan.dropout else [])]


def _finish(discriminator: Discriminator, plan: Blueprint) -> Discriminator:
    initialise(discriminator, normalised=plan.norm == "batch")
    if plan.spectral_norm:
        spectral_normalise(discriminator)
    return discriminator


DISCRIMINATORS: dict[DiscriminatorName, Callable[[Blueprint], Discriminator]] = {
    "dcgan": dcgan_discriminator,
    "mlp": mlp_discriminator,
    "residual": residual_discriminator,
}
