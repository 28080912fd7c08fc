"""Arrays in .npz files: `images` (or `x`, `arr_0`) with `labels` (or `y`, `arr_1`), or a pair per split.

Images are (N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1, 3 or 4. Numbers become uint8 like this:

    bool                           0 and 255
    whole numbers in 0 … 255       as they are
    floats in [0, 1]               times 255
    floats in [-1, 1]              (x + 1) times 127.5
    floats in [0, 255]             rounded

Arrays of objects would need unpickling and are refused.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ...errors import DataError
from .arrays import Part, PartsSource, check_length, check_size, class_names, read_exactly, steps
from .base import SPLITS
from .tree import Tree

_IMAGES = ("images", "x", "arr_0")
_LABELS = ("labels", "label", "y", "arr_1")
_CHANNELS = (1, 3, 4)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class _Scale:
    """uint8 = round((x + shift) * factor)."""

    shift: float = 0.0
    factor: float = 1.0

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        if numbers.dtype == np.uint8:
            return numbers
        if numbers.dtype.kind in "biu":
            return (numbers.astype(np.int64) * int(self.factor)).astype(np.uint8)
        return np.rint((numbers.astype(np.float64) + self.shift) * self.factor).astype(np.uint8)


def find_npz(tree: Tree) -> list[str]:
    """The .npz files of a tree."""
    return [name for name in tree.names if name.lower().endswith(".npz")]


def open_npz(tree: Tree, files: list[str]) -> PartsSource:
    """Records of the image arrays of .npz files."""
    parts = [part for name in files for part in _parts(tree, name)]
    parts.sort(key=lambda part: SPLITS.index(part.split))
    return PartsSource(tree, parts, layout="npz", used=files)


def _parts(tree: Tree, name: str) -> list[Part]:
    with _archive(tree, name) as archive:
        keys = [entry.removesuffix(".npy") for entry in archive.namelist()]
    parts = [
        _part(tree, name, split, images, labels)
        for split in SPLITS
        if (images := _key(keys, split, _IMAGES))
        for labels in [_key(keys, split, _LABELS)]
    ]
    if not parts and (images := next((key for key in _IMAGES if key in keys), None)):
        labels = next((key for key in _LABELS if key in keys), None)
        parts = [_part(tree, name, "train", images, labels)]
    if not parts:
        raise DataError(
            f"{name!r} holds {', '.join(keys) or 'nothing'}, and no images; name the array images, x or arr_0, "
            "or train_images and test_images"
        )
    return parts


def _key(keys: list[str], split: str, wanted: tuple[str, ...]) -> str | None:
    """train_x, x_train, train_images … as they are in the file."""
    spelled = [f"{split}_{word}" for word in wanted] + [f"{word}_{split}" for word in wanted]
    return next((key for key in spelled if key in keys), None)


def _part(tree: Tree, name: str, split: str, images: str, labels: str | None) -> Part:
    with _array(tree, name, images) as (file, stored, dtype):
        shape, planes_first = _image_shape(stored, name, images)
        check_size(shape[1], shape[2], name)
        check_length(file, math.prod(shape) * dtype.itemsize, name)
    scale = _scale(tree, name, images, dtype)
    named = _labels(tree, name, labels) if labels else None
    if named is not None and len(named) != shape[0]:
        raise DataError(f"{name!r} has {shape[0]} images in {images!r} but {len(named)} labels in {labels!r}")

    def blocks() -> Iterator[np.ndarray]:
        for numbers in _numbers(tree, name, images):
            numbers = numbers.transpose(0, 2, 3, 1) if planes_first else numbers
            yield scale(numbers).reshape(-1, *shape[1:])

    return Part(f"{name}/{images}", split, shape, blocks, named)


def _image_shape(shape: tuple[int, ...], name: str, key: str) -> tuple[tuple[int, int, int, int], bool]:
    """((N, H, W, C), whether it is stored as (N, C, H, W))."""
    if len(shape) == 3 and min(shape) > 0:
        return (*shape, 1), False
    if len(shape) == 4 and min(shape) > 0:
        count, *rest = shape
        if rest[2] in _CHANNELS:
            return (count, rest[0], rest[1], rest[2]), False
        if rest[0] in _CHANNELS:
            return (count, rest[1], rest[2], rest[0]), True
    raise DataError(
        f"{key!r} of {name!r} has the shape {shape}; images are (count, height, width) or with 1, 3 or 4 channels"
    )


def _scale(tree: Tree, name: str, key: str, dtype: np.dtype) -> _Scale:
    """How the numbers of an array become uint8, from their range."""
    if dtype == np.uint8:
        return _Scale()
    if dtype.kind == "b":
        return _Scale(factor=255)
    if dtype.kind not in "iuf":
        raise DataError(f"{key!r} of {name!r} holds {dtype}; images are uint8, or floats in [0, 1] or [-1, 1]")
    ranges = [(float(block.min()), float(block.max())) for block in _numbers(tree, name, key)]
    low, high = float(np.min([low for low, _ in ranges])), float(np.max([high for _, high in ranges]))
    if dtype.kind == "f" and 0 <= low and high <= 1:
        return _Scale(factor=255)
    if dtype.kind == "f" and -1 <= low and high <= 1:
        return _Scale(shift=1, factor=127.5)
    if 0 <= low and high <= 255:
        return _Scale()
    raise DataError(
        f"{key!r} of {name!r} holds {dtype} from {low:g} to {high:g}; scale it to 0 … 255, [0, 1] or [-1, 1]"
    )


def _labels(tree: Tree, name: str, key: str) -> list[str]:
    with _array(tree, name, key) as (_, shape, dtype):
        pass
    if not shape or dtype.kind not in "iubUS" or math.prod(shape) != shape[0]:
        raise DataError(f"{key!r} of {name!r} is {dtype} {shape}; labels are one whole number or text per image")
    return class_names(np.concatenate(list(_numbers(tree, name, key))))


@contextmanager
def _archive(tree: Tree, name: str) -> Iterator[zipfile.ZipFile]:
    """The .npz as the zip archive that it is. Damage becomes a DataError."""
    with tree.open(name) as raw:
        try:
            with zipfile.ZipFile(raw) as archive:
                yield archive
        except _DAMAGE as error:
            raise DataError(f"{name!r} is not an intact .npz file: {error}") from error


@contextmanager
def _array(tree: Tree, name: str, key: str) -> Iterator[tuple[BinaryIO, tuple[int, ...], np.dtype]]:
    """(file at the first number, shape, type) of one array."""
    with _archive(tree, name) as archive, archive.open(f"{key}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        if dtype.hasobject:
            raise DataError(f"{key!r} of {name!r} is an array of objects, which is never opened; save plain numbers")
        if by_columns and len(shape) > 1:
            raise DataError(f"{key!r} of {name!r} is stored by columns; save np.ascontiguousarray of it")
        yield file, shape, dtype  # type: ignore[misc]


def _numbers(tree: Tree, name: str, key: str) -> Iterator[np.ndarray]:
    """The rows of an array, some hundreds at a time."""
    with _array(tree, name, key) as (file, shape, dtype):
        row = math.prod(shape[1:]) * dtype.itemsize
        for count in steps(shape[0], row):
            data = read_exactly(file, count * row, name)
            yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
