"""Networks that turn latents into images: (B, *latent_shape) and an encoded condition -> (B, C, H, W).

A generator is a start, which takes in latent and condition, and a body, which draws. The builders at the end share one
signature, so that any of them can stand in for another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from .blocks import Blueprint, ConditionEmbedding, ResidualBlock, level_channels, norm_layer
from .initialise import initialise
from .resample import Upsample

GeneratorName = Literal["dcgan", "mlp", "residual", "unet"]


class Generator(nn.Module):
    """`start`, then `body`, then tanh where the network is `bounded`."""

    def __init__(self, start: LatentStart | NoiseStart, body: nn.Module, *, bounded: bool = True) -> None:
        super().__init__()
        self.start, self.body, self.bounded = start, body, bounded

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.start.latent_shape

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """latent (B, *latent_shape), condition (B, condition_width) -> (B, C, H, W) float32, in [-1, 1] if bounded."""
        image = self.body(self.start(latent, condition)).float()
        return torch.tanh(image) if self.bounded else image


class LatentStart(nn.Module):
    """[latent | embedded condition] -> the smallest features, by one linear layer.

    With no bias this is DCGAN's first transposed convolution, which meets a single pixel.
    """

    def __init__(self, plan: Blueprint, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.latent_shape = (plan.latent,)
        self.feature_shape = (channels, *size)
        self.embedding = ConditionEmbedding(plan.condition_width, plan.latent) if plan.condition_width else None
        inputs = plan.latent * (2 if plan.condition_width else 1)
        self.project = nn.Linear(inputs, math.prod(self.feature_shape), bias=plan.bias)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(condition)], dim=1)  # (B, 2 latent)
        return self.project(latent).unflatten(1, self.feature_shape)  # (B, C, h, w)


class NoiseStart(nn.Module):
    """[noise image | embedded condition at every pixel], for networks that take an image in."""

    def __init__(self, plan: Blueprint) -> None:
        super().__init__()
        self.latent_shape = plan.shape
        self.embedding = ConditionEmbedding(plan.condition_width, plan.width) if plan.condition_width else None
        self.channels = plan.shape[0] + (plan.width if plan.condition_width else 0)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        if self.embedding is None:
            return latent
        planes = self.embedding(condition)[:, :, None, None].expand(-1, -1, *latent.shape[2:])  # (B, E, H, W)
        return torch.cat([latent, planes], dim=1)


class UNet(nn.Module):
    """(B, c, H, W) -> (B, C, H, W): strided convolutions down, and up again beside the features of the way down.

    Source: Ronneberger et al. 2015, arXiv 1505.04597; with strides instead of pooling as in Isola et al. 2017.
    """

    def __init__(self, channels_in: int, plan: Blueprint) -> None:
        super().__init__()
        widths = [level_channels(plan.width, level) for level in range(plan.depth + 1)]
        self.first = _convolve(channels_in, widths[0], plan)
        self.down = nn.ModuleList(_convolve(fine, coarse, plan, halve=True) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(
            nn.Sequential(Upsample(), _convolve(coarse, fine, plan)) for fine, coarse in pairwise(widths)
        )
        self.merge = nn.ModuleList(_convolve(2 * fine, fine, plan) for fine in widths[:-1])
        self.last = nn.Conv2d(widths[0], plan.shape[0], 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.first(x)]  # one for each level, (B, w_level, H / 2**level, W / 2**level)
        for down in self.down:
            features.append(down(features[-1]))
        x = features.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            x = merge(torch.cat([up(x), features.pop()], dim=1))
        return self.last(x)


def _convolve(channels_in: int, channels_out: int, plan: Blueprint, *, halve: bool = False) -> nn.Sequential:
    """Convolution, normalisation, dropout, activation; 4x4 with stride 2 when it halves, else 3x3."""
    kernel, stride = (4, 2) if halve else (3, 1)
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=1, bias=plan.bias),
        norm_layer(plan.norm, channels_out),
        *([nn.Dropout(plan.dropout)] if plan.dropout else []),
        nn.LeakyReLU(0.2, inplace=True),
    )


def dcgan_generator(plan: Blueprint) -> Generator:
    """Transposed convolutions, each doubling the resolution. Source: Radford et al. 2016, arXiv 1511.06434.

    At 64x64 with latent 100, width 64 and batch normalisation it is the published network: 3,576,704 parameters.
    """
    widths = [level_channels(plan.width, level) for level in reversed(range(plan.depth))]
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise([*widths, plan.shape[0]]):
        layers += [norm_layer(plan.norm, channels_in), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(channels_in, channels_out, 4, 2, padding=1, bias=plan.bias)]
    return _finish(Generator(LatentStart(plan, widths[0], plan.size), nn.Sequential(*layers)), plan)


def mlp_generator(plan: Blueprint) -> Generator:
    """Three hidden layers of 4, 8 and 16 times `width`; for small images of any size."""
    widths = [4 * plan.width, 8 * plan.width, 16 * plan.width]
    layers: list[nn.Module] = [nn.Flatten()]
    for channels_in, channels_out in pairwise([*widths, math.prod(plan.shape)]):
        layers += [norm_layer(plan.norm, channels_in, spatial=False), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Linear(channels_in, channels_out)]
    body = nn.Sequential(*layers, nn.Unflatten(1, plan.shape))
    return _finish(Generator(LatentStart(plan, widths[0], (1, 1)), body), plan)


def residual_generator(plan: Blueprint) -> Generator:
    """Residual blocks at each resolution, bilinear doubling between them, in the manner of R3GAN.

    Source: Huang et al. 2024, arXiv 2501.05441, with plain 3x3 blocks, which CPUs run faster than grouped ones.
    """
    widths = [level_channels(plan.width, level) for level in reversed(range(plan.depth + 1))]
    layers: list[nn.Module] = [ResidualBlock(widths[0], plan.norm) for _ in range(plan.blocks)]
    for channels_in, channels_out in pairwise(widths):
        layers += [nn.Conv2d(channels_in, channels_out, 1, bias=False), Upsample()]  # in this order, it costs a quarter
        layers += [ResidualBlock(channels_out, plan.norm) for _ in range(plan.blocks)]
    layers += [norm_layer(plan.norm, widths[-1]), nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], plan.shape[0], 3, padding=1)]
    body = nn.Sequential(*layers)
    # no tanh: without normalisation it saturates early, all images turn one colour, and no gradient brings them back
    return _finish(Generator(LatentStart(plan, widths[0], plan.size), body, bounded=False), plan)


def unet_generator(plan: Blueprint) -> Generator:
    """A U-Net whose latent is a noise image of the shape of the picture."""
    start = NoiseStart(plan)
    return _finish(Generator(start, UNet(start.channels, plan)), plan)


def _finish(generator: Generator, plan: Blueprint) -> Generator:
    initialise(generator, normalised=plan.norm == "batch")
    return generator


GENERATORS: dict[GeneratorName, Callable[[Blueprint], Generator]] = {
    "dcgan": dcgan_generator,
    "mlp": mlp_generator,
    "residual": residual_generator,
    "unet": unet_generator,
}
