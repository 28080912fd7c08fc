"""Blur by a Gaussian, by motion along a line, and by a lens out of focus: a kernel for each picture, of sum 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import ConfigError
from .step import Degraded, Plain, Range, Step, parse_range

_REACH = 3.0  # standard deviations to each side that a Gaussian kernel holds
_FINE = 8  # points a pixel's side that the shape of a kernel is sampled at
_LARGEST = 64.0  # pixels: sigma, radius or half a length


class Blur(Plain):
    """A convolution with a kernel that each picture draws; beyond the edge a picture is mirrored."""

    def __init__(self, size: Range, radius: int, kernel: Callable[[float, np.random.Generator], np.ndarray]) -> None:
        """radius: pixels to each side that the largest kernel holds; kernel: (size, rng) -> (2 r + 1, 2 r + 1)."""
        self.size, self.margin, self._kernel = size, radius, kernel

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        sizes = self.size.draw(rng, len(images))
        kernels = [self._kernel(float(size), rng) for size in sizes]
        return Degraded(np.stack([convolved(image, kernel) for image, kernel in zip(images, kernels, strict=True)]))


def convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(H, W, C) float32 with a kernel (2 r + 1, 2 r + 1): of the same size, mirrored beyond the edge, by FFT."""
    radius = kernel.shape[0] // 2
    if not radius:
        return image * np.float32(kernel[0, 0])
    padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
    sides = padded.shape[:2]
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * np.fft.rfft2(kernel, sides)[..., None]
    made = np.fft.irfft2(spectrum, sides, axes=(0, 1))
    return made[2 * radius :, 2 * radius :].astype(np.float32)  # what a kernel's far corner reaches


def gaussian(sigma: float, rng: np.random.Generator) -> np.ndarray:
    """The product of two sampled normal densities."""
    radius = math.ceil(_REACH * sigma)
    row = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-6)) ** 2)
    kernel = np.outer(row, row)
    return kernel / kernel.sum()


def disc(radius: float, rng: np.random.Generator) -> np.ndarray:
    """What a point becomes behind a round lens out of focus: a disc, its edge shared out among pixels."""
    reach = math.ceil(radius)
    places = (np.arange(-reach * _FINE - _FINE // 2, (reach + 1) * _FINE - _FINE // 2) + 0.5) / _FINE
    inside = np.hypot(places[:, None], places) <= max(radius, 0.5)
    return _by_pixel(inside.astype(np.float64))


def line(length: float, angle: float) -> np.ndarray:
    """The path of a point that moves `length` pixels at an angle in degrees, at even speed."""
    reach = math.ceil(length / 2 + 0.5)
    count = max(1, math.ceil(length * _FINE))
    along = (np.arange(count) + 0.5) / count * length - length / 2
    x, y = along * math.cos(math.radians(angle)), -along * math.sin(math.radians(angle))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for down in (0, 1):  # each point is shared out among the four pixels around it
        for right in (0, 1):
            share = np.abs(1 - down - (y - top)) * np.abs(1 - right - (x - left))
            np.add.at(kernel, (top + down + reach, left + right + reach), share)
    return kernel / kernel.sum()


def _by_pixel(fine: np.ndarray) -> np.ndarray:
    side = len(fine) // _FINE
    kernel = fine.reshape(side, _FINE, side, _FINE).sum((1, 3))
    return kernel / kernel.sum()


def _blur(numbers: Sequence[str]) -> Step:
    size = parse_range("blur", _first("blur", numbers, 1), most=_LARGEST)
    return Blur(size, math.ceil(_REACH * size.high), gaussian)


def _defocus(numbers: Sequence[str]) -> Step:
    size = parse_range("defocus", _first("defocus", numbers, 1), most=_LARGEST)
    return Blur(size, math.ceil(size.high), disc)


def _motion(numbers: Sequence[str]) -> Step:
    size = parse_range("motion", _first("motion", numbers, 2), least=1, most=2 * _LARGEST)
    angles = parse_range("motion", numbers[1], most=360) if len(numbers) == 2 else Range(0, 180)
    reach = math.ceil(size.high / 2 + 0.5)
    return Blur(size, reach, lambda length, rng: line(length, float(angles.draw(rng, 1)[0])))


def _first(step: str, numbers: Sequence[str], most: int) -> str:
    if not 1 <= len(numbers) <= most:
        raise ConfigError(
            f"{step} takes {' or '.join(map(str, range(1, most + 1)))} numbers, as in {step}:2; not {len(numbers)}"
        )
    return numbers[0]


STEPS: Mapping[str, Callable[[Sequence[str]], Step]] = {"blur": _blur, "defocus": _defocus, "motion": _motion}
