"""JPEG and WebP at a wanted size: what a codec is held against."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from PIL import Image

from .colour import with_channels
from .read import decode

Kind = Literal["jpeg", "webp"]
_LONGEST = {"jpeg": 65_535, "webp": 16_383}  # pixels of a side


def can_hold(picture: np.ndarray, kind: str) -> bool:
    """Whether files of that kind have room for the sides of a picture."""
    return max(picture.shape[:2]) <= _LONGEST[kind]


def smallest_above(picture: np.ndarray, kind: str, least: int) -> tuple[int, np.ndarray]:
    """(bytes, (H, W, C) uint8): the picture at the lowest quality that takes `least` bytes or more; else at the best.

    So the other side is never given fewer bytes. Transparency is laid on white.
    """
    picture = with_channels(picture, 3) if picture.shape[2] == 4 else picture
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        if len(_packed(picture, kind, middle)) >= least:
            high = middle
        else:
            low = middle + 1
    data = _packed(picture, kind, high)
    return len(data), decode(data, channels=picture.shape[2])


def _packed(picture: np.ndarray, kind: str, quality: int) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    image.save(file, kind.upper(), quality=quality)
    return file.getvalue()
