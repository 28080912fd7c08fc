"""Changing pictures, filling holes in them, several descriptions in one: with any model that denoises.

Each task wraps the model's denoiser or its start (diffusion/editing.py) and walks as sampling would, in pixels or in
latents. Picture k of a seed is the same however many are made with it: see tiles.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..diffusion.denoiser import Denoiser
from ..diffusion.editing import begin, composition, inpainting
from ..errors import ConfigError
from ..model import Denoises, Model
from ..rng import ImageRng
from ..types import Condition
from . import conditions
from .generate import check_heard, need, options_of
from .tiles import by_tile, pick, within
from .walk import check_steps, noise_like, times_of, walk

Weight = float | Tensor


def described(
    model: Model,
    rows: int,
    *,
    label: str | int | None = None,
    attributes: Mapping[str, conditions.Asked] | None = None,
    text: str | None = None,
) -> Condition:
    """What `rows` pictures should show; what is not asked for is left open, for the pictures at hand say it already."""
    check_heard(model, label, attributes, text)
    return conditions.ask(Condition(), model.data, rows, label=label, attributes=attributes, text=text)


def variations(
    model: Model, images: Tensor, condition: Condition, *, strength: float = 0.6, seed: int = 0, options: Any = None
) -> Tensor:
    """Pictures made anew from half-way: (N, C, H, W) in [-1, 1] -> the same, on the CPU.

    strength   share of the steps that are walked again, in (0, 1]: near 0 keeps a picture, 1 samples as if without it
    Source: Meng et al. 2022, arXiv 2108.01073.
    """
    able, options = _ready(model, options)
    if not 0 < strength <= 1:
        raise ConfigError(f"strength={strength} is not in (0, 1]: small keeps a picture, 1 forgets it")

    def make(rng: ImageRng, tile: list[int]) -> Tensor:
        rows = within(tile, images)
        space = able.enter(images[rows].to(rng.device))
        noise = noise_like(space, rng, options)
        times, start = begin(able.path, times_of(able, options), space, noise, strength)
        see = able.denoiser(pick(condition, rows).to(rng.device), options, rng.rows)
        return walk(able, see, start, times, rng, options)

    return by_tile(model, range(len(images)), seed, make)


def inpaint(
    model: Model, images: Tensor, masks: Tensor, condition: Condition, *, seed: int = 0, options: Any = None
) -> Tensor:
    """Pictures with their holes filled to fit: (N, C, H, W) in [-1, 1] -> the same, on the CPU.

    masks   (N, 1, H, W): 1 in the hole, 0 where the picture is known, which comes out bit-equal
    What lay in a hole is not looked at. In latents, every cell that a hole touches is filled anew.
    """
    able, options = _ready(model, options)
    _check_masks(masks, images)
    holes = masks.float()

    def make(rng: ImageRng, tile: list[int]) -> Tensor:
        rows = within(tile, images)
        hole, image = holes[rows].to(rng.device), images[rows].to(rng.device)
        known = able.enter(blanked(image, hole))
        noise = noise_like(known, rng, options)
        see = able.denoiser(pick(condition, rows).to(rng.device), options, rng.rows)
        see = inpainting(see, known, functional.adaptive_max_pool2d(hole, known.shape[2:]))  # any touched cell
        made = walk(able, see, noise, times_of(able, options), rng, options)
        return torch.where(hole > 0, made, image)

    return by_tile(model, range(len(images)), seed, make)


def harmonised(
    model: Model,
    images: Tensor,
    masks: Tensor,
    condition: Condition,
    *,
    strength: float = 0.3,
    seed: int = 0,
    options: Any = None,
) -> Tensor:
    """Pasted pictures whose pasted part is drawn again to fit: (N, C, H, W) in [-1, 1] -> the same, on the CPU.

    masks      (N, 1, H, W): 1 where something was pasted, 0 elsewhere, which comes out bit-equal
    strength   share of the steps that are walked again: near 0 keeps the paste, 1 draws it anew
    At every step what was not pasted is put right, so the part is drawn to go with it.
    """
    able, options = _ready(model, options)
    _check_masks(masks, images)
    if not 0 < strength <= 1:
        raise ConfigError(f"strength={strength} is not in (0, 1]: small keeps what was pasted, 1 draws it anew")
    parts = masks.float()

    def make(rng: ImageRng, tile: list[int]) -> Tensor:
        rows = within(tile, images)
        part, image = parts[rows].to(rng.device), images[rows].to(rng.device)
        space = able.enter(image)
        noise = noise_like(space, rng, options)
        times, start = begin(able.path, times_of(able, options), space, noise, strength)
        see = able.denoiser(pick(condition, rows).to(rng.device), options, rng.rows)
        see = inpainting(see, space, functional.adaptive_max_pool2d(part, space.shape[2:]))
        return torch.where(part > 0, walk(able, see, start, times, rng, options), image)

    return by_tile(model, range(len(images)), seed, make)


def compose(
    model: Model,
    descriptions: Sequence[Condition],
    indices: Sequence[int],
    *,
    weights: Sequence[Weight] | None = None,
    seed: int = 0,
    options: Any = None,
) -> Tensor:
    """Pictures `indices` of `seed` that obey several descriptions at once: (N, C, H, W) in [-1, 1], on the CPU.

    descriptions   conditions of one row
    weights        for each a number (1 unless given), or an (H, W) map of 0 to 1: the region that it describes
    Where no description reaches, the picture is free. Costs one evaluation a step for each description and one more.
    """
    able, options = _ready(model, options)
    weights = [1.0] * len(descriptions) if weights is None else list(weights)
    _check_weights(descriptions, weights, model)

    def make(rng: ImageRng, tile: list[int]) -> Tensor:
        space = able.enter(torch.zeros(1, *model.data.shape, device=rng.device))
        noise = noise_like(space, rng, options)
        told = [pick(one, [0] * rng.rows).to(rng.device) for one in descriptions]
        parts = [able.denoiser(one, options, rng.rows) for one in told]
        free = able.denoiser(Condition(), options, rng.rows)
        see = _composed(parts, [_in_space(weight, space) for weight in weights], free)
        return walk(able, see, noise, times_of(able, options), rng, options)

    return by_tile(model, indices, seed, make)


# --- parts ----------------------------------------------------------------------------------------------------------


def _ready(model: Model, options: Any) -> tuple[Any, Any]:
    """The model, if it can be edited with, and the options of its walk."""
    able = need(model, Denoises)
    options = options_of(model) if options is None else options
    check_steps(model, options)
    return able, options


def blanked(image: Tensor, hole: Tensor) -> Tensor:
    """The image with the mean of what is known in its hole: an encoder sees beyond the cells that a hole touches."""
    known = 1 - hole
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1)
    return torch.where(hole > 0, mean, image)


def _composed(parts: Sequence[Denoiser], weights: Sequence[Weight], free: Denoiser) -> Denoiser:
    if len(parts) == 1 and isinstance(weights[0], float) and weights[0] == 1:
        return parts[0]  # to the last bit, and at half the cost
    return composition(parts, weights, free)


def _in_space(weight: Weight, space: Tensor) -> Weight:
    """A number as it is; an (H, W) map as (1, 1, h, w), each cell the mean of its pixels."""
    if isinstance(weight, Tensor):
        height, width = space.shape[2:]
        return functional.adaptive_avg_pool2d(weight.float()[None, None].to(space.device), (height, width))
    return float(weight)


def _check_masks(masks: Tensor, images: Tensor) -> None:
    wanted = (len(images), 1, *images.shape[2:])
    if tuple(masks.shape) != wanted:
        raise ConfigError(f"masks are {tuple(masks.shape)}; these images need {wanted}: one of their size for each")
    if not bool(((masks == 0) | (masks == 1)).all()):
        raise ConfigError("masks hold other numbers than 0 (known) and 1 (hole)")


def _check_weights(descriptions: Sequence[Condition], weights: Sequence[Weight], model: Model) -> None:
    if not descriptions or len(weights) != len(descriptions):
        raise ConfigError(f"{len(weights)} weights for {len(descriptions)} descriptions; give 1 or more, a weight each")
    size = model.data.shape[1:]
    for weight in weights:
        if isinstance(weight, Tensor) and tuple(weight.shape) != size:
            raise ConfigError(f"the region of a description is {tuple(weight.shape)}; this model needs {size}")
