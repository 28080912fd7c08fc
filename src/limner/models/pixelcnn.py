"""Gated PixelCNN: convolutions that foretell each pixel from those above it and to its left, and draw it.

Black and white pixels, or the 256 levels of any number of channels under PixelCNN++'s mixture of logistics.
Places are squares of `block` x `block` pixels: the image is drawn square by square, row by row, and each square pixel
by pixel. With block=1 that is the raster order of the paper; with block=2 the convolutions have a quarter of the work.
Source: van den Oord et al. 2016, arXiv 1606.05328; Salimans et al. 2017, arXiv 1701.05517.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..config import setting
from ..errors import ConfigError
from ..losses.pixels import BernoulliPixel, LogisticMixturePixel, PixelLikelihood
from ..nn.gated_stacks import GatedStacks, Reading
from ..nn.place_head import PlaceHead
from ..rng import Rng
from ..types import DataSpec
from . import checks
from .autoregression import PixelModel, precise_copy


@dataclass(frozen=True)
class PixelCNNConfig:
    """The parts of a PixelCNN. The defaults are those of `pixelcnn`."""

    likelihood: Literal["logistic", "bernoulli"] = setting(
        "of the pixels; logistic: a mixture over 256 levels", "logistic"
    )
    binarize: Literal["none", "dynamic"] = setting("dynamic: draw black and white pixels anew each step", "none")
    block: int = setting("side of the squares that are drawn in turn; 1: row by row; 2 is some three times as fast", 2)
    width: int = setting("channels of either stack", 48)
    depth: int = setting("gated layers", 4)
    mixture_components: int = setting("logistics in the mixture", 10)
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, so that one can sample without", 0.1)

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "block", "width", "depth", "mixture_components")
        checks.shares(self, "condition_dropout")
        if self.binarize == "dynamic" and self.likelihood != "bernoulli":
            raise ConfigError(f"binarize=dynamic does not fit likelihood={self.likelihood}; use likelihood=bernoulli")


class PixelNetwork(nn.Module):
    """(B, G N, h, w) values of each place and (B, W) condition -> (B, G, P, h, w) parameters of each group of them."""

    def __init__(self, config: PixelCNNConfig, data: DataSpec, condition: int, likelihood: PixelLikelihood) -> None:
        super().__init__()
        values, size = data.channels * config.block**2, (data.height // config.block, data.width // config.block)
        self.stacks = GatedStacks(values, size, condition=condition, width=config.width, depth=config.depth)
        groups = values // likelihood.values
        self.head = PlaceHead(config.width, groups=groups, group=likelihood.values, parameters=likelihood.parameters)

    def forward(self, values: Tensor, condition: Tensor) -> Tensor:
        return self.head(self.stacks(values, condition), values)


class PixelCNN(PixelModel):
    """A vertical and a horizontal stack of gated convolutions, and a likelihood of each pixel."""

    Config: ClassVar[type] = PixelCNNConfig
    name: ClassVar[str] = "pixelcnn"
    config: PixelCNNConfig

    def __init__(self, config: PixelCNNConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        _check_block(config.block, data)
        self.likelihood = _likelihood(config, data)
        self.network = PixelNetwork(config, data, self.conditions.width, self.likelihood)

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 32,
            "phases": {"model": {"optimizer": "adam", "lr": 2e-3}},
            "lr_schedule": "cosine",
            "clip": 100.0,
            "ema_halflife_images": (5_000, 20_000),
        }

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Let each pixel start from what (N, C, H, W) training images have on average."""
        head = self.network.head
        for group, mean in enumerate(self._places(images).mean((0, 2, 3)).view(head.groups, head.group)):
            head.bias[group] = self.likelihood.first(mean)

    def _log_prob(self, image: Tensor, condition: Tensor, step: int | None) -> Tensor:
        values = self._places(image)  # (B, G N, h, w)
        parameters = self.network(values, condition).movedim(2, -1)  # (B, G, h, w, P)
        pixels = values.unflatten(1, (-1, self.likelihood.values)).movedim(2, -1)  # (B, G, h, w, N)
        return self.likelihood.log_prob(pixels, parameters).flatten(1).sum(1)

    def _draw(
        self, image: Tensor, rows_given: int, rng: Rng, condition: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Place by place, from features that are kept: a place costs one pass of its own, not one of the image."""
        block, network = self.config.block, precise_copy(self.network)
        if rows_given % block:
            raise ConfigError(
                f"rows_given={rows_given} cuts through squares of {block} x {block} pixels, which are drawn whole; "
                f"use {rows_given - rows_given % block} or {rows_given + block - rows_given % block}"
            )
        values, (height, width) = self._places(self._on_or_off(image)), network.stacks.size
        shown, groups = values.clone(), network.head.groups
        uniform = rng.uniform(height, width, groups, self.likelihood.draws).to(values)
        reading = Reading(network.stacks, condition, values)
        for row in range(height):
            reading.row(row)
            for column in range(width if row * block >= rows_given else 0):
                start = network.head.start(reading.features(column))
                for group in range(groups):
                    parameters = network.head.parameters_of(group, start, values[:, :, row, column])
                    drawn = self.likelihood.draw(parameters, uniform[:, row, column, group], temperature)
                    place = slice(group * self.likelihood.values, (group + 1) * self.likelihood.values)
                    values[:, place, row, column] = drawn
                    shown[:, place, row, column] = self.likelihood.shown(parameters, drawn, temperature)
                reading.tell(row, column, values[:, :, row, column])
        return self._image(values), self._image(shown)

    def _on_or_off(self, image: Tensor) -> Tensor:
        """What is given, as pixels that the likelihood knows."""
        return torch.where(image < 0, -torch.ones_like(image), 1.0) if self.config.likelihood == "bernoulli" else image

    def _places(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, block block C, h, w): the pixels of each square row by row, of each its channels."""
        block = self.config.block
        if block == 1:
            return image
        split = image.unflatten(3, (-1, block)).unflatten(2, (-1, block))  # (B, C, h, block, w, block)
        return split.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)

    def _image(self, values: Tensor) -> Tensor:
        """The way back."""
        block, channels = self.config.block, self.data.channels
        split = values.unflatten(1, (block, block, channels)).permute(0, 3, 4, 1, 5, 2)  # (B, C, h, block, w, block)
        return split.flatten(4, 5).flatten(2, 3)


def _likelihood(config: PixelCNNConfig, data: DataSpec) -> PixelLikelihood:
    if config.likelihood == "bernoulli":
        return BernoulliPixel()
    return LogisticMixturePixel(data.channels, config.mixture_components)


def _check_block(block: int, data: DataSpec) -> None:
    if data.height % block or data.width % block:
        raise ConfigError(
            f"images of {data.height}x{data.width} do not split into squares of block={block}; use block=1"
        )
