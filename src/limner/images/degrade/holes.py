"""Holes: what is in them is gone, and where they are is told: 255 in the map "hole". In the picture they are gray."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import ConfigError, unknown
from .step import Degraded, Plain, Range, Step, parse_range

GRAY = 127.5
_TRIES = 60  # strokes at most; more where they may be thin

_LOG_RADII = (math.log(0.7), math.log(8))

# (height, width, share, rng) -> (height, width) bool, True in the hole
Shape = Callable[[int, int, float, np.random.Generator], np.ndarray]


class Holes(Plain):
    """A hole of a share of each picture."""

    maps: tuple[str, ...] = ("hole",)

    def __init__(self, shape: Shape, share: Range) -> None:
        self.shape, self.share = shape, share

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        height, width = images.shape[1:3]
        holes = np.stack([self.shape(height, width, float(share), rng) for share in self.share.draw(rng, len(images))])
        out = np.where(holes[..., None], np.float32(GRAY), images)
        return Degraded(out, holes[..., None].astype(np.float32) * 255)


def box(height: int, width: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """A rectangle of a shape between 1:2 and 2:1, wherever it fits."""
    aspect = 2.0 ** rng.uniform(-1, 1)
    tall = min(height, max(1, round(math.sqrt(share * height * width * aspect))))
    wide = min(width, max(1, round(share * height * width / tall)))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    hole = np.zeros((height, width), bool)
    hole[top : top + tall, left : left + wide] = True
    return hole


def brush(height: int, width: int, share: float, rng: np.random.Generator, radii: Range | None = None) -> np.ndarray:
    """Strokes that wander and turn, as someone paints over what should go, until they cover their share.

    radii   of the strokes in pixels; by default 2 to 6 % of the shorter side
    Source of the form: Yu et al. 2019, arXiv 1806.03589, appendix.
    """
    hole, left = np.zeros((height, width), bool), share * height * width
    side, more = min(height, width), 0 if radii is None else int(left / max(1.0, 4 * radii.low))
    for _ in range(_TRIES + more):
        y, x, angle = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, 2 * math.pi)
        radius = max(0.7, side * rng.uniform(0.02, 0.06) if radii is None else rng.uniform(*radii))
        for _ in range(int(rng.integers(8, 24))):
            if left <= 0:
                return hole
            left -= _dab(hole, y, x, radius)
            angle += rng.normal(0, 0.5)
            y, x = (y + radius * math.sin(angle)) % height, (x + radius * math.cos(angle)) % width
    return hole


def _dab(hole: np.ndarray, y: float, x: float, radius: float) -> int:
    """Add a disc to a hole, in place; returns by how many pixels it grew."""
    top, left = max(0, int(y - radius)), max(0, int(x - radius))
    part = hole[top : int(y + radius) + 2, left : int(x + radius) + 2]
    rows, columns = np.arange(top, top + part.shape[0])[:, None] - y, np.arange(left, left + part.shape[1]) - x
    before = int(part.sum())
    part |= rows**2 + columns**2 <= radius**2
    return int(part.sum()) - before


def scattered(height: int, width: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Single pixels, each with that probability."""
    return rng.random((height, width)) < share


def mixed(height: int, width: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """One of the others: scattered pixels, a box, or strokes as thin as scratches up to eight pixels to each side."""
    match int(rng.integers(4)):
        case 0:
            return scattered(height, width, share, rng)
        case 1:
            return box(height, width, share, rng)
        case _:
            radius = float(np.exp(rng.uniform(*_LOG_RADII)))
            return brush(height, width, share, rng, Range(radius, radius))


def from_file(path: Path) -> Shape:
    """A mask that was drawn: an image, white in the hole; every picture must have its size."""
    from ..read import decode

    hole = decode(path, channels=1, background=(0, 0, 0))[..., 0] >= 128

    def shape(height: int, width: int, share: float, rng: np.random.Generator) -> np.ndarray:
        if hole.shape != (height, width):
            raise ConfigError(
                f"the mask {path} is {hole.shape[0]}x{hole.shape[1]} and the picture {height}x{width}; "
                "they must be of one size"
            )
        return hole

    return shape


_SHAPES: Mapping[str, Shape] = {"box": box, "brush": brush, "random": scattered, "mixed": mixed}


def _mask(words: Sequence[str]) -> Step:
    if not words or len(words) > (3 if words[0] == "brush" else 2):
        raise ConfigError(
            "mask takes a shape and a share, as in mask:box:0.1-0.3, for a brush also its radius in pixels, as in "
            f"mask:brush:0.1-0.4:2-8, or a file; not {':'.join(words)!r}"
        )
    kind, share = words[0], words[1] if len(words) > 1 else "0.25"
    if len(words) == 3:
        radii = parse_range("mask", words[2])
        return Holes(partial(brush, radii=radii), parse_range("mask", share, most=1))
    if kind in _SHAPES:
        return Holes(_SHAPES[kind], parse_range("mask", share, most=1))
    if len(words) == 1 and Path(kind).is_file():
        return Holes(from_file(Path(kind)), Range(0, 0))
    raise ConfigError(f"{unknown('mask', kind, _SHAPES)}; or the path of an image, white in the hole")


STEPS: Mapping[str, Callable[[Sequence[str]], Step]] = {"mask": _mask}
