"""Pixels after the decoder: bit depth, alpha, orientation and channel count, all as plain arithmetic on arrays.

Images are uint8 (H, W, C) with C = 1 gray, 3 RGB or 4 RGBA (alpha straight, not premultiplied). It does not know files.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BAND_PIXELS = 1 << 18


def luma(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W, 1) uint8 brightness, ITU-R BT.601 weights in 16-bit fixed point (as Pillow's "L")."""

    def convert(band: np.ndarray) -> np.ndarray:
        weighted = band.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
        return ((weighted + 0x8000) >> 16)[..., None]

    return _by_bands(convert, rgb, 1)


def composite(rgba: np.ndarray, background: Colour = WHITE) -> np.ndarray:
    """(H, W, 4) uint8 over an opaque colour -> (H, W, 3) uint8, rounded to nearest."""

    def convert(band: np.ndarray) -> np.ndarray:
        alpha = band[..., 3:].astype(np.uint32)
        return (band[..., :3] * alpha + np.asarray(background, np.uint32) * (255 - alpha) + 127) // 255

    return _by_bands(convert, rgba, 3)


def _by_bands(convert: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, channels: int) -> np.ndarray:
    """`convert` over bands of rows: the wide integers of a 50-megapixel image would take a gigabyte at once."""
    out = np.empty((*pixels.shape[:2], channels), np.uint8)
    rows = max(1, BAND_PIXELS // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        out[top : top + rows] = convert(pixels[top : top + rows])
    return out


def opaque(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W, 4) with alpha 255."""
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=2)


def with_channels(pixels: np.ndarray, channels: int, background: Colour = WHITE) -> np.ndarray:
    """(H, W, 1 | 3 | 4) uint8 as gray, RGB or RGBA; alpha is composited on `background` unless it is kept."""
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] == 4:
        pixels = composite(pixels, background)
    if channels == 1:
        return luma(pixels) if pixels.shape[2] == 3 else pixels
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return opaque(pixels) if channels == 4 else pixels


def from_depth(values: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned integers of `bits` bits -> uint8 of the same shape, 0 -> 0, the greatest -> 255, rounded to nearest."""
    peak = (1 << bits) - 1
    levels = (np.arange(peak + 1, dtype=np.uint32) * 255 + peak // 2) // peak
    return levels.astype(np.uint8)[np.minimum(values, peak)]


def from_float(values: np.ndarray) -> np.ndarray:
    """Floats -> uint8: times 255 when all finite ones lie in [0, 1], else `stretched`; NaN -> 0."""
    finite = np.isfinite(values)
    known = values[finite]
    if known.size and known.min() >= 0 and known.max() <= 1:
        return _rounded(np.where(finite, values, np.isposinf(values)) * 255.0)
    return stretched(values)


def stretched(values: np.ndarray) -> np.ndarray:
    """Numbers of no known range -> uint8, least finite -> 0, greatest finite -> 255; all equal -> 0.

    NaN and -inf become 0, +inf becomes 255.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.where(np.isposinf(values), 255, 0).astype(np.uint8)
    low, high = (float(limit) / 2 for limit in (values[finite].min(), values[finite].max()))
    known = np.where(finite, values, values[finite].min()).astype(np.float64)  # no NaN: casting some of them warns
    scaled = (known / 2 - low) / ((high - low) or 1.0)  # halves, because a difference of floats may overflow
    return _rounded(np.where(np.isposinf(values), 1.0, scaled) * 255.0)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror stored pixels into the picture meant. Source: EXIF 2.32, tag 274; 1 is upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
