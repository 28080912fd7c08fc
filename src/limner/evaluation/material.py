"""What there is to judge with: images on both sides and, made when first asked for, their features.

A measure (measures/) takes one Material and gives Numbers; it opens no data and chooses no split: that was done before.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from ..features.extractor import Extractor, Features
from ..metrics.number import Protocol

if TYPE_CHECKING:
    from ..model import Model
    from ..types import Condition, DataSpec

CHUNK = 256  # images whose features are computed at once
RESIDENT = 1 << 28  # bytes of images that are held in memory; more lie in a file that is gone afterwards


class NotApplicable(Exception):
    """A measure does not fit this material; the message says why and what would make it fit."""


@dataclass(frozen=True)
class ImageSet:
    """Images on one side.

    images       (N, H, W, C)   uint8, C of 1, 3 or 4; may be mapped from a file: read it in parts
    labels       (N,)           int64 class asked for (generated) or known (real); -1 unknown; None without classes
    attributes   (N, A)         float32, as types.Attribute describes; None without attributes
    known        (N, A)         bool
    ids          N names, or empty
    digest       hex key of the pixels: equal digests mean equal images
    """

    name: str
    images: np.ndarray
    digest: str
    labels: np.ndarray | None = None
    attributes: np.ndarray | None = None
    known: np.ndarray | None = None
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def chunks(self, size: int = CHUNK) -> Iterator[np.ndarray]:
        """The images in order, `size` at a time, as arrays in memory."""
        for start in range(0, len(self.images), size):
            yield np.asarray(self.images[start : start + size])

    def condition(self, rows: np.ndarray | range) -> Condition:
        """What is known of those rows, as a model takes it."""
        import torch

        from ..types import Condition

        def pick(part: np.ndarray | None) -> torch.Tensor | None:
            return None if part is None else torch.from_numpy(np.asarray(part)[np.asarray(rows)])

        return Condition(pick(self.labels), pick(self.attributes), pick(self.known))

    def take(self, rows: np.ndarray) -> ImageSet:
        """Those rows, in that order, as an image set of its own."""

        def pick(part):
            return None if part is None else part[rows]

        key = sha256(self.digest.encode() + np.asarray(rows, np.int64).tobytes()).hexdigest()
        ids = tuple(self.ids[row] for row in rows) if self.ids else ()
        images = room((len(rows), *self.images.shape[1:]))
        for start in range(0, len(rows), CHUNK):
            images[start : start + CHUNK] = self.images[rows[start : start + CHUNK]]
        return ImageSet(self.name, images, key, pick(self.labels), pick(self.attributes), pick(self.known), ids)


def room(shape: tuple[int, ...]) -> np.ndarray:
    """A uint8 array for that many images: in memory, or in a file that vanishes with it."""
    if math.prod(shape) <= RESIDENT:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile(prefix="limner-") as file:  # the map keeps what it needs of the file
        return np.memmap(file, np.uint8, "w+", shape=shape)


# extractor, image set -> its features; memory-mapped, cached by content
Store = Callable[[Extractor, ImageSet], Features]


@dataclass(frozen=True)
class Material:
    """What one evaluation judges with.

    generated   the images that are judged
    real        the images they are held against, of `split`
    train       what the model was trained on, when known: for memorisation
    held_out    real images that it was not trained on, when there are any
    extractor   the feature space; None when only measures without features are wanted
    model       the network, when a model is judged and not a folder
    bank        conditions that sampling draws from when none is asked for
    seed        of the generated images and of everything drawn to measure them
    options     settings of measures by name, checked by the measure that reads them
    store       gives features, from a cache where it has them
    """

    generated: ImageSet
    real: ImageSet
    spec: DataSpec
    split: str = "all"
    train: ImageSet | None = None
    held_out: ImageSet | None = None
    extractor: Extractor | None = None
    model: Model | None = None
    bank: Condition | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    store: Store | None = None
    _features: dict[tuple[str, str], Features] = field(default_factory=dict, repr=False)

    def features(self, images: ImageSet) -> Features:
        """Features of one of the sides. Raises NotApplicable without an extractor."""
        if self.extractor is None:
            raise NotApplicable("it needs a feature space; choose one with --features")
        key = (self.extractor.sha256, images.digest)
        if key not in self._features:
            self._features[key] = self._extracted(self.extractor, images)
        return self._features[key]

    def has_features(self, images: ImageSet) -> bool:
        """Whether a measure has asked for the features of that side."""
        return self.extractor is not None and (self.extractor.sha256, images.digest) in self._features

    def _extracted(self, extractor: Extractor, images: ImageSet) -> Features:
        if len(images) > 1 and images.images.strides[0] == 0:  # one image many times
            return _repeated(extractor(np.asarray(images.images[:1])), len(images))
        return self.store(extractor, images) if self.store else extract(extractor, images)

    def judging(self, generated: ImageSet) -> Material:
        """The same material with other images to judge: floors and ceilings are made so."""
        return replace(self, generated=generated, model=None)

    def protocol(self, metric: str, *, features: bool, **settings: Any) -> Protocol:
        """The protocol of a number measured on this material."""
        extractor = self.extractor if features else None
        return Protocol(
            metric=metric,
            features=extractor.name if extractor else None,
            features_sha256=extractor.sha256 if extractor else None,
            resize=extractor.resize if extractor else None,
            precision=extractor.precision if extractor else None,
            generated=len(self.generated),
            real=len(self.real),
            split=self.split,
            data_sha256=self.real.digest,
            seed=self.seed,
            settings=settings,
        )


def _repeated(one: Features, count: int) -> Features:
    logits = None if one.logits is None else np.repeat(one.logits, count, 0)
    return Features(np.repeat(one.pooled, count, 0), logits)


def extract(extractor: Extractor, images: ImageSet) -> Features:
    """Features of all images, a chunk at a time."""
    parts = [extractor(chunk) for chunk in images.chunks()]
    logits = [part.logits for part in parts if part.logits is not None]
    return Features(np.concatenate([part.pooled for part in parts]), np.concatenate(logits) if logits else None)
