"""One degradation: the contract of every step of a chain, and how its numbers are written."""

from __future__ import annotations

import math
import re
from typing import NamedTuple, Protocol

import numpy as np

from ...errors import ConfigError


class Degraded(NamedTuple):
    """What a step makes.

    images   (B, h, w, c)   float32 in the units of uint8, 0 … 255; noise may exceed them
    maps     (B, h, w, m)   what a restorer may be told, in the same units: a noise level, 255 in a hole; None without
    """

    images: np.ndarray
    maps: np.ndarray | None = None


class Step(Protocol):
    """A finished step, its numbers settled but for what is drawn for each picture."""

    scale: int  # what it divides both sides by
    margin: int  # pixels, as given to it, beyond the edge that would change what it makes at the edge
    maps: tuple[str, ...]  # names of the maps that it adds

    def channels(self, given: int) -> int:
        """How many channels come out, where `given` go in, without the maps."""

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        """(B, H, W, C) float32 -> what it makes of them; each picture gets draws of its own."""


class Plain:
    """What most steps are: no change of size or channels, no maps."""

    scale = 1
    margin = 0
    maps: tuple[str, ...] = ()

    def channels(self, given: int) -> int:
        return given


class Range(NamedTuple):
    """A number, or two that a picture's own is drawn between."""

    low: float
    high: float

    @property
    def fixed(self) -> bool:
        return self.low == self.high

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """(count,) float32, uniform from low to high."""
        if self.fixed:
            return np.full(count, self.low, np.float32)
        return rng.uniform(self.low, self.high, count).astype(np.float32)


_NUMBER = r"\d+(?:\.\d+)?"


def parse_range(step: str, text: str, *, least: float = 0.0, most: float = math.inf) -> Range:
    """ "25" or "0-55" as a range; raises ConfigError for other words, and for numbers outside least … most."""
    match = re.fullmatch(rf"\s*({_NUMBER})\s*(?:-\s*({_NUMBER})\s*)?", text)
    if match is None:
        raise ConfigError(f"{step}: {text!r} is neither a number, such as 25, nor a range, such as 0-55")
    low, high = float(match[1]), float(match[2] or match[1])
    if not least <= low <= high <= most:
        limits = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ConfigError(f"{step}: {text} is not possible; use numbers {limits}, the smaller first")
    return Range(low, high)


def parse_whole(step: str, text: str, *, least: int, most: int) -> int:
    """A whole number; raises ConfigError for others."""
    if not text.strip().isdecimal() or not least <= int(text) <= most:
        raise ConfigError(f"{step}: {text!r} is not a whole number from {least} to {most}")
    return int(text)
