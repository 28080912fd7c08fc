"""Making new images: image k of seed s, whatever the batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.names import few
from ..errors import ConfigError, NotAble
from ..model import Completes, Decodes, Denoises, Encodes, Model, Redraws, Samples, Scores, Transforms
from ..rng import ImageRng
from ..types import Condition
from . import conditions
from .tiles import aligned, device_of, pick, size_of
from .walk import autoguided, check_guide

_DOES: dict[Any, str] = {
    Samples: "make images",
    Decodes: "decode latents",
    Encodes: "encode images",
    Scores: "score images",
    Completes: "go on from a part of an image",
    Redraws: "draw parts of an image anew",
    Denoises: "edit images or guide another",
    Transforms: "turn one picture into another",
}


def need(model: Model, ability: type) -> Any:
    """The model, if it has the ability; else NotAble, which says what it lacks and which models have it."""
    if not isinstance(model, ability):
        able = few(_able(ability), 5)
        raise NotAble(f"{model.name!r} cannot {_DOES[ability]}; `limner models` shows which models can: {able}")
    return model


def _able(ability: type) -> list[str]:
    """The models of the catalogue that have what an ability asks of a class."""
    from ..models import CATALOGUE

    asked = [name for name, part in vars(ability).items() if callable(part) and not name.startswith("_")]
    return [name for name, entry in CATALOGUE.items() if all(hasattr(entry.load(), part) for part in asked)]


def options_of(model: Model, values: Mapping[str, Any] | None = None, *, guided: bool = False) -> Any:
    """The model's sampling options with those `values`; names and types are checked, and that the model heeds them.

    guided   whether another model guides it, which takes its share of the option `guidance`
    """
    from ..config import from_dict

    options = from_dict(need(model, Samples).Options, values or {}, where="option")
    if values:
        _check_heeded(model, options, guided)
    return options


def _check_heeded(model: Any, options: Any, guided: bool) -> None:
    """Raise ConfigError for an option that would change nothing."""
    conditioning = getattr(model, "conditioning", None)
    guidance, negative = getattr(options, "guidance", 1.0), getattr(options, "negative", "")
    if guidance != 1 and not guided and conditioning is not None and not conditioning.width:
        raise ConfigError(
            f"guidance={guidance:g} exaggerates what a picture was asked to show, and this model was trained without "
            f"classes, attributes or text; leave it out, or give a weaker model as the guide"
        )
    if negative and getattr(model.config, "text", None) == "none":
        raise ConfigError(f"negative={negative!r}: this model reads no text; train one with --set text=auto")
    if negative and guidance == 1:
        raise ConfigError(f"negative={negative!r} is what guidance moves away from; give for example guidance=3, too")
    if hasattr(options, "tolerance") and options.solver != "rk45" and options.tolerance != type(options)().tolerance:
        raise ConfigError(f"tolerance={options.tolerance:g} is for solver=rk45; solver={options.solver} takes steps")


def generate(
    model: Model,
    indices: Sequence[int],
    *,
    seed: int,
    bank: Condition,
    label: str | int | None = None,
    attributes: Mapping[str, conditions.Asked] | None = None,
    text: str | None = None,
    options: Any = None,
) -> Tensor:
    """Images `indices` of `seed`: (N, C, H, W) in [-1, 1], on the CPU.

    bank     conditions to draw from for what is not asked for
    Bit-equal on a CPU for any choice of indices: see tiles.py.
    """
    asked = {"label": label, "attributes": attributes, "text": text}
    parts = generate_tiles(model, indices, seed=seed, bank=bank, options=options, **asked)  # type: ignore[arg-type]
    made = {index: image for tile, images in parts for index, image in zip(tile, images, strict=True)}
    return torch.stack([made[index] for index in indices])


def generate_tiles(
    model: Model,
    indices: Sequence[int],
    *,
    seed: int,
    bank: Condition,
    label: str | int | None = None,
    attributes: Mapping[str, conditions.Asked] | None = None,
    text: str | None = None,
    options: Any = None,
    guide: Model | None = None,
) -> Iterator[tuple[list[int], Tensor]]:
    """As `generate`, a tile at a time and in rising order: (indices, images), for showing while more are made.

    guide   a weaker model of the same kind, from which samples are pushed away by the option `guidance`
    """
    need(model, Samples)
    check_heard(model, label, attributes, text)
    options = options_of(model) if options is None else options
    if guide is not None:
        check_guide(need(model, Denoises), need(guide, Denoises), options)
    wanted, device = set(indices), device_of(model)
    for tile in aligned(indices, size_of(model)):
        condition = conditions.draw(bank, seed, tile)
        condition = conditions.ask(condition, model.data, len(tile), label=label, attributes=attributes, text=text)
        rng, condition = ImageRng(seed, tile, device), condition.to(device)
        with torch.inference_mode():
            if guide is None:
                images = model.sample(rng, condition, options)  # type: ignore[operator]
            else:
                images = autoguided(model, guide, rng, condition, options)
        rows = [row for row, index in enumerate(tile) if index in wanted]
        yield [tile[row] for row in rows], images[rows].float().cpu()


def check_heard(
    model: Model, label: str | int | None, attributes: Mapping[str, conditions.Asked] | None, text: str | None
) -> None:
    """Raise ConfigError when something is asked for that the model was never told in training."""
    if (label is not None or attributes) and getattr(model.config, "conditional", "auto") == "none":
        raise ConfigError(f"label={label!r}, attributes={attributes!r}: this model was trained with conditional=none")
    if text is not None and getattr(model.config, "text", "none") == "none":
        raise ConfigError(f"text={text!r}: this model reads no text; train one with --set text=auto on captions")


def latents(
    model: Model, indices: Sequence[int], *, seed: int, bank: Condition, options: Any = None
) -> tuple[Tensor, Condition]:
    """The latents (N, *latent_shape) and the conditions that `generate` would use for those images."""
    need(model, Decodes)
    options = options_of(model) if options is None else options
    with torch.inference_mode():
        latent = model.draw_latent(ImageRng(seed, indices, device_of(model)), options)  # type: ignore[operator]
    return latent, conditions.draw(bank, seed, indices)


__all__ = ["generate", "generate_tiles", "latents", "need", "options_of", "pick"]
