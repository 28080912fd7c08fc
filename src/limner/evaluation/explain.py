"""What explains a picture: training images nearest to it, and what moving its latent does; arrays for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import NotAble
from ..images.colour import with_channels
from ..images.grid import to_uint8
from ..images.resize import fit
from ..metrics.neighbours import PIXEL_SIDE, Neighbours, nearest, small_pixels
from ..model import Decodes, Model, Samples
from ..tasks import generate
from ..tasks.directions import Directions, axes, directions, strips
from ..tasks.tiles import pick
from ..types import Condition
from .material import ImageSet, Material, NotApplicable

SURVEYED = 32  # latents that directions are found around
MANY = 5_000  # training images whose features are computed for the sake of the page alone; of more,
CANDIDATES = 100  # those of each sample that are nearest by pixels


@dataclass(frozen=True)
class Match:
    """One training image near a generated one: its row and name, and the distance in the space of the match."""

    row: int
    name: str
    distance: float


@dataclass(frozen=True)
class Evidence:
    """The training images nearest to generated image `row`, the nearest first, by each of two measures of nearness.

    features   in the extractor's space; empty without an extractor. Of many training images whose features nobody has
               asked for yet, among those that are nearest by pixels
    pixels     among images brought to at most 32x32
    """

    row: int
    features: tuple[Match, ...]
    pixels: tuple[Match, ...]


def evidence(material: Material, rows: Sequence[int], *, k: int = 3) -> list[Evidence]:
    """The `k` nearest training images of some generated images. Raises NotApplicable when there are none to look in."""
    if material.train is None or not len(material.train):
        raise NotApplicable(
            "the training images are not known; evaluate against the data that the model was trained on"
        )
    train, chosen = material.train, np.asarray(rows, np.int64)
    k = min(k, len(train))
    asked = small_pixels(np.asarray(material.generated.images)[chosen], side=PIXEL_SIDE)
    near = _by_pixels(asked, train, min(max(k, CANDIDATES), len(train)))
    by_pixels = _matches(Neighbours(near.indices[:, :k], near.distances[:, :k]), train)
    by_features: list[tuple[Match, ...]] = [()] * len(chosen)
    if material.extractor is not None:
        known = np.arange(len(train)) if all_are_looked_at(material) else np.unique(near.indices)
        features = material.features(train if len(known) == len(train) else train.take(known))
        asked = np.asarray(material.features(material.generated).pooled[chosen])
        found = nearest(asked, np.asarray(features.pooled), k=k)
        by_features = _matches(Neighbours(known[found.indices], found.distances), train)
    return [Evidence(*parts) for parts in zip(chosen.tolist(), by_features, by_pixels, strict=True)]


def all_are_looked_at(material: Material) -> bool:
    """Whether the nearest by features are searched among all training images, not the likeliest by pixels alone."""
    assert material.train is not None
    return len(material.train) <= MANY or material.has_features(material.train)


def _by_pixels(asked: np.ndarray, train: ImageSet, k: int) -> Neighbours:
    """The `k` nearest of the training images to (N, D) small pixels, in bounded memory."""
    rows, distances = np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0))
    first = 0
    for chunk in train.chunks():
        near = nearest(asked, small_pixels(chunk, side=PIXEL_SIDE), k=min(k, len(chunk)))
        rows, distances = np.hstack([rows, near.indices + first]), np.hstack([distances, near.distances])
        best = distances.argsort(axis=1, kind="stable")[:, :k]
        rows, distances = np.take_along_axis(rows, best, 1), np.take_along_axis(distances, best, 1)
        first += len(chunk)
    return Neighbours(rows, distances)


def pictures(material: Material, found: Evidence) -> np.ndarray:
    """(1 + matches, H, W, C) uint8: the generated image, then its matches by features and by pixels, at its size."""
    assert material.train is not None  # there is evidence
    own = np.asarray(material.generated.images[found.row])
    height, width, channels = own.shape
    shown = [own]
    for match in (*found.features, *found.pixels):
        image = fit(np.asarray(material.train.images[match.row]), height, width, how="squash")
        shown.append(with_channels(image, channels))
    return np.stack(shown)


@dataclass(frozen=True)
class Strips:
    """One latent moved along several ways.

    pictures   (K, steps, H, W, C) uint8; the middle column of an odd number of steps is the picture itself
    names      of the ways: the dimension moved, or the rank of the direction
    effects    (K,) root mean square change of a pixel, of a range of 2, for one standard deviation
    """

    pictures: np.ndarray
    names: tuple[str, ...]
    effects: tuple[float, ...]


def traversals(material: Material, *, index: int = 0, count: int = 8, reach: float = 2.0, steps: int = 7) -> Strips:
    """Sample `index` with its most telling latent dimensions moved, one a row. Raises NotApplicable without latents."""
    model, latents, condition = _latents(material, index)
    found = axes(model, latents[1:], condition.rows(1, len(latents)), count=_count(latents, count))
    dimensions = found.vectors.flatten(1).argmax(1).tolist()
    names = tuple(f"dimension {dimension}" for dimension in dimensions)
    return _strips(model, latents[:1], pick(condition, [0]), found, names, reach=reach, steps=steps)


def direction_strips(
    material: Material, *, index: int = 0, count: int = 6, reach: float = 2.0, steps: int = 7
) -> Strips:
    """Sample `index` moved along the directions that change pictures most. Raises NotApplicable without latents."""
    model, latents, condition = _latents(material, index)
    around, rows = latents[1:], condition.rows(1, len(latents))
    try:
        found = directions(model, around, rows, count=_count(latents, count), seed=material.seed)
    except NotAble as reason:
        raise NotApplicable(str(reason)) from None
    names = tuple(f"direction {rank}" for rank in range(1, len(found.effects) + 1))
    return _strips(model, latents[:1], pick(condition, [0]), found, names, reach=reach, steps=steps)


def _strips(model: Model, latent, condition: Condition, found: Directions, names: tuple[str, ...], *, reach, steps):
    made = strips(model, latent, condition, found, reach=reach, steps=steps)
    shown = to_uint8(made.flatten(0, 1).numpy())
    return Strips(shown.reshape(*made.shape[:2], *shown.shape[1:]), names, tuple(found.effects.tolist()))


def _latents(material: Material, index: int):
    """The model, the latent of sample `index` followed by those of 32 others, and their conditions."""
    model = material.model
    if model is None or not isinstance(model, Decodes) or not isinstance(model, Samples):
        raise NotApplicable("it needs a model whose latents can be decoded")
    indices = [index, *(other for other in range(SURVEYED + 1) if other != index)][: SURVEYED + 1]
    latents, condition = generate.latents(model, indices, seed=material.seed, bank=material.bank or Condition())
    return model, latents, condition


def _count(latents, most: int) -> int:
    return min(most, latents[0].numel())


def _matches(near: Neighbours, train: ImageSet) -> list[tuple[Match, ...]]:
    return [
        tuple(
            Match(row, train.ids[row] if train.ids else str(row), distance)
            for row, distance in zip(rows, distances, strict=True)
        )
        for rows, distances in zip(near.indices.tolist(), near.distances.tolist(), strict=True)
    ]
