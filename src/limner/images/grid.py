"""Many small images as one picture: grids, captioned rows, and the way from a model's range to pixels.

Batches are uint8 (N, H, W, C). Transparency is shown on a light checkerboard.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import ConfigError, ModelError

CHECKER_SIDE, CHECKER_LIGHT, CHECKER_DARK = 8, 255, 228
CAPTION_SIZE, CAPTION_MARGIN = 13, 4
_NO_LETTER = "\uffff"  # which no font has: drawn as what stands for a missing letter


def to_uint8(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) floats in [-1, 1] -> (N, H, W, C) uint8, rounded; beyond the range is clipped.

    Raises ModelError when a value is NaN or infinite, for a model that diverged should not look merely dark.
    """
    images = np.asarray(images, np.float32)
    finite = np.isfinite(images).reshape(len(images), -1).all(axis=1)
    if not finite.all():
        raise ModelError(f"{(~finite).sum()} of {len(images)} images are not finite, the first is {finite.argmin()}")
    return ((images + 1) * 127.5).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def from_uint8(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, C, H, W) float32 in [-1, 1]: -1 is 0, 1 is 255. `to_uint8` undoes it exactly."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / 127.5 - 1


def grid(
    images: np.ndarray, *, columns: int | None = None, padding: int = 2, background: int = 255, scale: int = 1
) -> np.ndarray:
    """(N, H, W, C) uint8 -> one picture (H', W', 1 or 3) uint8, row by row from the top left.

    columns      images in a row; None makes the grid about as wide as it is high
    padding      pixels of `background` (a gray) between and around the images
    scale        every pixel becomes scale x scale pixels
    """
    images = displayable(images)
    columns = columns or math.ceil(math.sqrt(len(images)))
    if min(columns, scale) < 1 or padding < 0:
        raise ConfigError(f"columns={columns}, scale={scale} must be at least 1 and padding={padding} at least 0")
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    number, height, width, channels = images.shape
    columns = min(columns, number)
    rows = math.ceil(number / columns)
    cell = height + padding, width + padding
    picture = np.full((rows * cell[0] + padding, columns * cell[1] + padding, channels), background, np.uint8)
    for index, image in enumerate(images):
        top, left = (place * side + padding for place, side in zip(divmod(index, columns), cell, strict=True))
        picture[top : top + height, left : left + width] = image
    return picture


def displayable(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, H, W, 1 or 3): RGBA over the checkerboard; of C = 2 the first, of C > 4 the first 3."""
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
        raise ConfigError(f"a batch of {images.dtype} {images.shape} cannot be shown; it must be uint8 (N, H, W, C)")
    channels = images.shape[3]
    if channels == 4:
        return _over_checkerboard(images)
    return images[..., : 3 if channels >= 3 else 1]


def _over_checkerboard(images: np.ndarray) -> np.ndarray:
    """(N, H, W, 4) -> (N, H, W, 3). The squares shrink with the image, so that each shows at least four."""
    height, width = images.shape[1:3]
    side = max(1, min(CHECKER_SIDE, height // 4, width // 4))
    parity = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2
    board = np.where(parity == 0, CHECKER_LIGHT, CHECKER_DARK)[..., None]  # (H, W, 1)
    alpha = images[..., 3:].astype(np.uint32)
    return ((images[..., :3] * alpha + board * (255 - alpha) + 127) // 255).astype(np.uint8)


def labelled_rows(
    rows: Mapping[str, np.ndarray],
    *,
    columns: int | None = None,
    padding: int = 2,
    background: int = 255,
    scale: int = 1,
) -> np.ndarray:
    """One grid under each caption, stacked: {"data": (N, H, W, C), …} uint8 -> (H', W', 3) uint8.

    Each batch is one row of images unless `columns` breaks it. Captions are drawn in Pillow's built-in font.
    """
    if not rows:
        raise ConfigError("there are no rows to show; give at least one caption with images")
    parts = []
    for caption, images in rows.items():
        body = grid(images, columns=columns or len(images), padding=padding, background=background, scale=scale)
        parts += [_caption(caption, background), np.broadcast_to(body, (*body.shape[:2], 3))]
    width = max(part.shape[1] for part in parts)
    return np.concatenate([_widened(part, width, background) for part in parts])


def _widened(picture: np.ndarray, width: int, background: int) -> np.ndarray:
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=background)


def shortened(text: str, width: int) -> str:
    """As much of a caption as fits into a bar of that many pixels, with … for the rest."""
    font, text = ImageFont.load_default(CAPTION_SIZE), " ".join(text.split())
    room = width - 2 * CAPTION_MARGIN
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _caption(text: str, background: int) -> np.ndarray:
    """A bar with one line of text, black or white whichever can be read, (H, W, 3) uint8."""
    font = ImageFont.load_default(CAPTION_SIZE)
    text = _drawable(" ".join(text.split()), font)
    width = math.ceil(font.getlength(text)) + 2 * CAPTION_MARGIN
    bar = Image.new("L", (width, CAPTION_SIZE + 2 * CAPTION_MARGIN), background)
    ink = 0 if background > 127 else 255
    ImageDraw.Draw(bar).text((CAPTION_MARGIN, CAPTION_MARGIN + CAPTION_SIZE), text, fill=ink, font=font, anchor="ls")
    return np.repeat(np.array(bar)[..., None], 3, axis=2)


def _drawable(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text with letters that the font lacks replaced: by their like without accents, else by ?."""

    def ink(letter: str) -> bytes:
        return bytes(font.getmask(letter))

    def drawn(letter: str) -> str:
        if letter.isascii() or ink(letter) != ink(_NO_LETTER):
            return letter
        plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        return plain or "?"

    return "".join(map(drawn, text))
