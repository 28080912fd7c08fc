"""The two sides of an evaluation: what a model makes or a folder holds, and the real images that it is held against."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DataConfig, Dataset, open_data
from ..data.fill import Progress
from ..errors import ConfigError, DataError
from ..images.grid import to_uint8
from ..model import Model
from ..rng import generator
from ..tasks import conditions, generate
from ..types import Condition, DataSpec
from .material import ImageSet

RESIDENT = 256 << 20  # bytes of generated images held in memory; more go to a temporary file
SPLITS = ("test", "val", "train")  # in the order in which they are preferred as the real side


@dataclass(frozen=True)
class Reference:
    """The real side.

    real       the images that are compared with
    split      which split they are of
    again      other real images, to show what real against real scores; None when there are too few
    train      all training images
    held_out   all images of a split that training never sees; None without one
    """

    real: ImageSet
    split: str
    spec: DataSpec
    again: ImageSet | None
    train: ImageSet | None
    held_out: ImageSet | None


def of_dataset(dataset: Dataset) -> ImageSet:
    """An opened data set as one side."""
    return ImageSet(
        dataset.name,
        dataset.images,
        dataset.digest,
        labels=dataset.labels if dataset.spec.classes else None,
        attributes=dataset.attributes if dataset.spec.attributes else None,
        known=dataset.known if dataset.spec.attributes else None,
        ids=tuple(dataset.ids),
    )


def reference(
    data: str | Path, config: DataConfig, *, n: int, split: str = "auto", progress: Progress | None = None
) -> Reference:
    """The real side from a data set: up to `n` images of `split`, chosen once and for all seeds alike.

    split   train, val, test, or auto: the first of test, val and train that there is
    Raises DataError when the split is absent or holds fewer than two images.
    """
    have = open_data(data, config, split=None, progress=progress).report.splits
    chosen = next(name for name in SPLITS if have.get(name)) if split == "auto" else split
    whole = of_dataset(dataset := open_data(data, config, split=chosen))
    if len(whole) < 2:
        raise DataError(f"{data} has {len(whole)} images in its {chosen} split; an evaluation needs 2 or more")
    train = of_dataset(open_data(data, config, split="train")) if have.get("train") else None
    order = generator(0, "evaluation").permutation(len(whole))
    size = min(n, len(whole))
    return Reference(
        real=whole.take(np.sort(order[:size])),
        split=chosen,
        spec=dataset.spec,
        again=_again(whole, order[size:], train if chosen != "train" else None, size),
        train=train,
        held_out=whole if chosen != "train" else None,
    )


def _again(whole: ImageSet, unused: np.ndarray, train: ImageSet | None, size: int) -> ImageSet | None:
    """As many other real images: what the split has left, else training images."""
    if len(unused) >= size:
        return whole.take(np.sort(unused[:size]))
    if train is not None and len(train) >= size:
        return train.take(np.sort(generator(0, "evaluation again").permutation(len(train))[:size]))
    return None


def sampled(
    model: Model,
    bank: Condition,
    n: int,
    *,
    seed: int,
    options: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """`n` images of `seed` by a model, with the conditions that they were made for."""
    if n < 2:
        raise ConfigError(f"n={n} is below 2, which an evaluation needs")
    channels, height, width = model.data.shape
    images, digest = _room((n, height, width, channels)), hashlib.sha256()
    for indices, part in generate.generate_tiles(model, range(n), seed=seed, bank=bank, options=options):
        pixels = to_uint8(part.numpy())
        images[indices[0] : indices[0] + len(indices)] = pixels
        digest.update(pixels.tobytes())
        if progress is not None:
            progress(indices[-1] + 1, n)
    asked = _asked(model, bank, n, seed)
    return ImageSet(f"{model.name}, seed {seed}", images, digest.hexdigest(), **asked)


def _asked(model: Model, bank: Condition, n: int, seed: int) -> dict[str, Any]:
    """Labels and attributes that images 0 to n - 1 were made for; none of a model that does not listen."""
    if getattr(model.config, "conditional", "none") == "none":
        return {}
    drawn = conditions.draw(bank, seed, range(n))
    parts = {"labels": drawn.label, "attributes": drawn.attributes, "known": drawn.known}
    return {name: part.numpy() for name, part in parts.items() if part is not None}


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """An array for that many images: in memory, or in a file that vanishes with it."""
    if np.prod(shape) <= RESIDENT:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile(prefix="limner-") as file:  # the map keeps what it needs of the file
        return np.memmap(file, np.uint8, "w+", shape=shape)


# --- floors and ceilings --------------------------------------------------------------------------------------------


def floors(reference: Reference, n: int) -> Iterator[tuple[str, ImageSet]]:
    """What sets the scale of a number: other real images, a Gaussian of the pixels, the mean image, noise."""
    if reference.again is not None:
        yield "real", reference.again
    yield "Gaussian", _made("Gaussian", gaussian(reference.real.images, n))
    yield "mean image", _made("mean image", mean_image(reference.real.images, n))
    yield "noise", _made("noise", noise(reference.real.images.shape[1:], n))


def gaussian(images: np.ndarray, n: int) -> np.ndarray:
    """(n, H, W, C) draws from the Gaussian with the mean and covariance of the pixels of (N, H, W, C) uint8."""
    rows = np.asarray(images[:2_000], np.float32).reshape(min(len(images), 2_000), -1)
    centred = rows - rows.mean(0)
    # a normal mixture of the centred images has their covariance, without the covariance matrix ever being made
    weights = generator(0, "floor gaussian").standard_normal((n, len(rows)), np.float32) / np.sqrt(len(rows) - 1)
    drawn = np.rint(rows.mean(0) + weights @ centred).clip(0, 255)
    return drawn.astype(np.uint8).reshape(n, *images.shape[1:])


def mean_image(images: np.ndarray, n: int) -> np.ndarray:
    """The mean image, `n` times, in the memory of one."""
    mean = np.rint(np.asarray(images[:2_000]).mean(0)).astype(np.uint8)
    return np.broadcast_to(mean, (n, *mean.shape))


def noise(shape: tuple[int, ...], n: int) -> np.ndarray:
    """(n, *shape) uniform uint8."""
    return generator(0, "floor noise").integers(0, 256, (n, *shape), dtype=np.uint8)


def _made(name: str, images: np.ndarray) -> ImageSet:
    digest = hashlib.sha256(name.encode() + np.ascontiguousarray(images[:2]).tobytes() + str(images.shape).encode())
    return ImageSet(name, images, digest.hexdigest())
