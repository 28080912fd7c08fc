"""Translation one way between two kinds of pictures: what lies at a place must stay recognisable there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import setting
from ..errors import ConfigError
from ..losses.adversarial import accuracy
from ..losses.contrast import patch_contrast
from ..model import Loss, Step
from ..nn.past import Past
from ..nn.patch_discriminator import PatchDiscriminator
from ..nn.translators import ResNetTranslator
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks
from .translation import UNPAIRED, ResidualConfig, Translator, check_size


@dataclass(frozen=True)
class CUTConfig(ResidualConfig):
    """Settings of `cut`."""

    contrast: float = setting("weight of keeping each place recognisable", 1.0)
    identity: float = setting("weight of the same of pictures of the wanted kind, which should stay as they are", 1.0)
    patches: int = setting("different places of a picture that are compared; all where it has fewer", 64)
    temperature: float = setting("of the comparison", 0.07)
    projected: int = setting("numbers that a place is compared by", 64)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 1, "projected")
        checks.at_least(self, 2, "patches")
        checks.at_least(self, 0, "contrast", "identity")
        checks.at_least(self, 1e-3, "temperature")


class CUT(Translator):
    """One generator and one discriminator; half the networks of CycleGAN, and no way back.

    Source: Park et al. 2020, arXiv 2007.15651, equations 1 to 5.
    """

    Config: ClassVar[type] = CUTConfig
    name: ClassVar[str] = "cut"
    config: CUTConfig
    needs: ClassVar[str] = f"cut {UNPAIRED}"

    def __init__(self, config: CUTConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        check_size(data)
        self.generator = ResNetTranslator(data.source_channels, data.channels, width=config.width, blocks=config.blocks)
        self.multiple = self.generator.multiple
        if data.source_channels != data.channels:
            raise ConfigError(
                f"cut looks at its own pictures as at its sources, but these have {data.channels} channels and those "
                f"{data.source_channels}; say --channels {max(data.channels, data.source_channels)}, or use cyclegan"
            )
        self.heads = nn.ModuleList(_Head(width, config.projected) for width in self.generator.widths)
        self.discriminator = PatchDiscriminator(data.channels, width=config.discriminator_width)
        self.past = Past(config.past, data.shape)

    def judges(self) -> list[nn.Module]:
        return [self.discriminator]

    def training_defaults(self) -> dict[str, Any]:
        # more steps are worth more than more pictures (docs/log.md 2026-11-26, "Translation, again")
        return super().training_defaults() | {"batch": 4}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        assert batch.source is not None, "cut is trained on two kinds of pictures"
        made = self.generator(batch.source)
        kept = self._kept(batch.source, made, step)
        cost = self.config.contrast * kept
        if self.config.identity:
            cost = cost + self.config.identity * self._kept(batch.image, self.generator(batch.image), step)
        verdict = self.game.generator(self.discriminator(batch.image).detach(), self.discriminator(made))
        yield Loss("generator", cost + verdict, {"contrast": kept.detach(), "verdict": verdict.detach()})
        real, fake = self.discriminator(batch.image), self.discriminator(self.past.shown(made, step.rng))
        yield Loss("discriminator", self.game.discriminator(real, fake), lambda: {"accuracy": accuracy(real, fake)})

    def _kept(self, source: Tensor, made: Tensor, step: Step) -> Tensor:
        """Scalar: how badly places are recognised, averaged over what the generator's first half sees."""
        costs = []
        pairs = zip(self.heads, self.generator.encoded(made), self.generator.encoded(source), strict=True)
        for head, after, before in pairs:
            places = drawn_places(step.rng, after.shape[2] * after.shape[3], self.config.patches)
            costs.append(patch_contrast(head(after, places), head(before, places), self.config.temperature))
        return torch.stack(costs).mean()

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        return self.generator(source).float()


def drawn_places(rng: Rng, available: int, count: int) -> Tensor:
    """(B, min(count, available)) int64: for each picture, different places of 0 … available - 1 in random order.

    A place drawn twice would be its own wrong answer.
    """
    return rng.uniform(available).topk(min(count, available)).indices


class _Head(nn.Module):
    """Features at places -> vectors of unit length."""

    def __init__(self, width: int, projected: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, projected), nn.ReLU(), nn.Linear(projected, projected))

    def forward(self, features: Tensor, places: Tensor) -> Tensor:
        """(B, D, H, W), (B, P) -> (B, P, projected)."""
        flat = features.flatten(2).transpose(1, 2)  # (B, H W, D)
        chosen = flat.gather(1, places[:, :, None].expand(-1, -1, flat.shape[2]))
        return functional.normalize(self.layers(chosen).float(), dim=2)
