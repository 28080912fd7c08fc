"""Peak signal-to-noise ratio of pairs of images, and the checks that every measure of pairs begins with.

Images are arrays (N, H, W, C), uint8 or floats. Each pair gives a number of its own, so that intervals over images can
be made. It knows no colour space and cuts no border: superresolution.py has the protocol that does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import ConfigError, DataError

CHUNK_VALUES = 1 << 20  # values of one side worked on at once: 8 MiB, which a processor's cache can hold


def psnr(images: np.ndarray, others: np.ndarray, *, data_range: float | None = None) -> np.ndarray:
    """(N,) decibels, 10 log10(data_range² / mean squared error) of each pair; `inf` where the two are equal.

    images, others   (N, H, W, C)   uint8 or floats
    data_range       greatest possible difference of two values: 255 for uint8; floats need it said, 1.0 for [0, 1]

    Raises ConfigError for unlike shapes and a range that is not known, DataError for values that are not finite.
    """
    peak = range_of(images, others, data_range)
    with np.errstate(divide="ignore"):  # equal images: infinitely far above the noise
        return 10 * np.log10(peak**2 / mean_squared_error(images, others))


def mean_squared_error(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) mean over pixels and channels of the squared difference of each pair, in float64."""
    return per_pair(lambda a, b: np.square(a - b).mean(axis=(1, 2, 3)), images, others)


def per_pair(
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray], images: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """(N,) what `compare` gives for each pair, a chunk at a time: memory does not grow with N.

    compare   both sides of a chunk, (n, H, W, C) float64 -> (n,)

    Raises ConfigError when the two do not make pairs, DataError at the first value that is not finite.
    """
    _check(images, others)
    values = np.empty(len(images))  # made once: small arrays kept between large ones would tear the heap apart
    size = max(1, CHUNK_VALUES // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), size):
        a, b = (np.asarray(side[start : start + size], np.float64) for side in (images, others))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise DataError(f"pairs {start:,} to {start + len(a) - 1:,} hold values that are not finite numbers")
        values[start : start + size] = compare(a, b)
    return values


def range_of(images: np.ndarray, others: np.ndarray, data_range: float | None) -> float:
    """The range that values may span: as given, or 255 when both sides are uint8."""
    if data_range is None:
        if images.dtype != np.uint8 or others.dtype != np.uint8:
            kinds = f"{images.dtype} and {others.dtype}"
            raise ConfigError(f"the range of {kinds} images is not known; give data_range, 2.0 for values in [-1, 1]")
        return 255.0
    if not 0 < data_range < np.inf:
        raise ConfigError(f"data_range={data_range} is not possible; it must be a positive number")
    return float(data_range)


def _check(images: np.ndarray, others: np.ndarray) -> None:
    if images.shape != others.shape:
        raise ConfigError(f"images of shapes {images.shape} and {others.shape} make no pairs; the shapes must be equal")
    if images.ndim != 4 or 0 in images.shape:
        raise ConfigError(f"images of shape {images.shape} cannot be compared; use (N, H, W, C), none of them 0")
    for side in (images, others):
        if side.dtype != np.uint8 and not np.issubdtype(side.dtype, np.floating):
            raise ConfigError(f"images of type {side.dtype} cannot be compared; use uint8, or floats with data_range")
