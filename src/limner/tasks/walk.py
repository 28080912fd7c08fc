"""From noise to an image with a model's denoiser, for tasks that wrap it on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..diffusion import paths, solvers
from ..diffusion.denoiser import Denoiser
from ..diffusion.guidance import guided
from ..errors import ConfigError, NotAble
from ..model import Denoises, Model
from ..rng import Rng
from ..types import Condition

_APART = 0.05  # of what two models make of the same pixel or latent, whose deviation is 0.5 to 1: taken for alike


def check_steps(model: Model, options: Any) -> None:
    """Raise NotAble for a model that does not walk by a solver, so that there is no way on which to turn it."""
    if not hasattr(options, "solver"):
        raise NotAble(
            f"{model.name!r} makes images by jumps of its own, without a way to turn on; use flow, edm or the like"
        )


def times_of(model: Denoises, options: Any) -> Tensor:
    """The times at which sampling with those options would stop on its way."""
    return paths.times(model.path, options.steps, options.schedule)


def noise_like(space: Tensor, rng: Rng, options: Any) -> Tensor:
    """The noise from which sampling would start: the first draw of `rng`."""
    return options.temperature * rng.normal(*space.shape[1:])


def walk(model: Denoises, see: Denoiser, noise: Tensor, times: Tensor, rng: Rng, options: Any) -> Tensor:
    """(B, c, h, w) noise -> (B, C, H, W) in [-1, 1], by the solver of the options."""
    found = solvers.solve(options.solver, see, noise, model.path, times, rng, tolerance=options.tolerance)
    return model.leave(found)


def autoguided(model: Any, weaker: Any, rng: Rng, condition: Condition, options: Any) -> Tensor:
    """(B, C, H, W) in [-1, 1]: samples pushed away from what a weaker model of the same kind would have made.

    The push is `options.guidance`, within guidance_low to guidance_high. Both models are told the condition.
    Source: Karras et al. 2024, arXiv 2406.02507, equation 2.
    """
    alone = replace(options, guidance=1.0)
    noise = noise_like(_probe(model), rng, options)
    main, other = (each.denoiser(condition, alone, rng.rows) for each in (model, weaker))
    interval = (options.guidance_low, options.guidance_high)
    see = guided(main, other, options.guidance, interval=interval)
    return walk(model, see, noise, times_of(model, options), rng, options)


def check_guide(model: Any, weaker: Any, options: Any) -> None:
    """Raise ConfigError unless `weaker` can guide `model`: both see the same pixels, or the same latents."""
    check_steps(model, options)
    if options.guidance == 1:
        raise ConfigError("guidance=1 leaves no push for the guide; use for example guidance=2")
    if model.data != weaker.data:
        raise ConfigError(
            f"the guide {weaker.name!r} knows data of other shape or conditions; use one trained on the same"
        )
    ours, theirs = _probe(model), _probe(weaker)
    if ours.shape != theirs.shape or float((ours - theirs).abs().max()) > _APART:
        raise ConfigError(
            f"the guide {weaker.name!r} works in another space than {model.name!r}; use an earlier checkpoint of the "
            "same run, or a run on the same data and with the same first stage"
        )


@torch.inference_mode()
def _probe(model: Any) -> Tensor:
    """(1, c, h, w) what a picture that runs from black to white is in the space of a model."""
    channels, height, width = model.data.shape
    place = next(model.parameters())
    ramp = torch.linspace(-1, 1, height * width, device=place.device).view(1, 1, height, width)
    return model.enter(ramp.expand(1, channels, height, width))
