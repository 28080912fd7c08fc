"""Variational autoencoders: VAE, beta-VAE and the importance-weighted autoencoder, with four likelihoods.

The loss is in nats per image: the negative evidence lower bound, with the KL term weighted as the config says.
What varies is a part: the networks (nn/autoencoder.py), the likelihood (losses/observation.py), the prior
(nn/prior.py), the KL term and its schedule (losses/divergence.py). vae_presets.py lists the combinations with names.
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
from ..losses.divergence import capacity_cost, cyclical, free_bits, gaussian_kl, tamed, warmup
from ..losses.likelihood import binarize
from ..losses.observation import LikelihoodName, observation
from ..model import Loss, Model, SampleOptions, Step
from ..nn.autoencoder import NetworkName, Plan
from ..nn.condition import hide
from ..nn.density import LatentDensities
from ..nn.prior import CouplingPrior, NormalPrior, PriorName
from ..precise import finest, precise
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks
from .conditioning import ConditionRows

WARM_UP = 0.25  # share of a run after which the KL term weighs in full at the latest
ACTIVE = 0.01  # variance of a dimension's posterior mean over images, above which it is in use (Burda et al. 2015)
SCORE_PIXELS = 1 << 20  # pixels decoded at once when scoring: 4 MiB for each tensor of that size, to stay in the cache


@dataclass(frozen=True)
class VAEConfig:
    """The parts of a VAE. The defaults are those of `vae`; vae_presets.py has the others."""

    network: NetworkName = setting("conv, or mlp for small images", "conv")
    latent: int = setting("length of the latent vector", 64)
    width: int | None = setting("channels at full resolution (conv, 32) or units of a hidden layer (mlp, 500)", None)
    depth: int | None = setting("halvings (conv, down to a side of 4 to 7) or hidden layers (mlp, 2)", None)
    likelihood: LikelihoodName = setting("of the pixels", "gaussian")
    binarize: Literal["none", "dynamic"] = setting("dynamic: draw black and white pixels anew each step", "none")
    prior: PriorName = setting("of the latents: normal, or learned with the networks (coupling)", "normal")
    prior_width: int = setting("units of a hidden layer of a coupling prior", 128)
    prior_couplings: int = setting("couplings of a coupling prior", 4)
    importance: int = setting("latents drawn for each image; above 1 trains the tighter importance-weighted bound", 1)
    beta: float = setting("weight of the KL term; above 1 trades sharpness for independent latents", 1.0)
    kl_schedule: Literal["constant", "warmup", "cyclical", "capacity"] = setting("of the KL term's weight", "warmup")
    kl_warmup_images: int = setting(
        "images over which the weight rises from 0 (each cycle of cyclical; warmup: a quarter of the run at most)",
        20_000,
    )
    kl_cycles: int = setting("rises of a cyclical schedule", 4)
    capacity: float = setting("nats that the KL term is held at in the end (capacity)", 25.0)
    capacity_weight: float = setting("cost of a nat off the capacity", 1000.0)
    capacity_images: int = setting("images over which the capacity rises from 0", 1_000_000)
    free_bits: float = setting("nats that each latent dimension may hold at no cost", 0.0)
    mixture_components: int = setting("Gaussians in the mixture fitted to the latents", 10)
    text: str = setting("encoder of captions: none, own, minilm, or a Hugging Face folder or id", "none")
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, so that one can sample without", 0.1)

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "latent", "width", "prior_width", "importance", "kl_cycles", "mixture_components")
        checks.at_least(self, 1, "prior_couplings", "capacity_images")
        checks.at_least(self, 0, "depth", "beta", "kl_warmup_images", "capacity", "capacity_weight", "free_bits")
        checks.shares(self, "condition_dropout")
        if self.binarize == "dynamic" and self.likelihood != "bernoulli":
            raise ConfigError(f"binarize=dynamic does not fit likelihood={self.likelihood}; use likelihood=bernoulli")
        if self.free_bits and (self.importance > 1 or self.prior != "normal" or self.kl_schedule == "capacity"):
            raise ConfigError("free_bits needs a KL for each dimension: use importance=1, prior=normal and no capacity")
        if self.kl_schedule == "capacity" and self.importance > 1:
            raise ConfigError("kl_schedule=capacity has no importance-weighted form; use importance=1")


@dataclass(frozen=True)
class VAEOptions(SampleOptions):
    """Options of sampling from a VAE."""

    density: Literal["auto", "prior", "gaussian", "mixture"] = setting(
        "what to draw latents from: the prior, or a density fitted to the latents of the training images; "
        "auto: the mixture, but a prior that was learned where there is one",
        "auto",
    )


class VAE(Model):
    """An encoder to a distribution over latents, a decoder to a distribution over images."""

    Config: ClassVar[type] = VAEConfig
    Options: ClassVar[type] = VAEOptions
    name: ClassVar[str] = "vae"
    config: VAEConfig

    def __init__(self, config: VAEConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.conditions = ConditionRows(data, conditional=config.conditional, text=config.text)
        plan = Plan(config.network, data, self.conditions.width, config.width, config.depth)
        self.encoder, self.decoder = plan.encoder(2 * config.latent), plan.decoder(config.latent)
        self.observation = observation(config.likelihood, data.channels)
        self.prior = _prior(config)
        self.densities = LatentDensities(config.latent, config.mixture_components)
        self.latent_shape = (config.latent,)

    def training_defaults(self) -> Mapping[str, Any]:
        mlp = self.config.network == "mlp"
        return {
            "batch": 256 if mlp else 64,
            "phases": {"model": {"optimizer": "adam", "lr": 2e-3 if mlp else 1e-3}},
            "lr_schedule": "cosine",
            "ema_halflife_images": (5_000, 20_000),
        }

    # --- training ---------------------------------------------------------------------------------------------------

    def prepare(self, images: Tensor) -> None:
        """Let the decoder start from the mean of (N, C, H, W) training images; call it once, before the first step.

        Without it the first hundred steps teach every weight the mean, which costs a short run several nats.
        """
        self.decoder.centre(self.observation.output_for(images.mean(0)))

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step of Kingma & Welling 2013, arXiv 1312.6114, algorithm 1, or of its importance-weighted form."""
        image = self._observed(batch.image, step.rng)
        condition = hide(self._encode(batch.condition, image), self.config.condition_dropout, step.rng)
        bound = self._importance_bound if self.config.importance > 1 else self._evidence_bound
        yield bound(image, condition, step)
        self.observation.after_step()

    def _evidence_bound(self, image: Tensor, condition: Tensor, step: Step) -> Loss:
        """The evidence lower bound, with the KL in closed form where the prior allows it."""
        mean, log_variance = self._posterior(image, condition)
        noise = step.rng.normal(*self.latent_shape)  # (B, D)
        latent = mean + torch.exp(0.5 * log_variance) * noise
        reconstruction = -self.observation.log_prob(image, self.decoder(latent, condition)).mean()
        if isinstance(self.prior, NormalPrior):
            kl = gaussian_kl(mean, log_variance)  # (B, D)
        else:
            kl = (_log_density_at(noise, log_variance) - self.prior.log_prob(latent))[:, None]  # (B, 1), one sample
        value = reconstruction + self._kl_cost(kl, step)
        return Loss("model", value, lambda: self._terms(reconstruction, kl.sum(1).mean(), mean))

    def _importance_bound(self, image: Tensor, condition: Tensor, step: Step) -> Loss:
        """The bound of `importance` latents an image. Source: Burda et al. 2015, arXiv 1509.00519, equation 8."""
        mean, log_variance = self._posterior(image, condition)
        noise = step.rng.normal(self.config.importance, *self.latent_shape)  # (B, k, D)
        log_prob, log_ratio = self._weigh(image, condition, mean, log_variance, noise)  # both (B, k)
        log_weight = log_prob + self._kl_weight(step) * log_ratio
        value = math.log(self.config.importance) - log_weight.logsumexp(1).mean()
        return Loss("model", value, lambda: self._terms(-log_prob.mean(), -log_ratio.mean(), mean))

    def _kl_cost(self, kl: Tensor, step: Step) -> Tensor:
        """(B, D) KL in nats -> scalar cost."""
        config = self.config
        if config.kl_schedule == "capacity":
            target = config.capacity * warmup(step.images, config.capacity_images)
            return config.capacity_weight * capacity_cost(kl, target)
        total = free_bits(kl, config.free_bits) if config.free_bits else kl.sum(1).mean()
        return self._kl_weight(step) * total

    def _kl_weight(self, step: Step) -> float:
        config, images = self.config, step.images
        if config.kl_schedule == "warmup":
            # of a short run it takes a part, for latents that the prior never reached would make noise of samples
            return config.beta * max(warmup(images, config.kl_warmup_images), min(1.0, step.progress / WARM_UP))
        if config.kl_schedule == "cyclical":
            return config.beta * cyclical(images, config.kl_warmup_images, config.kl_cycles)
        return config.beta

    def _terms(self, reconstruction: Tensor, kl: Tensor, mean: Tensor) -> dict[str, Tensor]:
        """For the log: nats per image, and how many latent dimensions tell images apart."""
        active = (mean.var(0, correction=0) > ACTIVE).sum()
        return {"reconstruction": reconstruction, "kl": kl, "active_units": active, **self.observation.terms()}

    # --- parts of both bounds ---------------------------------------------------------------------------------------

    def _observed(self, image: Tensor, rng: Rng) -> Tensor:
        """The image whose likelihood counts: as it is, or a black and white draw from it."""
        return binarize(image, rng.uniform(*self.data.shape)) if self.config.binarize == "dynamic" else image

    def _encode(self, condition: Condition, beside: Tensor) -> Tensor:
        """(B, W) the condition of each row of `beside`, on its device."""
        return self.conditions(condition, len(beside), beside.device)

    def _posterior(self, image: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(latent | image), each (B, D) float32."""
        mean, log_variance = self.encoder(image, condition).float().chunk(2, dim=1)
        return mean, tamed(log_variance)

    def _weigh(
        self, image: Tensor, condition: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """log p(image | latent), and log p(latent) - log q(latent | image): both (B, k), at noise (B, k, D)."""
        rows, samples = noise.shape[:2]
        latent = mean[:, None] + torch.exp(0.5 * log_variance)[:, None] * noise  # (B, k, D)
        output = self.decoder(latent.flatten(0, 1), condition.repeat_interleave(samples, 0))  # (B k, C, H, W)
        log_prob = self.observation.log_probs(image, output.unflatten(0, (rows, samples)))
        return log_prob, self.prior.log_prob(latent) - _log_density_at(noise, log_variance[:, None])

    # --- use --------------------------------------------------------------------------------------------------------

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) -> (B, latent): the posterior's mean."""
        # not by _posterior: that looks at the values, which an export of the network cannot follow
        return self.encoder(image, self._encode(condition, image)).float()[:, : self.config.latent]

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [-1, 1]: the expected image."""
        return self.observation.mean(self.decoder(latent, self._encode(condition, latent)))

    def draw_latent(self, rng: Rng, options: VAEOptions) -> Tensor:
        """(B, latent) from the prior or a fitted density; raises NotAble when that has not been fitted.

        A normal prior is a poor fit to what encoders make, above all of short runs; a mixture that is fitted to it
        afterwards mends that (Ghosh et al. 2020, arXiv 1903.12436, section 4).
        """
        density = options.density
        if density == "auto":
            learned = self.config.prior != "normal"
            density = "prior" if learned or not self.densities.mixture.fitted else "mixture"
        if density == "prior":
            return self.prior.transform(options.temperature * rng.normal(*self.latent_shape))
        return self.densities.sample(density, rng, options.temperature)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: VAEOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]: the expected image of each drawn latent."""
        return self.decode(self.draw_latent(rng, options), condition)

    def fit_density(self, latents: Tensor, seed: int) -> None:
        """Fit both densities to (N, latent) encoded training images."""
        self.densities.fit(latents, seed)

    @torch.no_grad()
    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) nats: the importance-weighted bound of log p(image | condition), float64.

        It rises to the true value as `samples` grow; 5,000 is what papers report. With binarize=dynamic the image is
        first drawn in black and white, from `rng`. Latents are decoded a million pixels at a time.
        Source: Burda et al. 2015, arXiv 1509.00519, equation 8.
        """
        if samples < 1:
            raise ConfigError(f"samples={samples} gives no bound; use 1 or more")
        image = self._observed(image, rng)
        rows = self._encode(condition, image)
        mean, log_variance = self._posterior(image, rows)
        most = max(1, SCORE_PIXELS // image.numel())
        total = torch.full((len(image),), -math.inf, dtype=finest(image.device), device=image.device)
        for start in range(0, samples, most):
            noise = rng.normal(min(most, samples - start), *self.latent_shape)  # (B, k, D)
            log_prob, log_ratio = self._weigh(image, rows, mean, log_variance, noise)
            total = torch.logaddexp(total, precise(log_prob + log_ratio).logsumexp(1))
        return total - math.log(samples)


def _prior(config: VAEConfig) -> NormalPrior | CouplingPrior:
    if config.prior == "normal":
        return NormalPrior()
    return CouplingPrior(config.latent, couplings=config.prior_couplings, width=config.prior_width)


def _log_density_at(noise: Tensor, log_variance: Tensor) -> Tensor:
    """log q at mean + std * noise, summed over the last dimension, in nats."""
    return -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(-1)
