"""Pretrained diffusion models in the layout of the diffusers library, as models like any other: see, sample, fine-tune.

A folder or hub id gives the networks (pretrained_parts.py) and the noise levels (pretrained_levels.py). From these the
model is a denoiser D(x, sigma), so Limner's solvers, guidance and editing work with it. It knows nothing of the
library's pipelines and schedulers beyond their configs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..config import setting
from ..diffusion import paths, solvers
from ..diffusion.denoiser import Denoiser, in_half
from ..diffusion.guidance import guided
from ..diffusion.solvers import SolverName
from ..errors import ConfigError
from ..model import Loss, Model, Step
from ..nn.text.emphasis import parse
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks, pretrained_parts
from .diffusion import DiffusionOptions
from .pretrained_levels import Levels, by_row, scales, target
from .pretrained_parts import Components, Parts

NONE = "none"


@dataclass(frozen=True)
class PretrainedConfig:
    """Where a model comes from, and what of it is trained."""

    source: str = setting("folder or hub id (owner/name) in diffusers format; none for a small new network", NONE)
    finetune: Literal["unet", "none"] = setting("what is trained: the network that denoises, or nothing", "unet")
    width: int = setting("channels at full resolution, of a new network", 64)
    mults: tuple[int, ...] = setting("channels at each resolution of a new network, as multiples of width", (1, 2, 2))
    conditional: Literal["auto", "none"] = setting("auto: condition on classes, where the network knows any", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, for guidance", 0.1)
    text: Literal["none", "clip"] = setting("filled in from the source: what reads descriptions", "none")
    parts: dict[str, Any] = field(default_factory=dict, metadata={"help": "filled in: what the source is made of"})

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width")
        checks.shares(self, "condition_dropout")
        if not self.mults or min(self.mults) < 1:
            raise ConfigError(f"mults={self.mults} has no resolution or one without channels; use for example 1,2,2")
        if not self.parts and Path(self.source).is_dir():  # found again from whatever folder a run is resumed
            object.__setattr__(self, "source", str(Path(self.source).resolve()))


@dataclass(frozen=True)
class PretrainedOptions(DiffusionOptions):
    """As of other diffusion models; schedule=auto takes the levels that the model's own scheduler takes."""

    solver: SolverName = setting("euler, heun, midpoint, dpm, ddim, ancestral or rk45", "dpm")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine != "torch":
            raise ConfigError(f"engine={self.engine} runs Limner's own networks alone; use engine=torch for this model")


@dataclass(frozen=True)
class TextOptions(PretrainedOptions):
    """Of a model that reads: guided as such models are meant to be (diffusers' own default)."""

    guidance: float = setting("above 1 exaggerates the description; 1 is without", 7.5)


@dataclass
class Told:
    """What the network is told of each image.

    label   (B,) int64; None for a network that knows no classes
    text    (B, L, W) of the text encoder; None for one that reads nothing
    """

    label: Tensor | None
    text: Tensor | None


class Pretrained(Model):
    """A diffusion model that was trained elsewhere."""

    Config: ClassVar[type] = PretrainedConfig
    Options: ClassVar[type] = PretrainedOptions
    name: ClassVar[str] = "diffusers"
    config: PretrainedConfig

    def __init__(self, config: PretrainedConfig, data: DataSpec) -> None:
        components, parts = _opened(config, data)
        classes = pretrained_parts.class_rows(components)
        settled = replace(
            config,
            source=Path(config.source).name if Path(config.source).is_absolute() else config.source,
            conditional=config.conditional if classes else "none",
            text="none" if parts.text is None else "clip",
            parts=components,
        )
        super().__init__(settled, data)
        self.classes = classes  # rows of the network's table
        self.network, self.vae, self.text = parts.network, parts.vae, parts.text
        if self.text is not None:
            self.Options = TextOptions  # type: ignore[misc]
        self.network.requires_grad_(config.finetune == "unet")
        self.space_shape = _space(components, data)
        self.null = self.classes - 1 if self.classes > len(data.classes) or config.conditional == NONE else None
        if config.conditional != NONE and len(data.classes) > self.classes > 0:
            raise ConfigError(
                f"the data has {len(data.classes)} classes, and this network knows {self.classes}; use conditional=none"
            )
        self.levels = Levels(components["scheduler"])
        self.path = self.levels.path
        self.place: Tensor
        self.register_buffer("place", torch.zeros(()), persistent=False)  # knows the device

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        return {"model": [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def training_defaults(self) -> Mapping[str, Any]:
        new = self.config.source == NONE
        return {
            "batch": 64 if new else 16,
            "phases": {"model": {"optimizer": "adamw", "lr": 1e-3 if new else 1e-5, "betas": (0.9, 0.99)}},
            "warmup_images": 10_000 if new else 1_000,
            "clip": 1.0,
            "ema_halflife_images": (4_000, 20_000),
        }

    def train(self, mode: bool = True) -> Pretrained:
        """What is frozen stays in eval mode."""
        super().train(mode)
        for part in (self.vae, self.text):
            if part is not None:
                part.eval()
        return self

    # --- training ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def precompute(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> the mean latents of its autoencoder; the image itself where there is none."""
        if self.vae is None:
            return image
        settings = self.vae.config
        latent = self.vae.encode(image).latent_dist.mode()
        return (latent - (settings.get("shift_factor") or 0.0)) * settings.scaling_factor

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Regress what the network predicts, at one of the scheduler's levels for each image.

        Source: Ho et al. 2020, arXiv 2006.11239, equation 14.
        """
        image = self.precompute(batch.image) if batch.code is None else batch.code
        timestep = step.rng.integers(len(self.levels))  # (B,)
        noise = step.rng.normal(*self.space_shape)
        told = self._told(batch.condition, len(image), hidden=step.rng.uniform() < self.config.condition_dropout)
        sigma = self.levels.sigma.to(image.device)[timestep].to(image.dtype)
        predicted = self._predicted(image + by_row(sigma) * noise, sigma, timestep, told)
        wanted = target(self.levels.prediction, image, noise, sigma)
        loss = (predicted - wanted).square().flatten(1).mean(1)  # (B,)
        low = timestep <= timestep.median()
        yield Loss("model", loss.mean(), lambda: {"low_noise": loss[low].mean(), "high_noise": loss[~low].mean()})

    def _predicted(self, x: Tensor, sigma: Tensor, timestep: Tensor, told: Told) -> Tensor:
        """(B, C, H, W) what the network says of x = image + sigma noise, float32."""
        inputs: dict[str, Any] = {"timestep": timestep}
        if told.label is not None:
            inputs["class_labels"] = told.label
        if told.text is not None:
            inputs["encoder_hidden_states"] = told.text
        found = self.network(x * by_row((1 + sigma.square()).rsqrt()), **inputs).sample
        return found[:, : x.shape[1]].float()  # some networks say how sure they are, in channels behind the others

    # --- what it is told --------------------------------------------------------------------------------------------

    def _told(self, condition: Condition, count: int, *, hidden: Tensor | None = None) -> Told:
        """What is known of `count` images, with that of the (B,) `hidden` ones kept back if the network allows."""
        label, text = None, None
        if self.classes:
            label = self._label(condition.label if self.config.conditional == "auto" else None, count)
            if hidden is not None and self.null is not None:
                label = label.masked_fill(hidden.to(label.device), self.null)
        if self.text is not None:
            texts = condition.text or [""] * count
            if hidden is not None:
                texts = ["" if gone else each for each, gone in zip(texts, hidden.tolist(), strict=True)]
            text = self.text(texts, self.place.device, condition.emphasis)
        return Told(label, text)

    def _label(self, label: Tensor | None, count: int) -> Tensor:
        """(B,) rows of the network's table of classes. Raises ConfigError for an unknown class that has no row."""
        asked = torch.full((count,), -1) if label is None else label
        asked = asked.to(self.place.device)
        if self.null is not None:
            return torch.where(asked < 0, self.null, asked)
        if bool((asked < 0).any()):
            raise ConfigError(f"this network must be told a class, 0 to {self.classes - 1}; say which with label")
        return asked

    def _nothing(self, count: int, negative: str) -> Told | None:
        """Nothing known, or only what a negative description says; None for a network that always knows the same."""
        if self.text is None and (self.null is None or self.config.conditional == NONE):
            return None
        plain, spans = parse(negative)
        return self._told(Condition(text=[plain] * count, emphasis=[spans] * count), count)

    # --- use --------------------------------------------------------------------------------------------------------

    def enter(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> the space in which the denoiser works."""
        return self.precompute(image)

    @torch.no_grad()
    def leave(self, space: Tensor) -> Tensor:
        """Undoes `enter`, as far as an autoencoder allows: (B, C, H, W) in [-1, 1]."""
        if self.vae is None:
            return space.clamp(-1, 1)
        settings = self.vae.config
        latent = space / settings.scaling_factor + (settings.get("shift_factor") or 0.0)
        return self.vae.decode(latent).sample.float().clamp(-1, 1)

    def denoiser(self, condition: Condition, options: DiffusionOptions, rows: int) -> Denoiser:
        """D(x, sigma) for images of that condition, guided as the options say."""
        see = self._denoiser_of(self._told(condition, rows))
        nothing = None if options.guidance == 1 else self._nothing(rows, options.negative)
        if nothing is not None:
            interval = (options.guidance_low, options.guidance_high)
            see = guided(see, self._denoiser_of(nothing), options.guidance, interval=interval)
        see = see if self.levels.clip is None else clipped(see, self.levels.clip)
        return in_half(see) if options.precision == "bf16" else see

    def _denoiser_of(self, told: Told) -> Denoiser:
        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            predicted = self._predicted(x, sigma, self.levels.timestep(sigma), told)
            skip, out = scales(self.levels.prediction, sigma)
            return by_row(skip) * x + by_row(out) * predicted

        return denoise

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: DiffusionOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]: noise walked to an image."""
        auto = options.schedule == "auto"
        times = self.levels.times(options.steps) if auto else paths.times(self.path, options.steps, options.schedule)
        noise = options.temperature * rng.normal(*self.space_shape)
        noise = noise * float(1 + times[0] ** -2) ** 0.5  # at its highest level the network expects images in the noise
        see = self.denoiser(condition, options, rng.rows)
        return self.leave(solvers.solve(options.solver, see, noise, self.path, times, rng, tolerance=options.tolerance))


def clipped(denoiser: Denoiser, most: float) -> Denoiser:
    """What the denoiser sees, within -most and most."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return denoiser(x, sigma).clamp(-most, most)

    return denoise


def _opened(config: PretrainedConfig, data: DataSpec) -> tuple[Components, Parts]:
    """The parts of a model: from its own description, from its source, or new."""
    if config.parts:
        return config.parts, pretrained_parts.built(config.parts)
    if config.source != NONE:
        folder = pretrained_parts.folder_of(config.source)
        components = pretrained_parts.described(folder)
        return components, pretrained_parts.loaded(folder, components)
    classes = len(data.classes) if config.conditional == "auto" else 0
    components = pretrained_parts.fresh(data, width=config.width, mults=config.mults, classes=classes)
    return components, pretrained_parts.built(components)


def _space(components: Components, data: DataSpec) -> tuple[int, int, int]:
    """(c, h, w) of what the network denoises. Raises ConfigError for images that it cannot take."""
    network, times = pretrained_parts.network_config(components), pretrained_parts.shrink(components)
    channels = components["vae"]["in_channels"] if "vae" in components else network["in_channels"]
    if data.channels != channels:
        raise ConfigError(f"the data has {data.channels} channels, and this model {channels}; use channels={channels}")
    if "block_out_channels" in network:
        unit = times * 2 ** (len(network["block_out_channels"]) - 1)
    else:
        unit = times * int(network["patch_size"])
    if data.height % unit or data.width % unit:
        raise ConfigError(f"images of {data.height}x{data.width} do not fit this model; use multiples of {unit}")
    return (int(network["in_channels"]), data.height // times, data.width // times)
