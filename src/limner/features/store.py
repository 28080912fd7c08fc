"""Features on the disk, by content: what was computed once is not computed again, and is read without own memory.

    <home>/features/<key>/pooled.npy     (N, D) float32
                          logits.npy     (N, K) float32, where the network has classes
    <home>/statistics/<key>/<part>.npy   what was computed from features, such as their moments

The key holds the hash of the weights, the resize, the precision and the digest of the images. shelf.py says why the
cache can be deleted, cut short or written by several processes at any time. Without a disk to write to, features are
kept in memory.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..data.cache import home as cache_home
from ..errors import DataError
from . import shelf
from .extractor import Extractor, Features
from .spread import spread

FORMAT = 1  # raise it whenever the same images would give other features
_POOLED, _LOGITS = "pooled.npy", "logits.npy"


def features_of(
    extractor: Extractor,
    chunks: Iterable[np.ndarray],
    *,
    count: int,
    key: str,
    processes: int = 1,
    home: Path | None = None,
) -> Features:
    """Features of images that come in parts, from the disk where they are there; mapped from a file.

    chunks      uint8 (B, H, W, C) each; not touched when the features are there
    count       of the images, in all
    key         digest of their pixels
    processes   that share the work; the features are the same
    home        of the cache; None for the usual one

    Raises DataError when the chunks do not hold `count` images.
    """
    folder = (home or cache_home()) / "features" / _key(extractor, key)
    if (found := _mapped(folder, extractor, count)) is not None:
        return found
    with shelf.draft(folder) as draft:
        pooled = _Rows(draft, _POOLED, (count, extractor.dimension))
        logits = _Rows(draft, _LOGITS, (count, extractor.classes)) if extractor.classes else None
        for part in spread(extractor, chunks, processes=processes):
            pooled.add(part.pooled)
            if logits is not None and part.logits is not None:
                logits.add(part.logits)
        if pooled.filled != count:
            raise DataError(f"{count:,} images were said to come, but {pooled.filled:,} did")
        made = Features(pooled.finished(), logits.finished() if logits is not None else None)
        if draft is not None and pooled.on_disk and (logits is None or logits.on_disk):
            made = _published(draft, folder, made)
        return made


def statistics_of(
    extractor: Extractor,
    make: Callable[[], Mapping[str, np.ndarray]],
    *,
    key: str,
    name: str,
    home: Path | None = None,
) -> dict[str, np.ndarray]:
    """Arrays that were computed from features, from the disk where they are there, else made and kept.

    make   computes them, by names that can be names of files, such as `lambda: Moments.of(features.pooled).state()`
    key    digest of the images
    name   of what they are; name a version in it when the computation changes
    """
    folder = (home or cache_home()) / "statistics" / _key(extractor, f"{name} {key}")
    if (found := _arrays(folder)) is not None:
        return found
    made = dict(make())
    with shelf.draft(folder) as draft:
        if draft is not None:
            with suppress(OSError):  # no room for it: it works without
                for part, array in made.items():
                    shelf.append(draft / f"{part}.npy", _packed(array))
                shelf.publish(draft, folder)
    return made


def blocks(matrix: np.ndarray, size: int = 1024) -> Iterator[np.ndarray]:
    """The rows in order, `size` at a time, as arrays in memory.

    A mapped matrix is read from its file: pages that are touched through the map would stay in memory one and all.
    """
    width = matrix.shape[1]
    for start in range(0, len(matrix), size):
        count = min(size, len(matrix) - start)
        if isinstance(matrix, np.memmap) and matrix.filename is not None:
            place = matrix.offset + start * width * matrix.itemsize
            yield np.fromfile(matrix.filename, matrix.dtype, count * width, offset=place).reshape(count, width)
        else:
            yield matrix[start : start + count]


class _Rows:
    """A matrix that is filled from the top: in a file as long as the disk takes it, else in memory."""

    def __init__(self, folder: Path | None, name: str, shape: tuple[int, int]) -> None:
        self.shape, self.filled = shape, 0
        self._path = folder / name if folder is not None and 0 not in shape else None  # nothing cannot be mapped
        self._memory: np.ndarray | None = None
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        self._start = header.tell()  # of the first row in the file
        self._append(header.getvalue())

    @property
    def on_disk(self) -> bool:
        return self._memory is None

    def add(self, rows: np.ndarray) -> None:
        """Put rows below those that are there. Raises DataError when they do not fit."""
        if self.filled + len(rows) > self.shape[0] or rows.shape[1:] != self.shape[1:]:
            raise DataError(f"rows {rows.shape} after {self.filled:,} others do not fit {self.shape}; count the images")
        self._append(np.ascontiguousarray(rows, "<f4").data)
        if self._memory is not None:
            self._memory[self.filled : self.filled + len(rows)] = rows
        self.filled += len(rows)

    def finished(self) -> np.ndarray:
        """The matrix, mapped where it is in a file."""
        if self._memory is not None:
            return self._memory
        assert self._path is not None
        return np.memmap(self._path, "<f4", "r", self._start, self.shape)

    def _append(self, data: bytes | memoryview) -> None:
        """To the file, while there is one that takes it."""
        if self._memory is not None:
            return
        try:
            if self._path is None:
                raise OSError("there is no disk")
            shelf.append(self._path, data)
        except OSError:
            self._to_memory()

    def _to_memory(self) -> None:
        """The disk takes no more: go on in memory, with what it has taken. Raises OSError when that is lost."""
        self._memory = np.empty(self.shape, np.float32)
        if self._path is not None and self.filled:
            taken = np.fromfile(self._path, "<f4", self.filled * self.shape[1], offset=self._start)
            self._memory[: self.filled] = taken.reshape(self.filled, -1)


def _key(extractor: Extractor, key: str) -> str:
    facts = (extractor.name, extractor.sha256, extractor.dimension, extractor.classes)
    return hashlib.sha256(repr((FORMAT, *facts, extractor.resize, extractor.precision, key)).encode()).hexdigest()


def _mapped(folder: Path, extractor: Extractor, count: int) -> Features | None:
    """The features in a folder, or None when they are not there, not whole, or of other shapes."""
    if not shelf.whole(folder):
        return None
    try:
        found = _opened(folder, logits=extractor.classes > 0)
    except (OSError, ValueError):
        return None
    return found if found.pooled.shape == (count, extractor.dimension) else None


def _opened(folder: Path, *, logits: bool) -> Features:
    """The files of a folder, mapped. Raises OSError or ValueError when they are not such files."""

    def opened(name: str) -> np.ndarray:
        return np.load(folder / name, mmap_mode="r", allow_pickle=False)

    return Features(opened(_POOLED), opened(_LOGITS) if logits else None)


def _published(draft: Path, folder: Path, made: Features) -> Features:
    """The same features under their name. Where that fails they are taken to memory, as the draft goes away."""
    try:
        shelf.publish(draft, folder)
        return _opened(folder, logits=made.logits is not None)
    except (OSError, ValueError):
        return Features(np.array(made.pooled), None if made.logits is None else np.array(made.logits))


def _packed(array: np.ndarray) -> memoryview:
    """An array as a .npy file has it."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getbuffer()


def _arrays(folder: Path) -> dict[str, np.ndarray] | None:
    if not shelf.whole(folder):
        return None
    try:
        return {path.stem: np.load(path, allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
    except (OSError, ValueError):
        return None
