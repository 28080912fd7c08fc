"""An autoencoder for models of latents: images to small grids of numbers that a diffusion model can learn, and back.

The latent is a picture of a few channels at an eighth or a quarter of the sides, each channel of mean 0 and variance
1. Noise on it in training teaches the decoder to forgive what a model of latents gets wrong, and keeps the latents of
like images near each other, as the KL term of a variational autoencoder would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..losses.reconstruction import psnr, reconstruction_cost
from ..model import Loss, Model, SampleOptions, Step
from ..nn.grid_autoencoder import GridDecoder, GridEncoder, Standardise, grid_depth
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks


@dataclass(frozen=True)
class LatentAutoencoderConfig:
    """Settings of `latent-ae`."""

    latent: int = setting("channels of the latent", 4)
    width: int = setting("channels at half resolution, doubling at each halving up to eightfold", 32)
    depth: int | None = setting("halvings; by default down to a shorter side of 5 to 8", None)
    blocks: int = setting("residual blocks at the smallest resolution, in encoder and decoder each", 1)
    edges: float = setting("weight of the error of edges at three scales, beside that of pixels", 1.0)
    noise: float = setting("standard deviation of the noise on the latent in training; the latent's own is 1", 0.3)
    conditional: Literal["none"] = setting("none: what an image shows is all in its latent", "none")

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "latent", "width", "depth")
        checks.at_least(self, 0, "blocks", "edges", "noise")


class LatentAutoencoder(Model):
    """Encodes images to a grid of standardised latents, and decodes them; it makes no images of its own."""

    Config: ClassVar[type] = LatentAutoencoderConfig
    name: ClassVar[str] = "latent-ae"
    config: LatentAutoencoderConfig

    def __init__(self, config: LatentAutoencoderConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        depth = grid_depth(data) if config.depth is None else config.depth
        parts: dict[str, int] = {"width": config.width, "depth": depth, "blocks": config.blocks}
        self.encoder = GridEncoder(data, config.latent, **parts)
        self.standardise = Standardise(config.latent)
        self.decoder = GridDecoder(data, config.latent, **parts)
        self.latent_shape = (config.latent, data.height >> depth, data.width >> depth)

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 64,
            "phases": {"model": {"optimizer": "adam", "lr": 3e-3}},
            "lr_schedule": "cosine",
            "ema_halflife_images": (2_000, 10_000),
            "weights": "ema_short",
        }

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Start the decoder from the mean of (N, C, H, W) training images, and the latents from variance 1."""
        self.decoder.centre(images.mean(0))
        self.standardise.start(self.encoder(images[:256]))

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step: the image from its latent and a little noise."""
        latent = self._latent(batch.image)
        output = self.decoder(latent + self.config.noise * step.rng.normal(*self.latent_shape))
        value = reconstruction_cost(output, batch.image, self.config.edges)
        yield Loss("model", value, lambda: {"psnr": psnr(output, batch.image)})

    def _latent(self, image: Tensor) -> Tensor:
        return self.standardise(self.encoder(image)).float()

    # --- use --------------------------------------------------------------------------------------------------------

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) -> (B, *latent_shape); each channel has mean 0 and variance 1 over the training images."""
        return self._latent(image)

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, *latent_shape) -> (B, C, H, W) in [-1, 1]."""
        return self.decoder(latent).float().clamp(-1, 1)

    def draw_latent(self, rng: Rng, options: SampleOptions) -> Tensor:
        """(B, *latent_shape) white noise of the latents' own mean and variance: they decode to textures, not images."""
        return options.temperature * rng.normal(*self.latent_shape)
