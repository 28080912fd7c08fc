"""Where images come from: one file per layout. `open_source` finds out which layout a tree of files has."""

from __future__ import annotations

from .base import SPLITS, ArraySource, Findings, Record, Source
from .celeba import TABLE, find, open_celeba
from .cifar import find_cifar, open_cifar
from .folder import has_images, open_folder
from .idx import find_idx, open_idx
from .metadata import find_tables, open_metadata
from .npz import find_npz, open_npz
from .tar import TarTree
from .tree import FolderTree, Tree

__all__ = ["SPLITS", "ArraySource", "Findings", "FolderTree", "Record", "Source", "TarTree", "Tree", "open_source"]


def open_source(tree: Tree) -> Source:
    """The records of a tree of files, by the first layout that fits: tables, then files of arrays, then folders."""
    if table := find(tree, TABLE):
        return open_celeba(tree, table)
    if tables := find_tables(tree):
        return open_metadata(tree, tables)
    if images := find_idx(tree):
        return open_idx(tree, images)
    if batches := find_cifar(tree):
        return open_cifar(tree, batches)
    if not has_images(tree) and (files := find_npz(tree)):
        return open_npz(tree, files)
    return open_folder(tree)
