"""Toys whose phase has no parameters: what they learn, they put into buffers themselves, after the yield."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from toys import Duet

from limner.model import Loss, Model, SampleOptions, Step
from limner.types import Batch, Condition


@dataclass(frozen=True)
class ClosedConfig:
    """Settings of these toys."""

    conditional: str = "none"


class Closed(Model):
    """Learns the mean image, by a running mean of noisy ones."""

    Config: ClassVar[type] = ClosedConfig
    Options: ClassVar[type] = SampleOptions
    name: ClassVar[str] = "closed"

    def __init__(self, config, data) -> None:
        super().__init__(config, data)
        self.register_buffer("mean", 2 + torch.randn(data.shape))

    def phases(self):
        return {"mean": []}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        yield Loss("mean", (self.mean - batch.image).square().mean())
        noise = 0.01 * step.rng.normal(*self.data.shape)
        self.mean.lerp_((batch.image + noise).mean(0), 0.1)

    def sample(self, rng, condition: Condition, options: SampleOptions) -> Tensor:
        return (self.mean + 0.1 * options.temperature * rng.normal(*self.data.shape)).clamp(-1, 1)


# --- each of these breaks one property, and a check must say so ---------------------------------------------------


class Idle(Closed):
    """Never learns."""

    def losses(self, batch, step):
        yield Loss("mean", (self.mean - batch.image).square().mean())


class Dull(Closed):
    """Learns, but nothing that its loss is about."""

    def losses(self, batch, step):
        yield Loss("mean", (self.mean - batch.image).square().mean())
        self.mean.add_(0.01 * step.rng.normal(*self.data.shape).mean(0))


class Absent(Closed):
    """Counts its steps where nothing is saved."""

    count = 0

    def losses(self, batch, step):
        self.count += 1
        yield Loss("mean", (self.mean - batch.image).square().mean())
        self.mean.lerp_(batch.image.mean(0), 1 / (1 + self.count))


class Eavesdropping(Closed):
    """Is not conditional, but listens."""

    def sample(self, rng, condition, options):
        picture = super().sample(rng, condition, options)
        return picture if condition.label is None else picture - 0.1 * condition.label[:, None, None, None]


class Poaching(Duet):
    """Beside its two phases has one without parameters, which moves those of another."""

    def phases(self):
        return super().phases() | {"statistics": []}

    def losses(self, batch, step):
        yield from super().losses(batch, step)
        yield Loss("statistics", batch.image.mean())
        with torch.no_grad():
            self.mean.lerp_(batch.image.mean(), 0.1)
            self.head.weight.mul_(0.99)
