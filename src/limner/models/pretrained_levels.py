"""The noise levels of a pretrained diffusion model, and what its network says about the image at each of them.

A scheduler of the diffusers library counts its levels from 0 (least noise) to N - 1. Here a level is a sigma, as
everywhere in Limner: sigma^2 = (1 - a) / a, with a the cumulative product of its alphas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..diffusion import paths
from ..diffusion.paths import SMALLEST, Path
from ..errors import ConfigError, ModelError
from ..precise import finest, precise

Prediction = Literal["epsilon", "sample", "v_prediction"]


class Levels:
    """The levels of a scheduler's config, as diffusers saves it.

    sigma        (N,) float64, rising
    prediction   what the network predicts
    clip         largest absolute value of the image that it sees; None where that is free
    path         image + sigma noise, between the lowest and the highest of the levels

    Raises ModelError for a scheduler that has no such levels.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        from diffusers import DDIMScheduler

        name = config.get("_class_name", "")
        if "beta_start" not in config and config.get("trained_betas") is None:
            raise ModelError(
                f"the scheduler {name!r} has no betas; Limner reads those of DDPM, DDIM, PNDM and their kin"
            )
        if config.get("thresholding"):
            raise ModelError("the scheduler thresholds dynamically, which Limner does not; set thresholding to false")
        self.prediction: Prediction = config.get("prediction_type", "epsilon")
        if self.prediction not in get_args(Prediction):
            raise ModelError(
                f"the scheduler predicts {self.prediction!r}; Limner reads {', '.join(get_args(Prediction))}"
            )
        self._scheduler = DDIMScheduler.from_config(_known(config, DDIMScheduler))
        kept = self._scheduler.alphas_cumprod.double().clamp(min=SMALLEST**2)
        self.sigma = ((1 - kept) / kept).sqrt()
        self.clip = float(config.get("clip_sample_range", 1.0)) if config.get("clip_sample", False) else None
        lowest, highest = float(self.sigma[0]), float(self.sigma[-1])
        self.path: Path = replace(paths.path("edm"), sigma_max=highest, sigma_min=lowest)

    def __len__(self) -> int:
        return len(self.sigma)

    def timestep(self, sigma: Tensor) -> Tensor:
        """(B,) sigma -> (B,) float32: the scheduler's count, between two of its levels linear in log sigma."""
        logs = self.sigma.log().to(sigma.device, finest(sigma.device))
        asked = precise(sigma).clamp(min=float(self.sigma[0])).log()
        above = torch.searchsorted(logs, asked.contiguous()).clamp(1, len(logs) - 1)
        share = (asked - logs[above - 1]) / (logs[above] - logs[above - 1])
        return (above - 1 + share).clamp(0, len(logs) - 1).float()

    def times(self, steps: int) -> Tensor:
        """(steps + 1,) float64: the levels that the scheduler itself takes in so many steps, and 0."""
        if not 1 <= steps <= len(self):
            raise ConfigError(f"steps={steps}: this model was trained at {len(self)} levels; use 1 to {len(self)}")
        self._scheduler.set_timesteps(steps)
        chosen = self._scheduler.timesteps.clamp(max=len(self) - 1)
        return torch.cat([self.sigma[chosen], torch.zeros(1, dtype=torch.float64)])


def scales(prediction: Prediction, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """(skip, out), each (B,), with which the image is skip x + out F, for x = image + sigma noise.

    epsilon        F is the noise (Ho et al. 2020, arXiv 2006.11239)
    sample         F is the image
    v_prediction   F is alpha noise - s image, of an input alpha image + s noise (Salimans & Ho 2022, arXiv 2202.00512)
    """
    if prediction == "epsilon":
        return torch.ones_like(sigma), -sigma
    if prediction == "sample":
        return torch.zeros_like(sigma), torch.ones_like(sigma)
    kept = 1 / (1 + sigma.square())
    return kept, -sigma * kept.sqrt()


def target(prediction: Prediction, image: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """(B, C, H, W) what the network should predict."""
    if prediction == "epsilon":
        return noise
    if prediction == "sample":
        return image
    alpha = by_row((1 + sigma.square()).rsqrt())
    return alpha * (noise - by_row(sigma) * image)


def by_row(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1) float32."""
    return values.float().view(-1, 1, 1, 1)


def _known(config: Mapping[str, Any], scheduler: Any) -> dict[str, Any]:
    """Of a scheduler's config that which another one reads too."""
    names = scheduler._get_init_keys(scheduler) - {"self"}
    return {key: value for key, value in config.items() if key in names}
