"""Decodes every image of a source once, into rows of one size. It does not know where the rows are kept."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from ..errors import BadImage
from ..images.colour import with_channels
from ..images.read import decode
from ..images.resize import fit
from .config import DataConfig, parse_colour
from .sources.base import ArraySource, Source
from .survey import Plan

Progress = Callable[[int, int], None]  # (images done, images in all)

THREADS = 2  # the decoders leave Python's lock while they work; more threads than that wait for it
CHUNK = 64  # images that a thread decodes at a time,
CHUNK_BYTES = 16 << 20  # or as many rows as this holds
WAITING = 4  # chunks that are under way or done ahead of the writer: what bounds the memory


@dataclass
class Filled:
    """Which records became rows, in order, and why the others did not."""

    kept: list[int] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


def fill(source: Source, plan: Plan, config: DataConfig, out: BinaryIO, progress: Progress | None = None) -> Filled:
    """Write every readable image of `source` to `out` as uint8 (H, W, C) rows in the order of the records.

    Images that cannot be decoded are listed and left out. Memory stays bounded however many images there are.
    """
    filled, total, done = Filled(), len(source.records), 0
    blocks = _array_blocks(source, plan, config) if isinstance(source, ArraySource) else _decoded(source, plan, config)
    for kept, bad, rows in blocks:
        out.write(np.ascontiguousarray(rows).data)
        filled.kept += kept
        filled.bad += bad
        done += len(set(kept)) + len(bad)
        if progress:
            progress(done, total)
    return filled


_Block = tuple[list[int], list[tuple[str, str]], np.ndarray]  # records kept, (name, reason) of the bad, rows


def _array_blocks(source: ArraySource, plan: Plan, config: DataConfig) -> Iterator[_Block]:
    start = 0
    for images in source.blocks():
        kept = list(range(start, start + len(images)))
        start += len(images)
        if config.patch is not None:
            parts = [conformed(image, plan, config) for image in images]
            kept = [index for index, pieces in zip(kept, parts, strict=True) for _ in pieces]
            images = np.concatenate(parts)
        elif images.shape[1:] != plan.shape:
            images = np.stack([conform(image, plan, config) for image in images])
        yield kept, [], images


def _decoded(source: Source, plan: Plan, config: DataConfig) -> Iterator[_Block]:
    with ThreadPoolExecutor(THREADS, thread_name_prefix="decode") as pool:
        waiting: deque[Future[_Block]] = deque()
        chunk = min(CHUNK, max(1, CHUNK_BYTES // math.prod(plan.shape)))
        for start in range(0, len(source.records), chunk):
            stop = min(start + chunk, len(source.records))
            waiting.append(pool.submit(_decode_chunk, source, range(start, stop), plan, config))
            if len(waiting) >= WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _decode_chunk(source: Source, indices: range, plan: Plan, config: DataConfig) -> _Block:
    rows: list[np.ndarray] = []
    kept: list[int] = []
    bad: list[tuple[str, str]] = []
    for index in indices:
        try:
            pieces = conformed(source.read(index), plan, config)
        except BadImage as error:
            bad.append((source.records[index].name, str(error)))
        else:
            rows.append(pieces)
            kept += [index] * len(pieces)
    return kept, bad, np.concatenate(rows) if rows else np.empty((0, *plan.shape), np.uint8)


def conformed(image: bytes | np.ndarray, plan: Plan, config: DataConfig) -> np.ndarray:
    """An image as the rows that it becomes, (1, H, W, C) uint8: one, or several pieces where patches are cut from it.

    Raises BadImage.
    """
    if config.patch is None:
        return conform(image, plan, config)[None]
    return pieces_of(_in_channels(image, plan.channels, config), plan.height)


def pieces_of(image: np.ndarray, side: int) -> np.ndarray:
    """(h, w, C) -> (n, side, side, C): pieces that cover it and overlap where they must; small ones are mirrored."""
    short = [(max(0, side - length) // 2, -(-max(0, side - length) // 2)) for length in image.shape[:2]]
    image = np.pad(image, [*short, (0, 0)], mode="symmetric") if any(map(any, short)) else image
    tops, lefts = (
        np.linspace(0, length - side, math.ceil(length / side)).round().astype(int) for length in image.shape[:2]
    )
    return np.stack([image[top : top + side, left : left + side] for top in tops for left in lefts])


def conform(image: bytes | np.ndarray, plan: Plan, config: DataConfig) -> np.ndarray:
    """An encoded file, or uint8 (h, w, c), as uint8 (H, W, C) of the planned size and channels. Raises BadImage."""
    image = _in_channels(image, plan.channels, config)
    if image.shape == plan.shape:
        return image
    return fit(image, plan.height, plan.width, how=config.fit, background=parse_colour(config.background))


def _in_channels(image: bytes | np.ndarray, channels: int, config: DataConfig) -> np.ndarray:
    background = parse_colour(config.background)
    if isinstance(image, np.ndarray):
        return with_channels(image, channels, background)
    return decode(image, channels=channels, background=background)
