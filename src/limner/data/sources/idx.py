"""IDX files, as MNIST comes: train-images-idx3-ubyte and train-labels-idx1-ubyte, gzipped or not.

A file is 4 bytes (two zeros, the type of number, the number of dimensions), then the dimensions as big-endian 32-bit
numbers, then the numbers. Source: http://yann.lecun.com/exdb/mnist/, "the IDX file format".
"""

from __future__ import annotations

import gzip
import math
import posixpath
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from ...errors import DataError
from .arrays import Part, PartsSource, check_length, check_size, class_names, read_exactly, steps
from .base import SPLITS
from .tree import Tree

_NAME = re.compile(r"(?P<stem>.*?)[-._]?(?P<what>images|labels)[-._]idx[1-4][-._]ubyte(\.gz)?", re.IGNORECASE)
_UNSIGNED_BYTE = 0x08


def find_idx(tree: Tree) -> list[str]:
    """The image files of IDX sets in a tree."""
    return [name for name in tree.names if (match := _match(name)) and match["what"].lower() == "images"]


def companions(name: str, beside: list[str]) -> list[str]:
    """The label files among `beside` that belong to the image file `name`."""
    match = _match(name)
    return [other for other in beside if match and (found := _match(other)) and _is_pair(match, found)]


def open_idx(tree: Tree, images: list[str]) -> PartsSource:
    """Records of IDX image files, each with the labels that lie beside it."""
    parts, used = [], []
    for name in images:
        labels = next(iter(companions(name, tree.names)), None)
        used += [name, labels] if labels else [name]
        parts.append(_part(tree, name, labels))
    parts.sort(key=lambda part: SPLITS.index(part.split))
    return PartsSource(tree, parts, layout="IDX", used=used)


def _match(name: str) -> re.Match[str] | None:
    return _NAME.fullmatch(posixpath.basename(name))


def _is_pair(images: re.Match[str], labels: re.Match[str]) -> bool:
    return labels["what"].lower() == "labels" and labels["stem"] == images["stem"]


def _split(name: str) -> str:
    match = _match(name)
    stem = match["stem"].lower() if match else ""
    if "t10k" in stem or "test" in stem:
        return "test"
    return "val" if "val" in stem else "train"


def _part(tree: Tree, name: str, labels_name: str | None) -> Part:
    with _opened(tree, name) as file:
        shape = _image_shape(_header(file, name), name)
        check_length(file, math.prod(shape), name)
    labels = None
    if labels_name:
        labels = _labels(tree, labels_name)
        if len(labels) != shape[0]:
            raise DataError(f"{name!r} has {shape[0]} images but {labels_name!r} {len(labels)} labels")
    return Part(name, _split(name), shape, lambda: _blocks(tree, name, shape), labels)


def _blocks(tree: Tree, name: str, shape: tuple[int, int, int, int]) -> Iterator[np.ndarray]:
    row = math.prod(shape[1:])
    with _opened(tree, name) as file:
        _header(file, name)
        for count in steps(shape[0], row):
            data = read_exactly(file, count * row, name)
            yield np.frombuffer(data, np.uint8).reshape(count, *shape[1:])


def _labels(tree: Tree, name: str) -> list[str]:
    with _opened(tree, name) as file:
        shape = _header(file, name)
        if len(shape) != 1:
            raise DataError(f"{name!r} has {len(shape)} dimensions; labels have one")
        return class_names(np.frombuffer(read_exactly(file, shape[0], name), np.uint8))


@contextmanager
def _opened(tree: Tree, name: str) -> Iterator[BinaryIO]:
    """The file, unpacked while it is read where it is gzipped. Damage becomes a DataError."""
    with tree.open(name) as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            yield gzip.GzipFile(fileobj=raw) if gzipped else raw  # type: ignore[misc]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{name!r} is damaged: {error}; fetch it again") from error


def _header(file: BinaryIO, name: str) -> tuple[int, ...]:
    """The dimensions; the file stands at the first number after it."""
    zeros, kind, dimensions = struct.unpack(">HBB", read_exactly(file, 4, name))
    if zeros or kind != _UNSIGNED_BYTE or not 1 <= dimensions <= 4:
        raise DataError(
            f"{name!r} is not an IDX file of unsigned bytes: it begins {zeros:04x} {kind:02x} {dimensions:02x}"
        )
    return struct.unpack(f">{dimensions}I", read_exactly(file, 4 * dimensions, name))


def _image_shape(shape: tuple[int, ...], name: str) -> tuple[int, int, int, int]:
    """(N, H, W, C) of an image file's dimensions."""
    if len(shape) == 3:
        shape = (*shape, 1)
    if len(shape) != 4 or shape[3] not in (1, 3, 4) or not all(0 < size < 1 << 31 for size in shape):
        raise DataError(
            f"{name!r} has dimensions {shape}; images are (count, height, width) or with 1, 3 or 4 channels last"
        )
    check_size(shape[1], shape[2], name)
    return shape[0], shape[1], shape[2], shape[3]
