"""Running a network so that a picture never depends on which others are made with it.

Matrix products of different sizes round differently, so the same image made alone and in a batch of 64 would differ in
its last bits. Here the network always sees a tile of the same size, and image k always lies in the same place of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from ..rng import ImageRng
from ..types import Condition

TILE = 8  # images, for models that do not say


def size_of(model: nn.Module) -> int:
    """Images that a model sees at once: its own `tile`, where the time of a step is that of reading its weights."""
    return getattr(model, "tile", TILE)


def device_of(model: nn.Module) -> torch.device:
    """Where a model lies: one fitted in closed form has buffers only."""
    return next(chain(model.parameters(), model.buffers())).device


def aligned(indices: Sequence[int], size: int = TILE) -> list[list[int]]:
    """The tiles that hold `indices`, each whole: image k is in row k % size of tile k // size."""
    return [list(range(tile * size, (tile + 1) * size)) for tile in sorted({index // size for index in indices})]


def per_tile(function: Callable[[Tensor, Condition], Tensor], rows: Tensor, condition: Condition) -> Tensor:
    """`function` over `rows` (N, …) and their conditions, a whole tile at a time; the last is filled up with copies."""
    parts = []
    for start in range(0, len(rows), TILE):
        stop = min(start + TILE, len(rows))
        filling = [*range(start, stop)] + [stop - 1] * (TILE - (stop - start))
        parts.append(function(rows[filling], pick(condition, filling))[: stop - start])
    return torch.cat(parts)


def pick(condition: Condition, rows: Sequence[int]) -> Condition:
    """Those rows of a condition, in that order."""

    def take(part):
        return None if part is None else part[list(rows)]

    def listed(part):
        return None if part is None else [part[row] for row in rows]

    tensors = (take(condition.label), take(condition.attributes), take(condition.known))
    return Condition(*tensors, listed(condition.text), listed(condition.emphasis))


def by_tile(
    model: nn.Module, indices: Sequence[int], seed: int, make: Callable[[ImageRng, list[int]], Tensor]
) -> Tensor:
    """Pictures `indices`, made a whole tile at a time, each with the random stream of (seed, index)."""
    made: dict[int, Tensor] = {}
    for tile in aligned(indices, size_of(model)):
        with torch.inference_mode():
            images = make(ImageRng(seed, tile, device_of(model)), tile).float().cpu()
        made |= dict(zip(tile, images, strict=True))
    return torch.stack([made[index] for index in indices])


def within(tile: Sequence[int], images: Tensor) -> list[int]:
    """The rows of a tile; beyond the last image, that one again."""
    return [min(row, len(images) - 1) for row in tile]
