"""Generative adversarial networks: parts that combine, and one algorithm that trains every combination.

Two networks play: the generator makes images from noise, the discriminator (critic, in Wasserstein's words) tells them
from real ones. What varies is a part behind one contract: nn/generators.py, nn/discriminators.py,
losses/adversarial.py, losses/penalties.py, nn/diffaugment.py. gan_presets.py lists the combinations that have names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..config import setting
from ..errors import ConfigError
from ..losses.adversarial import OBJECTIVES, ObjectiveName, accuracy
from ..losses.penalties import clip_weights, one_centred, zero_centred
from ..model import Loss, Model, SampleOptions, Step
from ..nn.blocks import Blueprint, Norm
from ..nn.condition import hide
from ..nn.diffaugment import Augmentation, augment
from ..nn.discriminators import DISCRIMINATORS, DiscriminatorName
from ..nn.generators import GENERATORS, GeneratorName
from ..nn.resolution import check_divisible
from ..precise import precise
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks
from .conditioning import ConditionRows

Judge = Callable[[Tensor], Tensor]  # (B, C, H, W) -> (B,) logits
SMALLEST = 4  # the side that an image is halved down to, when the depth is left open


@dataclass(frozen=True)
class GANConfig:
    """The parts of a GAN. The defaults are those of `gan`; gan_presets.py has the others."""

    generator: GeneratorName = setting("network that makes images", "dcgan")
    discriminator: DiscriminatorName = setting("network that judges images", "dcgan")
    objective: ObjectiveName = setting("the game they play", "relativistic")
    latent: int = setting("length of the latent; a U-Net's is a noise image instead", 64)
    width: int = setting("channels at full resolution, doubling at each halving up to eightfold", 32)
    depth: int | None = setting("halvings of the resolution; by default down to a side of 4 to 7", None)
    blocks: int = setting("residual blocks at each resolution", 1)
    generator_norm: Norm = setting("normalisation in the generator", "batch")
    discriminator_norm: Norm = setting("normalisation in the discriminator", "none")
    spectral_norm: bool = setting("divide the discriminator's weights by their largest singular values", False)
    dropout: float = setting("share of the discriminator's features dropped in training", 0.0)
    clip: float | None = setting("largest size of a discriminator weight, for Wasserstein by clipping", None)
    gradient_penalty: float = setting("weight of (gradient norm - 1)^2 between real and made images", 0.0)
    r1: float = setting("weight of the squared gradient at real images", 0.5)
    r2: float = setting("weight of the squared gradient at made images", 0.5)
    penalty_every: int = setting("steps between penalties; their weight grows with it", 4)
    instance_noise: float = setting("standard deviation of noise on all that the discriminator sees", 0.0)
    instance_noise_images: int = setting("images after which that noise has faded away", 200_000)
    augment: tuple[Augmentation, ...] = setting("changes to all that the discriminator sees, for little data", ())
    n_critic: int = setting("discriminator steps for each generator step", 1)
    text: str = setting("encoder of captions: none, own, minilm, or a Hugging Face folder or id", "none")
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, so that one can sample without", 0.1)

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "latent", "width", "blocks", "penalty_every", "n_critic", "instance_noise_images")
        checks.at_least(self, 0, "gradient_penalty", "r1", "r2", "instance_noise")
        checks.shares(self, "dropout", "condition_dropout")
        if self.clip is not None and self.clip <= 0:
            raise ConfigError(f"clip={self.clip} leaves no weights; use for example 0.01, or none")


@dataclass(frozen=True)
class GANOptions(SampleOptions):
    """Options of sampling from a GAN."""

    truncation: float | None = setting("keep the latents within this many standard deviations, for example 1.5", None)


class GAN(Model):
    """A generator and a discriminator, trained against each other.

    Sample it in eval mode: batch normalisation then uses running statistics, and no image depends on its neighbours.
    """

    Config: ClassVar[type] = GANConfig
    Options: ClassVar[type] = GANOptions
    name: ClassVar[str] = "gan"
    config: GANConfig

    def __init__(self, config: GANConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.objective = OBJECTIVES[config.objective]
        self.conditions = ConditionRows(data, conditional=config.conditional, text=config.text)
        self.generator = GENERATORS[config.generator](self._blueprint(config.generator_norm))
        self.discriminator = DISCRIMINATORS[config.discriminator](
            self._blueprint(config.discriminator_norm, dropout=config.dropout, spectral_norm=config.spectral_norm)
        )

    def _blueprint(self, norm: Norm, *, dropout: float = 0.0, spectral_norm: bool = False) -> Blueprint:
        config = self.config
        return Blueprint(
            shape=self.data.shape,
            condition_width=self.conditions.width,
            width=config.width,
            depth=_depth(config, self.data),
            latent=config.latent,
            blocks=config.blocks,
            norm=norm,
            dropout=dropout,
            spectral_norm=spectral_norm,
        )

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        return {
            "discriminator": list(self.discriminator.parameters()),
            "generator": [*self.generator.parameters(), *self.conditions.parameters()],
        }

    # --- training ---------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step of Goodfellow's algorithm 1; with n_critic > 1 the generator takes every n_critic-th step.

        The made images serve both players, so the generator runs once: its graph is kept while the discriminator steps.
        """
        condition = hide(self._encode(batch.condition, len(batch)), self.config.condition_dropout, step.rng)
        generator_plays = (step.index + 1) % self.config.n_critic == 0
        with torch.set_grad_enabled(generator_plays):
            fake = self.generator(step.rng.normal(*self.latent_shape), condition)  # (B, C, H, W)

        yield self._discriminator_loss(batch.image, fake.detach(), condition, step)
        if self.config.clip is not None:
            clip_weights(self.discriminator.parameters(), self.config.clip)
        if generator_plays:
            yield self._generator_loss(batch.image, fake, condition, step)

    def _discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor, step: Step) -> Loss:
        judge = partial(self._judge, condition=condition, step=step)
        penalised = self._penalised(step)
        with _float32(real.device) if penalised else nullcontext():
            if penalised:
                real, fake = real.detach().requires_grad_(), fake.requires_grad_()
            real_logits, fake_logits = judge(real), judge(fake)
            value = self.objective.discriminator(real_logits, fake_logits)
            penalties = self._penalties(judge, real, real_logits, fake, fake_logits, step.rng) if penalised else {}
        # weighted up, so that over the steps a penalty counts the same however rarely it is taken
        value = value + self.config.penalty_every * sum(penalties.values())
        terms = {"real": real_logits.mean(), "fake": fake_logits.mean(), "accuracy": accuracy(real_logits, fake_logits)}
        return Loss("discriminator", value, {name: term.detach() for name, term in (terms | penalties).items()})

    def _penalties(
        self, judge: Judge, real: Tensor, real_logits: Tensor, fake: Tensor, fake_logits: Tensor, rng: Rng
    ) -> dict[str, Tensor]:
        """Name -> weighted penalty; `real` and `fake` require grad."""
        config, penalties = self.config, {}
        if config.r1:
            penalties["r1"] = config.r1 * zero_centred(real_logits, real)
        if config.r2:
            penalties["r2"] = config.r2 * zero_centred(fake_logits, fake)
        if config.gradient_penalty:
            penalties["penalty"] = config.gradient_penalty * one_centred(judge, real, fake, rng.uniform(1, 1, 1))
        return penalties

    def _generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor, step: Step) -> Loss:
        fake_logits = self._judge(fake, condition, step)
        real_logits = fake_logits.detach()
        if self.objective.compares:
            with torch.no_grad():
                real_logits = self._judge(real, condition, step)
        return Loss("generator", self.objective.generator(real_logits, fake_logits))

    def _penalised(self, step: Step) -> bool:
        """Whether this step has gradient penalties: they are costly, and one in a few steps is enough.

        Source: Karras et al. 2020, arXiv 1912.04958, section 3.1, lazy regularisation.
        """
        config = self.config
        return bool(config.r1 or config.r2 or config.gradient_penalty) and step.index % config.penalty_every == 0

    def _judge(self, image: Tensor, condition: Tensor, step: Step) -> Tensor:
        """(B,) logits of `image` as the discriminator is shown it: augmented, with instance noise that fades."""
        config = self.config
        image = augment(image, config.augment, step.rng)
        left = 1 - step.images / config.instance_noise_images
        if config.instance_noise and left > 0:
            image = image + config.instance_noise * left * step.rng.normal(*self.data.shape)
        return self.discriminator(image, condition)

    def _encode(self, condition: Condition, rows: int) -> Tensor:
        """(rows, W)."""
        return self.conditions(condition, rows, next(self.generator.parameters()).device)

    def training_defaults(self) -> dict[str, Any]:
        """The settings published with these parts, or found by trial where they train faster: see _optimisers."""
        discriminator, generator = _optimisers(self.config)
        return {
            "batch": 64,
            "lr_schedule": "cosine" if self.config.r1 or self.config.r2 else "constant",
            "ema_halflife_images": (2_000, 10_000),
            "phases": {"discriminator": discriminator, "generator": generator},
        }

    # --- use --------------------------------------------------------------------------------------------------------

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.generator.latent_shape

    def draw_latent(self, rng: Rng, options: GANOptions) -> Tensor:
        """(B, *latent_shape), normal or, with truncation, truncated normal."""
        latent = rng.normal(*self.latent_shape)
        if options.truncation is not None:
            latent = truncate(latent, options.truncation)
        return options.temperature * latent

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, *latent_shape) -> (B, C, H, W) in [-1, 1]."""
        return self.generator(latent, self._encode(condition, len(latent))).clamp(-1, 1)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: GANOptions) -> Tensor:
        """rng.rows images, (B, C, H, W) in [-1, 1]."""
        return self.decode(self.draw_latent(rng, options), condition)


def truncate(latent: Tensor, limit: float) -> Tensor:
    """Map normal latents to the normal distribution truncated to [-limit, limit], quantile by quantile.

    The map is increasing, so a seed's truncated picture is a tamer version of its own picture, not another one.
    Raises ConfigError unless limit is positive.
    """
    if not limit > 0:
        raise ConfigError(f"truncation={limit} is not positive; use for example 1.5, or none")
    outside = float(torch.special.ndtr(torch.tensor(-limit, dtype=torch.float64)))
    share = outside + torch.special.ndtr(precise(latent)) * (1 - 2 * outside)
    return torch.special.ndtri(share).to(latent.dtype)


def _float32(device: torch.device) -> torch.autocast:
    """Full precision: in bfloat16, the gradient of a gradient is mostly rounding."""
    return torch.autocast(device.type, enabled=False)


def _depth(config: GANConfig, data: DataSpec) -> int:
    """How often the networks halve the image; raises ConfigError naming the nearest resolutions when it cannot be."""
    if config.generator == "mlp" == config.discriminator:
        return 0
    depth = config.depth
    if depth is None:
        depth = max(1, int(math.log2(min(data.height, data.width) / SMALLEST)))
    if depth < 1:
        raise ConfigError(f"depth={depth} is less than 1: a convolutional network halves the image at least once")
    check_divisible(data.height, data.width, depth)
    return depth


def _optimisers(config: GANConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The published settings of (discriminator, generator) for the parts at hand."""
    if config.objective == "wasserstein" and config.clip is not None:  # Arjovsky et al. 2017, algorithm 1
        return ({"optimizer": "rmsprop", "lr": 5e-5},) * 2
    if config.gradient_penalty:  # Gulrajani et al. 2017, for residual networks
        return (_adam(1e-4, 0.0, 0.9),) * 2
    if config.spectral_norm:  # two time scales, Heusel et al. 2017, instead of five discriminator steps
        return _adam(4e-4, 0.0, 0.9), _adam(1e-4, 0.0, 0.9)
    if config.r1 or config.r2:  # Huang et al. 2024; with batch normalisation ten times their rate learns faster
        return (_adam(2e-3 if config.generator_norm == "batch" else 2e-4, 0.0, 0.99),) * 2
    return (_adam(2e-4, 0.5, 0.999),) * 2  # Radford et al. 2016


def _adam(lr: float, *betas: float) -> dict[str, Any]:
    return {"optimizer": "adam", "lr": lr, "betas": betas}
