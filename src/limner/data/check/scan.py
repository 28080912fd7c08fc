"""Looks at every picture of a source once, in a few threads, and keeps a few hundred bytes of facts about each."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import BadImage
from ...images.colour import Colour, with_channels
from ...images.read import decode, inspect
from ..sources.base import Source
from .near import Sketch, sketch

Progress = Callable[[int, int], None]  # (pictures looked at, pictures in all)

THREADS = 2  # the decoders leave Python's lock while they work; more threads than that wait for it
CHUNK = 32  # pictures that a thread takes at a time
WAITING = 4  # chunks under way or done ahead of the reader: what bounds the memory
GRID_SEEN = 512  # pixels a side of the part in which JPEG's 8x8 squares are looked for
SMALLEST_GRID = 24  # pixels a side below which there are too few squares to tell
BLANK = 3  # levels between the darkest and the lightest value of each channel of a picture that shows nothing
_ENDINGS = {
    "PNG": {"png"},
    "JPEG": {"jpg", "jpeg", "jpe", "jfif"},
    "WEBP": {"webp"},
    "BMP": {"bmp", "dib"},
    "GIF": {"gif"},
    "TIFF": {"tif", "tiff"},
}
_KNOWN_ENDINGS = frozenset().union(*_ENDINGS.values())


class Grid(NamedTuple):
    """How much neighbouring pixels jump, by their place in an 8-pixel grid.

    JPEG codes squares of 8x8 pixels one by one, so in a picture that was a JPEG once, the last place, where two squares
    meet, jumps most.

    jumps     (8,) mean size of the jump at each place     borders   share of the last places that beat both sides
    """

    jumps: np.ndarray
    borders: float

    def stands_out(self, *, jump: float, peak: float, borders: float) -> bool:
        """Whether the last place exceeds `jump` times the median place, `peak` times every place, mostly everywhere."""
        rest = self.jumps[:7]
        beats = self.jumps[7] > jump * max(np.median(rest), 0.5) and self.jumps[7] > peak * max(rest.max(), 0.5)
        return bool(beats) and self.borders > borders


@dataclass(frozen=True, slots=True)
class Facts:
    """What is kept of one picture.

    index       of its record                           format, mode   of the file; "array" and "" where there is none
    channels    1, 3 or 4, as stored                    quality        of a JPEG, estimated 1 … 100, else None
    file_hash   sha256 of the file, None for an array   pixel_hash     sha256 of shape and decoded pixels
    blank       shows nothing                           gray           stored in colour, yet without any
    opaque      has an alpha channel that hides nothing
    misnamed    its name ends like another format
    grid        traces of JPEG's 8x8 squares; None for JPEGs, where they are known, and for tiny pictures
    """

    index: int
    format: str
    mode: str
    width: int
    height: int
    channels: int
    quality: int | None
    file_hash: bytes | None
    pixel_hash: bytes
    blank: bool
    gray: bool
    opaque: bool
    misnamed: bool
    grid: Grid | None
    sketch: Sketch


@dataclass(frozen=True, slots=True)
class Bad:
    """A picture that cannot be decoded, and why."""

    index: int
    reason: str


def scan(source: Source, background: Colour, progress: Progress | None = None) -> Iterator[Facts | Bad]:
    """Facts about every picture in the order of the records. Only damage to single pictures is caught."""
    total, done = len(source.records), 0
    with ThreadPoolExecutor(THREADS, thread_name_prefix="check") as pool:
        waiting: deque[Future[list[Facts | Bad]]] = deque()
        for start in range(0, total, CHUNK):
            waiting.append(pool.submit(_look_at, source, range(start, min(start + CHUNK, total)), background))
            while len(waiting) >= WAITING or (waiting and start + CHUNK >= total):
                looks = waiting.popleft().result()
                yield from looks
                done += len(looks)
                if progress:
                    progress(done, total)


def _look_at(source: Source, indices: range, background: Colour) -> list[Facts | Bad]:
    looks: list[Facts | Bad] = []
    for index in indices:
        try:
            looks.append(facts(index, source.records[index].name, source.read(index), background))
        except BadImage as error:
            looks.append(Bad(index, str(error)))
    return looks


def facts(index: int, name: str, image: bytes | np.ndarray, background: Colour) -> Facts:
    """What is kept of one picture, given as a file's bytes or as uint8 (H, W, C). Raises BadImage."""
    if isinstance(image, np.ndarray):
        pixels, kind, mode, quality, file_hash = image, "array", "", None, None
    else:
        info = inspect(image)
        pixels, kind, mode, quality = decode(image), info.format, info.mode, info.quality
        file_hash = hashlib.sha256(image).digest()
    pixel_hash = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).digest()
    return Facts(
        index=index,
        format=kind,
        mode=mode,
        width=pixels.shape[1],
        height=pixels.shape[0],
        channels=pixels.shape[2],
        quality=quality,
        file_hash=file_hash,
        pixel_hash=pixel_hash,
        blank=_blank(pixels, background),
        gray=_colourless(pixels),
        opaque=pixels.shape[2] == 4 and bool((pixels[..., 3] == 255).all()),
        misnamed=_misnamed(name, kind),
        grid=None if kind == "JPEG" else _grid(pixels),
        sketch=sketch(pixels, background),
    )


def _misnamed(name: str, kind: str) -> bool:
    ending = os.path.splitext(name)[1].lstrip(".").lower()
    return kind in _ENDINGS and ending in _KNOWN_ENDINGS and ending not in _ENDINGS[kind]


def _blank(pixels: np.ndarray, background: Colour) -> bool:
    """Whether a picture shows nothing. A sparse look settles it for nearly all of them."""
    for look in (pixels[::8, ::8], pixels):
        shown = with_channels(look, 3, background) if look.shape[2] == 4 else look
        if any(int(plane.max()) - int(plane.min()) > BLANK for plane in np.moveaxis(shown, 2, 0)):
            return False
    return True


def _colourless(pixels: np.ndarray) -> bool:
    """Whether a picture that is stored in colour has none: its red, green and blue are equal everywhere."""
    if pixels.shape[2] == 1:
        return False
    for look in (pixels[::8, ::8], pixels):
        red, green, blue = (look[..., channel] for channel in range(3))
        if not (np.array_equal(red, green) and np.array_equal(green, blue)):
            return False
    return True


def _grid(pixels: np.ndarray) -> Grid | None:
    """Traces of 8x8 squares. Jumps are differences of third order, which leave smooth shading out."""
    if min(pixels.shape[:2]) < SMALLEST_GRID:
        return None
    top, left = ((max(0, side - GRID_SEEN) // 16) * 8 for side in pixels.shape[:2])
    part = pixels[top : top + GRID_SEEN, left : left + GRID_SEEN, : 3 if pixels.shape[2] > 1 else 1]
    gray = part.mean(axis=2, dtype=np.float32)
    sums, counts, wins = np.zeros(8), np.zeros(8), []
    for lines in (gray, gray.T):
        jumps = np.abs(np.diff(lines, n=3, axis=1)).mean(axis=0)  # jump k lies between pixels k + 1 and k + 2
        place = (np.arange(len(jumps)) + 1) % 8
        sums += np.bincount(place, jumps, minlength=8)
        counts += np.bincount(place, minlength=8)
        border = np.arange(6, len(jumps) - 2, 8)
        beside = np.max([jumps[border + step] for step in (-2, -1, 1, 2)], axis=0)
        wins.append(jumps[border] > 1.05 * beside + 0.02)
    return Grid(sums / counts, float(np.concatenate(wins).mean()))
