"""Consistency tuning: a trained diffusion model made to jump from any noise level to the image in one evaluation.

Source: Geng et al. 2024, arXiv 2406.14548 (the training); Song et al. 2023, arXiv 2303.01469 (the model, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..diffusion import levels
from ..errors import ConfigError
from ..model import Loss, Model, SampleOptions, Step
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks
from .conditioning import Known
from .diffusion import Diffusion, DiffusionOptions


@dataclass(frozen=True)
class ConsistencyConfig:
    """How a diffusion model is tuned."""

    first: str = setting("the diffusion model to tune, or a finished run of one", "edm")
    first_config: dict[str, Any] = field(default_factory=dict, metadata={"help": "settings of that model"})
    level_mean: float = setting("of the logarithm of the noise levels trained at", -1.1)
    level_std: float = setting("as level_mean", 2.0)
    doublings: int = setting("how often over the run the two levels that are compared come closer by half", 6)
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "doublings")
        if not self.level_std > 0:
            raise ConfigError(f"level_std={self.level_std} must be positive")
        if self.conditional == "none":
            if self.first_config.get("conditional", "none") != "none":
                raise ConfigError("the model to tune listens to classes, and keeps to that; leave out conditional=none")
            object.__setattr__(self, "first_config", {**self.first_config, "conditional": "none"})


@dataclass(frozen=True)
class ConsistencyOptions(SampleOptions):
    """Options of sampling in a few steps."""

    steps: int = setting("evaluations; each after the first adds noise and removes it", 2)
    middle: float = setting("noise level that the steps after the first lie about", 0.8)

    def __post_init__(self) -> None:
        checks.at_least(self, 1, "steps")
        checks.at_least(self, 0, "temperature")
        if not 0 < self.middle < 80:
            raise ConfigError(f"middle={self.middle} is not a noise level between 0 and 80")


class Consistency(Model):
    """A diffusion model whose denoiser gives the same image all along the way from noise to image."""

    Config: ClassVar[type] = ConsistencyConfig
    Options: ClassVar[type] = ConsistencyOptions
    name: ClassVar[str] = "consistency"
    first_share: ClassVar[float] = 0.6
    config: ConsistencyConfig

    def __init__(self, config: ConsistencyConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        from . import build, configure  # the catalogue lists this model too

        student = build(config.first, configure(config.first, config.first_config), data)
        if not isinstance(student, Diffusion) or student.levels != 1:
            raise ConfigError(
                f"first={config.first!r} is no diffusion model that can be tuned; use first=edm, or a run of one"
            )
        self.student = student

    def adopt(self, first: Model) -> None:
        """Begin as a trained diffusion model."""
        self.student.load_state_dict(first.state_dict())

    def prepare(self, images: Tensor) -> None:
        """As the diffusion model does."""
        self.student.prepare(images)

    def precompute(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> latents of an autoencoder, or the image where there is none."""
        return self.student.precompute(image)

    def phases(self) -> Mapping[str, list[torch.nn.Parameter]]:
        return self.student.phases()

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            **self.student.training_defaults(),
            "phases": {"model": {"optimizer": "adamw", "lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}},
            "lr_schedule": "linear",
        }

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """What is seen at a level and at a lower one, with the same noise, shall be the same image.

        Source: Geng et al. 2024, equations 9, 13 and 14, with weight 1 / (t - r).
        """
        student, config = self.student, self.config
        image = student.standardised(student.precompute(batch.image) if batch.code is None else batch.code)
        sigma = levels.draw("lognormal", step.rng, student.path, config.level_mean, config.level_std)
        noise = step.rng.normal(*student.space_shape)
        known = student.conditioning(batch.condition, len(image))
        lower = lower_level(sigma, int(step.progress * config.doublings))
        seed = torch.default_generator.get_state() if self.training else None
        high = self._seen(image, noise, sigma, known)
        if seed is not None:
            torch.default_generator.set_state(seed)  # the same features are dropped in both
        with torch.no_grad():
            low = self._seen(image, noise, lower, known)
            low = torch.where((lower > 0).view(-1, 1, 1, 1), low, image)
        error = (high - low).square().flatten(1).mean(1)
        loss = error / (sigma - lower)
        yield Loss("model", loss.mean(), lambda: {"jump": error.mean()})

    def _seen(self, image: Tensor, noise: Tensor, sigma: Tensor, known: Known) -> Tensor:
        return self.student.denoiser_of(known)(image + sigma.view(-1, 1, 1, 1) * noise, sigma)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: ConsistencyOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]: one jump, and for each further step noise again and another jump."""
        student = self.student
        see = student.denoiser(condition, DiffusionOptions(), rng.rows)
        highest = min(student.path.sigma_max, 80.0)
        image = see(highest * options.temperature * rng.normal(*student.space_shape), _all(highest, rng.rows, student))
        for sigma in between(options.steps, options.middle):
            noisy = image + sigma * options.temperature * rng.normal(*student.space_shape)
            image = see(noisy, _all(sigma, rng.rows, student))
        return student.leave(image)


def lower_level(sigma: Tensor, stage: int) -> Tensor:
    """(B,) the level to compare with: 0 at first, closer to `sigma` by half at each stage; never above it.

    Source: Geng et al. 2024, equation 14, with q = 2, k = 8, b = 1.
    """
    share = 1 - (1 + 8 * torch.sigmoid(-sigma)) * 0.5 ** (stage + 1)
    return (sigma * share).clamp(min=0)


def between(steps: int, middle: float) -> list[float]:
    """Noise levels of the steps after the first: even in their logarithm, falling through `middle`."""
    return [middle * 10 ** (1 - 2 * (k + 1) / steps) for k in range(steps - 1)]


def _all(sigma: float, rows: int, student: Diffusion) -> Tensor:
    return torch.full((rows,), sigma, device=student.scale.device)
