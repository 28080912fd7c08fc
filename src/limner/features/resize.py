"""Resizing of whole batches as two matrix products: rows and columns each have a matrix of weights.

The antialiased kernels give what Pillow gives in mode F, to float32 rounding, and `legacy` what TensorFlow 1 gave. The
resize is part of the protocol of every number: one set of images has another FID after another resize.
Source: Parmar et al. 2022, On aliased resizing and surprising subtleties in GAN evaluation, arXiv 2104.11222.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, unknown

Kernel = Literal["bicubic", "bilinear", "legacy"]
BAND = 48  # rows of a matrix that are multiplied at once: each band leaves out the columns that are 0 for all of it


class _Band(NamedTuple):
    """Rows start to stop of a matrix, without the columns that are 0; `turned` is the transpose of `weights`."""

    start: int
    stop: int
    low: int
    high: int
    weights: Tensor
    turned: Tensor


def resize(images: Tensor, height: int, width: int, kernel: Kernel = "bicubic") -> Tensor:
    """(B, C, h, w) float32 -> (B, C, height, width) float32, each side scaled on its own.

    Not clipped: bicubic weights overshoot at edges. Raises ConfigError for an unknown kernel or an empty side.
    """
    batch, channels, rows, columns = images.shape
    if min(rows, columns, height, width) < 1:
        raise ConfigError(f"{rows}×{columns} cannot be resized to {height}×{width}; sides are at least 1")
    out = torch.empty(batch, channels, height, width)
    across = torch.empty(batch * channels * rows, width)
    flat = images.reshape(-1, columns)
    for band in _bands(columns, width, kernel):
        torch.mm(flat[:, band.low : band.high], band.turned, out=across[:, band.start : band.stop])
    planes = out.view(batch * channels, height, width)
    for plane, source in zip(planes, across.view(batch * channels, rows, width), strict=True):
        for band in _bands(rows, height, kernel):
            torch.mm(band.weights, source[band.low : band.high], out=plane[band.start : band.stop])
    return out


@lru_cache(maxsize=64)
def _bands(source: int, target: int, kernel: Kernel) -> tuple[_Band, ...]:
    matrix = torch.from_numpy(weights(source, target, kernel)).float()
    step = target if source <= BAND else BAND
    bands = []
    for start in range(0, target, step):
        rows = matrix[start : start + step]
        used = rows.any(dim=0).nonzero()
        low, high = int(used[0]), int(used[-1]) + 1
        part = rows[:, low:high].contiguous()
        bands.append(_Band(start, start + len(rows), low, high, part, part.T.contiguous()))
    return tuple(bands)


def weights(source: int, target: int, kernel: Kernel) -> np.ndarray:
    """(target, source) float64: row i holds the weights of the source pixels in target pixel i; each row sums to 1."""
    if kernel not in get_args(Kernel):
        raise ConfigError(unknown("resize kernel", kernel, get_args(Kernel)))
    return _corner_linear(source, target) if kernel == "legacy" else _antialiased(source, target, kernel)


def _antialiased(source: int, target: int, kernel: Kernel) -> np.ndarray:
    """The kernel around the centre of each target pixel, stretched when the image shrinks, cut off at the borders.

    A source pixel counts when its centre lies within the support after the ends are rounded, which is Pillow's rule.
    """
    profile, support = (_cubic, 2.0) if kernel == "bicubic" else (_triangle, 1.0)
    scale = source / target
    stretch = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    reach = support * stretch
    first = np.maximum(np.trunc(centre - reach + 0.5), 0)
    last = np.minimum(np.trunc(centre + reach + 0.5), source)
    place = np.arange(source)
    values = profile((place + 0.5 - centre[:, None]) / stretch)
    values[(place < first[:, None]) | (place >= last[:, None])] = 0.0
    return values / values.sum(axis=1, keepdims=True)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution with a = -1/2. Source: Keys 1981, equation 15."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0.0)


def _corner_linear(source: int, target: int) -> np.ndarray:
    """Linear between pixels, corners aligned to corners of pixels and no antialias, as ResizeBilinear of TensorFlow 1.

    Target pixel i lies at i · source / target, not at pixel centres: the image shifts by up to half a pixel, and FID
    was defined with that.
    """
    place = np.arange(target) * (source / target)
    low = np.minimum(np.floor(place).astype(int), source - 1)
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target), low), 1 - (place - low))
    np.add.at(matrix, (np.arange(target), np.minimum(low + 1, source - 1)), place - low)
    return matrix
