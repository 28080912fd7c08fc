"""Bicubic resizing as the super-resolution literature means it: MATLAB's imresize, antialiased, at any factor.

images/resize.py brings pictures to a size for training. This file is for protocols: the low-resolution images that
published tables are computed on were made in exactly this way, and another filter moves them by tenths of a decibel.
Pillow's differs in its rounding and at the edge; OpenCV's has a = -0.75 and no antialiasing.
Source of the kernel: Keys 1981, Cubic convolution interpolation for digital image processing, equation 15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError

_SUPPORT = 2.0  # the kernel is 0 beyond two pixels, and beyond two pixels of the smaller image when shrinking
_TIE = 1e-9  # a value this little below a half is a half that arithmetic has rounded, and goes up as halves do


def resize(images: np.ndarray, factor: float) -> np.ndarray:
    """Images `factor` times as large: (..., H, W, C) -> (..., ceil(factor H), ceil(factor W), C).

    uint8 comes back as uint8, rounded and clipped; floats come back as float64, neither rounded nor clipped, so that
    they may overshoot. Raises ConfigError for a factor that is not a positive number.
    """
    if not 0 < factor < math.inf:
        raise ConfigError(f"factor={factor} is not possible; it must be a positive number, such as 0.5 or 2")
    _check(images)
    rows, columns = (_Taps.of(side, _length(side, factor), factor) for side in images.shape[-3:-1])
    return _resample(images, rows, columns)


def resize_to(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Images of a given size: (..., H, W, C) -> (..., height, width, C), each side by a factor of its own.

    Types as in `resize`. Raises ConfigError for an empty size.
    """
    if height < 1 or width < 1:
        raise ConfigError(f"a size of {height}x{width} is empty; both sides must be at least 1")
    _check(images)
    sides = zip(images.shape[-3:-1], (height, width), strict=True)
    rows, columns = (_Taps.of(side, target, target / side) for side, target in sides)
    return _resample(images, rows, columns)


def _check(images: np.ndarray) -> None:
    number = images.dtype == np.uint8 or np.issubdtype(images.dtype, np.floating)
    if not number or images.ndim < 3 or 0 in images.shape:
        raise ConfigError(
            f"{images.dtype} {images.shape} is no image; use uint8 or floats, (..., H, W, C), none of them 0"
        )


def _length(side: int, factor: float) -> int:
    """ceil(factor * side), where 33 / 3 is 11 although a third is not exact."""
    return max(1, math.ceil(factor * side - 1e-9))


@dataclass(frozen=True)
class _Taps:
    """One side of a resizing, as the few entries of its matrix that are not 0.

    sources   (target, taps)   old pixels that each new one is made from
    weights   (target, taps)   what they give to it; every row has a sum of 1
    """

    sources: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, side: int, target: int, factor: float) -> _Taps:
        """Pixels are unit squares; both images share their first corner, and their last one too where the sides fit.

        Below a factor of 1 the kernel is stretched so that every old pixel counts, which is the antialiasing. Beyond
        the edge the image is mirrored, the edge itself repeated.
        """
        narrowing = min(factor, 1.0)
        reach = _SUPPORT / narrowing
        centres = (np.arange(target) + 0.5) / factor - 0.5
        sources = np.floor(centres - reach)[:, None] + np.arange(1, math.ceil(2 * reach) + 1)
        weights = _kernel(narrowing * (centres[:, None] - sources))
        weights /= weights.sum(axis=1, keepdims=True)
        folded = sources.astype(int) % (2 * side)
        return cls(np.minimum(folded, 2 * side - 1 - folded), weights)

    def __call__(self, old: np.ndarray) -> np.ndarray:
        """(side, …) -> (target, …), a tap at a time: long rows, always summed in the same order."""
        new = np.zeros((len(self.weights), *old.shape[1:]))
        along_rows = (slice(None), *[None] * (old.ndim - 1))
        for source, weight in zip(self.sources.T, self.weights.T, strict=True):
            new += weight[along_rows] * old[source]
        return new


def _kernel(distance: np.ndarray) -> np.ndarray:
    """Keys's cubic with a = -1/2."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < _SUPPORT, far, 0.0))


def _resample(images: np.ndarray, rows: _Taps, columns: _Taps) -> np.ndarray:
    """(..., H, W, C) -> (..., h, w, C) in float64: down the columns, then along the rows; rounded only then."""
    by_row = np.ascontiguousarray(np.moveaxis(images, -3, 0), np.float64)  # (H, ..., W, C)
    by_column = np.ascontiguousarray(np.moveaxis(rows(by_row), -2, 0))  # (W, h, ..., C)
    resized = np.moveaxis(columns(by_column), (0, 1), (-2, -3))  # (..., h, w, C)
    if images.dtype == np.uint8:
        resized = np.floor(resized + (0.5 + _TIE)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(resized)
