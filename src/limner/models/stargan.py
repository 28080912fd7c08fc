"""One model that changes what a picture shows: another class, other attributes, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ConfigError
from ..losses.adversarial import accuracy
from ..model import Loss, Step
from ..nn.condition import ConditionEncoder
from ..nn.initialise import initialise
from ..nn.past import Past
from ..nn.translators import ResNetTranslator
from ..types import Batch, Condition, DataSpec
from . import checks
from .translation import ResidualConfig, Translator, _help, check_size


@dataclass(frozen=True)
class StarGANConfig(ResidualConfig):
    """Settings of `stargan`."""

    conditional: Literal["auto"] = _help("classes and attributes of the data, which it cannot do without", "auto")
    cycle: float = _help("weight of coming back when the old class and attributes are asked for again", 10.0)
    shown: float = _help("weight of showing what was asked for, as the discriminator reads it", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 0, "cycle", "shown")


class StarGAN(Translator):
    """A generator told what to show, and a discriminator that also says what a picture shows.

    In training, what is asked for is what other pictures of the batch show.
    Source: Choi et al. 2018, arXiv 1711.09020, equations 1 to 6, with another objective and without gradient penalty.
    """

    Config: ClassVar[type] = StarGANConfig
    name: ClassVar[str] = "stargan"
    config: StarGANConfig

    def __init__(self, config: StarGANConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        check_size(data)
        self.rows = ConditionEncoder(data)
        if not self.rows.width:
            raise ConfigError("stargan changes classes or attributes, and these data have neither")
        size = {"width": config.width, "blocks": config.blocks}
        self.generator = ResNetTranslator(data.channels, data.channels, **size, condition=self.rows.width)
        self.multiple = self.generator.multiple
        told = self.rows.classes + self.rows.attribute_width
        self.discriminator = _Judge(data, config.discriminator_width, told)
        self.past = Past(config.past, data.shape)

    def judges(self) -> list[nn.Module]:
        return [self.discriminator]

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        image, rows = batch.image, len(batch)
        order = step.rng.uniform(1).flatten().argsort()
        asked = picked(batch.condition, order)
        old, new = (self.rows(condition, rows, image.device) for condition in (batch.condition, asked))
        made = self.generator(image, new)
        cycle = (self.generator(made, old).float() - image).abs().mean()
        fake, read = self.discriminator(made)
        verdict = self.game.generator(self.discriminator(image)[0].detach(), fake)
        shown = self._misread(read, asked)
        cost = verdict + self.config.cycle * cycle + self.config.shown * shown
        yield Loss("generator", cost, {"cycle": cycle.detach(), "verdict": verdict.detach(), "shown": shown.detach()})
        real, read = self.discriminator(image)
        fake, _ = self.discriminator(self.past.shown(made, step.rng))
        loss = self.game.discriminator(real, fake) + self._misread(read, batch.condition)
        yield Loss("discriminator", loss, lambda: {"accuracy": accuracy(real, fake)})

    def _misread(self, read: Tensor, condition: Condition) -> Tensor:
        """Scalar: how far what is read (B, classes + A) is from what is known of pictures."""
        classes, cost = self.rows.classes, read.new_zeros(())
        if classes and condition.label is not None and bool((condition.label >= 0).any()):
            cost = cost + functional.cross_entropy(read[:, :classes], condition.label, ignore_index=-1)
        if self.rows.attribute_width and condition.attributes is not None:
            known = torch.ones_like(condition.attributes) if condition.known is None else condition.known.float()
            cost = cost + ((read[:, classes:] - condition.attributes).square() * known).mean()
        return cost

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) and what it should show -> (B, C, H, W)."""
        return self.generator(source, self.rows(condition, len(source), source.device)).float()


def picked(condition: Condition, order: Tensor) -> Condition:
    """The rows of a condition in that order."""

    def take(part: Tensor | None) -> Tensor | None:
        return None if part is None else part[order]

    parts = {name: take(getattr(condition, name)) for name in ("label", "attributes", "known")}
    return replace(condition, **parts, text=None, emphasis=None)


class _Judge(nn.Module):
    """Patches real or made, and what the whole picture shows."""

    def __init__(self, data: DataSpec, width: int, told: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(data.channels, width, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.patches = nn.Conv2d(4 * width, 1, 3, padding=1)
        self.reading = nn.Linear(4 * width, told)
        initialise(self, normalised=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> (B, H / 4, W / 4) logits, (B, told) what it reads; float32."""
        hidden = self.layers(image)
        return self.patches(hidden).squeeze(1).float(), self.reading(hidden.amax((2, 3))).float()
