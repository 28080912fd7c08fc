"""One model that changes what a picture shows: another class, other attributes, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import setting
from ..errors import ConfigError, unknown
from ..losses.adversarial import accuracy
from ..model import Loss, Step
from ..nn.condition import ConditionEncoder
from ..nn.initialise import initialise
from ..nn.past import Past
from ..nn.translators import ResNetTranslator
from ..types import AttributeKind, Batch, Condition, DataSpec
from . import checks
from .translation import ResidualConfig, Translator, check_size


@dataclass(frozen=True)
class StarGANConfig(ResidualConfig):
    """Settings of `stargan`."""

    conditional: Literal["auto"] = setting("classes and attributes of the data, which it cannot do without", "auto")
    cycle: float = setting("weight of coming back when the old class and attributes are asked for again", 8.0)
    changes: tuple[str, ...] = setting(
        "attributes that it learns to change, and class, while the rest stays; all when empty", ()
    )
    shown: float = setting("weight of showing what was asked for, as the discriminator reads it", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 0, "cycle", "shown")


class StarGAN(Translator):
    """A generator told what to show, and a discriminator that also says what a picture shows.

    In training, what is asked for is what other pictures of the batch show: of the class and of each attribute half of
    the time, so that what is not asked for stays as it is.
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
        names = ["class", *(attribute.name for attribute in data.attributes)]
        for name in config.changes:
            if name not in names:
                raise ConfigError(f"changes: {unknown('attribute', name, names)}")
        self.learned = [name in config.changes or not config.changes for name in names]  # the class, then attributes
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
        change = step.rng.uniform(len(self.learned)) < 0.5  # (B, class and attributes)
        change = change & torch.tensor(self.learned, device=change.device)
        wanted = merged(change, picked(batch.condition, order), batch.condition, self.data)
        new, old = (
            self.rows(merged(change, condition, Condition(), self.data), rows, image.device)
            for condition in (wanted, batch.condition)
        )
        made = self.generator(image, new)
        cycle = (self.generator(made, old).float() - image).abs().mean()
        fake, read = self.discriminator(made)
        verdict = self.game.generator(self.discriminator(image)[0].detach(), fake)
        shown = self._misread(read, wanted)
        cost = verdict + self.config.cycle * cycle + self.config.shown * shown
        yield Loss("generator", cost, {"cycle": cycle.detach(), "verdict": verdict.detach(), "shown": shown.detach()})
        real, read = self.discriminator(image)
        fake, _ = self.discriminator(self.past.shown(made, step.rng))
        loss = self.game.discriminator(real, fake) + self._misread(read, batch.condition)
        yield Loss("discriminator", loss, lambda: {"accuracy": accuracy(real, fake)})

    def _misread(self, read: Tensor, condition: Condition) -> Tensor:
        """Scalar: how far what is read (B, classes + A) is from what is known of pictures, in nats of each part."""
        cost, start = read.new_zeros(()), self.rows.classes
        if start and condition.label is not None and bool((condition.label >= 0).any()):
            cost = cost + functional.cross_entropy(read[:, :start], condition.label, ignore_index=-1)
        if condition.attributes is None:
            return cost
        truths, known = condition.attributes, _known(condition)
        for attribute in self.data.attributes:
            columns = slice(start - self.rows.classes, start - self.rows.classes + attribute.width)
            wrong = _wrong(read[:, start : start + attribute.width], truths[:, columns], attribute.kind)
            cost = cost + (wrong * known[:, columns].any(1)).mean()
            start += attribute.width
        return cost

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) and what it should show -> (B, C, H, W)."""
        return self.generator(source, self.rows(condition, len(source), source.device)).float()


def _wrong(read: Tensor, truth: Tensor, kind: AttributeKind) -> Tensor:
    """(B,) nats: minus the log-likelihood of the encoded values (B, width) of an attribute."""
    if kind == "categorical":
        return -(functional.log_softmax(read, 1) * truth).sum(1)
    if kind == "continuous":
        return 0.5 * (read - truth).square().sum(1)  # up to a constant, of deviation 1
    return functional.softplus(-read * truth).sum(1)


def picked(condition: Condition, order: Tensor) -> Condition:
    """The rows of a condition in that order."""

    def take(part: Tensor | None) -> Tensor | None:
        return None if part is None else part[order]

    parts = {name: take(getattr(condition, name)) for name in ("label", "attributes", "known")}
    return replace(condition, **parts, text=None, emphasis=None)


def merged(change: Tensor, new: Condition, old: Condition, data: DataSpec) -> Condition:
    """What `new` says where (B, class and attributes) `change` is true, elsewhere what `old` does, if anything."""
    label, attributes, known = new.label, new.attributes, new.known
    if label is not None:
        label = torch.where(change[:, 0], label, torch.full_like(label, -1) if old.label is None else old.label)
    if attributes is not None:
        widths = torch.tensor([attribute.width for attribute in data.attributes], device=change.device)
        columns = change[:, 1:].repeat_interleave(widths, dim=1)  # (B, A)
        before = torch.zeros_like(attributes) if old.attributes is None else old.attributes
        attributes = torch.where(columns, attributes, before)
        known = torch.where(columns, _known(new), _known(old) if old.attributes is not None else before > before)
    return Condition(label, attributes, known)


def _known(condition: Condition) -> Tensor:
    assert condition.attributes is not None
    return torch.ones_like(condition.attributes, dtype=torch.bool) if condition.known is None else condition.known


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
