"""What every source of images is: a list of records, and a way to read the image of each.

A source knows names, labels, captions and attribute values as they were written; it does not decode, resize, number
the classes or encode the attributes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Record:
    """One image as its source describes it.

    name         unique in the source, and stays with the image; "/" separates folders
    label        the name of its class; None where unknown
    attributes   column name -> value as it was written (a string, number, bool, list or None)
    """

    name: str
    split: str = "train"
    label: str | None = None
    captions: tuple[str, ...] = ()
    attributes: Mapping[str, object] | None = None


@dataclass
class Findings:
    """What was met while the records were listed; it goes into the report.

    skipped             reason -> how many entries were passed over
    rows_without_file   rows of a table that name no image
    files_without_row   images that no row of the table names
    """

    skipped: dict[str, int] = field(default_factory=dict)
    rows_without_file: list[str] = field(default_factory=list)
    files_without_row: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count entries that were passed over for `reason`."""
        self.skipped[reason] = self.skipped.get(reason, 0) + count


class Source(ABC):
    """Records, and a way to read the image of each.

    records       split by split: train, then val, then test
    layout        how the data is laid out, in words for people
    classes       class names in the order of their index; () for the sorted labels of the records
    attribution   who must be named wherever the images are shown
    """

    def __init__(
        self,
        records: Sequence[Record],
        *,
        layout: str,
        classes: tuple[str, ...] = (),
        findings: Findings | None = None,
        attribution: str = "",
    ) -> None:
        self.records, self.layout, self.classes, self.attribution = records, layout, classes, attribution
        self.findings = findings or Findings()

    @abstractmethod
    def read(self, index: int) -> bytes | np.ndarray:
        """The image of record `index`: an encoded file, or uint8 (H, W, C). Safe to call from several threads."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of everything that the records and their images are made from."""


class ArraySource(Source):
    """A source whose images are already decoded and of one size.

    shape   (H, W, C)
    """

    shape: tuple[int, int, int]

    @abstractmethod
    def blocks(self) -> Iterator[np.ndarray]:
        """The images in the order of the records, as uint8 (n, H, W, C) arrays of some hundreds each."""


def class_order(labels: set[str]) -> tuple[str, ...]:
    """Class names in the order of their index: by value when all are whole numbers, else by name."""
    if all(re.fullmatch("-?[0-9]{1,18}", label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))
