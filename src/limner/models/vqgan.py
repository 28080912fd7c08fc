"""A tokenizer with a critic: patches of its reconstructions must pass for real ones, so textures come out sharp.

The critic joins late, when there is something worth judging. There is no perceptual loss: a network that trains a model
could not judge it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..config import setting
from ..losses.adversarial import accuracy, hinge, minus_mean
from ..losses.reconstruction import reconstruction_cost
from ..model import Loss, Step
from ..nn.patch_discriminator import PatchDiscriminator
from ..types import Batch, DataSpec
from . import checks
from .tokenizer import Tokenizer, TokenizerConfig

LARGEST = 1e4  # of the adaptive weight, as published
GRADIENT_FLOOR = 1e-4  # added to the gradient that it divides by, as published


@dataclass(frozen=True)
class VQGANConfig(TokenizerConfig):
    """Settings of `vqgan`: those of a tokenizer, and of its discriminator."""

    adversarial: float = setting("weight of the discriminator's verdict, beside a reconstruction loss of 1", 0.1)
    adversarial_from: float = setting("share of the run after which the discriminator joins", 0.5)
    discriminator_width: int = setting("channels of the discriminator's first convolution", 32)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 0, "adversarial")
        checks.at_least(self, 1, "discriminator_width")
        checks.shares(self, "adversarial_from")


class VQGAN(Tokenizer):
    """Encodes images to a grid of tokens, and decodes them to images that a discriminator takes for real.

    Source: Esser et al. 2021, Taming transformers, arXiv 2012.09841, section 3.1, without its perceptual loss.
    """

    Config: ClassVar[type] = VQGANConfig
    name: ClassVar[str] = "vqgan"
    config: VQGANConfig

    def __init__(self, config: VQGANConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.discriminator = PatchDiscriminator(data.channels, width=config.discriminator_width)

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        judging = {id(parameter) for parameter in self.discriminator.parameters()}
        return {
            "model": [parameter for parameter in self.parameters() if id(parameter) not in judging],
            "discriminator": list(self.discriminator.parameters()),
        }

    def training_defaults(self) -> dict[str, Any]:
        common = super().training_defaults()
        discriminator = {"optimizer": "adam", "lr": 5e-4, "betas": (0.5, 0.9)}
        return {**common, "phases": {**common["phases"], "discriminator": discriminator}}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step: the tokenizer's, with the discriminator's verdict once that plays, and then the discriminator's."""
        found, output = self._reconstructed(batch.image, step)
        cost = self._cost(found, output, batch.image)
        if step.progress < self.config.adversarial_from:
            yield Loss("model", cost, lambda: self._terms(found, output, batch.image))
            self.quantizer.learn(found, step.rng)
            return
        verdict = minus_mean(output.new_zeros(()), self.discriminator(output))
        weight = self._weight(reconstruction_cost(output, batch.image, self.config.edges), verdict)
        terms = {"verdict": verdict, "weight": weight}
        yield Loss("model", cost + weight * verdict, lambda: self._terms(found, output, batch.image) | terms)
        self.quantizer.learn(found, step.rng)

        real, fake = self.discriminator(batch.image), self.discriminator(output.detach())
        yield Loss("discriminator", hinge(real, fake), lambda: {"accuracy": accuracy(real, fake)})

    def _weight(self, cost: Tensor, verdict: Tensor) -> Tensor:
        """Scalar: what makes the verdict's gradient at the last layer as large as the reconstruction's, times a share.

        Source: Esser et al. 2021, equation 7.
        """
        if not verdict.requires_grad:  # a validation loss
            return verdict.new_zeros(())
        last = self.decoder.last.weight
        wanted, given = (torch.autograd.grad(value, last, retain_graph=True)[0].norm() for value in (cost, verdict))
        return self.config.adversarial * (wanted / (given + GRADIENT_FLOOR)).clamp(max=LARGEST).detach()
