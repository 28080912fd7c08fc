"""What the latent space of a model is like: smooth along paths, steady under disturbance, one factor a dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...images.grid import from_uint8
from ...metrics import disentanglement as scores
from ...metrics import path_length as paths
from ...metrics import robustness as responses
from ...metrics.disentanglement import Factor, Score
from ...metrics.number import Better, Interval, Number
from ...metrics.perceptual import perceptual_distance
from ...metrics.robustness import Curve
from ...model import Decodes, Encodes, Model, Samples
from ...rng import ImageRng, generator
from ...tasks import generate
from ...tasks.reconstruct import decode, encode
from ...types import Attribute, Condition, DataSpec
from ..material import ImageSet, Material, NotApplicable
from .options import whole

PATHS = 500
DISTURBED = 256  # images, or latents
CODED = 2_000  # images whose codes are held against their factors
JITTERS = (0.1, 0.2, 0.4, 0.8)  # standard deviations of the drawn latents
PICTURE_SIDE = 64  # at most, of the pictures whose response is measured
AT_ONCE = 64  # paths


def path_length(material: Material) -> list[Number]:
    """Perceptual path length between sampled latents, in the extractor's maps where it takes floats, else in pixels.

    options   paths: how many (500)
    """
    model = _decoder(material)
    count = whole(material, "paths", PATHS)
    latents, condition = generate.latents(model, range(2 * count), seed=material.seed, bank=_bank(material))
    shares = torch.from_numpy(generator(material.seed, "path length").random(count))
    maps = getattr(material.extractor, "float_maps", None)
    distance = _perceptual(maps) if maps else paths.pixel_distance
    values = []
    for first in range(0, count, AT_ONCE):
        rows = slice(first, min(first + AT_ONCE, count))
        decoder = partial(decode, model, condition=condition.rows(rows.start, rows.stop))
        ends = latents[:count][rows].cpu(), latents[count:][rows].cpu()
        values.append(paths.speeds(decoder, *ends, shares[rows], distance=distance))
    found = paths.path_length(np.concatenate(values))
    space = material.extractor.name if maps and material.extractor else "pixels"
    name = f"path length ({space})"
    protocol = material.protocol(name, features=maps is not None, paths=count, epsilon=paths.EPSILON)
    interval = Interval(found.low, found.high, method="trimmed mean, winsorised variance")
    notes = ("both ends of a path show what the first was drawn to show", "pictures are floats, never rounded")
    details = {"median": float(np.median(found.values)), "longest": float(found.values.max())}
    return [Number(name, found.value, "lower", protocol, interval, notes=notes, details=details)]


def robustness(material: Material) -> list[Number]:
    """How far latents move when pictures are disturbed, and how far pictures move when latents are: areas of curves."""
    model = _decoder(material)
    numbers = [_jittered(material, model)]
    if isinstance(model, Encodes) and _fits(model, material.real):
        for name, (disturb, strengths) in responses.DISTURBANCES.items():
            if name != "jpeg" or model.data.channels in (1, 3):
                numbers.append(_disturbed(material, model, name, disturb, strengths))
    return numbers


def _jittered(material: Material, model: Model) -> Number:
    """The response of pictures to noise on latents, in units of the latents' own spread."""
    latents, condition = generate.latents(model, range(DISTURBED), seed=material.seed, bank=_bank(material))
    spread = latents.std(0)
    noise = ImageRng(material.seed, range(DISTURBED), latents.device, purpose="jitter").normal(*latents.shape[1:])

    def pictures(strength: float) -> np.ndarray:
        made = decode(model, latents + strength * spread * noise, condition)
        height, width = (min(side, PICTURE_SIDE) for side in made.shape[2:])
        return torch.nn.functional.adaptive_avg_pool2d(made, (height, width)).flatten(1).numpy()

    curve = responses.response(pictures(0.0), [pictures(strength) for strength in JITTERS], JITTERS)
    return _curve(material, "latent jitter", curve, "neither", "standard deviations of drawn latents")


def _disturbed(
    material: Material, model: Model, name: str, disturb: Callable[..., np.ndarray], strengths: Sequence[float]
) -> Number:
    """The response of latents to a disturbance of real pictures."""
    side = _some(material.real, DISTURBED, material.seed)
    images, condition = np.asarray(side.images), side.condition(range(len(side)))

    def codes(pictures: np.ndarray) -> np.ndarray:
        return encode(model, torch.from_numpy(from_uint8(pictures)), condition).flatten(1).cpu().numpy()

    moved = [codes(disturb(images, strength, seed=material.seed)) for strength in strengths]
    units = {"noise": "gray levels", "blur": "pixels", "jpeg": "100 - quality"}
    return _curve(material, name, responses.response(codes(images), moved, strengths), "lower", units[name])


def _curve(material: Material, what: str, curve: Curve, better: Better, unit: str) -> Number:
    name = f"response to {what}"
    strengths = curve.strengths.tolist()
    protocol = material.protocol(name, features=False, strengths=strengths, rows=DISTURBED)
    details = {
        "strengths": strengths,
        "unit of strength": unit,
        "responses": [part.value for part in curve.responses],
        "lows": [part.low for part in curve.responses],
        "highs": [part.high for part in curve.responses],
    }
    notes = ("the mean response from no disturbance to the strongest; 1 is as far as to another picture",)
    interval = Interval(curve.area.low, curve.area.high, method="normal, over images")
    return Number(name, curve.area.value, better, protocol, interval, notes=notes, details=details)


def disentanglement(material: Material) -> list[Number]:
    """MIG and DCI of the codes of real images whose factors are known as attributes."""
    model = _model(material)
    if not isinstance(model, Encodes) or not _fits(model, material.real):
        raise NotApplicable(f"it needs codes of images, and {model.name!r} cannot encode these")
    if material.real.attributes is None or material.real.known is None:
        raise NotApplicable("it needs data whose factors are known as attributes, for example builtin:shapes")
    known = np.flatnonzero(np.asarray(material.real.known).all(axis=1))
    if len(known) < scores.FEWEST:
        raise NotApplicable(f"the attributes of {len(known)} images are all known; it needs {scores.FEWEST}")
    side = _some(material.real.take(known), CODED, material.seed)
    factors = factors_of(np.asarray(side.attributes), material.spec)
    image = torch.from_numpy(from_uint8(np.asarray(side.images)))
    codes = encode(model, image, side.condition(range(len(side)))).flatten(1).cpu().numpy()
    gap = scores.mutual_information_gap(codes, factors)
    found = scores.dci(codes, factors, seed=material.seed)
    names = [factor.name for factor in factors]
    told = dict(zip(names, found.informativeness.tolist(), strict=True))
    protocol = {"images": len(side), "factors": names, "dimensions": codes.shape[1]}
    notes = _told_beforehand(model)
    return [
        _score(material, "MIG", gap.score, notes, {"gaps": dict(zip(names, gap.gaps.tolist(), strict=True))}, protocol),
        _score(material, "DCI disentanglement", found.disentanglement, notes, _importance(found, names), protocol),
        _score(material, "DCI completeness", found.completeness, notes, {"informativeness": told}, protocol),
    ]


def factors_of(attributes: np.ndarray, spec: DataSpec) -> list[Factor]:
    """The factors in encoded attributes (N, A), of which all are known; those that do not vary are left out."""
    factors, start = [], 0
    for attribute in spec.attributes:
        columns = attributes[:, start : start + attribute.width]
        factors += _factors(attribute, columns)
        start += attribute.width
    return [factor for factor in factors if len(np.unique(factor.values)) > 1]


def _factors(attribute: Attribute, columns: np.ndarray) -> list[Factor]:
    if attribute.kind == "categorical":
        return [Factor(attribute.name, columns.argmax(axis=1), discrete=True)]
    if attribute.kind == "multilabel":
        named = zip(attribute.values, columns.T, strict=True)
        return [Factor(f"{attribute.name}={value}", column, discrete=True) for value, column in named]
    return [Factor(attribute.name, columns[:, 0], discrete=attribute.kind == "binary")]


def _told_beforehand(model: Model) -> tuple[str, ...]:
    if model.data.attributes and getattr(model.config, "conditional", "none") != "none":
        return (
            "the model is told the factors, so its codes need not hold them; train with conditional=none to ask more",
        )
    return ()


def _importance(found: scores.DCI, names: list[str]) -> dict[str, Any]:
    return {"importance": found.importance.tolist(), "factors": names}


def _score(
    material: Material,
    name: str,
    score: Score,
    notes: tuple[str, ...],
    details: dict[str, Any],
    settings: dict[str, Any],
) -> Number:
    protocol = material.protocol(name, features=False, **settings)
    interval = Interval(score.low, score.high, method="jackknife in 10 groups")
    return Number(name, score.value, "higher", protocol, interval, notes=notes, details=details)


def _perceptual(maps: Callable[[Tensor], list[Tensor]]) -> Callable[[Tensor, Tensor], Tensor]:
    """The perceptual distance of pictures in [-1, 1] by what `maps` makes of floats."""
    return lambda first, second: torch.from_numpy(perceptual_distance(maps(first.float()), maps(second.float())))


def _model(material: Material) -> Model:
    if material.model is None:
        raise NotApplicable("it needs a model, not a folder of images")
    return material.model


def _decoder(material: Material) -> Model:
    model = _model(material)
    if not isinstance(model, Decodes) or not isinstance(model, Samples):
        raise NotApplicable(f"it needs latents that can be decoded, which {model.name!r} does not have")
    return model


def _bank(material: Material) -> Condition:
    return material.bank or Condition()


def _fits(model: Model, side: ImageSet) -> bool:
    height, width, channels = side.images.shape[1:]
    return model.data.shape == (channels, height, width)


def _some(side: ImageSet, most: int, seed: int) -> ImageSet:
    return side.take(np.sort(generator(seed, "latent measures").permutation(len(side))[:most]))
