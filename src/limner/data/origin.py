"""What a path names: a built-in data set, a folder, an archive, or one file."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from ..errors import DataError
from .sources import FolderTree, Record, Source, Tree, open_source
from .sources.folder import by_split
from .sources.idx import companions
from .sources.tar import TarTree, is_tar

_OTHER_ARCHIVES = (".zip", ".7z", ".rar", ".tar.bz2", ".tar.xz", ".tar.zst")


class Origin(Protocol):
    """Where a data set comes from.

    stat_key   hex key that costs little and changes when the data may have changed; None when there is no such
    source     the records; made when first asked for
    """

    name: str
    stat_key: str | None

    @property
    def source(self) -> Source: ...


class FileOrigin:
    """A folder, an archive or a file."""

    def __init__(self, path: Path) -> None:
        self.name = path.resolve().name or str(path)
        self._path, self._tree = path, tree_of(path)
        self.stat_key: str | None = self._tree.stat_key()

    @cached_property
    def source(self) -> Source:
        source = open_source(self._tree)
        if not source.records:
            skipped = ", ".join(f"{count} {reason}" for reason, count in source.findings.skipped.items())
            raise DataError(
                f"no images in {str(self._path)!r} (passed over: {skipped or 'nothing'}); "
                "PNG, JPEG, WebP, BMP, GIF and TIFF files are read, IDX, CIFAR binaries and .npz"
            )
        return source


class BuiltinSource(Source):
    """A built-in data set in the order that the rest of this package relies on: split by split."""

    def __init__(self, inner: Source) -> None:
        order = {id(record): index for index, record in enumerate(inner.records)}
        records: list[Record] = by_split(list(inner.records))
        super().__init__(records, layout=inner.layout, classes=inner.classes, attribution=inner.attribution)
        self._inner, self._places = inner, [order[id(record)] for record in records]
        self._lock = Lock()

    def read(self, index: int) -> bytes | np.ndarray:
        with self._lock:  # drawing from a font is not safe in several threads
            return self._inner.read(self._places[index])

    def fingerprint(self) -> str:
        return self._inner.fingerprint()


class BuiltinOrigin:
    """`builtin:NAME`."""

    stat_key: str | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def source(self) -> Source:
        from .builtin import source

        return BuiltinSource(source(self.name))


def origin_of(path: str | Path) -> Origin:
    """What `path` names. Raises DataError when it names nothing that can be read."""
    if str(path).startswith("builtin:"):
        return BuiltinOrigin(str(path))
    return FileOrigin(Path(path).expanduser())


def tree_of(path: Path) -> Tree:
    """The files of a folder, of an archive, or one file and those that belong to it."""
    if path.is_dir():
        return FolderTree(path)
    if path.is_file():
        if path.name.lower().endswith(_OTHER_ARCHIVES):
            raise DataError(f"{str(path)!r} is an archive that is not read; unpack it, or pack it as .tar or .tar.gz")
        if is_tar(path):
            return TarTree(path)
        return FolderTree(path.parent, only=[path.name, *companions(path.name, _beside(path))])
    if not os.path.lexists(path):
        raise DataError(f"there is no {str(path)!r}; give a folder of images, an archive, or builtin:openmoji")
    raise DataError(f"{str(path)!r} is neither a file nor a folder")


def _beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return []
