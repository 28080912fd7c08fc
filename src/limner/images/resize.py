"""Bring an image to a given size with antialiasing. Images are uint8 (H, W, C)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from PIL import Image

from ..errors import ConfigError, unknown
from .colour import WHITE, Colour, luma

Fit = Literal["crop", "pad", "squash"]
Box = tuple[float, float, float, float]


def fit(image: np.ndarray, height: int, width: int, *, how: Fit = "crop", background: Colour = WHITE) -> np.ndarray:
    """uint8 (H, W, C) -> uint8 (height, width, C), with Pillow's bicubic filter widened to the scale (antialiased).

    crop     scale until both sides are covered, keep the centre
    pad      scale until both sides fit, `background` around it (transparent for C = 4, its gray for C other than 3)
    squash   scale each side on its own

    An image that already has this size is returned as it is. With 4 channels, colours count by their alpha, so what
    is hidden under transparent pixels does not bleed into the edge.
    """
    _check(image, height, width, how)
    if image.shape[:2] == (height, width):
        return image
    if how == "pad":
        return _pad(image, height, width, background)
    return _resample(image, height, width, _centre(image, height, width) if how == "crop" else None)


def _check(image: np.ndarray, height: int, width: int, how: str) -> None:
    if image.ndim != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ConfigError(f"an image of {image.dtype} {image.shape} cannot be resized; it must be uint8 (H, W, C)")
    if height < 1 or width < 1:
        raise ConfigError(f"a size of {height}x{width} is empty; both sides must be at least 1")
    if how not in get_args(Fit):
        raise ConfigError(unknown("fit", how, get_args(Fit)))


def _centre(image: np.ndarray, height: int, width: int) -> Box:
    """The largest centred box of the target's shape, in source pixels; fractions are kept, so nothing shifts."""
    rows, columns = image.shape[:2]
    scale = max(height / rows, width / columns)
    left, top = (columns - width / scale) / 2, (rows - height / scale) / 2
    return max(left, 0.0), max(top, 0.0), min(columns - left, columns), min(rows - top, rows)


def _pad(image: np.ndarray, height: int, width: int, background: Colour) -> np.ndarray:
    rows, columns, channels = image.shape
    scale = min(height / rows, width / columns)
    inner = max(1, round(rows * scale)), max(1, round(columns * scale))
    canvas = np.empty((height, width, channels), np.uint8)
    canvas[...] = _fill(channels, background)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = _resample(image, *inner, None)
    return canvas


def _fill(channels: int, background: Colour) -> np.ndarray:
    colour = np.array(background, np.uint8)
    if channels in (3, 4):
        return np.append(colour, np.uint8(0))[:channels]
    return luma(colour[None, None])[0, 0]


def _resample(image: np.ndarray, height: int, width: int, box: Box | None) -> np.ndarray:
    """One resampling from `box` (everything when None); RGBA is premultiplied inside Pillow."""
    if image.shape[2] in (3, 4):
        planes = [Image.fromarray(image)]
    else:
        planes = [Image.fromarray(image[..., channel]) for channel in range(image.shape[2])]
    resized = [np.array(plane.resize((width, height), Image.Resampling.BICUBIC, box=box)) for plane in planes]
    return resized[0] if resized[0].ndim == 3 else np.stack(resized, axis=2)
