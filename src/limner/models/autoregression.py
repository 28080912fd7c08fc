"""What models of pixels, one after the other, share: likelihoods are exact, pictures are drawn in order or completed.

A subclass says how probable an image is (`_log_prob`) and how to draw the pixels that are not given (`_draw`).
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from ..config import setting
from ..errors import ConfigError
from ..losses.likelihood import binarize, bits_per_dim
from ..model import Loss, Model, SampleOptions, Step
from ..nn.condition import ConditionEncoder, hide, unconditional
from ..precise import precise
from ..rng import Rng
from ..types import Batch, Condition, DataSpec

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class PixelOptions(SampleOptions):
    """Options of drawing pixels one after the other."""

    temperature: float = setting("below 1, likely pixels become likelier: less variety; 0 takes the likeliest", 1.0)
    pixels: Literal["mean", "draw"] = setting(
        "black and white models: draw, or show how probable white was given the pixels drawn before", "mean"
    )


class PixelModel(Model):
    """A model that knows the probability of each pixel given those before it."""

    Options: ClassVar[type] = PixelOptions
    likelihood_is: ClassVar[str] = "exact"

    def __init__(self, config: Any, data: DataSpec) -> None:
        super().__init__(config, data)
        self.conditions = ConditionEncoder(data if config.conditional == "auto" else unconditional(data))

    @abstractmethod
    def _log_prob(self, image: Tensor, condition: Tensor, step: int | None) -> Tensor:
        """(B, C, H, W) and (B, W) -> (B,) nats. `step` is that of training, None when scoring."""

    @abstractmethod
    def _draw(
        self, image: Tensor, rows_given: int, rng: Rng, condition: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Draw the pixels that are not given.

        image      (B, C, H, W)   float64, of which the first rows are given
        condition  (B, W)         float64
        returns    (B, C, H, W)   the pixels, and what to show of each without its own noise
        """

    # --- training ---------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Nats an image, of each pixel knowing those before it."""
        image = self._observed(batch.image, step.rng)
        condition = hide(self._encode(batch.condition, image), self.config.condition_dropout, step.rng)
        nats = -self._log_prob(image, condition, step.index).mean()
        dimensions = math.prod(self.data.shape)
        yield Loss("model", nats, lambda: {"bits_per_dim": bits_per_dim(-nats.detach(), dimensions)})

    def _observed(self, image: Tensor, rng: Rng) -> Tensor:
        """The image whose likelihood counts: as it is, or a black and white draw from it."""
        return binarize(image, rng.uniform(*self.data.shape)) if self.config.binarize == "dynamic" else image

    def _encode(self, condition: Condition, beside: Tensor) -> Tensor:
        """(B, W) the condition of each row of `beside`, on its device."""
        return self.conditions(condition, len(beside), beside.device)

    # --- use --------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) nats: log p(image | condition), exact whatever `samples`.

        With binarize=dynamic the image is first drawn in black and white, from `rng`.
        """
        if samples < 1:
            raise ConfigError(f"samples={samples} is not possible; use 1 or more")
        image = self._observed(image, rng)
        return self._log_prob(image, self._encode(condition, image), None)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: PixelOptions) -> Tensor:
        """rng.rows images, (B, C, H, W) in [-1, 1], pixel by pixel."""
        blank = torch.zeros(rng.rows, *self.data.shape, device=next(self.parameters()).device)
        return self.complete(blank, 0, rng=rng, condition=condition, options=options)

    @torch.no_grad()
    def complete(
        self, image: Tensor, rows_given: int, *, rng: Rng, condition: Condition, options: PixelOptions
    ) -> Tensor:
        """(B, C, H, W) images, of which the first rows are kept, and the others drawn given those.

        Models of black and white pixels take what is given as brightness -1 or 1, whichever is nearer.
        An image's own `rng` draws its own missing rows again. Raises ConfigError where `rows_given` cannot be.
        """
        if not 0 <= rows_given <= self.data.height:
            raise ConfigError(f"rows_given={rows_given} is not within 0 to {self.data.height}, the rows of an image")
        if tuple(image.shape) != (rng.rows, *self.data.shape):
            raise ConfigError(f"images of shape {tuple(image.shape)} are not {rng.rows} of {self.data.shape}")
        # in float64, for a draw that rounding could tip would be another image in another batch
        rows = precise(self._encode(condition, image))
        drawn, shown = self._draw(precise(image), rows_given, rng, rows, options.temperature)
        made = drawn if options.pixels == "draw" else shown
        return torch.cat([image[:, :, :rows_given], made[:, :, rows_given:].float()], dim=2)


def precise_copy(network: Network) -> Network:
    """The same network in float64, wherever its device has it."""
    dtype = precise(next(network.parameters())).dtype
    return copy.deepcopy(network).to(dtype=dtype).eval()
