"""Smaller, noisier, without colour: the degradations that published tables are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import ConfigError
from ..bicubic import resize
from .step import Degraded, Plain, Range, Step, parse_range, parse_whole

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class Down(Plain):
    """MATLAB's antialiased bicubic, a whole number of times smaller, rounded to whole levels."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.margin = 2 * scale

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        small = resize(images, 1 / self.scale)
        return Degraded(np.floor(small + (0.5 + 1e-9)).clip(0, 255).astype(np.float32))


class Noise(Plain):
    """White Gaussian noise, neither clipped nor rounded: the setting of the denoising tables.

    Where its level is a range, each picture draws its own, and a restorer is told which.
    """

    def __init__(self, level: Range) -> None:
        self.level = level
        self.maps = () if level.fixed else ("noise",)

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        level = self.level.draw(rng, len(images))[:, None, None, None]
        noisy = images + level * rng.standard_normal(images.shape, dtype=np.float32)
        told = np.broadcast_to(level, (*images.shape[:3], 1)) if self.maps else None
        return Degraded(noisy, told)


class Gray(Plain):
    """Brightness alone (ITU-R BT.601): one channel."""

    def channels(self, given: int) -> int:
        return 1

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        if images.shape[3] == 1:
            return Degraded(images)
        return Degraded(np.round(images[..., :3] @ _LUMA)[..., None])


def _down(numbers: Sequence[str]) -> Step:
    return Down(parse_whole("down", only("down", numbers), least=2, most=16))


def _noise(numbers: Sequence[str]) -> Step:
    return Noise(parse_range("noise", only("noise", numbers), most=255))


def _gray(numbers: Sequence[str]) -> Step:
    if numbers:
        raise ConfigError(f"gray takes no number, but {numbers[0]!r} was given")
    return Gray()


def only(step: str, numbers: Sequence[str]) -> str:
    """The one number of a step that has one; raises ConfigError for none and for more."""
    if len(numbers) != 1:
        raise ConfigError(f"{step} takes one number, as in {step}:2; {len(numbers)} were given")
    return numbers[0]


STEPS: Mapping[str, Callable[[Sequence[str]], Step]] = {"down": _down, "noise": _noise, "gray": _gray}
