"""Two kinds of pictures with the same content, drawn from the built-in digits: black on white, and ink on paper.

The second kind is thicker, slanted and coloured, so what a translation should be is known, though no model sees pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import limner
from limner import durable
from limner.data import DataConfig
from limner.images.metadata import encode_png

SIDE = 32
SLANT = 0.35  # columns that a row is moved by, for each row above the middle
INK, PAPER = np.array((20, 50, 160)), np.array((250, 215, 90))


@dataclass(frozen=True)
class Styles:
    """Digits in both styles, row by row: (N, SIDE, SIDE, 3) uint8, and their labels (N,)."""

    plain: np.ndarray
    inked: np.ndarray
    labels: np.ndarray

    def rows(self, rows: slice) -> Styles:
        return Styles(self.plain[rows], self.inked[rows], self.labels[rows])


def draw() -> Styles:
    """Every built-in digit in both styles."""
    digits = limner.open_data("builtin:digits", DataConfig(resolution=SIDE), split=None)
    gray = np.asarray(digits.images)[..., 0]
    inked = np.stack([_inked(image) for image in gray])
    return Styles(np.repeat(255 - gray[..., None], 3, axis=3), inked, np.asarray(digits.labels))


def _inked(gray: np.ndarray) -> np.ndarray:
    thick = Image.fromarray(gray).filter(ImageFilter.MaxFilter(3))
    moved = (1, SLANT, -SLANT * SIDE / 2, 0, 1, 0)
    cover = np.asarray(thick.transform(thick.size, Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR))
    share = cover[..., None] / 255
    return np.rint(share * INK + (1 - share) * PAPER).astype(np.uint8)


def write(folder: Path, images: Sequence[np.ndarray] | np.ndarray) -> str:
    """Write images as PNG files, and return the folder's name."""
    durable.make_folder(folder)
    for row, image in enumerate(images):
        durable.write_file(folder / f"{row:04}.png", encode_png(image))
    return str(folder)


def read(images: np.ndarray, known: Styles) -> np.ndarray:
    """(N,) labels of inked digits: that of the nearest of `known`, pixel by pixel."""
    flat, others = (part.reshape(len(part), -1).astype(np.float32) for part in (images, known.inked))
    return known.labels[((others**2).sum(1) - 2 * flat @ others.T).argmin(1)]
