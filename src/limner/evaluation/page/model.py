"""What a report shows, as plain data. It is filled in by whoever measured; nothing here knows a metric or a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import ConfigError
from ...metrics.number import Better, Number

Cell = str | float | int | None


@dataclass(frozen=True)
class Series:
    """One line of a plot.

    x, y        N values each; a y that is not finite leaves a gap
    low, high   N values each, or nothing: a band around the line
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y), len(self.low) or len(self.y), len(self.high) or len(self.y)}
        if len(lengths) != 1 or not len(self.x):
            raise ConfigError(
                f"series {self.name!r} has parts of {sorted(lengths)} values; give as many of each, at least one"
            )


@dataclass(frozen=True)
class Curve:
    """A plot of one or more lines over the same axes."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    text: str = ""
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Gallery:
    """Images in a grid.

    images     (N, H, W, C)   uint8
    captions   N short lines, or none
    columns    images in a row where the page is wide enough; None lets them fill it
    """

    title: str
    images: np.ndarray
    text: str = ""
    captions: Sequence[str] = ()
    columns: int | None = None

    def __post_init__(self) -> None:
        _check_images(self.title, self.images)
        if len(self.captions) not in (0, len(self.images)):
            raise ConfigError(f"gallery {self.title!r} has {len(self.captions)} captions for {len(self.images)} images")


@dataclass(frozen=True)
class Pair:
    """A sample beside what is nearest to it.

    sample      (H, W, C)      uint8
    nearest     (k, H, W, C)   uint8, the nearest first
    distances   k values
    flag        why it is suspicious (`near copy`), or nothing
    """

    sample: np.ndarray
    nearest: np.ndarray
    distances: Sequence[float]
    flag: str = ""
    caption: str = ""

    def __post_init__(self) -> None:
        _check_images("sample", self.sample[None])
        _check_images("nearest", self.nearest)
        if len(self.distances) != len(self.nearest):
            raise ConfigError(f"a pair has {len(self.distances)} distances for {len(self.nearest)} images")


@dataclass(frozen=True)
class Neighbours:
    """Samples beside their nearest training images."""

    title: str
    pairs: Sequence[Pair]
    text: str = ""


@dataclass(frozen=True)
class Table:
    """A table of numbers, class by class say. Cells of a column with a direction are drawn as bars too.

    better   for each column which end is good; `neither`, or nothing at all, draws no bars
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text: str = ""
    better: Sequence[Better] = ()

    def __post_init__(self) -> None:
        wrong = [len(row) for row in self.rows if len(row) != len(self.columns)]
        if wrong or len(self.better) not in (0, len(self.columns)):
            raise ConfigError(
                f"table {self.title!r} has {len(self.columns)} columns; rows and `better` must have as many"
            )


@dataclass(frozen=True)
class Skipped:
    """A measure that was not taken, and why."""

    measure: str
    reason: str


@dataclass(frozen=True)
class Report:
    """Everything on the page about one model or folder.

    facts        what was judged with what: name -> value
    verdict      one sentence for the top of the page, or nothing
    floors       name of a floor or ceiling (`real against real`, `noise`) -> the same measures taken of it
    best, worst  samples nearest to real images and farthest from them
    notes        what a reader must know of the whole
    commands     what makes the report again
    """

    title: str
    numbers: Sequence[Number]
    subtitle: str = ""
    verdict: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    floors: Mapping[str, Sequence[Number]] = field(default_factory=dict)
    samples: Gallery | None = None
    best: Gallery | None = None
    worst: Gallery | None = None
    neighbours: Sequence[Neighbours] = ()
    curves: Sequence[Curve] = ()
    tables: Sequence[Table] = ()
    galleries: Sequence[Gallery] = ()
    notes: Sequence[str] = ()
    skipped: Sequence[Skipped] = ()
    commands: Sequence[str] = ()


@dataclass(frozen=True)
class Entrant:
    """One model or folder on a leaderboard.

    facts     a few: parameters, training time …
    strip     (N, H, W, C) uint8, some of its samples; None without
    """

    name: str
    numbers: Sequence[Number]
    subtitle: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    strip: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.strip is not None:
            _check_images(self.name, self.strip)


@dataclass(frozen=True)
class Leaderboard:
    """Several models or folders held against the same data.

    rank_by   name of the number that orders them; by default the first that has a better end
    floors    name -> the same measures taken of noise, of a Gaussian …
    """

    title: str
    entrants: Sequence[Entrant]
    subtitle: str = ""
    rank_by: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    floors: Mapping[str, Sequence[Number]] = field(default_factory=dict)
    curves: Sequence[Curve] = ()
    notes: Sequence[str] = ()
    skipped: Sequence[Skipped] = ()
    commands: Sequence[str] = ()


def _check_images(what: str, images: np.ndarray) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
        raise ConfigError(f"{what!r}: images of {images.dtype} {images.shape} cannot be shown; give uint8 (N, H, W, C)")
