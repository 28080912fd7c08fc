"""At which noise levels a model trains: distributions over sigma, each a function of uniform or normal draws."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..errors import ConfigError, unknown
from ..rng import Rng
from .paths import SMALLEST, Path

LevelsName = Literal["lognormal", "logit_normal", "uniform"]


def draw(name: LevelsName, rng: Rng, path: Path, mean: float, std: float) -> Tensor:
    """(B,) sigma for one training batch.

    lognormal      ln sigma ~ N(mean, std^2) (Karras et al. 2022, arXiv 2206.00364, table 1: -1.2, 1.2)
    logit_normal   logit of t ~ N(mean, std^2) on a path of t in [0, 1] (Esser et al. 2024, arXiv 2403.03206: 0, 1)
    uniform        t uniform in (0, 1)
    """
    if name == "lognormal":
        return torch.exp(mean + std * rng.normal())
    time = torch.sigmoid(mean + std * rng.normal()) if name == "logit_normal" else rng.uniform()
    if name not in ("logit_normal", "uniform"):
        raise ConfigError(unknown("levels", name, ["lognormal", "logit_normal", "uniform"]))
    return path.sigma(time.clamp(SMALLEST, 1 - SMALLEST))
