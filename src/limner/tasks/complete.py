"""Going on from the upper part of a picture, and drawing parts of it anew, by models of pixels or tokens in order.

Picture k of a seed is the same however many are made with it: see tiles.py. What is given comes back bit-equal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ConfigError
from ..model import Completes, Model, Redraws
from ..rng import ImageRng
from ..types import Condition
from .edit import blanked
from .generate import need, options_of
from .tiles import by_tile, pick, within


def complete(
    model: Model, images: Tensor, rows_given: int, condition: Condition, *, seed: int = 0, options: Any = None
) -> Tensor:
    """(N, C, H, W) in [-1, 1] -> the same with all but the first `rows_given` rows drawn, on the CPU.

    Raises NotAble, and ConfigError for rows that the model cannot start from.
    """
    able = need(model, Completes)
    options = options_of(model) if options is None else options

    def make(rng: ImageRng, tile: list[int]) -> Tensor:
        rows = within(tile, images)
        told, image = pick(condition, rows).to(rng.device), images[rows].to(rng.device)
        made = able.complete(image, rows_given, rng=rng, condition=told, options=options).float()
        return torch.cat([image[:, :, :rows_given], made[:, :, rows_given:]], dim=2)

    return by_tile(model, range(len(images)), seed, make)


def redraw(
    model: Model, images: Tensor, masks: Tensor, condition: Condition, *, seed: int = 0, options: Any = None
) -> Tensor:
    """(N, C, H, W) in [-1, 1] with every token that a hole touches drawn anew, and pasted into the hole alone.

    masks   (N, 1, H, W): 1 in the hole, 0 where the picture is known
    What lay in a hole is not looked at. Raises NotAble, and ConfigError for masks of
    another size.
    """
    able = need(model, Redraws)
    options = options_of(model) if options is None else options
    if masks.shape != (len(images), 1, *images.shape[2:]):
        raise ConfigError(f"masks of shape {tuple(masks.shape)} do not fit images of {tuple(images.shape)}")
    holes = masks.float()
    redo = functional.adaptive_max_pool2d(holes, able.grid)[:, 0] > 0
    seen = blanked(images, holes)

    def make(rng: ImageRng, tile: list[int]) -> Tensor:
        rows = within(tile, images)
        told = pick(condition, rows).to(rng.device)
        made = able.inpaint(seen[rows].to(rng.device), redo[rows].to(rng.device), rng, told, options).float().cpu()
        return torch.where(holes[rows] > 0, made, images[rows])

    return by_tile(model, range(len(images)), seed, make)
