"""Normalizing flows: RealNVP and Glow, maps between images and noise that can be run both ways.

The loss is minus the log likelihood in nats per image. Pixels are dequantised (each of the 256 levels is spread evenly
over its width), made normal one by one (nn/equalise.py), and mapped to noise (nn/multiscale.py).
normalizing_flow_presets.py lists the combinations with names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..errors import ConfigError
from ..losses.likelihood import dequantise, requantise
from ..model import Loss, Model, SampleOptions, Step
from ..nn.condition import ConditionEncoder, hide, unconditional
from ..nn.conv_autoencoder import open_depth
from ..nn.equalise import LEVELS, Equalise
from ..nn.multiscale import Layout, MixingName, MultiScale
from ..nn.prior import NormalPrior
from ..nn.resolution import halvings
from ..precise import finest, precise
from ..rng import ImageRng, Rng
from ..types import Batch, Condition, DataSpec
from . import checks

PREPARE = 256  # images that the first values of the normalisations are taken from


@dataclass(frozen=True)
class NormalizingFlowConfig:
    """The parts of a normalizing flow. The defaults are those of `realnvp`; the presets have the others."""

    mixing: MixingName = setting("of channels between couplings: a fixed order, or a learned convolution", "reorder")
    logistics: int = setting("in the mixtures that a coupling moves numbers by; 0 for affine couplings", 0)
    couplings: int = setting("at each scale", 6)
    width: int = setting("channels of the couplings' networks", 48)
    depth: int | None = setting("scales, each of half the resolution; by default down to a side of 4 to 7", None)
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, so that one can sample without", 0.1)
    likelihood: ClassVar[str] = "dequantised_gaussian"  # of the pixels; no setting

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "couplings", "width", "depth")
        checks.at_least(self, 0, "logistics")
        checks.shares(self, "condition_dropout")


class NormalizingFlow(Model):
    """An invertible network from images to standard normal noise, whose likelihood is exact.

    Latents are that noise, as many numbers as the image has: an image is encoded and decoded without loss.
    """

    Config: ClassVar[type] = NormalizingFlowConfig
    Options: ClassVar[type] = SampleOptions
    name: ClassVar[str] = "realnvp"
    likelihood_is: ClassVar[str] = "exact"
    config: NormalizingFlowConfig

    def __init__(self, config: NormalizingFlowConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.conditions = ConditionEncoder(data if config.conditional == "auto" else unconditional(data))
        self.equalise = Equalise(data.channels)
        self.multiscale = MultiScale(
            Layout(
                shape=data.shape,
                condition=self.conditions.width,
                depth=_depth(config, data),
                couplings=config.couplings,
                width=config.width,
                mixing=config.mixing,
                logistics=config.logistics,
            )
        )
        self.noise = NormalPrior()
        self.latent_shape = (math.prod(data.shape),)

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 64,
            "phases": {"model": {"optimizer": "adam", "lr": 4e-3}},
            "lr_schedule": "cosine",
            "warmup_images": 3_000,
            "ema_halflife_images": (2_000, 10_000),
        }

    # --- training ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Count the levels of (N, C, H, W) training images, and let the normalisations start from some of them."""
        self.equalise.fit(images)
        some = images[:PREPARE]
        rng = ImageRng(0, range(len(some)), some.device, purpose="prepare")
        x, _ = self.equalise(self._observed(some, rng))
        self.multiscale.settle(x, self._encode(Condition(), len(some)))

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Minus the log probability of the stored image, as dequantisation bounds it, in nats."""
        condition = hide(self._encode(batch.condition, len(batch)), self.config.condition_dropout, step.rng)
        log_density = self._log_density(self._observed(batch.image, step.rng), condition).mean()
        pixels = self.latent_shape[0]
        value = pixels * math.log(LEVELS / 2) - log_density
        yield Loss("model", value, lambda: {"bits_per_dim": value / (pixels * math.log(2))})

    # --- the map ----------------------------------------------------------------------------------------------------

    def _encode(self, condition: Condition, rows: int) -> Tensor:
        return self.conditions(condition, rows, next(self.parameters()).device)

    def _observed(self, image: Tensor, rng: Rng) -> Tensor:
        return dequantise(image, rng.uniform(*self.data.shape))

    def _to_noise(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Dequantised images, (B, C, H, W), and (B, W) -> the latent (B, D) and log |det|, (B,)."""
        y, log_volume = self.equalise(x)
        latent, more = self.multiscale(y, condition)
        return latent, log_volume + more

    def _log_density(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B,) nats, of dequantised images on [-1, 1]. Source: Dinh et al. 2016, arXiv 1605.08803, equation 3."""
        latent, log_volume = self._to_noise(x, condition)
        return self.noise.log_prob(latent) + log_volume

    # --- use --------------------------------------------------------------------------------------------------------

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) -> (B, D): the noise of the image whose pixels lie in the middle of their levels."""
        middle = dequantise(image, torch.full_like(image, 0.5))
        return self._to_noise(middle, self._encode(condition, len(image)))[0]

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, D) -> (B, C, H, W) in [-1, 1]: undoes `encode`."""
        x = self.equalise.inverse(self.multiscale.inverse(latent, self._encode(condition, len(latent))))
        return requantise(x).clamp(-1, 1)

    def draw_latent(self, rng: Rng, options: SampleOptions) -> Tensor:
        """(B, D) normal noise, scaled by the temperature."""
        return options.temperature * rng.normal(*self.latent_shape)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: SampleOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]."""
        return self.decode(self.draw_latent(rng, options), condition)

    @torch.no_grad()
    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) nats: log density of the image dequantised with noise of `rng`, on [-1, 1], in float64.

        The density is exact. With the log width of a level for every dimension, -C H W log 128, it is a lower bound of
        the log probability of the stored image, which it is an estimate of; the mean density of more `samples` of the
        noise is a better one, so the bound is tighter. Raises ConfigError for samples below 1.
        Source: Theis et al. 2015, arXiv 1511.01844, section 3.1; Burda et al. 2015, arXiv 1509.00519, equation 8.
        """
        if samples < 1:
            raise ConfigError(f"samples={samples} gives no density; use 1 or more")
        encoded = self._encode(condition, len(image))
        total = torch.full((len(image),), -math.inf, dtype=finest(image.device), device=image.device)
        for _ in range(samples):
            total = torch.logaddexp(total, precise(self._log_density(self._observed(image, rng), encoded)))
        return total - math.log(samples)


def _depth(config: NormalizingFlowConfig, data: DataSpec) -> int:
    """The scales: as many as were asked for, or halvings down to a side of 4 to 7 as far as they leave no remainder."""
    if config.depth is not None:
        return config.depth
    return max(1, min(open_depth(data), halvings(data.height, data.width)))
