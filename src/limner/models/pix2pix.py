"""Translation learned from pairs: a drawing and its picture, a gray photograph and its colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..config import setting
from ..losses.adversarial import accuracy
from ..model import Loss, Step
from ..nn.patch_discriminator import PatchDiscriminator
from ..nn.translators import UNetTranslator, fitting_depth
from ..types import Batch, Condition, DataSpec
from . import checks
from .translation import Translator, TranslatorConfig


@dataclass(frozen=True)
class Pix2PixConfig(TranslatorConfig):
    """Settings of `pix2pix`."""

    depth: int = setting("halvings of the U-Net, as far as the picture's sides allow", 5)
    faithful: float = setting("weight of the mean absolute error, beside a verdict of 1", 100.0)
    dropout: float = setting("share of the first doublings' values that are dropped in training", 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 1, "depth")
        checks.at_least(self, 0, "faithful")
        checks.shares(self, "dropout")


class Pix2Pix(Translator):
    """A U-Net whose pictures must be near the true ones and, patch by patch, pass for real beside their sources.

    Source: Isola et al. 2017, arXiv 1611.07004, equations 1 to 4, without noise: what it makes is a function.
    """

    Config: ClassVar[type] = Pix2PixConfig
    name: ClassVar[str] = "pix2pix"
    config: Pix2PixConfig
    needs: ClassVar[str] = (
        "pix2pix learns from pairs: say what makes a source of each image (--degrade gray, --degrade edges), or where "
        "the sources lie (--sources FOLDER)"
    )

    def __init__(self, config: Pix2PixConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        depth = max(1, fitting_depth(data.height, data.width, config.depth))
        self.generator = UNetTranslator(
            data.source_channels, data.channels, width=config.width, depth=depth, dropout=config.dropout
        )
        self.multiple = self.generator.multiple
        both = data.source_channels + data.channels
        self.discriminator = PatchDiscriminator(both, width=config.discriminator_width)

    def judges(self) -> list[nn.Module]:
        return [self.discriminator]

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        assert batch.source is not None, "pix2pix is trained on pairs"
        source, image = batch.source, batch.image
        made = self.generator(source)
        real, fake = self._judged(source, image), self._judged(source, made)
        error = (made.float() - image).abs().mean()
        verdict = self.game.generator(real.detach(), fake)
        cost = verdict + self.config.faithful * error
        yield Loss("generator", cost, {"error": error.detach(), "verdict": verdict.detach()})
        real, fake = self._judged(source, image), self._judged(source, made.detach())
        yield Loss("discriminator", self.game.discriminator(real, fake), lambda: {"accuracy": accuracy(real, fake)})

    def _judged(self, source: Tensor, image: Tensor) -> Tensor:
        return self.discriminator(torch.cat([source, image], 1))

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        return self.generator(source).float()
