"""Diffusion models put to work on pictures that they were not trained for: restoring without training, and canvases
larger than their own size. Models of pixels only: what a latent says of a single pixel cannot be put right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..diffusion.restoring import Linear, blurring, graying, restoring, shrinking
from ..diffusion.windows import places, windowed
from ..errors import ConfigError, NotAble
from ..model import Denoises, Model
from ..rng import ImageRng
from ..types import Condition
from .generate import need, options_of
from .tiles import aligned, device_of, pick, size_of
from .walk import check_steps, noise_like, times_of, walk

KINDS = "upscale:2, colorize, deblur:1.5"


def degradation_of(model: Model, kind: str) -> tuple[Linear, tuple[int, int, int]]:
    """What `kind` undoes, and the (c, h, w) of what it takes. Raises ConfigError for a kind that cannot be."""
    channels, height, width = model.data.shape
    name, _, number = kind.partition(":")
    if name == "upscale":
        scale = _number(kind, number, int)
        if scale < 2 or height % scale or width % scale:
            raise ConfigError(f"{kind}: {height}x{width} pictures cannot come from ones {scale} times smaller")
        return shrinking(scale), (channels, height // scale, width // scale)
    if name == "deblur":
        sigma = _number(kind, number, float)
        if not 0 < sigma <= min(height, width):
            raise ConfigError(f"{kind}: a blur of {sigma:g} pixels cannot be undone; use a number such as 1.5")
        return blurring(sigma, height, width), (channels, height, width)
    if name == "colorize":
        if channels != 3:
            raise ConfigError(f"colorize: {model.name} makes pictures of {channels} channels, which have no colours")
        return graying(), (1, height, width)
    raise ConfigError(f"{kind!r} is nothing that a diffusion model can undo; there are {KINDS}")


def _number(kind: str, text: str, of: type) -> Any:
    try:
        return of(text)
    except ValueError:
        raise ConfigError(f"{kind}: {text!r} is not a number; there are {KINDS}") from None


def solve(
    model: Model, sources: Tensor, kind: str, condition: Condition, *, seed: int = 0, options: Any = None
) -> Tensor:
    """Pictures that would become `sources` when degraded as `kind` says: (N, c, h, w) -> (N, C, H, W), on the CPU.

    Both in [-1, 1]. Picture k of another seed is another guess. Raises NotAble for models of latents, ConfigError for
    sources of another size.
    """
    able, options = _ready(model, options)
    degradation, shape = degradation_of(model, kind)
    if tuple(sources.shape[1:]) != shape:
        raise ConfigError(f"{kind} takes pictures of {shape}, and these are {tuple(sources.shape[1:])}")

    def make(rng: ImageRng, rows: list[int]) -> Tensor:
        known = sources[rows].to(rng.device)
        space = torch.zeros(1, *model.data.shape, device=rng.device)
        noise = noise_like(space, rng, options)
        see = able.denoiser(pick(condition, rows).to(rng.device), options, rng.rows)
        made = walk(able, restoring(see, known, degradation), noise, times_of(able, options), rng, options)
        return degradation.put_right(made, known)

    return _in_tiles(model, len(sources), seed, make)


def canvas(
    model: Model,
    height: int,
    width: int,
    condition: Condition,
    *,
    wrap: bool = False,
    seed: int = 0,
    options: Any = None,
) -> Tensor:
    """One picture larger than the model's own, (1, C, height, width) in [-1, 1]; with `wrap` its ends meet.

    condition   of one row, told to every window
    """
    able, options = _ready(model, options)
    _, own_height, own_width = model.data.shape
    if height < own_height or width < own_width:
        raise ConfigError(f"a canvas of {height}x{width} is smaller than the model's {own_height}x{own_width}")
    tops = places(height, own_height, max(1, own_height // 2), wrap=wrap)
    lefts = places(width, own_width, max(1, own_width // 2), wrap=wrap)
    rng = ImageRng(seed, [0], device_of(model), purpose="canvas")
    rows = len(tops) * len(lefts)
    with torch.inference_mode():
        told = pick(condition, [0] * rows).to(rng.device)
        see = windowed(able.denoiser(told, options, rows), (own_height, own_width), tops, lefts)
        noise = noise_like(torch.zeros(1, model.data.channels, height, width), rng, options)
        return walk(able, see, noise, times_of(able, options), rng, options).float().cpu()


def _ready(model: Model, options: Any) -> tuple[Any, Any]:
    able = need(model, Denoises)
    options = options_of(model) if options is None else options
    check_steps(model, options)
    if getattr(model, "first", None) is not None:
        raise NotAble(f"{model.name!r} works in latents, where single pixels cannot be put right; use flow, edm or dit")
    return able, options


def _in_tiles(model: Model, count: int, seed: int, make: Callable[[ImageRng, list[int]], Tensor]) -> Tensor:
    """Pictures 0 … count - 1, a whole tile at a time; beyond the last, that one again."""
    made = []
    for tile in aligned(range(count), size_of(model)):
        rows = [min(index, count - 1) for index in tile]
        with torch.inference_mode():
            made.append(make(ImageRng(seed, tile, device_of(model)), rows).float().cpu())
    return torch.cat(made)[:count]
