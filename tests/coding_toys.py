"""Toys that make no images of their own: they encode, decode and tokenize. One is right, and others are each wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from closed_toys import ClosedConfig
from torch import Tensor, nn

from limner.model import Loss, Model, Step
from limner.types import Batch, Condition


class Coder(Model):
    """Keeps eight numbers of an image, and of each its sign as a token."""

    Config: ClassVar[type] = ClosedConfig
    name: ClassVar[str] = "coder"
    vocabulary, grid, latent_shape = 2, (2, 4), (8,)

    def __init__(self, config, data) -> None:
        super().__init__(config, data)
        self.encoder = nn.Linear(int(np.prod(data.shape)), 8)
        self.decoder = nn.Linear(8, int(np.prod(data.shape)))

    def training_defaults(self):
        return {"phases": {"model": {"optimizer": "adam", "lr": 1e-2}}, "ema_halflife_images": (20, 100)}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        latent = self.encode(batch.image, batch.condition) + 0.01 * step.rng.normal(8)
        yield Loss("model", (self.decode(latent, batch.condition) - batch.image).square().mean())

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        return self.encoder(image.flatten(1))

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        return torch.tanh(self.decoder(latent)).unflatten(1, self.data.shape)

    def draw_latent(self, rng, options) -> Tensor:
        return rng.normal(8)

    def tokenize(self, image: Tensor) -> Tensor:
        return (self.encode(image, Condition()) > 0).long().unflatten(1, self.grid)

    def detokenize(self, tokens: Tensor) -> Tensor:
        return self.decode(2.0 * tokens.flatten(1) - 1, Condition())


# --- each of these breaks one property, and a check must say so ---------------------------------------------------


class Crowded(Coder):
    """Encodes an image as it stands out from the others of its batch."""

    def encode(self, image, condition):
        latent = super().encode(image, condition)
        return latent - latent.mean(0)


class Swayed(Coder):
    """Encodes each image by itself, but finds its tokens by comparing it with the others."""

    def tokenize(self, image):
        latent = self.encode(image, Condition())
        return (latent > latent.mean(0)).long().unflatten(1, self.grid)


class Oblivious(Coder):
    """Keeps what it learned in a plain attribute, which is saved nowhere."""

    learned: Tensor | float = 0.0

    def losses(self, batch, step):
        yield from super().losses(batch, step)
        self.learned = self.learned + batch.image.mean()

    def decode(self, latent, condition):
        return super().decode(latent + self.learned, condition)


class Listening(Coder):
    """Is not conditional, and lets the label into the latent."""

    def encode(self, image, condition):
        latent = super().encode(image, condition)
        return latent if condition.label is None else latent + condition.label[:, None]
