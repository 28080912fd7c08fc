"""A PNG written band by band, so that a picture of hundreds of megapixels never lies in memory as a whole.

Every row is filtered by its left neighbour, which is cheap and good for photographs; Pillow reads it like any other.
Source: the PNG specification, third edition, sections 5 and 9.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from ..errors import ConfigError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels -> gray, RGB, RGBA
_SUB = 1  # the filter
_LEVEL = 3  # of compression: twice as fast as 6 and 3 % larger
LONGEST = 2**31 - 1


def encode_png_bands(bands: Iterable[np.ndarray], height: int, width: int, channels: int) -> Iterator[bytes]:
    """uint8 (rows, width, channels) bands from the top, `height` rows in all -> the bytes of the file, in parts.

    Raises ConfigError for a size that PNG cannot hold, and for bands that do not add up to it.
    """
    if channels not in _COLOUR_TYPES or not (0 < height <= LONGEST and 0 < width <= LONGEST):
        raise ConfigError(f"a picture of {height}x{width}x{channels} is no PNG; channels must be 1, 3 or 4")
    yield _SIGNATURE
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0))
    packer, rows = zlib.compressobj(_LEVEL), 0
    for band in bands:
        if band.dtype != np.uint8 or band.shape[1:] != (width, channels):
            raise ConfigError(f"a band of {band.dtype} {band.shape} does not fit a picture {width} wide")
        rows += len(band)
        if packed := packer.compress(_filtered(band)):
            yield _chunk(b"IDAT", packed)
    if rows != height:
        raise ConfigError(f"the bands have {rows} rows, and the picture {height}")
    yield _chunk(b"IDAT", packer.flush())
    yield _chunk(b"IEND", b"")


def _filtered(band: np.ndarray) -> bytes:
    """Each row as its filter and the differences to its left neighbours."""
    rows = np.empty((len(band), 1 + band.shape[1] * band.shape[2]), np.uint8)
    rows[:, 0] = _SUB
    differences = band.copy()
    differences[:, 1:] -= band[:, :-1]
    rows[:, 1:] = differences.reshape(len(band), -1)
    return rows.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
