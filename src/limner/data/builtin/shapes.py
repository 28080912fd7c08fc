"""Coloured shapes with known factors: shape, colour, size, position and rotation, all independent of each other.

Picture i is a function of i alone, so `builtin:shapes?n=1000` is the first thousand of `builtin:shapes?n=2000`. The
ranges let every factor be read off the picture: shapes never leave it, and they turn within one fifth of a circle, the
star's symmetry, so two rotations never look alike. Edges are antialiased by their signed distance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from ...rng import generator
from ..sources.base import Record
from .drawn import BuiltIn

SIZE = 64
COUNT = 4096
GROUND = (236, 236, 236)
COLOURS = {
    "red": (214, 39, 40),
    "orange": (255, 127, 14),
    "yellow": (242, 202, 31),
    "green": (44, 150, 44),
    "cyan": (30, 190, 207),
    "blue": (31, 84, 200),
    "purple": (130, 60, 180),
    "pink": (240, 110, 190),
}


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - np.sqrt(0.5)


def _ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # the implicit function over its slope: exact on the edge, good to second order near it
    value, slope = np.hypot(x, y / 0.6), np.hypot(x, y / 0.36)
    return value * (value - 1) / np.maximum(slope, 1e-6)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.sqrt(0.75) * np.abs(x) + 0.5 * y, -y) - 0.5


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # five equal sectors around the tips: fold all into one, where the edge is a line
    sector = 2 * np.pi / 5
    angle = np.abs((np.arctan2(x, y) + sector / 2) % sector - sector / 2)
    radius = np.hypot(x, y)
    inner = 0.45  # radius of the notches; the edge runs from (radius 1, angle 0) to (inner, half a sector)
    across, along = inner * np.sin(sector / 2), 1 - inner * np.cos(sector / 2)
    return (radius * (np.cos(angle) * across + np.sin(angle) * along) - across) / np.hypot(across, along)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # a square on its corner, with a disc on each of its upper sides
    side = 0.55
    x, y = np.abs(x), y + 0.22
    square = (x + np.abs(y)) / np.sqrt(2) - side
    disc = np.hypot(x - side / np.sqrt(2), y - side / np.sqrt(2)) - side
    return np.minimum(square, disc)


# Signed distance to each shape's edge, negative inside, in units of its radius; y points up.
SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "square": _square,
    "ellipse": _ellipse,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
}


@dataclass(frozen=True)
class Factors:
    """What a picture shows.

    size       diameter of the circle around the shape, as a share of the picture's width, 0.25 … 0.55
    x, y       its centre, as a share of the width from the left and from the top, 0.3 … 0.7
    rotation   degrees anticlockwise, -36 … 36
    """

    shape: str
    colour: str
    size: float
    x: float
    y: float
    rotation: float

    @property
    def caption(self) -> str:
        size = ("small", "medium", "large")[int(np.searchsorted((0.35, 0.45), self.size))]
        return f"a {size} {self.colour} {self.shape}"


def factors(index: int) -> Factors:
    """The factors of picture `index`."""
    draw = generator(0, "builtin:shapes", index).random(6)
    return Factors(
        shape=list(SHAPES)[int(draw[0] * len(SHAPES))],
        colour=list(COLOURS)[int(draw[1] * len(COLOURS))],
        size=round(0.25 + 0.3 * float(draw[2]), 4),
        x=round(0.3 + 0.4 * float(draw[3]), 4),
        y=round(0.3 + 0.4 * float(draw[4]), 4),
        rotation=round(-36 + 72 * float(draw[5]), 2),
    )


def draw(of: Factors, size: int = SIZE) -> np.ndarray:
    """(size, size, 3) uint8: the picture that has these factors."""
    centres = (np.arange(size, dtype=np.float64) + 0.5) / size  # float32 would round differently on another CPU
    right, up = centres[None, :] - of.x, of.y - centres[:, None]
    cos, sin = np.cos(np.radians(of.rotation)), np.sin(np.radians(of.rotation))
    radius = of.size / 2
    distance = SHAPES[of.shape]((right * cos + up * sin) / radius, (up * cos - right * sin) / radius)
    cover = np.clip(0.5 - distance * radius * size, 0, 1)[..., None]  # (size, size, 1)
    ground = np.array(GROUND, dtype=np.float64)
    return np.rint(ground + cover * (np.array(COLOURS[of.colour]) - ground)).astype(np.uint8)


class Shapes(BuiltIn):
    """`builtin:shapes`: 64x64 RGB pictures with caption, label and all factors; every tenth is for validation."""

    shape = (SIZE, SIZE, 3)

    def __init__(self, count: int = COUNT) -> None:
        self._factors = [factors(index) for index in range(count)]
        records = [self._record(index, of) for index, of in enumerate(self._factors)]
        super().__init__(records, layout="built-in shapes with known factors", classes=tuple(SHAPES))

    def _record(self, index: int, of: Factors) -> Record:
        return Record(
            name=f"{index:06d}",
            split="val" if index % 10 == 9 else "train",
            label=of.shape,
            captions=(of.caption,),
            attributes=asdict(of),
        )

    def read(self, index: int) -> np.ndarray:
        """(64, 64, 3) uint8."""
        return draw(self._factors[index])

    def fingerprint(self) -> str:
        """Changes with the number of pictures and with the way they are drawn, for which pictures 0 to 7 stand."""
        drawn = b"".join(draw(factors(index)).tobytes() for index in range(8))
        return hashlib.sha256(drawn + str(len(self.records)).encode()).hexdigest()
