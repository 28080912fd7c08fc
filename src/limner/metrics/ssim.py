"""Structural similarity of pairs of images, at one scale (SSIM) and at several (MS-SSIM).

Images are arrays (N, H, W, C), uint8 or floats; each pair gives one number, at most 1, which equal images reach
exactly. Local means and variances are taken under a Gaussian window of 11×11 with sigma 1.5, in float64. Channels are
judged one by one and averaged.
Sources: Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, section III-B;
Wang, Simoncelli and Bovik 2003, Multi-scale structural similarity for image quality assessment, section III.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ConfigError, unknown
from .psnr import per_pair, range_of

Border = Literal["valid", "reflect"]
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first; as published, their sum is 1.0001

_TAPS = np.exp(-0.5 * (np.arange(WINDOW) - WINDOW // 2) ** 2 / SIGMA**2)
_TAPS = (_TAPS / _TAPS.sum()).tolist()


def ssim(
    images: np.ndarray, others: np.ndarray, *, data_range: float | None = None, border: Border = "valid"
) -> np.ndarray:
    """(N,) structural similarity of each pair, float64.

    data_range   greatest possible difference of two values: 255 for uint8; floats need it said
    border       valid: windows that lie inside the image, as published and as scikit-image's mean; reflect: a window
                 around every pixel, the image mirrored beyond its edge, as torchmetrics does

    Raises ConfigError for unlike shapes, images smaller than the window and a range that is not known, DataError for
    values that are not finite.
    """
    _check(images, border, scales=1)
    constants = _constants(range_of(images, others, data_range))

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        first, second = _framed(_planes(a), border), _framed(_planes(b), border)
        return _per_image(_similarity(first, second, constants)[0], len(a))

    return per_pair(compare, images, others)


def ms_ssim(
    images: np.ndarray,
    others: np.ndarray,
    *,
    data_range: float | None = None,
    scales: int = len(SCALE_WEIGHTS),
    border: Border = "valid",
) -> np.ndarray:
    """(N,) multi-scale structural similarity of each pair, float64, at least 0.

    scales   1 to 5, each half the size of the one before it. Fewer than 5 are not the published measure: the weights of
             the finest ones are used, rescaled to a sum of 1. Say the number beside the result; `scales_that_fit` gives
             the most that images of a size allow.
    border   valid, as published; reflect: as torchmetrics, which mirrors the image at the coarsest scale only

    A factor below 0 counts as 0, for its power would not be real. Raises as `ssim`, and ConfigError naming the smallest
    side that fits `scales`.
    """
    weights = _weights(scales)
    _check(images, border, scales=scales)
    constants = _constants(range_of(images, others, data_range))

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        first, second = _planes(a), _planes(b)
        product = np.ones(len(a))
        for weight in weights[:-1]:
            product *= _power(_similarity(first, second, constants)[1], weight, len(a))
            first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
        similarity, _ = _similarity(_framed(first, border), _framed(second, border), constants)
        return product * _power(similarity, weights[-1], len(a))

    return per_pair(compare, images, others)


def scales_that_fit(height: int, width: int) -> int:
    """The most scales, at most 5, at which an image still holds a whole window; 0 for one smaller than 11 pixels."""
    side = min(height, width)
    return min(len(SCALE_WEIGHTS), (side // WINDOW).bit_length())


def smallest_side(scales: int) -> int:
    """Pixels of the smallest image that holds a window at each of `scales`: 11 for 1, 176 for 5."""
    return WINDOW << (scales - 1)


def _weights(scales: int) -> tuple[float, ...]:
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise ConfigError(f"scales={scales} is not possible; use 1 to {len(SCALE_WEIGHTS)}")
    if scales == len(SCALE_WEIGHTS):
        return SCALE_WEIGHTS
    used = SCALE_WEIGHTS[:scales]
    return tuple(weight / math.fsum(used) for weight in used)


def _check(images: np.ndarray, border: str, *, scales: int) -> None:
    if border not in get_args(Border):
        raise ConfigError(unknown("border", border, get_args(Border)))
    if images.ndim != 4:
        return  # `per_pair` says what is wrong
    height, width = images.shape[1:3]
    if min(height, width) >= smallest_side(scales):
        return
    fitting = scales_that_fit(height, width)
    way_out = f"use scales={fitting}" if fitting else "use larger images"
    raise ConfigError(
        f"images of {height}x{width} are too small for {scales} scale(s) of an {WINDOW}x{WINDOW} window; "
        f"the smallest side is {smallest_side(scales)} pixels: {way_out}"
    )


def _constants(data_range: float) -> tuple[float, float]:
    return (K1 * data_range) ** 2, (K2 * data_range) ** 2


def _planes(images: np.ndarray) -> Tensor:
    """(n, H, W, C) -> (n C, H, W), float64."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).flatten(0, 1).contiguous()


def _framed(planes: Tensor, border: Border) -> Tensor:
    """(P, H, W) -> the planes whose windows count: mirrored beyond the edge, the edge itself not repeated, or as is."""
    return F.pad(planes, [WINDOW // 2] * 4, mode="reflect") if border == "reflect" else planes


def _per_image(planes: Tensor, count: int) -> np.ndarray:
    """(n C, h, w) -> (n,) means over channels and windows."""
    return planes.view(count, -1).mean(1).numpy()


def _power(planes: Tensor, weight: float, count: int) -> np.ndarray:
    """(n C, h, w) -> (n,) means to the power of a scale's weight."""
    return np.maximum(_per_image(planes, count), 0) ** weight


def _similarity(a: Tensor, b: Tensor, constants: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """(P, H, W) planes -> SSIM of every window and its contrast-and-structure part, both (P, H - 10, W - 10)."""
    c1, c2 = constants
    mean_a, mean_b = _blur(a), _blur(b)
    product = mean_a * mean_b
    squares = mean_a.square() + mean_b.square()
    covariance = _blur(a * b) - product
    variances = _blur(a.square() + b.square()) - squares  # of both together: the formula needs no more
    contrast = (2 * covariance + c2) / (variances + c2)
    return (2 * product + c1) / (squares + c1) * contrast, contrast


def _blur(planes: Tensor) -> Tensor:
    """(P, H, W) -> (P, H - 10, W - 10): the mean under the window, down the columns and then along the rows."""
    return _weighted(_weighted(planes, 1), 2)


def _weighted(planes: Tensor, axis: int) -> Tensor:
    """A sum of shifted copies: on a CPU 7 to 15 times as fast as a float64 convolution."""
    size, middle = planes.shape[axis] - WINDOW + 1, WINDOW // 2
    total = planes.narrow(axis, middle, size) * _TAPS[middle]
    for offset in range(middle):  # the window is symmetric
        both = planes.narrow(axis, offset, size) + planes.narrow(axis, WINDOW - 1 - offset, size)
        total.add_(both, alpha=_TAPS[offset])
    return total
