"""Running a model over a picture of any size, in tiles that meet without seams, in bounded memory.

A tile is cut with as much around it as the model looks at, and what was made of that margin is thrown away; so every
pixel is what the whole picture at once would give. Only the rows of tiles at hand are held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..model import Model, Transforms
from ..types import Condition
from .generate import need
from .tiles import device_of

TILE = 256  # pixels of a source: the inner side of a tile
_BAND = 12_000_000  # numbers that a band of tiles makes at most, some 50 MB,
_LEAST = 64  # unless it would be lower than this
_TURNS = 8  # ways to turn and mirror a square


@dataclass(frozen=True)
class How:
    """How a picture is taken.

    tile       inner side of a tile in pixels of the source; 0 takes the picture at once
    ensemble   whether each tile is taken turned and mirrored in all eight ways, and the mean of them given
    half       whether the network computes in bf16: faster where the processor has units for it, and less exact
    """

    tile: int = TILE
    ensemble: bool = False
    half: bool = False

    def __post_init__(self) -> None:
        if self.tile < 0:
            raise ConfigError(f"tile={self.tile} is negative; use 0 for the picture at once, or for example 256")


WHOLE = How(tile=0)
TILED = How()


def apply(model: Model, source: Tensor, condition: Condition, how: How = TILED) -> Tensor:
    """(1, c, h, w) in [-1, 1] -> (1, C, scale h, scale w) on the CPU."""
    return torch.cat([*bands(model, source, condition, how)], dim=2)


def bands(model: Model, source: Tensor, condition: Condition, how: How = TILED) -> Iterator[Tensor]:
    """As `apply`, in bands of whole rows from the top, (1, C, rows, scale w) each.

    Sides that are no multiples of the model's are filled up by mirroring, and what was made of that is cut off. Raises
    ConfigError for a source of other channels.
    """
    able = need(model, Transforms)
    if source.shape[1] != model.data.given_channels:
        raise ConfigError(
            f"a source has {source.shape[1]} channels; {model.name} was trained on {model.data.given_channels}"
        )
    height, width = source.shape[2:]
    if able.reach is None or not how.tile or max(height, width) <= how.tile:
        yield _once(able, model, source, condition, how)
        return
    side = -(-how.tile // able.multiple) * able.multiple
    most = _BAND // (model.data.channels * model.data.scale**2 * width) // able.multiple * able.multiple
    rows = max(able.multiple, min(side, max(most, _LEAST)))
    rows = -(-rows // able.multiple) * able.multiple
    for top in range(0, height, rows):
        row = [_tile(able, model, source, condition, how, (top, left), (rows, side)) for left in range(0, width, side)]
        yield torch.cat(row, dim=3)


def _tile(
    able: Any,
    model: Model,
    source: Tensor,
    condition: Condition,
    how: How,
    place: tuple[int, int],
    size: tuple[int, int],
) -> Tensor:
    """What is made of one tile, its margin cut off."""
    (top, left), (rows_high, side) = place, size
    scale, height, width = model.data.scale, *source.shape[2:]
    margin = -(-able.reach // able.multiple) * able.multiple
    above, before = max(0, top - margin), max(0, left - margin)
    bottom, right = min(height, top + rows_high), min(width, left + side)
    part = source[:, :, above : min(height, bottom + margin), before : min(width, right + margin)]
    made = _once(able, model, part, condition, how)
    rows = slice(scale * (top - above), scale * (bottom - above))
    return made[:, :, rows, scale * (left - before) : scale * (right - before)].clone()


def _once(able: Any, model: Model, source: Tensor, condition: Condition, how: How) -> Tensor:
    """The model on one piece, sides filled up, turned and mirrored where that is asked for."""
    height, width = source.shape[2:]
    source = _filled(source.to(device_of(model)), able.multiple)
    condition, scale = condition.to(source.device), model.data.scale
    with torch.inference_mode(), torch.autocast(source.device.type, torch.bfloat16, enabled=how.half):
        if not how.ensemble:
            made = able.transform(source, condition)
        else:
            made = sum(_back(able.transform(_turned(source, way), condition), way) for way in range(_TURNS)) / _TURNS
    return made[:, :, : scale * height, : scale * width].float().cpu()


def _filled(source: Tensor, multiple: int) -> Tensor:
    """Mirrored beyond its last rows and columns, until both sides are multiples."""
    for axis in (2, 3):
        side = source.shape[axis]
        if missing := -side % multiple:
            places = torch.arange(side, side + missing, device=source.device) % (2 * side)
            mirrored = torch.minimum(places, 2 * side - 1 - places)
            source = torch.cat([source, source.index_select(axis, mirrored)], axis)
    return source


def _turned(image: Tensor, way: int) -> Tensor:
    turned = torch.rot90(image, way % 4, (2, 3))
    return turned.flip(3) if way >= 4 else turned


def _back(image: Tensor, way: int) -> Tensor:
    return torch.rot90(image.flip(3) if way >= 4 else image, -(way % 4), (2, 3))
