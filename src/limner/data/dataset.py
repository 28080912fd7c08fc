"""An opened data set: decoded images in one array, and what is known of each."""

from __future__ import annotations

import hashlib
import mmap
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..types import DataSpec
from .names import few
from .pairing import Pairing
from .report import LoadReport

RESIDENT = 256 << 20  # bytes; larger sets are read row by row, which is slower but takes no memory


@dataclass
class RawBatch:
    """A batch as it lies in the cache.

    image        (B, H, W, C)   uint8
    label        (B,)           int64; -1 where unknown; None when the data has no classes
    attributes   (B, A)         float32; None when the data has no attributes
    known        (B, A)         bool
    text         B strings; None when the data has no captions
    source       (B, h, w, c)   uint8, or float32 in the same units; None when nothing goes in
    code         (B, ...)       what the model made of each image before the run; None without
    """

    image: np.ndarray
    label: np.ndarray | None = None
    attributes: np.ndarray | None = None
    known: np.ndarray | None = None
    text: list[str] | None = None
    source: np.ndarray | None = None
    code: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.image)


@dataclass
class Tables:
    """What is known of each image, row by row, besides its pixels.

    labels       (N,)     int64, -1 where unknown
    attributes   (N, A)   float32, encoded as types.Attribute describes
    known        (N, A)   bool
    captions     one tuple per row, or an empty list when there are none at all
    """

    ids: list[str]
    labels: np.ndarray
    attributes: np.ndarray
    known: np.ndarray
    captions: list[tuple[str, ...]]

    def rows(self, start: int, stop: int) -> Tables:
        """Rows start to stop of every part."""
        cut = slice(start, stop)
        return Tables(self.ids[cut], self.labels[cut], self.attributes[cut], self.known[cut], self.captions[cut])

    def take(self, rows: np.ndarray) -> Tables:
        """The rows of those numbers, in that order."""
        ids, captions = ([part[row] for row in rows] if part else [] for part in (self.ids, self.captions))
        return Tables(ids, self.labels[rows], self.attributes[rows], self.known[rows], captions)


class Pixels:
    """Decoded images (N, H, W, C) uint8, read-only: a part of a file, or an array in memory."""

    def __init__(self, where: Path | np.ndarray, shape: tuple[int, int, int, int], first: int = 0) -> None:
        self._where, self._shape, self._first = where, shape, first
        self._open()

    def _open(self) -> None:
        rows = self._shape[0]
        self._row = int(np.prod(self._shape[1:]))  # bytes
        self._handle: int | None = None
        if not isinstance(self._where, Path):
            self.images = self._where[self._first : self._first + rows]
            return
        file = self._where.open("rb")
        weakref.finalize(self, file.close)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.images = np.frombuffer(mapped, np.uint8, rows * self._row, self._first * self._row).reshape(self._shape)
        if self.images.nbytes > RESIDENT and hasattr(os, "pread"):
            self._handle = file.fileno()

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """(B, H, W, C) copies of the rows at `indices`."""
        if self._handle is None:
            return self.images[indices]
        # a mapped page, and whatever the kernel maps around it, counts as this process's memory; what is read does not
        places = ((indices + self._first) * self._row).tolist()
        rows = bytearray().join([os.pread(self._handle, self._row, place) for place in places])
        return np.frombuffer(rows, np.uint8).reshape(len(indices), *self._shape[1:])

    def __getstate__(self) -> dict[str, Any]:
        return {"where": self._where, "shape": self._shape, "first": self._first}  # a loader's process opens it anew

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._where, self._shape, self._first = state["where"], state["shape"], state["first"]
        self._open()


class Dataset:
    """One split of a data set, or all of it.

    images       (N, H, W, C)   uint8, read-only, mapped from the cache; where patches are cut, those of the middle
    labels       (N,)           int64, -1 where unknown
    attributes   (N, A)         float32, encoded as types.Attribute describes
    known        (N, A)         bool
    captions     N tuples of strings; an empty list when there are none at all
    ids          N names
    digest       hex key of the pixels and of what is known of them, not of where they lie or how they were read:
                 equal digests mean equal data
    """

    def __init__(
        self, pixels: Pixels, tables: Tables, *, spec: DataSpec, name: str, digest: str, report: LoadReport
    ) -> None:
        self._pixels = pixels
        self.spec, self.name, self.digest, self.report = spec, name, digest, report
        self.ids, self.labels, self.captions = tables.ids, tables.labels, tables.captions
        self.attributes, self.known = tables.attributes, tables.known
        self._tables = tables
        self._chosen: np.ndarray | None = None  # rows of the pixels, where not all of them in order
        self.pairing: Pairing | None = None

    @property
    def images(self) -> np.ndarray:
        images = self._pixels.images if self._chosen is None else self._pixels.images[self._chosen]
        return images if self.pairing is None else self.pairing.middle(images)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, rows: np.ndarray) -> Dataset:
        """The images of those numbers, in that order."""
        chosen = rows if self._chosen is None else self._chosen[rows]
        digest = hashlib.sha256(f"{self.digest} {rows.tolist()}".encode()).hexdigest()
        part = Dataset(
            self._pixels, self._tables.take(rows), spec=self.spec, name=self.name, digest=digest, report=self.report
        )
        part._chosen, part.pairing = chosen, self.pairing
        return part

    def of_class(self, name: str) -> Dataset:
        """The images of one class; raises DataError when there is none of that name."""
        if name not in self.spec.classes:
            has = f"its classes are {few(list(self.spec.classes), 12)}" if self.spec.classes else "it has no classes"
            raise DataError(f"{self.name!r} has no class {name!r}; {has}")
        return self.rows(np.flatnonzero(self.labels == self.spec.classes.index(name)))

    def with_pairing(self, pairing: Pairing) -> Dataset:
        """The same images, each with a source, or as patches, as `pairing` says."""
        partner = "" if pairing.partner is None else pairing.partner.digest
        paired = Dataset(
            self._pixels,
            self._tables,
            spec=pairing.spec(self.spec),
            name=self.name,
            digest=hashlib.sha256(f"{self.digest} {partner}".encode()).hexdigest() if partner else self.digest,
            report=self.report,
        )
        paired._chosen, paired.pairing = self._chosen, pairing
        return paired

    def batch(
        self, indices: np.ndarray, pick: np.ndarray | None = None, draw: np.random.Generator | None = None
    ) -> RawBatch:
        """The rows at `indices` (B,), as copies.

        pick   (B,) in [0, 1): which of its captions each image gets; the first by default
        draw   of what is random in patches and sources; without one they are functions of the rows
        """
        batch = RawBatch(self._pixels.gather(indices if self._chosen is None else self._chosen[indices]))
        if self.pairing is not None:
            batch.image, batch.source = self.pairing.pairs(batch.image, indices, draw)
        if self.spec.classes:
            batch.label = self.labels[indices]
        if self.spec.attributes:
            batch.attributes, batch.known = self.attributes[indices], self.known[indices]
        if self.captions:
            pick = np.zeros(len(indices)) if pick is None else pick
            batch.text = [_picked(self.captions[i], p) for i, p in zip(indices.tolist(), pick.tolist(), strict=True)]
        return batch


def _picked(captions: tuple[str, ...], pick: float) -> str:
    return captions[int(pick * len(captions))] if captions else ""
