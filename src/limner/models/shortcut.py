"""Shortcut models: flow matching that knows how long a step will be, so that one long step is as good as many short.

Source: Frans et al. 2024, arXiv 2410.12557.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..config import setting
from ..errors import ConfigError
from ..model import Loss, SampleOptions, Step
from ..rng import Rng
from ..types import Batch, Condition
from . import checks
from .conditioning import Known
from .diffusion import Diffusion, DiffusionConfig

FINEST = 7  # a step of 2^-7 is taken to be infinitely short


@dataclass(frozen=True)
class ShortcutConfig(DiffusionConfig):
    """A flow-matching model, and the share of each batch that learns to jump."""

    jump_share: float = setting("share of a batch that learns long steps", 0.25)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.shares(self, "jump_share")
        if (self.path, self.precondition) != ("linear", "velocity"):
            raise ConfigError("a shortcut model needs path=linear and precondition=velocity")
        if (self.coupling, self.levels) != ("independent", "logit_normal"):
            raise ConfigError("a shortcut model draws its levels and noise its own way; leave out coupling and levels")


@dataclass(frozen=True)
class ShortcutOptions(SampleOptions):
    """Options of sampling in a few steps."""

    steps: int = setting("1, 2, 4 … 128 steps", 4)
    guidance: float = setting("above 1 exaggerates the condition; 1 is without", 1.0)

    def __post_init__(self) -> None:
        checks.at_least(self, 0, "temperature", "guidance")
        if self.steps not in [2**k for k in range(FINEST + 1)]:
            raise ConfigError(f"steps={self.steps} is not a power of two up to {2**FINEST}; use 1, 2, 4, 8 …")


class Shortcut(Diffusion):
    """A flow-matching model told the length of the step that its answer will be used for."""

    Config: ClassVar[type] = ShortcutConfig
    Options: ClassVar[type] = ShortcutOptions
    name: ClassVar[str] = "shortcut"
    levels: ClassVar[int] = 2
    config: ShortcutConfig

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Flow matching on most rows; on the others, one long step shall equal two of half its length.

        Source: Frans et al. 2024, algorithm 1.
        """
        image = self.standardised(self.precompute(batch.image) if batch.code is None else batch.code)
        rows, noise = len(image), step.rng.normal(*self.space_shape)
        known = self.conditioning.hidden(batch.condition, rows, self.config.condition_dropout, step.rng)
        jumps = step.rng.uniform() < self.config.jump_share  # (B,)
        halvings = step.rng.integers(FINEST)  # a long step is 2^-halvings
        time = torch.sigmoid(self.config.level_mean + self.config.level_std * step.rng.normal())
        place = (step.rng.uniform() * 2.0**halvings).ceil().clamp(min=1) * 2.0**-halvings  # where long steps begin
        time = torch.where(jumps, place, time)
        x = _mixed(image, noise, time)
        length = torch.where(jumps, 2.0**-halvings, torch.zeros_like(time))
        wanted = noise - image
        if bool(jumps.any()):
            with torch.no_grad():
                half = length / 2
                finest = half <= 2.0**-FINEST
                asked = torch.where(finest, torch.zeros_like(half), half)
                first = self._velocity(x, time, asked, known)
                second = self._velocity(x - _rows(half) * first, time - half, asked, known)
            wanted = torch.where(_rows(jumps), (first + second) / 2, wanted)
        error = (self._velocity(x, time, length, known) - wanted).square().flatten(1).mean(1)
        yield Loss("model", error.mean(), lambda: {"flow": error[~jumps].mean(), "jump": error[jumps].mean()})

    def _velocity(self, x: Tensor, time: Tensor, length: Tensor, known: Known) -> Tensor:
        told = [time, (length + 2.0**-FINEST).log2() / FINEST]
        return self.network(x, told, known.vector, known.text).float()

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: ShortcutOptions) -> Tensor:  # type: ignore[override]
        """(B, C, H, W) in [-1, 1]: equal steps from noise to image."""
        x = options.temperature * rng.normal(*self.space_shape)
        known = self.conditioning(condition, rng.rows)
        nothing = self.conditioning.nothing(rng.rows)
        length = torch.full((rng.rows,), 1 / options.steps, device=x.device)
        told = torch.where(length <= 2.0**-FINEST, torch.zeros_like(length), length)
        for index in range(options.steps):
            time = torch.full_like(length, 1 - index / options.steps)
            velocity = self._velocity(x, time, told, known)
            if options.guidance != 1 and self.conditioning.width:
                plain = self._velocity(x, time, told, nothing)
                velocity = plain + options.guidance * (velocity - plain)
            x = x - velocity / options.steps
        return self.leave(x)


def _mixed(image: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    return image + _rows(time) * (noise - image)


def _rows(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
