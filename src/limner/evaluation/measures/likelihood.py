"""How probable a model holds real images to be: nats an image and bits a dimension, for models that can score.

What a score is of differs between models, and is part of the number's name and protocol: 8-bit pixels, black and white
ones, or real numbers, which dequantisation makes comparable with 8-bit ones (metrics/likelihood.py says how).
options   importance          importance samples an image, 1
          likelihood_images   real images that are scored, 1,000
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...images.grid import from_uint8
from ...metrics import likelihood as metric
from ...metrics.number import Number
from ...model import Denoises, Model, Scores
from ...rng import ImageRng, generator
from ...tasks.generate import need
from ...tasks.tiles import TILE, device_of
from ...types import Condition
from ..material import Material, NotApplicable
from .options import whole

IMPORTANCE = 1
IMAGES = 1000


@dataclass(frozen=True)
class Pixels:
    """What a model's likelihood is of.

    words         for the protocol
    value_range   that the 256 levels span, one width each, where the likelihood is a density; None for a probability
    noise         whether images are dequantised here; else the model does so itself, or needs none
    comparable    whether bits a dimension mean anything
    note          what a reader must know
    """

    words: str
    value_range: float | None = None
    noise: bool = False
    comparable: bool = True
    note: str = ""


_WIDTHS = 2 * 256 / 255  # pixel k lies at k / 127.5 - 1, so that a level is 2 / 255 wide
_DENSITY = Pixels(
    "8-bit, uniformly dequantised",
    _WIDTHS,
    noise=True,
    note="images were dequantised with uniform noise, so that the density bounds the probability of 8-bit pixels",
)
PIXELS = {
    "logistic": Pixels("8-bit", note="a probability of 8-bit pixels: no dequantisation"),
    "gaussian": _DENSITY,
    "optimal_gaussian": _DENSITY,
    "dequantised_gaussian": replace(_DENSITY, value_range=2.0, noise=False),
    "density": _DENSITY,
    "bernoulli": Pixels("black and white, drawn by brightness", note="compare with binarised images only"),
}
_SOFT = Pixels(
    "brightness as a share of white",
    comparable=False,
    note="not the probability of an image, as brightness counts as a share of white; train with binarize=dynamic",
)
_UNKNOWN = Pixels("unknown", comparable=False, note="what it is the likelihood of is not known of this model")


def likelihood(material: Material) -> list[Number]:
    """Negative log-likelihoods of real images: nats an image and, where they compare, bits a dimension."""
    model = material.model
    if model is None:
        raise NotApplicable("a folder of images has no likelihood; it needs a model that can score images")
    if not isinstance(model, Scores):
        raise NotApplicable(f"{model.name!r} cannot score images; `limner models` shows which models can")
    channels, height, width = model.data.shape
    if material.real.images.shape[1:] != (height, width, channels):
        shape = material.real.images.shape[1:]
        raise NotApplicable(f"real images of {shape} do not fit a model of {(height, width, channels)}")
    if isinstance(model, Denoises) and "likelihood_images" not in material.options:
        raise NotApplicable(
            f"{model.name!r} takes hundreds of passes for each image; say how many: `--set likelihood_images=100`"
        )
    samples = whole(material, "importance", IMPORTANCE)
    count = min(whole(material, "likelihood_images", IMAGES), len(material.real))
    # not keyed by the seed: all models score the same images
    rows = np.sort(generator(0, "likelihood images").permutation(len(material.real))[:count])
    return _numbers(material, rows, samples, pixels_of(model))


def pixels_of(model: Model) -> Pixels:
    """What the likelihood of a model is of, by the setting or the name that says so."""
    kind = getattr(model.config, "likelihood", getattr(model, "likelihood_of", None))
    if kind == "bernoulli" and getattr(model.config, "binarize", "none") == "none":
        return _SOFT
    return PIXELS.get(str(kind), _UNKNOWN)


def score(material: Material, rows: np.ndarray, *, samples: int, noise: bool) -> np.ndarray:
    """(N,) negative log-likelihoods in nats, as the model has them, of those rows of the real side.

    In tiles of one size, and image k draws from key k: its value is the same among any others.
    """
    model = need(material.model, Scores)  # type: ignore[arg-type]
    parts = []
    for start in range(0, len(rows), TILE):
        chosen = rows[start : start + TILE]
        tile = np.concatenate([chosen, np.repeat(chosen[-1:], TILE - len(chosen))])  # the last is filled with copies
        image, condition = _batch(material, tile, noise=noise)
        device = device_of(model)
        rng = ImageRng(material.seed, tile.tolist(), device, purpose="likelihood")
        with torch.no_grad():  # a flow's density takes gradients, which inference mode forbids
            nats = -model.log_likelihood(image.to(device), condition.to(device), rng, samples)
        parts.append(nats.double().cpu().numpy()[: len(chosen)])
    return np.concatenate(parts)


def _batch(material: Material, rows: np.ndarray, *, noise: bool) -> tuple[Tensor, Condition]:
    """(B, C, H, W) in [-1, 1] and their conditions; with noise, anywhere within the width of a level."""
    image = torch.from_numpy(from_uint8(np.asarray(material.real.images[rows])))
    if noise:
        uniform = ImageRng(material.seed, rows.tolist(), purpose="dequantise").uniform(*image.shape[1:])
        image = image + (uniform - 0.5) * (2 / 255)
    return image, material.real.condition(rows)


# --- from values to numbers -------------------------------------------------------------------------------------------


def _numbers(material: Material, rows: np.ndarray, samples: int, pixels: Pixels) -> list[Number]:
    model = need(material.model, Scores)  # type: ignore[arg-type]
    dimensions = model.data.channels * model.data.height * model.data.width
    nats = score(material, rows, samples=samples, noise=pixels.noise)
    if pixels.value_range is not None:
        nats = metric.as_probability(nats, dimensions, value_range=pixels.value_range)
    kind = str(getattr(model, "likelihood_is", "bound"))
    settings: dict[str, Any] = {"pixels": pixels.words, "importance": samples, "is": kind}
    protocol = material.protocol("negative log-likelihood", features=False, **settings)
    protocol = replace(protocol, generated=0, real=len(rows))
    mean, interval = metric.mean_nats(nats)
    words, notes = _words(kind, samples, pixels), _notes(kind, samples, pixels)
    found = [Number(f"NLL{words}", mean, "lower", protocol, interval, unit="nats", notes=notes)]
    if pixels.comparable:
        mean, interval = metric.mean_nats(metric.bits_per_dim(nats, dimensions))
        found.append(Number(f"bits/dim{words}", mean, "lower", protocol, interval, unit="bits", notes=notes))
    return found


def _words(kind: str, samples: int, pixels: Pixels) -> str:
    """What the name says of the value: `NLL bound (k=64)`."""
    if kind == "estimate":
        return " estimate"
    if kind == "exact":
        return "" if pixels.value_range is None else " bound (dequantised)"
    return f" bound (k={samples})"


def _notes(kind: str, samples: int, pixels: Pixels) -> tuple[str, ...]:
    notes = (pixels.note,) if pixels.note else ()
    if kind == "estimate":
        return (*notes, "part of it is estimated and may err to either side, so that this is no bound")
    if kind == "exact":
        return notes
    many = f"{samples:,} importance sample{'' if samples == 1 else 's'} an image"
    return (*notes, f"a bound from above with {many}; more tighten it (importance=5000 is what papers report)")
