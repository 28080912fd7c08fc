"""A Gaussian mixture on pixels: the floor under every density, and sharper in its way than many networks.

It is a density of dequantised images: to each of the 256 levels of a pixel is added noise that is uniform over the
width of a level, and the sum is scaled to [-1, 1]. So no flat pixel drives the likelihood to infinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..errors import ConfigError
from ..losses.likelihood import dequantise, requantise
from ..nn.families import Family
from ..nn.gaussian_families import FactorFamily, FullFamily
from ..precise import precise
from ..rng import Rng
from ..types import Condition, DataSpec
from . import checks
from .mixture import MixtureConfig, MixtureModel

MOST_NUMBERS = 2**28  # in all covariances of a full mixture: 1 GiB


@dataclass(frozen=True)
class GMMConfig(MixtureConfig):
    """Settings of a Gaussian mixture."""

    covariance: Literal["factors", "full"] = setting(
        "a few factors and noise of each pixel, or full matrices", "factors"
    )
    factors: int = setting("directions in which a member's images vary together", 20)
    least_std: float = setting("smallest standard deviation of a pixel under a member; an image spans -1 to 1", 0.003)
    smoothing: float = setting("weight of the variance over all images in each member, as a share of a member's", 0.03)
    likelihood: ClassVar[str] = "dequantised_gaussian"  # of the pixels; no setting

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 1, "factors")
        if not self.least_std > 0:
            raise ConfigError(f"least_std={self.least_std} is not positive; use for example 0.003")


class GaussianMixture(MixtureModel):
    """A weighted sum of Gaussians over all pixels of an image at once, fitted by expectation-maximisation.

    Pixels are taken as they are, not reduced first: with covariance=full a member has C H W means and a covariance
    between every two pixels, which suits small images; with covariance=factors it has `factors` directions and a
    variance for each pixel, which suits any.
    """

    Config: ClassVar[type] = GMMConfig
    name: ClassVar[str] = "gmm"
    config: GMMConfig

    def training_defaults(self) -> Mapping[str, Any]:
        return {"batch": 500, "weights": "raw"}

    def _family(self, members: int) -> Family:
        config, size = self.config, _size(self.data)
        common = {"least_std": config.least_std, "smoothing": config.smoothing}
        if config.covariance == "factors":
            return FactorFamily(members, size, factors=config.factors, **common)
        if members * size**2 > MOST_NUMBERS:
            raise ConfigError(
                f"covariance=full would hold {members} matrices of {size} x {size}; "
                f"use covariance=factors, fewer components or a lower resolution"
            )
        return FullFamily(members, size, **common)

    def _observed(self, image: Tensor, rng: Rng) -> Tensor:
        return precise(dequantise(image, rng.uniform(*self.data.shape)).flatten(1))

    def _expected(self, image: Tensor, observed: Tensor) -> Tensor:
        return observed

    def _settled(self, images: Tensor) -> Tensor:
        return precise(dequantise(images, torch.full_like(images, 0.5)).flatten(1))

    def _picture(self, rows: Tensor) -> Tensor:
        return requantise(rows)

    @torch.no_grad()
    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) nats: log density of the image dequantised with noise of `rng`, on [-1, 1], in float64.

        The density is exact; with more `samples` it is the mean over so many draws of that noise. To compare it with
        the log probability of the stored image, add the log width of a level: -C H W log 128; by Jensen's inequality
        the mean is then a lower bound of it. What is unknown of the condition is summed over.
        Source: Theis et al. 2015, A note on the evaluation of generative models, arXiv 1511.01844, section 3.1.
        """
        if samples < 1:
            raise ConfigError(f"samples={samples} gives no density; use 1 or more")
        encoded = self._encode(condition, len(image))
        total = torch.zeros(len(image), device=image.device)
        for _ in range(samples):
            total = total + self.mixture.log_prob(self._observed(image, rng), encoded)
        return total / samples


def _size(data: DataSpec) -> int:
    return data.channels * data.height * data.width
