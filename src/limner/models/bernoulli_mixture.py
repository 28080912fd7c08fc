"""A mixture of Bernoullis: an image is one of many templates, with pixels on or off: a floor under likelihoods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..errors import ConfigError
from ..losses.likelihood import binarize
from ..nn.families import BernoulliFamily, Family
from ..precise import precise
from ..rng import Rng
from ..types import Condition
from .mixture import MixtureConfig, MixtureModel


@dataclass(frozen=True)
class BernoulliMixtureConfig(MixtureConfig):
    """Settings of a mixture of Bernoullis."""

    components: int = setting("members of the mixture; data with classes gives each class an equal number", 500)
    binarize: Literal["none", "dynamic"] = setting("dynamic: draw black and white pixels anew each step", "dynamic")
    likelihood: ClassVar[str] = "bernoulli"  # of the pixels; no setting


class BernoulliMixture(MixtureModel):
    """A weighted sum of K images of probabilities, fitted by expectation-maximisation.

    With binarize=none a brightness counts as that much of a white pixel, and the likelihood is no probability.
    """

    Config: ClassVar[type] = BernoulliMixtureConfig
    name: ClassVar[str] = "bernoulli-mixture"
    config: BernoulliMixtureConfig

    def training_defaults(self) -> Mapping[str, Any]:
        return {"batch": 1_000, "weights": "raw"}

    def _family(self, members: int) -> Family:
        channels, height, width = self.data.shape
        return BernoulliFamily(members, channels * height * width, smoothing=self.config.smoothing)

    def _observed(self, image: Tensor, rng: Rng) -> Tensor:
        if self.config.binarize == "dynamic":
            image = binarize(image, rng.uniform(*self.data.shape))
        return (image.flatten(1) + 1) / 2

    def _expected(self, image: Tensor, observed: Tensor) -> Tensor:
        """Brightness in [0, 1]: the mean of all the black and white images that it can become, without their noise."""
        return (image.flatten(1) + 1) / 2

    def _picture(self, rows: Tensor) -> Tensor:
        return 2 * rows - 1

    @torch.no_grad()
    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) nats: log p(image | condition), exact and in float64, whatever `samples`.

        With binarize=dynamic the image is first drawn in black and white, from `rng`. What is unknown of the condition
        is summed over.
        """
        if samples < 1:
            raise ConfigError(f"samples={samples} is not possible; use 1 or more")
        rows = precise(self._observed(image, rng))
        return self.mixture.log_prob(rows, self._encode(condition, len(image)))
