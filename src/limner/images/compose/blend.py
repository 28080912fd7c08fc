"""Two pictures of one size joined by a mask: laid over, or melted together at every scale."""

from __future__ import annotations

import math

import numpy as np

from ...errors import ConfigError

_KERNEL = np.array([1, 4, 6, 4, 1]) / 16  # Burt and Adelson's, with a = 0.375


def alpha(under: np.ndarray, over: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`over` where the mask is 1, `under` where it is 0, both in proportion between."""
    check(under, over, mask)
    return under + mask[..., None] * (over - under)


def pyramid(under: np.ndarray, over: np.ndarray, mask: np.ndarray, *, levels: int | None = None) -> np.ndarray:
    """Joined band by band: coarse structure over a wide strip, fine detail at once.

    levels   of the pyramid; by default as many as the shorter side can be halved to 4 pixels
    Source: Burt and Adelson 1983, A multiresolution spline with application to image mosaics.
    """
    check(under, over, mask)
    levels = max(1, int(math.log2(max(1, min(mask.shape) / 4)))) if levels is None else levels
    parts = zip(laplacian(under, levels), laplacian(over, levels), gaussian(mask[..., None], levels), strict=True)
    return collapsed([a + share * (b - a) for a, b, share in parts])


def gaussian(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """The image and `levels` - 1 halvings of it, the finest first."""
    found = [image]
    while len(found) < levels:
        found.append(_halved(found[-1]))
    return found


def laplacian(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """What each level of the Gaussian pyramid has over the next, and the last level itself."""
    smooth = gaussian(image, levels)
    return [a - _doubled(b, a.shape) for a, b in zip(smooth[:-1], smooth[1:], strict=True)] + [smooth[-1]]


def collapsed(levels: list[np.ndarray]) -> np.ndarray:
    """The image that a Laplacian pyramid is of."""
    image = levels[-1]
    for band in reversed(levels[:-1]):
        image = band + _doubled(image, band.shape)
    return image


def check(under: np.ndarray, over: np.ndarray, mask: np.ndarray) -> None:
    """Raise ConfigError unless both pictures and the mask are of one size."""
    if under.shape != over.shape or under.shape[:2] != mask.shape:
        raise ConfigError(
            f"pictures of {_size(under)} and {_size(over)} and a mask of {_size(mask)} cannot be joined; "
            "they must be of one size and as many channels"
        )


def _size(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape))


def _halved(image: np.ndarray) -> np.ndarray:
    return _smoothed(_smoothed(image, 0)[::2], 1)[:, ::2]


def _doubled(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros between the pixels, smoothed; the weights of what is there made up to 1, so that flat stays flat."""
    for axis in (0, 1):
        spread = list(image.shape)
        spread[axis] = shape[axis]
        sparse, there = np.zeros(spread), np.zeros([shape[axis] if a == axis else 1 for a in range(image.ndim)])
        places = tuple(slice(None, None, 2) if a == axis else slice(None) for a in range(image.ndim))
        sparse[places], there[places] = image, 1.0
        image = _smoothed(sparse, axis) / _smoothed(there, axis)
    return image


def _smoothed(image: np.ndarray, axis: int) -> np.ndarray:
    """The five-tap kernel along an axis, the edge pixel repeated beyond it."""
    pads = [(2, 2) if a == axis else (0, 0) for a in range(image.ndim)]
    padded, side = np.pad(image, pads, mode="edge"), image.shape[axis]
    return sum(
        weight * padded[tuple(slice(tap, tap + side) if a == axis else slice(None) for a in range(image.ndim))]
        for tap, weight in enumerate(_KERNEL)
    )
