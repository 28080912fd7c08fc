"""Autoencoders, plain and denoising: an encoder to a short latent vector and a decoder back.

An autoencoder has no prior of its own. It samples from a density that is fitted to its latents after training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import setting
from ..model import Loss, Model, SampleOptions, Step
from ..nn.autoencoder import NetworkName, Plan
from ..nn.condition import hide
from ..nn.density import LatentDensities
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks
from .conditioning import ConditionRows


@dataclass(frozen=True)
class AutoencoderConfig:
    """The parts of an autoencoder; with `noise` or `mask` it is a denoising one."""

    network: NetworkName = setting("conv, or mlp for small images", "conv")
    latent: int = setting("length of the latent vector", 64)
    width: int | None = setting("channels at full resolution (conv, 32) or units of a hidden layer (mlp, 500)", None)
    depth: int | None = setting("halvings (conv, down to a side of 4 to 7) or hidden layers (mlp, 2)", None)
    loss: Literal["mse", "l1", "bernoulli"] = setting("what is minimised, a mean over pixels and channels", "mse")
    noise: float = setting("standard deviation of the noise on what the encoder sees; the image spans -1 to 1", 0.0)
    mask: float = setting("share of the pixels that the encoder sees as grey", 0.0)
    mixture_components: int = setting("Gaussians in the mixture fitted to the latents", 10)
    text: str = setting("encoder of captions: none, own, minilm, or a Hugging Face folder or id", "none")
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, so that one can sample without", 0.1)

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "latent", "width", "mixture_components")
        checks.at_least(self, 0, "depth", "noise")
        checks.shares(self, "mask", "condition_dropout")


@dataclass(frozen=True)
class AutoencoderOptions(SampleOptions):
    """Options of sampling from an autoencoder."""

    density: Literal["gaussian", "mixture"] = setting(
        "what to draw latents from: one fitted Gaussian, or a mixture of them", "mixture"
    )


class Autoencoder(Model):
    """Compresses images to a latent vector, and decodes latents to images."""

    Config: ClassVar[type] = AutoencoderConfig
    Options: ClassVar[type] = AutoencoderOptions
    name: ClassVar[str] = "ae"
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.conditions = ConditionRows(data, conditional=config.conditional, text=config.text)
        plan = Plan(config.network, data, self.conditions.width, config.width, config.depth)
        self.encoder, self.decoder = plan.encoder(config.latent), plan.decoder(config.latent)
        self.densities = LatentDensities(config.latent, config.mixture_components)
        self.latent_shape = (config.latent,)

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 64,
            "phases": {"model": {"optimizer": "adam", "lr": 1e-3}},
            "lr_schedule": "cosine",
            "ema_halflife_images": (2_000, 10_000),
        }

    def prepare(self, images: Tensor) -> None:
        """Let the decoder start from the mean of (N, C, H, W) training images; call it once, before the first step."""
        self.decoder.centre(self._output_for(images.mean(0)))

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step: the clean image from the corrupted one. Source: Vincent et al. 2008 for the corruption."""
        condition = hide(self._encode(batch.condition, len(batch)), self.config.condition_dropout, step.rng)
        latent = self.encoder(self._corrupt(batch.image, step.rng), condition)  # (B, latent)
        output = self.decoder(latent, condition).float()
        error = (self._picture(output.detach()) - batch.image).square().mean()
        yield Loss("model", self._cost(output, batch.image), {"psnr": 10 * torch.log10(4 / error)})

    def _corrupt(self, image: Tensor, rng: Rng) -> Tensor:
        config = self.config
        if config.noise:
            image = image + config.noise * rng.normal(*self.data.shape)
        if config.mask:
            image = image * (rng.uniform(1, self.data.height, self.data.width) >= config.mask)
        return image

    def _cost(self, output: Tensor, image: Tensor) -> Tensor:
        """Scalar, per pixel and channel."""
        if self.config.loss == "bernoulli":
            return F.binary_cross_entropy_with_logits(output, (image + 1) / 2)
        return F.l1_loss(output, image) if self.config.loss == "l1" else F.mse_loss(output, image)

    def _picture(self, output: Tensor) -> Tensor:
        """The decoder's output -> image in [-1, 1]."""
        return torch.tanh(output / 2) if self.config.loss == "bernoulli" else output.clamp(-1, 1)

    def _output_for(self, image: Tensor) -> Tensor:
        """The decoder's output whose picture is `image`, or as near as is safe to start from."""
        return 2 * torch.atanh(image.clamp(-0.998, 0.998)) if self.config.loss == "bernoulli" else image

    def _encode(self, condition: Condition, rows: int) -> Tensor:
        return self.conditions(condition, rows, next(self.decoder.parameters()).device)

    # --- use --------------------------------------------------------------------------------------------------------

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) -> (B, latent); the image is taken as it is, without corruption."""
        return self.encoder(image, self._encode(condition, len(image))).float()

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [-1, 1]."""
        return self._picture(self.decoder(latent, self._encode(condition, len(latent))).float())

    def draw_latent(self, rng: Rng, options: AutoencoderOptions) -> Tensor:
        """(B, latent) from the fitted density; raises NotAble when none has been fitted."""
        return self.densities.sample(options.density, rng, options.temperature)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: AutoencoderOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]; raises NotAble when no density has been fitted."""
        return self.decode(self.draw_latent(rng, options), condition)

    def fit_density(self, latents: Tensor, seed: int) -> None:
        """Fit both densities to (N, latent) encoded training images."""
        self.densities.fit(latents, seed)
