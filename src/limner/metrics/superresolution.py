"""The protocol of published super-resolution tables, as one preset: brightness alone, a border cut off, all in 8 bits.

Every choice in it moves the numbers. PSNR of the RGB channels is about 1.7 dB lower than of brightness, and a
low-resolution image made without antialiasing has a higher SSIM and a lower PSNR. So it is fixed, and has a name.

1. Both images as studio-range brightness, Y = 16 + 65.481 R + 128.553 G + 24.966 B with R, G, B in [0, 1] (ITU-R
   BT.601), rounded to uint8; gray images stay as they are.
2. Sides cut to multiples of the scale, and `scale` pixels cut from each edge.
3. PSNR with a peak of 255; SSIM on windows that lie inside the image, with L = 255. Averages are over images.
4. Low-resolution images are the brightness, shrunk by images/bicubic.py and rounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..images.bicubic import resize
from .psnr import psnr
from .ssim import ssim

_LUMA = np.array([65.481, 128.553, 24.966]) / 255


class Quality(NamedTuple):
    """psnr in decibels, inf for equal images; ssim at most 1."""

    psnr: float
    ssim: float


def evaluate_pair(restored: np.ndarray, original: np.ndarray, scale: int) -> Quality:
    """How near a restored image is to its original, both uint8 (H, W, C) with C of 1 (gray or Y) or 3.

    Raises ConfigError for unlike shapes, for other types and channels, and for images too small to cut and judge.
    """
    if restored.shape[:2] not in (original.shape[:2], modcrop(original, scale).shape[:2]):
        raise ConfigError(f"a restored image of {restored.shape} does not fit its original of {original.shape}")
    sides = [_inside(luma(modcrop(image, scale)), scale)[None] for image in (restored, original)]
    return Quality(float(psnr(sides[0], sides[1])[0]), float(ssim(sides[0], sides[1])[0]))


def bicubic_row(originals: Iterable[np.ndarray], scale: int) -> Quality:
    """The first row of every table: mean quality of bicubic enlargement, for uint8 images (H, W, C) of any sizes.

    Measured on Set5: 33.65 dB / .9296 at scale 2, 30.39 / .8681 at 3, 28.42 / .8103 at 4.
    """
    each = []
    for original in originals:
        bright = modcrop(luma(original), scale)
        each.append(evaluate_pair(resize(shrink(bright, scale), scale), bright, scale))
    if not each:
        raise ConfigError("no images were given, so there is nothing to average; give 1 or more")
    return Quality(*np.mean(each, axis=0).tolist())


def shrink(original: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (H, W, C) -> uint8 (H / scale, W / scale, C): what a method of the tables is given, after `modcrop`."""
    return resize(modcrop(original, scale), 1 / scale)


def luma(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 1 or 3) -> uint8 (H, W, 1) in 16 … 235; an image of one channel as it is."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ConfigError(
            f"an image of {image.dtype} {image.shape} does not fit the protocol; use uint8 (H, W, 1 or 3)"
        )
    if image.shape[2] == 1:
        return image
    return np.floor(16.5 + image @ _LUMA).astype(np.uint8)[..., None]


def modcrop(image: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, C) -> its upper left part whose sides are multiples of `scale`."""
    if scale < 1:
        raise ConfigError(f"scale={scale} is not possible; use a whole number of 1 or more")
    height, width = (side // scale * scale for side in image.shape[:2])
    return image[:height, :width]


def _inside(image: np.ndarray, border: int) -> np.ndarray:
    height, width = image.shape[:2]
    if min(height, width) <= 2 * border:
        raise ConfigError(f"nothing is left of {height}x{width} when {border} pixels are cut from each edge")
    return image[border : height - border, border : width - border]
