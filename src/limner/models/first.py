"""The model that another one works on: its latents or tokens. It is trained first, and frozen from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..model import Encodes, Model
from ..types import Condition, DataSpec

NONE = "none"


class FirstStage(nn.Module):
    """A frozen model with latents (C, h, w), inside another model.

    It is built with random weights; `adopt` gives it those of a trained one.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        if not isinstance(model, Encodes) or len(model.latent_shape) != 3:
            raise ConfigError(
                f"first={model.name!r} has no latents of height and width to work in; use first=latent-ae, or none"
            )
        self.model = model.requires_grad_(False).eval()
        self.latent_shape: tuple[int, int, int] = model.latent_shape

    @classmethod
    def of(cls, name: str, config: Mapping[str, Any], data: DataSpec) -> FirstStage | None:
        """The first stage called `name` for images of `data`; None for "none"."""
        if name == NONE:
            return None
        from . import build, configure  # the catalogue lists the models that import this

        return cls(build(name, configure(name, config), data))

    def adopt(self, trained: Model) -> None:
        """Take the weights of a trained model of the same settings."""
        self.model.load_state_dict(trained.state_dict())

    def train(self, mode: bool = True) -> FirstStage:
        """It stays as it is: frozen parts do not train."""
        return self

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, c, h, w)."""
        return self.model.encode(image, Condition())

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, C, H, W)."""
        return self.model.decode(latent, Condition())
