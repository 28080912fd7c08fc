"""The two sides of an evaluation: what a model makes or a folder holds, and the real images that it is held against."""

from __future__ import annotations

import hashlib
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
from .material import CHUNK, ImageSet, room

SPLITS = ("test", "val", "train")  # in the order in which they are preferred as the real side
LOOKED_AT = 2_000  # real images at most that the floors are made of
AT_ONCE = 1 << 24  # numbers in memory while they are made


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
    images, digest = room((n, height, width, channels)), hashlib.sha256()
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


# --- floors and ceilings --------------------------------------------------------------------------------------------


def floors(reference: Reference, n: int) -> Iterator[tuple[str, ImageSet]]:
    """What sets the scale of a number: other real images, a Gaussian of the pixels, the mean image, noise."""
    if reference.again is not None:
        yield "real", reference.again
    yield "Gaussian", _made("Gaussian", gaussian(reference.real.images, n))
    yield "mean image", _made("mean image", mean_image(reference.real.images, n))
    yield "noise", _made("noise", noise(reference.real.images.shape[1:], n))


def gaussian(images: np.ndarray, n: int) -> np.ndarray:
    """(n, H, W, C) draws from the Gaussian with the mean and covariance of the pixels of (N, H, W, C) uint8.

    Some pixels of all images at a time, so that memory does not grow with their size.
    """
    seen = images[:LOOKED_AT]
    flat = seen.reshape(len(seen), -1)
    # a normal mixture of the centred images has their covariance, without the covariance matrix ever being made
    weights = generator(0, "floor gaussian").standard_normal((n, len(seen)), np.float32) / np.sqrt(len(seen) - 1)
    drawn = room((n, *images.shape[1:]))
    out, step = drawn.reshape(n, -1), max(1, AT_ONCE // max(n, len(seen)))
    for start in range(0, flat.shape[1], step):
        rows = flat[:, start : start + step].astype(np.float32)
        mean = rows.mean(0)
        out[:, start : start + step] = np.rint(mean + weights @ (rows - mean)).clip(0, 255)
    return drawn


def mean_image(images: np.ndarray, n: int) -> np.ndarray:
    """The mean image, `n` times, in the memory of one."""
    mean = np.rint(images[:LOOKED_AT].mean(0)).astype(np.uint8)
    return np.broadcast_to(mean, (n, *mean.shape))


def noise(shape: tuple[int, ...], n: int) -> np.ndarray:
    """(n, *shape) uniform uint8."""
    stream, drawn = generator(0, "floor noise"), room((n, *shape))
    for start in range(0, n, CHUNK):
        drawn[start : start + CHUNK] = stream.integers(0, 256, drawn[start : start + CHUNK].shape, dtype=np.uint8)
    return drawn


def _made(name: str, images: np.ndarray) -> ImageSet:
    digest = hashlib.sha256(name.encode() + np.ascontiguousarray(images[:2]).tobytes() + str(images.shape).encode())
    return ImageSet(name, images, digest.hexdigest())
