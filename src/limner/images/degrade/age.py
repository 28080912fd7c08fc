"""What years do to a photograph on paper: it fades and yellows, it is scratched, and dust lies on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import ConfigError
from .step import Degraded, Plain, Range, Step, parse_range

_PAPER = np.array([236, 219, 178], np.float32)  # what white turns to
_INK = np.array([62, 48, 36], np.float32)  # and black


class Fade(Plain):
    """Contrast lost toward the colours of old paper, 0 for none to 1 for nothing left."""

    def __init__(self, strength: Range) -> None:
        self.strength = strength

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        strength = self.strength.draw(rng, len(images))[:, None, None, None]
        colours = images[..., :3]
        white, black = _PAPER, _INK
        if images.shape[3] < 3:
            white, black = white.mean(keepdims=True), black.mean(keepdims=True)
        bright = colours.mean(axis=3, keepdims=True) / 255
        old = black + (white - black) * (0.25 + 0.6 * bright)
        faded = colours + strength * (old - colours)
        rest = images[..., 3:]
        return Degraded(np.concatenate([faded, rest], axis=3) if rest.size else faded)


class Scratch(Plain):
    """Scratches and dust: bright or dark lines from edge to edge, and specks.

    number   of scratches on 256x256 pixels; there are four times as many specks
    """

    def __init__(self, number: Range) -> None:
        self.number = number

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        out = images.copy()
        for image, number in zip(out, self.number.draw(rng, len(images)), strict=True):
            height, width = image.shape[:2]
            share = height * width / 256**2
            for _ in range(int(rng.poisson(number * share))):
                _draw(image, _scratch(height, width, rng), rng)
            for _ in range(int(rng.poisson(4 * number * share))):
                _draw(image, _speck(height, width, rng), rng)
        return Degraded(out)


def _draw(image: np.ndarray, cover: np.ndarray, rng: np.random.Generator) -> None:
    """Lay a bright or a dark mark over an image, in place; `cover` (H, W) of 0 to 1."""
    tone = np.float32(rng.uniform(215, 255) if rng.random() < 0.7 else rng.uniform(0, 50))
    image += cover[..., None] * (tone - image)


def _scratch(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W) a thin line that bends a little, with soft edges, worn through here and there."""
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    angle, bend = rng.normal(math.pi / 2, 0.35), rng.normal(0, 0.3) / max(height, width)
    rows, columns = np.arange(height)[:, None] - y, np.arange(width) - x
    along = rows * math.sin(angle) + columns * math.cos(angle)
    across = columns * math.sin(angle) - rows * math.cos(angle) + bend * along**2
    wide = rng.uniform(0.4, 1.3)
    length = rng.uniform(0.2, 1.2) * max(height, width)
    worn = 0.6 + 0.4 * np.sin(along * rng.uniform(0.05, 0.4) + rng.uniform(0, 6))
    return (np.exp(-0.5 * (across / wide) ** 2) * worn * (np.abs(along) < length / 2)).astype(np.float32)


def _speck(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W) a soft grain of dust."""
    y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.5, 1.6)
    squared = (np.arange(height)[:, None] - y) ** 2 + (np.arange(width) - x) ** 2
    return (np.exp(-0.5 * squared / radius**2) * rng.uniform(0.4, 1)).astype(np.float32)


def _one(step: str, usual: str, numbers: Sequence[str], most: float) -> Range:
    if len(numbers) > 1:
        raise ConfigError(f"{step} takes one number at most, as in {step}:{usual}; {len(numbers)} were given")
    return parse_range(step, numbers[0] if numbers else usual, most=most)


STEPS: Mapping[str, Callable[[Sequence[str]], Step]] = {
    "fade": lambda numbers: Fade(_one("fade", "0.2-0.7", numbers, 1)),
    "scratch": lambda numbers: Scratch(_one("scratch", "1-6", numbers, 100)),
}
OLD = "fade:0.1-0.6,scratch:0-6,blur:0.3-1,camera:4-16,jpeg:50-95"  # what `old` stands for
