"""CIFAR-10 and CIFAR-100 in their binary version. The Python version is a pickle, which could run any code: refused.

A record is its label (CIFAR-100: the superclass, then the class), 1 byte each, and 3 x 32 x 32 bytes, red plane first.
Source: https://www.cs.toronto.edu/~kriz/cifar.html, "binary version".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import numpy as np

from ...errors import BadImage, DataError
from .arrays import Part, PartsSource, class_names, read_exactly, steps
from .base import SPLITS
from .tree import Tree

_PIXELS = 3 * 32 * 32
_TEN = {**{f"data_batch_{number}.bin": "train" for number in range(1, 6)}, "test_batch.bin": "test"}
_HUNDRED = {"train.bin": "train", "test.bin": "test"}
_PICKLED = {*(name.removesuffix(".bin") for name in _TEN), "train", "test", "meta", "batches.meta"}


def find_cifar(tree: Tree) -> list[str]:
    """The binary batches in a tree. Raises DataError where there are only pickled ones."""
    bases = {posixpath.basename(name): name for name in tree.names}
    for kind in (_TEN, _HUNDRED):
        if batches := [bases[base] for base in kind if base in bases]:
            return batches
    pickled = [bases[base] for base in sorted(_PICKLED) if base in bases and _is_pickle(tree, bases[base])]
    if pickled:
        raise DataError(
            f"{pickled[0]!r} is a Python pickle, which could run any code and is never opened; "
            "use the binary version, cifar-10-binary.tar.gz or cifar-100-binary.tar.gz, from the same page"
        )
    return []


def open_cifar(tree: Tree, batches: list[str]) -> PartsSource:
    """Records of CIFAR's binary batches; the superclasses of CIFAR-100 become an attribute."""
    hundred = posixpath.basename(batches[0]) in _HUNDRED
    names = _names(tree, "fine_label_names.txt" if hundred else "batches.meta.txt")
    coarse = _names(tree, "coarse_label_names.txt") if hundred else []
    parts = [_part(tree, batch, names, coarse, heads=2 if hundred else 1) for batch in batches]
    parts.sort(key=lambda part: SPLITS.index(part.split))
    used = batches + [name for name in tree.names if name.endswith(("_names.txt", "batches.meta.txt"))]
    return PartsSource(tree, parts, layout=f"CIFAR-{100 if hundred else 10} binary", used=used, classes=tuple(names))


def _part(tree: Tree, batch: str, names: list[str], coarse: list[str], heads: int) -> Part:
    """One batch file; `heads` bytes of labels come before the pixels of each record."""
    data = np.frombuffer(tree.read(batch), np.uint8)
    if not len(data) or len(data) % (heads + _PIXELS):
        raise DataError(f"{batch!r} has {len(data)} bytes, not a multiple of {heads + _PIXELS}; fetch it again")
    rows = data.reshape(-1, heads + _PIXELS)
    labels = _named(rows[:, heads - 1], names, batch)
    attributes = [{"superclass": name} for name in _named(rows[:, 0], coarse, batch)] if heads == 2 else None
    split = {**_TEN, **_HUNDRED}[posixpath.basename(batch)]
    shape = (len(rows), 32, 32, 3)
    return Part(batch, split, shape, lambda: _blocks(tree, batch, heads, len(rows)), labels, attributes)


def _blocks(tree: Tree, batch: str, heads: int, count: int) -> Iterator[np.ndarray]:
    with tree.open(batch) as file:
        for rows in steps(count, heads + _PIXELS):
            data = np.frombuffer(read_exactly(file, rows * (heads + _PIXELS), batch), np.uint8)
            planes = data.reshape(rows, heads + _PIXELS)[:, heads:].reshape(rows, 3, 32, 32)
            yield planes.transpose(0, 2, 3, 1)


def _named(values: np.ndarray, names: list[str], batch: str) -> list[str]:
    if names and values.max() >= len(names):
        raise DataError(f"{batch!r} has the label {values.max()}, but only {len(names)} classes are named")
    return [names[value] for value in values.tolist()] if names else class_names(values)


def _names(tree: Tree, base: str) -> list[str]:
    """The lines of a file of class names, or [] when it is not there."""
    found = next((name for name in tree.names if posixpath.basename(name) == base), None)
    return tree.read(found).decode("utf-8", "replace").split() if found else []


def _is_pickle(tree: Tree, name: str) -> bool:
    try:
        with tree.open(name) as file:
            start = file.read(2)
    except BadImage:
        return False
    return len(start) == 2 and start[0] == 0x80 and start[1] <= 5
