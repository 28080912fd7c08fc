"""CelebA: list_attr_celeba.txt with 40 attributes of -1 or 1 per image, and list_eval_partition.txt with its split.

Images are found by their file name in whatever folder, usually img_align_celeba/.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

import numpy as np

from ...errors import DataError
from ..names import few
from .base import SPLITS, Findings, Record
from .folder import FileSource, by_split, image_names
from .tree import Tree

TABLE, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"


class Row(Mapping[str, int]):
    """One row of a table of numbers: a view, because 200,000 dictionaries of 40 would take a gigabyte."""

    __slots__ = ("_columns", "_numbers")

    def __init__(self, columns: dict[str, int], numbers: np.ndarray) -> None:
        self._columns, self._numbers = columns, numbers

    def __getitem__(self, column: str) -> int:
        return int(self._numbers[self._columns[column]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def find(tree: Tree, base: str) -> str | None:
    """The full name of a file in whatever folder."""
    return next((name for name in tree.names if posixpath.basename(name) == base), None)


def open_celeba(tree: Tree, table: str) -> FileSource:
    """Records of CelebA's table, with its splits where the partition file is there; else everything is train."""
    findings = tree.findings
    images = {posixpath.basename(name): name for name in image_names(tree, findings)}
    names, columns, numbers = _read_table(tree, table)
    partition = find(tree, PARTITION)
    splits = _read_partition(tree, partition) if partition else {}
    records = []
    for row, name in enumerate(names):
        if name in images:
            split = splits.get(name, "train")
            records.append(Record(images.pop(name), split, attributes=Row(columns, numbers[row])))
        else:
            findings.rows_without_file.append(name)
    _note_left_out(list(images.values()), findings)
    others = [table, partition] if partition else [table]
    return FileSource(tree, by_split(records), layout="CelebA", findings=findings, others=others)


def _note_left_out(images: list[str], findings: Findings) -> None:
    findings.files_without_row += images
    if images:
        findings.warnings.append(f"{len(images)} images have no row in {TABLE} and were left out: {few(images)}")


def _read_table(tree: Tree, table: str) -> tuple[list[str], dict[str, int], np.ndarray]:
    """(file names, column -> place, (N, columns) int8)."""
    lines = tree.read(table).decode("utf-8", "surrogateescape").split("\n")
    columns = {column: place for place, column in enumerate(lines[1].split() if len(lines) > 1 else [])}
    rows = [line.split() for line in lines[2:] if line.strip()]
    wrong = next((row for row in rows if len(row) != len(columns) + 1), None)
    if not columns or wrong:
        found = f"{wrong[0]!r} has {len(wrong) - 1} values" if wrong else "there is no line of names"
        raise DataError(f"{table!r} is not CelebA's table: its second line names {len(columns)} columns, but {found}")
    try:
        numbers = np.array([row[1:] for row in rows]).astype(np.int8).reshape(len(rows), len(columns))
    except (ValueError, OverflowError) as error:
        raise DataError(f"{table!r} holds something else than -1 and 1: {error}") from error
    return [row[0] for row in rows], columns, numbers


def _read_partition(tree: Tree, name: str) -> dict[str, str]:
    splits = dict(zip(("0", "1", "2"), SPLITS, strict=True))
    pairs = (line.split() for line in tree.read(name).decode("utf-8", "surrogateescape").split("\n"))
    return {pair[0]: splits[pair[1]] for pair in pairs if len(pair) == 2 and pair[1] in splits}
