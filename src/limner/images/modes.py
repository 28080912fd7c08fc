"""Pillow's modes and the files' depths -> gray, RGB or RGBA pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .colour import from_depth, from_float, stretched, with_channels
from .directory import PHOTOMETRIC, SAMPLE_FORMAT
from .headers import Header

ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_SIGNED, _WHITE_IS_ZERO = 2, 0  # TIFF's sample format and photometric interpretation

# (mode, TIFF sample format) -> how Pillow's samples are to be read
_INTEGERS = {("I", 1): np.uint32, ("I", _SIGNED): np.int32, ("L", _SIGNED): np.int8}


def is_deep(mode: str) -> bool:
    """Gray of more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def natural(image: Image.Image, header: Header) -> np.ndarray:
    """Pixels of a loaded image as (H, W, 1 | 3 | 4) uint8, before orientation."""
    mode, key = image.mode, image.info.get("transparency")
    if header.format == "TIFF":
        key = None
    if mode in ALPHA_MODES or (mode == "P" and key is not None):
        return _converted(image, "RGBA")
    if is_deep(mode) or header.tags.get(SAMPLE_FORMAT) == _SIGNED:
        return _deep_gray(image, header, key)
    if mode == "CMYK" and header.format == "JPEG" and "adobe" not in image.info:
        image = Image.fromarray(255 - np.asarray(image), "CMYK")  # Pillow inverts all JPEGs, Adobe's or not
    gray = mode in ("1", "L")
    pixels = _converted(image, "L")[..., None] if gray else _converted(image, "RGB")
    return pixels if key is None else _keyed(pixels, _key_in_8_bits(key, mode, header))


def _converted(image: Image.Image, mode: str) -> np.ndarray:
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _deep_gray(image: Image.Image, header: Header, key: int | None) -> np.ndarray:
    """Gray of more than 8 bits, or of signed numbers."""
    values = np.asarray(image)
    if image.mode == "F":
        pixels = from_float(values)
    elif image.mode.startswith("I;16"):
        pixels = from_depth(values, header.bits)
    else:
        pixels = stretched(values.view(_INTEGERS.get((image.mode, header.tags.get(SAMPLE_FORMAT, 1)), values.dtype)))
    if header.format == "TIFF" and header.tags.get(PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = 255 - pixels
    if key is None:
        return pixels[..., None]
    alpha = np.where(values == key, 0, 255).astype(np.uint8)
    return np.stack([pixels, pixels, pixels, alpha], axis=2)


def _key_in_8_bits(key: int | tuple[int, int, int], mode: str, header: Header) -> np.ndarray:
    """A transparent colour as stored in the file, at the depth at which Pillow returns pixels."""
    values = np.atleast_1d(np.asarray(key, np.uint32))
    if header.format != "PNG" or mode == "1":
        return values
    return values >> 8 if header.bits == 16 else from_depth(values, header.bits)


def _keyed(pixels: np.ndarray, key: np.ndarray) -> np.ndarray:
    """(H, W, 1 | 3) -> (H, W, 4), transparent where a pixel is exactly `key`."""
    alpha = np.where((pixels == key).all(axis=2), 0, 255).astype(np.uint8)
    return np.dstack([with_channels(pixels, 3), alpha])
