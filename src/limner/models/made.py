"""MADE: the masked autoencoder for distribution estimation, a fully connected network that foretells each pixel.

Black and white pixels, for images of about 28x28. The fastest model with an exact likelihood on a CPU.
Source: Germain et al. 2015, arXiv 1502.03509.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..errors import ConfigError
from ..losses.likelihood import bernoulli_log_prob
from ..losses.pixels import COLDEST
from ..nn.masked_mlp import Drawing, MaskedMLP
from ..precise import precise
from ..rng import Rng, generator
from ..types import DataSpec
from . import checks
from .autoregression import PixelModel, precise_copy

CERTAIN = 0.99  # the brightest mean pixel that an untrained network may be sure of


@dataclass(frozen=True)
class MADEConfig:
    """The parts of a MADE."""

    width: int = setting("units of a hidden layer", 1024)
    depth: int = setting("hidden layers", 2)
    order: Literal["raster", "random"] = setting("of the pixels; random: another one for each mask", "raster")
    masks: int = setting("masks that take turns in training; their mean probability is what counts afterwards", 1)
    binarize: Literal["none", "dynamic"] = setting("dynamic: draw black and white pixels anew each step", "dynamic")
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, so that one can sample without", 0.1)
    likelihood: ClassVar[str] = "bernoulli"  # of the pixels; no setting

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width", "depth", "masks")
        checks.shares(self, "condition_dropout")


class MADE(PixelModel):
    """A mixture, over its masks, of autoregressive networks that share their weights."""

    Config: ClassVar[type] = MADEConfig
    name: ClassVar[str] = "made"
    config: MADEConfig

    def __init__(self, config: MADEConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        ranks, degrees = _ranks(config, data), _degrees(config, data)
        self.network = MaskedMLP(ranks, degrees, condition=self.conditions.width, depth=config.depth)

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 128,
            "phases": {"model": {"optimizer": "adam", "lr": 1e-3}},
            "lr_schedule": "cosine",
            "ema_halflife_images": (5_000, 20_000),
        }

    def prepare(self, images: Tensor) -> None:
        """Let each pixel start from the log odds of its mean over (N, C, H, W) training images."""
        self.network.centre(2 * torch.atanh(images.mean(0).flatten().clamp(-CERTAIN, CERTAIN)))

    def _log_prob(self, image: Tensor, condition: Tensor, step: int | None) -> Tensor:
        """One mask in training, as algorithm 1 has it; else the mean probability under all of them, in float64."""
        if step is not None:
            return self._under(step % self.config.masks, image, condition)
        found = [self._under(mask, image, condition) for mask in range(self.config.masks)]
        return precise(torch.stack(found)).logsumexp(0) - math.log(self.config.masks)

    def _under(self, mask: int, image: Tensor, condition: Tensor) -> Tensor:
        """(B,) nats under one mask."""
        return bernoulli_log_prob(image, self.network(image.flatten(1), condition, mask).view_as(image))

    def _draw(
        self, image: Tensor, rows_given: int, rng: Rng, condition: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Each image under a mask of its own; those of one mask together."""
        if rows_given and self.config.order != "raster":
            raise ConfigError(f"rows_given={rows_given} needs order=raster: other orders do not begin with whole rows")
        given = rows_given * self.data.width * self.data.channels
        mask, uniform = rng.integers(self.config.masks), rng.uniform(*self.data.shape).to(image)
        network, drawn, shown = precise_copy(self.network), torch.empty_like(image), torch.empty_like(image)
        for number in mask.unique().tolist():
            rows = mask == number
            drawing = Drawing(network, condition[rows], number)
            parts = _drawn(drawing, image[rows].flatten(1), given, uniform[rows].flatten(1), temperature)
            drawn[rows], shown[rows] = (part.view(-1, *self.data.shape) for part in parts)
        return drawn, shown


def _drawn(drawing: Drawing, image: Tensor, given: int, uniform: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """(B, D) of which the first in the order are given -> on or off, and the mean of that, both (B, D)."""
    value, mean = torch.where(image < 0, -torch.ones_like(image), 1.0), torch.zeros_like(image)
    for rank, place in enumerate(drawing.order.tolist()):
        if rank >= given:
            on = torch.sigmoid(drawing.output(rank) / max(temperature, COLDEST))  # (B,)
            mean[:, place] = 2 * on - 1
            value[:, place] = 2 * (uniform[:, place] < on).to(on) - 1
        drawing.tell(rank, value[:, place])
    return value, mean


def _ranks(config: MADEConfig, data: DataSpec) -> Tensor:
    """(K, C H W) the place of every value of an image: row by row, all channels of a pixel in turn; or at random."""
    pixels = data.channels * data.height * data.width
    if config.order == "random":
        orders = [generator(0, "made order", mask).permutation(pixels) for mask in range(config.masks)]
        return torch.tensor([order.tolist() for order in orders])
    raster = torch.arange(pixels).view(data.height, data.width, data.channels).permute(2, 0, 1)  # (C, H, W)
    return raster.reshape(1, -1).repeat(config.masks, 1)


def _degrees(config: MADEConfig, data: DataSpec) -> Tensor:
    """(K, U) evenly spread over 0 to D - 2, in rising order for the first mask and shuffled for the others."""
    most = data.channels * data.height * data.width - 1
    even = torch.arange(config.width) * most // config.width
    others = [generator(0, "made degrees", mask).permutation(config.width).tolist() for mask in range(1, config.masks)]
    return torch.stack([even, *(even[order] for order in others)])
