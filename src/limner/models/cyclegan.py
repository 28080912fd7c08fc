"""Translation between two kinds of pictures that know nothing of each other, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ..config import setting
from ..losses.adversarial import accuracy
from ..model import Loss, Step
from ..nn.past import Past
from ..nn.patch_discriminator import PatchDiscriminator
from ..nn.translators import ResNetTranslator
from ..types import Batch, Condition, DataSpec
from . import checks
from .translation import UNPAIRED, ResidualConfig, Translator, check_size


@dataclass(frozen=True)
class CycleGANConfig(ResidualConfig):
    """Settings of `cyclegan`."""

    cycle: float = setting("weight of coming back to where one started", 3.0)
    identity: float = setting("weight of leaving pictures alone that are of the wanted kind already", 0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 0, "cycle", "identity")


class CycleGAN(Translator):
    """Two generators, there and back, each with a discriminator; there and back again must be where one started.

    Source: Zhu et al. 2017, arXiv 1703.10593, equations 1 to 3, and section 5.2 for identity.
    """

    Config: ClassVar[type] = CycleGANConfig
    name: ClassVar[str] = "cyclegan"
    config: CycleGANConfig
    needs: ClassVar[str] = f"cyclegan {UNPAIRED}"

    def __init__(self, config: CycleGANConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        check_size(data)
        a, b, size = data.source_channels, data.channels, {"width": config.width, "blocks": config.blocks}
        self.there, self.back = ResNetTranslator(a, b, **size), ResNetTranslator(b, a, **size)
        self.multiple = self.there.multiple
        self.judge_there = PatchDiscriminator(b, width=config.discriminator_width)
        self.judge_back = PatchDiscriminator(a, width=config.discriminator_width)
        self.past_there = Past(config.past, (b, data.height, data.width))
        self.past_back = Past(config.past, (a, data.height, data.width))

    def judges(self) -> list[nn.Module]:
        return [self.judge_there, self.judge_back]

    def training_defaults(self) -> dict[str, Any]:
        # more steps are worth more than more pictures (docs/log.md 2026-11-26, "Translation, again")
        return super().training_defaults() | {"batch": 4}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        assert batch.source is not None, "cyclegan is trained on two kinds of pictures"
        a, b = batch.source, batch.image
        made_b, made_a = self.there(a), self.back(b)
        cycle = _far(self.back(made_b), a) + _far(self.there(made_a), b)
        identity = made_a.new_zeros(())
        if self.config.identity and a.shape[1] == b.shape[1]:
            identity = _far(self.there(b), b) + _far(self.back(a), a)
        verdict = self.game.generator(self.judge_there(b).detach(), self.judge_there(made_b))
        verdict = verdict + self.game.generator(self.judge_back(a).detach(), self.judge_back(made_a))
        cost = verdict + self.config.cycle * cycle + self.config.identity * identity
        yield Loss("generator", cost, {"cycle": cycle.detach(), "verdict": verdict.detach()})
        real, fake = self.judge_there(b), self.judge_there(self.past_there.shown(made_b, step.rng))
        loss = self.game.discriminator(real, fake)
        loss = loss + self.game.discriminator(
            self.judge_back(a), self.judge_back(self.past_back.shown(made_a, step.rng))
        )
        yield Loss("discriminator", loss, lambda: {"accuracy": accuracy(real, fake)})

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        return self.there(source).float()

    def transform_back(self, image: Tensor) -> Tensor:
        """(B, C, H, W) of the images' kind -> (B, c, H, W) of the sources' kind."""
        return self.back(image).float()


def _far(made: Tensor, image: Tensor) -> Tensor:
    return (made.float() - image).abs().mean()
