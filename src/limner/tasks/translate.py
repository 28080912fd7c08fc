"""Pictures of one kind turned into another, at the size that the model was trained on, each by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..images.degrade import parse
from ..model import Model, Transforms
from ..rng import generator
from ..types import Condition
from .apply import WHOLE, apply
from .generate import need
from .tiles import device_of


def check(model: Model) -> None:
    """Raise NotAble for a model that transforms nothing, ConfigError for one that restores and must be told how."""
    need(model, Transforms)
    if model.data.scale > 1 or model.data.maps:
        use = "inpaint" if "hole" in model.data.maps else "upscale" if model.data.scale > 1 else "restore"
        raise ConfigError(f"{model.name} was trained on {model.data.degrade}; use limner {use}")


def translate(model: Model, source: Tensor, condition: Condition, *, back: bool = False) -> Tensor:
    """(N, c, H, W) in [-1, 1], and what each should show -> (N, C, H, W) in [-1, 1], on the CPU.

    back   the other direction, of models that have one
    Raises NotAble for a model that transforms nothing, ConfigError for one without a way back.
    """
    check(model)
    told = condition.label is not None or condition.attributes is not None
    if told and getattr(model.config, "conditional", "none") == "none":
        raise ConfigError(f"{model.name} cannot be told what to show; stargan changes classes and attributes")
    if back:
        return _back(model, source)
    rows = range(len(source))
    return torch.cat([apply(model, source[k : k + 1], condition.rows(k, k + 1), WHOLE) for k in rows]).clamp(-1, 1)


def as_trained(model: Model, images: np.ndarray, *, seed: int) -> np.ndarray:
    """Good pictures (N, H, W, C) uint8 made into sources as in training: drawings of photographs, say.

    Raises ConfigError for a model whose sources were not made of its images.
    """
    if not model.data.degrade:
        raise ConfigError(f"the sources of {model.name} were not made of its images; give pictures of their kind")
    chain = parse(model.data.degrade)
    made = [chain(image[None], generator(seed, "degrade", k))[0] for k, image in enumerate(images)]
    return np.floor(np.stack(made) + 0.5).clip(0, 255).astype(np.uint8)


def _back(model: Model, source: Tensor) -> Tensor:
    if not hasattr(model, "transform_back"):
        raise ConfigError(f"{model.name} goes one way only; cyclegan goes back as well")
    able: Any = model
    with torch.inference_mode():
        return torch.cat([able.transform_back(row[None].to(device_of(model))) for row in source]).float().cpu()
