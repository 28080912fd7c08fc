"""Diffusion and flow matching, in pixels or in the latents of an autoencoder.

A network learns to see the image behind noise of every strength; solvers then walk from noise to an image. What varies
is a part: the backbone (nn/backbones.py), what it predicts (diffusion/denoiser.py), the path (diffusion/paths.py), the
levels trained at (diffusion/levels.py). diffusion_presets.py lists the combinations with names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..diffusion import levels, paths, solvers
from ..diffusion.denoiser import Denoiser, PreconditionName, denoiser, in_half, prediction_loss
from ..diffusion.guidance import guided
from ..diffusion.levels import LevelsName
from ..diffusion.likelihood import log_density
from ..diffusion.paths import PathName, ScheduleName
from ..diffusion.solvers import SolverName
from ..engine import How
from ..errors import ConfigError
from ..model import Loss, Model, SampleOptions, Step
from ..nn.backbones import BackboneName, BackbonePlan, fitting_patch
from ..precise import precise
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks
from .compiled import Compiled
from .conditioning import Conditioning, Known
from .coupling import coupled
from .first import NONE, FirstStage

Backbone = Callable[[Tensor, Sequence[Tensor], Tensor, tuple[Tensor, Tensor] | None], Tensor]  # as nn/backbones.py
SOLVERS = {"help": "euler, heun, midpoint, dpm, ddim, ancestral or rk45"}


@dataclass(frozen=True)
class DiffusionConfig:
    """The parts of a diffusion model. The defaults are those of `flow`; diffusion_presets.py has the others."""

    backbone: BackboneName = setting("unet, dit (transformer) or mlp", "unet")
    width: int = setting("channels at full resolution (unet) or of every layer", 64)
    depth: int = setting("blocks of a dit or mlp", 6)
    mults: tuple[int, ...] = setting("channels at each resolution of a unet, as multiples of width", (1, 2, 2))
    blocks: int = setting("residual blocks at each resolution of a unet", 1)
    attention: tuple[int, ...] = setting(
        "resolutions of a unet at which pixels attend to each other; 0 is the full", (2,)
    )
    patch: int | None = setting("side of the squares that a dit takes as tokens, a unet as channels; none: by size", 1)
    head_width: int = setting("channels of an attention head", 64)
    dropout: float = setting("share of features dropped in training", 0.0)
    path: PathName = setting("from image to noise", "linear")
    precondition: PreconditionName = setting("what the network predicts", "velocity")
    levels: LevelsName = setting("noise levels that training draws", "logit_normal")
    level_mean: float = setting("of the logarithm of the level (lognormal) or of the logit of t (logit_normal)", 0.0)
    level_std: float = setting("as level_mean", 1.0)
    coupling: Literal["independent", "optimal"] = setting(
        "of noise and images in a batch; optimal: within a class", "independent"
    )
    sigma_data: float = setting("standard deviation that images are scaled to", 0.5)
    first: str = setting("a model or run in whose latents to work; none for pixels", "none")
    first_config: dict[str, Any] = field(default_factory=dict, metadata={"help": "settings of that model"})
    text: str = setting("encoder of captions: none, own, minilm, or a Hugging Face folder or id", "none")
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, for guidance", 0.1)

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width", "depth", "blocks", "patch", "head_width")
        checks.shares(self, "dropout", "condition_dropout")
        if not self.mults or min(self.mults) < 1:
            raise ConfigError(f"mults={self.mults} has no resolution or one without channels; use for example 1,2,2")
        if not self.sigma_data > 0 or not self.level_std > 0:
            raise ConfigError(f"sigma_data={self.sigma_data}, level_std={self.level_std}: both must be positive")
        if self.precondition in ("velocity", "image") and self.path == "edm":
            raise ConfigError(f"precondition={self.precondition} needs t in [0, 1]; use path=linear or path=cosine")


@dataclass(frozen=True)
class DiffusionOptions(SampleOptions):
    """Options of sampling from a diffusion model."""

    steps: int = setting("of the solver; more are slower and truer", 20)
    solver: SolverName = field(default="heun", metadata=SOLVERS)
    schedule: ScheduleName = setting("how the steps divide the path", "auto")
    guidance: float = setting("above 1 exaggerates the condition; 1 is without", 1.0)
    guidance_low: float = setting("noise level below which there is no guidance", 0.0)
    guidance_high: float = setting("noise level above which there is no guidance", 1e9)
    negative: str = setting("a description of what guidance moves away from", "")
    tolerance: float = setting("of rk45", 1e-3)
    precision: Literal["fp32", "bf16"] = setting(
        "bf16 nearly halves the time of U-Nets on newer processors, and is a little off", "fp32"
    )
    engine: Literal["torch", "onnxruntime", "openvino"] = setting(
        "what runs the network; on a CPU openvino is faster, above all in bf16", "torch"
    )

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "steps")
        checks.at_least(self, 0, "temperature", "guidance", "guidance_low", "guidance_high")
        if not self.tolerance > 0:
            raise ConfigError(f"tolerance={self.tolerance} is not positive")
        How(self.engine, self.precision)  # refuses what does not go together


@dataclass(frozen=True)
class LatentOptions(DiffusionOptions):
    """Those of a model in latents.

    Fresh noise at each step takes back what the steps before did wrong (Karras et al. 2022, arXiv 2206.00364,
    section 4): of networks trained for minutes, at half of Heun's cost, it takes a quarter off the Fréchet distance on
    MNIST, and adds 3 % to that on CIFAR-10 (docs/log.md).
    """

    solver: SolverName = field(default="ancestral", metadata=SOLVERS)


class Diffusion(Model):
    """A network that sees images behind noise, and so makes them from nothing else."""

    Config: ClassVar[type] = DiffusionConfig
    Options: ClassVar[type] = LatentOptions
    name: ClassVar[str] = "flow"
    config: DiffusionConfig
    centre: Tensor
    scale: Tensor
    levels: ClassVar[int] = 1
    first_share: ClassVar[float] = 0.25

    def __init__(self, config: DiffusionConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.first = FirstStage.of(config.first, config.first_config, data)
        self.conditioning = Conditioning(data, conditional=config.conditional, text=config.text)
        self.space_shape = data.shape if self.first is None else self.first.latent_shape
        self.network = self._plan().build()
        self.path = paths.path(config.path)
        # a step of an mlp reads its weights once for all images of a tile: 64 cost twice as much as 8
        self.tile = 64 if config.backbone == "mlp" else 8
        self.register_buffer("centre", torch.zeros(self.space_shape[0], 1, 1))
        self.register_buffer("scale", torch.ones(()))

    def _plan(self) -> BackbonePlan:
        given, known = self.config, self.conditioning
        return BackbonePlan(
            given.backbone,
            self.space_shape,
            given.width,
            given.depth,
            given.mults,
            given.blocks,
            given.attention,
            fitting_patch(*self.space_shape[1:]) if given.patch is None else given.patch,
            given.head_width,
            given.dropout,
            condition=known.width,
            text=known.text_width,
            levels=self.levels,
        )

    def phases(self) -> Mapping[str, list[torch.nn.Parameter]]:
        return {"model": [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def training_defaults(self) -> Mapping[str, Any]:
        heavy = self.config.backbone == "unet"
        return {
            "batch": 64 if heavy else 256,
            "phases": {"model": {"optimizer": "adamw", "lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 0.01}},
            "lr_schedule": "cosine",
            "warmup_images": 10_000,
            "clip": 1.0,
            "ema_halflife_images": (4_000, 20_000),
        }

    # --- training ---------------------------------------------------------------------------------------------------

    def adopt(self, first: Model) -> None:
        """Work in the latents of a trained autoencoder."""
        assert self.first is not None, "a model of pixels has no first stage"
        self.first.adopt(first)

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Note the mean and the deviation of training images, or of their latents: (N, C, H, W)."""
        space = torch.cat([self.precompute(part) for part in images.split(256)]).float()
        self.centre.copy_(space.mean((0, 2, 3))[:, None, None])
        self.scale.copy_((space - self.centre).square().mean().sqrt().clamp(min=1e-3))

    def precompute(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> latents of the first stage; the image itself where there is none."""
        return image if self.first is None else self.first.encode(image)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Regress what the network predicts, at a noise level drawn for each image.

        Source: Karras et al. 2022, arXiv 2206.00364, equation 8; Lipman et al. 2023, arXiv 2210.02747, equation 23.
        """
        image = self.standardised(self.precompute(batch.image) if batch.code is None else batch.code)
        sigma = levels.draw(self.config.levels, step.rng, self.path, self.config.level_mean, self.config.level_std)
        noise = step.rng.normal(*self.space_shape)
        if self.config.coupling == "optimal":
            noise = coupled(image, noise, batch.condition.label)
        known = self.conditioning.hidden(batch.condition, len(image), self.config.condition_dropout, step.rng)
        loss = self._loss(image, noise, sigma, known)  # (B,)
        middle = sigma.median()
        yield Loss(
            "model",
            loss.mean(),
            lambda: {"low_noise": loss[sigma <= middle].mean(), "high_noise": loss[sigma > middle].mean()},
        )

    def _loss(self, image: Tensor, noise: Tensor, sigma: Tensor, known: Known) -> Tensor:
        return prediction_loss(
            lambda x, level: self.network(x, [level], known.vector, known.text),
            self.config.precondition,
            image,
            noise,
            sigma,
            self.config.sigma_data,
        )

    def standardised(self, space: Tensor) -> Tensor:
        """Images or latents of mean 0 and of the deviation that training takes them to have."""
        return (space.float() - self.centre) * (self.config.sigma_data / self.scale)

    # --- use --------------------------------------------------------------------------------------------------------

    def enter(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> the space in which the denoiser works."""
        return self.standardised(self.precompute(image))

    def leave(self, space: Tensor) -> Tensor:
        """Undoes `enter`, as far as an autoencoder allows: (B, C, H, W) in [-1, 1]."""
        space = space * (self.scale / self.config.sigma_data) + self.centre
        return (space if self.first is None else self.first.decode(space)).clamp(-1, 1)

    def denoiser(self, condition: Condition, options: DiffusionOptions, rows: int) -> Denoiser:
        """D(x, sigma) for images of that condition, guided as the options say."""
        network = self._runs_by(options)
        see = self.denoiser_of(self.conditioning(condition, rows), network)
        if options.guidance != 1 and self.conditioning.width:
            nothing = self.conditioning.nothing(rows, negative=options.negative)
            interval = (options.guidance_low, options.guidance_high)
            see = guided(see, self.denoiser_of(nothing, network), options.guidance, interval=interval)
        return in_half(see) if options.precision == "bf16" and options.engine == "torch" else see

    def _runs_by(self, options: DiffusionOptions) -> Backbone:
        """The network, run by the engine that was asked for."""
        if options.engine == "torch":
            return self.network
        return Compiled(self.network, How(options.engine, options.precision), about=repr(self._plan()))

    def denoiser_of(self, known: Known, network: Backbone | None = None) -> Denoiser:
        """D(x, sigma) for images of which that is known, seen by this model's network or by what runs it."""
        see = network or self.network

        def predict(x: Tensor, level: Tensor) -> Tensor:
            return see(x, [level], known.vector, known.text)

        return denoiser(predict, self.config.precondition, self.config.sigma_data)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: DiffusionOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]: noise walked to an image."""
        noise = options.temperature * rng.normal(*self.space_shape)
        times = paths.times(self.path, options.steps, options.schedule)
        see = self.denoiser(condition, options, rng.rows)
        found = solvers.solve(options.solver, see, noise, self.path, times, rng, tolerance=options.tolerance)
        return self.leave(found)


class PixelDiffusion(Diffusion):
    """A diffusion model of pixels, whose flow gives every image a density."""

    Options: ClassVar[type] = DiffusionOptions
    likelihood_is = "estimate"
    likelihood_of = "density"

    def __init__(self, config: DiffusionConfig, data: DataSpec) -> None:
        if config.first != NONE:
            raise ConfigError(
                f"first={config.first!r} gives latents, and this model is one of pixels; use latent-flow, with the "
                f"same settings: --set backbone={config.backbone} --set first={config.first}"
            )
        super().__init__(config, data)

    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) nats: the log density under the probability flow, the mean over `samples` probes of its divergence.

        A density of pixels in [-1, 1]: dequantise 8-bit images first (metrics/likelihood.py).
        """
        if samples < 1:
            raise ConfigError(f"samples={samples} gives no estimate; use 1 or more")
        see = self.denoiser_of(self.conditioning(condition, len(image)))
        space, found = self.standardised(image), []
        for _ in range(samples):
            probe = 2.0 * rng.integers(2, *self.space_shape) - 1
            most = min(self.path.sigma_max, 200.0)
            found.append(log_density(see, space, self.path, probe.float(), sigma_max=most))
        stretch = image[0].numel() * (torch.log(torch.tensor(self.config.sigma_data)) - torch.log(self.scale))
        return torch.stack(found).mean(0) + precise(stretch)
