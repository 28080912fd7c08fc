"""Images that lie decoded in the files of a tree, in parts of one size: what IDX, CIFAR and npz have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np

from ...errors import BadImage, DataError
from ..config import MAX_SIDE
from .base import ArraySource, Record
from .tree import Tree

MOST_ROWS = 512  # images that are read at a time,
BLOCK_BYTES = 4 << 20  # or as many as this holds


@dataclass(frozen=True)
class Part:
    """The images of one split in one file.

    shape    (N, H, W, C)
    blocks   makes an iterator over uint8 (n, H, W, C) arrays, N rows in all
    labels   N class names, or None
    """

    name: str
    split: str
    shape: tuple[int, int, int, int]
    blocks: Callable[[], Iterator[np.ndarray]]
    labels: Sequence[str] | None = None
    attributes: Sequence[Mapping[str, object]] | None = None


class PartsSource(ArraySource):
    """The parts one after the other, which must be ordered by split. A record is named after its file and its place."""

    def __init__(
        self, tree: Tree, parts: Sequence[Part], *, layout: str, used: Sequence[str], classes: tuple[str, ...] = ()
    ) -> None:
        sizes = {part.shape[1:] for part in parts}
        if len(sizes) > 1:
            found = ", ".join(f"{part.name}: {'x'.join(map(str, part.shape[1:]))}" for part in parts)
            raise DataError(f"the images are not of one size ({found}); keep sets of different sizes in folders apart")
        records = [record for part in parts for record in _records(part)]
        super().__init__(records, layout=layout, classes=classes, findings=tree.findings)
        self.shape = sizes.pop()
        self._tree, self._parts, self._used = tree, parts, used

    def blocks(self) -> Iterator[np.ndarray]:
        for part in self._parts:
            yield from part.blocks()

    def read(self, index: int) -> np.ndarray:
        """Image `index`. The first call loads all images into memory; `blocks` does not."""
        return self._images[index]

    @cached_property
    def _images(self) -> np.ndarray:
        return np.concatenate(list(self.blocks()))

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.layout} {self._tree.hash_files(self._used)}".encode()).hexdigest()


def _records(part: Part) -> Iterator[Record]:
    labels = part.labels if part.labels is not None else [None] * part.shape[0]
    for index, label in enumerate(labels):
        attributes = part.attributes[index] if part.attributes else None
        yield Record(f"{part.name}#{index:06d}", part.split, label, attributes=attributes)


def steps(count: int, row: int) -> Iterator[int]:
    """`count` rows of `row` bytes, as the numbers of rows that are read at a time."""
    most = min(MOST_ROWS, max(1, BLOCK_BYTES // max(1, row)))
    for start in range(0, count, most):
        yield min(most, count - start)


def check_size(height: int, width: int, name: str) -> None:
    """Raise DataError for images that no file of arrays sensibly holds."""
    if max(height, width) > MAX_SIDE:
        raise DataError(f"{name!r} says that its images are {height}x{width}; at most {MAX_SIDE} a side are read")


def check_length(file: BinaryIO, count: int, name: str) -> None:
    """Read through `count` bytes, so that a header cannot promise more images than there are. Raises BadImage."""
    while count > 0:
        count -= len(read_exactly(file, min(count, 1 << 20), name))


def read_exactly(file: BinaryIO, count: int, name: str) -> bytes:
    """`count` bytes of a file. Raises BadImage when it ends before."""
    try:
        data = file.read(count)
    except OSError as error:
        raise BadImage(f"{name!r} cannot be read: {error}") from error
    if len(data) != count:
        raise BadImage(f"{name!r} ends too early: it should have {count - len(data)} bytes more; fetch it again")
    return data


def class_names(values: np.ndarray) -> list[str]:
    """Labels (N,) or (N, 1) of whole numbers or text as class names; one string object per class."""
    distinct, inverse = np.unique(values.reshape(-1), return_inverse=True)
    names = [str(value) for value in distinct.tolist()]
    return [names[place] for place in inverse.tolist()]
