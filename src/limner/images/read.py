"""The one door to Pillow's decoders: bytes or a file in, uint8 (H, W, C) out, or BadImage.

Nothing else in Limner opens an image. What comes out, by what the file holds:

| in the file                         | out                                                                            |
|-------------------------------------|--------------------------------------------------------------------------------|
| format                              | PNG, JPEG, WebP, BMP, GIF, TIFF by content; the file name is never looked at   |
| 1-bit, gray of 2, 4, 8 bits         | gray, full range 0 … 255; "white is zero" TIFF inverted                        |
| gray of 12 or 16 bits               | scaled, round(v * 255 / (2^bits - 1))                                          |
| RGB(A), gray+alpha, CMYK of 16 bits | the high byte of each sample (all that Pillow hands over; at most 1 level off) |
| signed or 32-bit integers           | stretched, least value 0, greatest 255                                         |
| floats                              | times 255 when all are in [0, 1], else stretched; NaN 0                        |
| palette                             | its colours as RGB, with tRNS or GIF transparency as RGBA                      |
| alpha, tRNS                         | kept with 4 channels, composited on `background` with 1 or 3                   |
| premultiplied alpha (TIFF)          | divided out                                                                    |
| CMYK, YCCK                          | 255 - min(255, ink + black) by Pillow's formula; inverted only in Adobe JPEGs  |
| YCbCr, CIE Lab (TIFF)               | converted to sRGB                                                              |
| EXIF orientation 1 … 8              | applied                                                                        |
| animations, multi-page              | the first frame; nothing after it is decoded                                   |
| GIF frame smaller than its screen   | surrounded by the transparent colour, or without one by colour 0               |
| ICC profile, gamma, chromaticities  | ignored: samples are taken as sRGB, so pixels do not depend on a colour engine |
| text, EXIF, GPS, XMP                | never reach the pixels and are never copied to an output                       |
| damaged or cut short                | BadImage, never a picture that is half gray                                    |

It does not resize, cache, or walk folders.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# importing the six plugins here keeps Pillow from importing its forty others to look for one
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ..errors import BadImage, ConfigError
from .colour import WHITE, Colour, orient, with_channels
from .headers import Header, count_frames, first_gif_frame_only, read_header
from .limits import DEFAULT_LIMITS, Limits, check_size
from .modes import ALPHA_MODES, is_deep, natural

__all__ = ["ImageInfo", "Limits", "decode", "inspect", "read_bytes", "read_text"]

# with no handler of its own, Pillow's remarks on a damaged file would be printed to stderr
logging.getLogger("PIL").addHandler(logging.NullHandler())

# the classes, not Image.open: its registry would also reach the MPO parser and its size check only warns
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}

# what Pillow and its codecs have been seen to raise, or say that they raise, on damaged files
_DECODER_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    Warning,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class ImageInfo:
    """What a file states about its picture; width and height are after EXIF orientation.

    mode     Pillow's: 1 L LA P PA RGB RGBA CMYK YCbCr LAB I;16 I F   bits      of one sample in the file
    frames   or pages                                                 quality   of a JPEG, estimated 1 … 100
    """

    format: str
    mode: str
    width: int
    height: int
    frames: int
    bits: int
    has_alpha: bool
    orientation: int
    quality: int | None

    @property
    def channels(self) -> int:
        """1, 3 or 4: what `decode` returns when not told otherwise."""
        if self.has_alpha:
            return 4
        return 1 if self.mode in ("1", "L") or is_deep(self.mode) else 3


def decode(
    source: bytes | Path, *, channels: int | None = None, background: Colour = WHITE, limits: Limits = DEFAULT_LIMITS
) -> np.ndarray:
    """The picture in a file or its bytes, uint8 (H, W, C), writeable; see the table above for every kind of file.

    channels     1 gray, 3 RGB, 4 RGBA, or None for the file's own: 4 if it has alpha, 1 if it is gray, else 3
    background   RGB under transparent pixels when `channels` is 1 or 3

    Raises BadImage, whatever is wrong with the file, and ConfigError for another number of channels.
    """
    if channels not in (None, 1, 3, 4):
        raise ConfigError(f"channels={channels} is not an image; use 1 (gray), 3 (RGB), 4 (RGBA) or None")
    with _reader(source, limits) as (_, header, image):
        image.load()
        pixels = natural(image, header)
    if header.format != "TIFF":  # Pillow turns TIFF itself
        pixels = orient(pixels, header.orientation)
    if channels is not None:
        pixels = with_channels(pixels, channels, background)
    return np.require(pixels, requirements=["C", "W", "O"])


def inspect(source: bytes | Path, *, limits: Limits = DEFAULT_LIMITS) -> ImageInfo:
    """What the header says, without decoding pixels; raises BadImage as `decode` does."""
    with _reader(source, limits) as (data, header, image):
        turned = header.format != "TIFF" and header.orientation >= 5
        width, height = image.size[::-1] if turned else image.size
        return ImageInfo(
            format=header.format,
            mode=image.mode,
            width=width,
            height=height,
            frames=count_frames(data, header, limits),
            bits=header.bits,
            has_alpha=image.mode in ALPHA_MODES or "transparency" in image.info,
            orientation=header.orientation,
            quality=jpeg_quality(image.quantization) if isinstance(image, JpegImagePlugin.JpegImageFile) else None,
        )


def read_text(source: bytes | Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[str, str]:
    """The text of a PNG by keyword, {} for the other formats; raises BadImage, also when it exceeds the limit.

    It was written by a stranger: show it as data, never as markup, and never run it.
    """
    with _reader(source, limits) as (_, _, image):
        if not isinstance(image, PngImagePlugin.PngImageFile):
            return {}
        image.load()  # text may follow the pixels
        if sum(map(len, image.text.values())) > limits.text_bytes:
            raise BadImage(f"its text exceeds {limits.text_bytes} bytes")
        return {str(keyword): str(value) for keyword, value in image.text.items()}


def read_bytes(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The contents of a regular file; anything else (FIFO, socket, device, folder) is refused without being opened."""
    try:
        _check_regular(path, os.stat(path), limits)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO put here since would wait
        try:
            _check_regular(path, os.fstat(descriptor), limits)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(limits.file_bytes)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise BadImage(f"{path}: cannot be read: {error}") from error


def _check_regular(path: Path, status: os.stat_result, limits: Limits) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadImage(f"{path}: not a regular file")
    if status.st_size > limits.file_bytes:
        raise BadImage(f"{path}: {status.st_size} bytes exceed the limit of {limits.file_bytes}")


@contextmanager
def _reader(source: bytes | Path, limits: Limits) -> Iterator[tuple[bytes, Header, ImageFile.ImageFile]]:
    """(bytes, header, lazily opened image); every failure inside becomes a BadImage that names the source."""
    data = source if isinstance(source, bytes) else read_bytes(source, limits)
    name = f"image of {len(data)} bytes" if isinstance(source, bytes) else str(source)
    try:
        with _quiet():
            header = read_header(data, limits)
            lean = first_gif_frame_only(data, limits) if header.format == "GIF" else data
            with _READERS[header.format](io.BytesIO(lean)) as image:
                check_size(*image.size, limits)
                image.info.pop("xmp", None)  # Pillow would turn a TIFF by what its XMP says, EXIF or not
                yield data, header, image
    except BadImage as error:
        raise BadImage(f"{name}: {error}") from None
    except _DECODER_ERRORS as error:
        raise BadImage(f"{name}: cannot be decoded: {str(error) or type(error).__name__}") from error


# the luminance table of the JPEG standard (ITU-T T.81, K.1), in natural order
_LUMINANCE = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51]
    + [87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120]
    + [101, 72, 92, 95, 98, 112, 100, 103, 99]
)


def jpeg_quality(tables: dict[int, list[int]]) -> int | None:
    """The libjpeg quality, 1 … 100, whose luminance table is nearest to the file's; None without tables."""
    table = tables.get(0)
    if table is None or len(table) != 64:
        return None
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    candidates = ((_LUMINANCE * scale[:, None] + 50) // 100).clip(1, 255)
    return int(quality[np.abs(candidates - np.asarray(table)).sum(axis=1).argmin()])


_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_filters = warnings.catch_warnings()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's remarks on sloppy metadata; a decompression bomb is an error.

    warnings.catch_warnings is not made for threads: overlapping uses restore each other's filters. So the first
    decoder in sets the filters and the last one out restores them.
    """
    global _quiet_depth, _quiet_filters
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _quiet_filters.__exit__(None, None, None)
