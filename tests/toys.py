"""Models so small that a step takes a millisecond: one that is right, and others that each break one property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from limner.model import Loss, Model, SampleOptions, Step
from limner.types import Batch, Condition


@dataclass(frozen=True)
class ToyConfig:
    """Settings of the toys."""

    width: int = 4
    latent: int = 4
    conditional: str = "auto"


class Toy(Model):
    """A decoder that learns the mean image of each class, with dropout, an own noise and a running mean on the way."""

    Config: ClassVar[type] = ToyConfig
    Options: ClassVar[type] = SampleOptions
    name: ClassVar[str] = "toy"

    def __init__(self, config, data) -> None:
        super().__init__(config, data)
        self.latent_shape = (config.latent,)
        self.classes = nn.Embedding(len(data.classes) + 1, config.latent)
        self.body = nn.Linear(config.latent, config.width)
        self.head = nn.Linear(config.width, int(np.prod(data.shape)))
        self.register_buffer("mean", torch.zeros(()))

    def training_defaults(self):
        return {"phases": {"model": {"optimizer": "adam", "lr": 1e-2}}, "ema_halflife_images": (20, 100)}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        latent = step.rng.normal(*self.latent_shape)
        features = nn.functional.dropout(self.features(latent, batch.condition), 0.1, self.training)
        yield Loss("model", (self.images(features) - batch.image).square().mean())
        with torch.no_grad():
            self.mean.lerp_(batch.image.mean(), 0.1)

    def features(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, width)."""
        unknown = torch.full((len(latent),), -1)
        label = unknown if condition.label is None else condition.label
        return torch.relu(self.body(latent + self.classes(label + 1)))

    def images(self, features: Tensor) -> Tensor:
        """(B, width) -> (B, C, H, W) in [-1, 1]."""
        return torch.tanh(self.head(features) + self.mean).view(-1, *self.data.shape)

    def draw_latent(self, rng, options: SampleOptions) -> Tensor:
        return options.temperature * rng.normal(*self.latent_shape)

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        return self.images(self.features(latent, condition))

    def sample(self, rng, condition: Condition, options: SampleOptions) -> Tensor:
        return self.decode(self.draw_latent(rng, options), condition)


class Duet(Toy):
    """Two phases: the body and the head take turns on the same loss."""

    name: ClassVar[str] = "duet"

    def phases(self):
        return {"body": [*self.classes.parameters(), *self.body.parameters()], "head": list(self.head.parameters())}

    def losses(self, batch, step):
        latent = step.rng.normal(*self.latent_shape)
        for phase in ("body", "head"):
            yield Loss(phase, (self.decode(latent, batch.condition) - batch.image).square().mean())


# --- each of these breaks one property, and a check must say so ---------------------------------------------------


class Unseeded(Toy):
    """Trains on noise that no seed decides."""

    def losses(self, batch, step):
        noise = torch.from_numpy(np.random.default_rng().normal(size=batch.image.shape).astype(np.float32))
        yield Loss("model", (self.decode(step.rng.normal(4), batch.condition) - batch.image - noise).square().mean())


class Rounded(Toy):
    """Adds up large numbers that nearly cancel, in whatever precision it is given."""

    def losses(self, batch, step):
        ones = torch.ones(len(batch), 1) @ torch.full((1, 1), 300.7)
        for loss in super().losses(batch, step):
            yield Loss(loss.phase, loss.value + (ones.float() - 300.7).mean())


class Frozen(Toy):
    """Trains the same whatever the seed of the run: it draws no noise and the weights start at 0."""

    def __init__(self, config, data):
        super().__init__(config, data)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def losses(self, batch, step):
        yield Loss("model", self.decode(torch.zeros(len(batch), 4), Condition()).square().mean())


class GlobalNoise(Toy):
    """Samples with torch's own random source instead of the one it is given."""

    def draw_latent(self, rng, options):
        return torch.randn(rng.rows, *self.latent_shape)


class Neighbours(Toy):
    """Normalises a sample by the others of its batch, as batch normalisation in training mode does."""

    def sample(self, rng, condition, options):
        images = super().sample(rng, condition, options)
        return images - images.mean(0)


class Forgetful(Toy):
    """Keeps what it learned in a plain attribute, which is saved nowhere."""

    learned: Tensor | float = 0.0

    def losses(self, batch, step):
        yield from super().losses(batch, step)
        self.learned = self.learned + 0.01 * batch.image.mean()

    def images(self, features):
        return super().images(features) + self.learned


class Hidden(Toy):
    """Trains by a count that is saved nowhere."""

    count = 0

    def losses(self, batch, step):
        self.count += 1
        for loss in super().losses(batch, step):
            yield loss._replace(value=loss.value * (1 + self.count))


class Meddling(Duet):
    """Moves the head during the body's phase."""

    def losses(self, batch, step):
        for loss in super().losses(batch, step):
            yield loss
            if loss.phase == "body":
                with torch.no_grad():
                    self.head.weight.mul_(0.99)


class Straying(Duet):
    """Back-propagates by itself, into everything."""

    def losses(self, batch, step):
        self.decode(step.rng.normal(4), batch.condition).mean().backward()
        yield from super().losses(batch, step)


class Unowned(Duet):
    """Has parameters that no phase trains."""

    def phases(self):
        return {"body": list(self.body.parameters()), "head": list(self.head.parameters())}


class Stuck(Toy):
    """Learns nothing: its loss does not depend on what it makes."""

    def losses(self, batch, step):
        yield Loss("model", batch.image.square().mean() + 0 * self.body.weight.sum())


class Deaf(Toy):
    """Ignores the class it is asked for."""

    def features(self, latent, condition):
        return super().features(latent, Condition())


class Boastful(Toy):
    """Suggests training settings that nobody reads."""

    def training_defaults(self):
        return {"model": {"lr": 1e-2}}
