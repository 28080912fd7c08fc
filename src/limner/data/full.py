"""Pictures one by one at the size that they have: what restorers are judged on. Nothing is cached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import BadImage, DataError
from ..images.colour import with_channels
from ..images.read import decode
from .config import DataConfig, parse_colour
from .origin import origin_of

_ORDER = ("test", "val", "train")  # of splits, the best to judge on first


def full_size(
    path: str | Path, config: DataConfig, *, split: str = "auto", most: int
) -> tuple[str, list[str], Iterator[np.ndarray]]:
    """(split, names, pictures): up to `most` pictures of one split, uint8 (H, W, C) of `config.channels`.

    split   `auto` takes the test split where there is one, else val, else train
    Pictures that cannot be decoded are left out of the names. Raises DataError when none is left.
    """
    source = origin_of(path).source
    there = {record.split for record in source.records}
    chosen = next(name for name in _ORDER if name in there) if split == "auto" else split
    background = parse_colour(config.background)

    def read(index: int) -> np.ndarray:
        image = source.read(index)
        if isinstance(image, np.ndarray):
            return image if config.channels is None else with_channels(image, config.channels, background)
        return decode(image, channels=config.channels, background=background)

    names: list[str] = []
    rows: list[int] = []
    for index, record in enumerate(source.records):
        if record.split != chosen or len(rows) == most:
            continue
        try:
            read(index)
        except BadImage:
            continue
        names.append(record.name)
        rows.append(index)
    if not rows:
        raise DataError(
            f"{path} has no picture of split {chosen!r} that can be read; it has {', '.join(sorted(there))}"
        )
    return chosen, names, map(read, rows)
