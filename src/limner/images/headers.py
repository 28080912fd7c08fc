"""What a file says of itself before any decoder runs: format by content, size, depth, frames, orientation.

Pillow parses metadata eagerly in Python, and several of its loops are linear (or worse) in numbers that a hostile file
chooses: text chunks, comment blocks, directory entries, scans. Each walker here counts those parts first, so that
`read` can refuse such a file at once. The walkers trust nothing but the bytes, and decode no pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ..errors import BadImage
from .directory import (
    BITS,
    HEIGHT,
    ORIENTATION,
    TILE_HEIGHT,
    TILE_WIDTH,
    WIDTH,
    Directory,
    directories,
    exif_orientation,
)
from .limits import Limits, check_parts, check_size
from .sniff import format_of, looks_like

COMPRESSED_TEXTS = 32  # PNG text and ICC chunks that may each inflate to Pillow's limit of 1 MiB
JUNK_BYTES = 65_536  # padding between JPEG segments, which Pillow reads byte by byte
EXIF_BYTES = 1 << 20  # of a JPEG, all segments together; Pillow joins them in quadratic time
RLE_BYTES, RLE_PIXELS = 4 << 20, 8_000_000  # run-length BMP, which Pillow decodes in Python, pixel by pixel at worst
FRAME_PARTS = 1 << 20  # blocks of one GIF frame (of 255 bytes each at most), or looked at to count frames


@dataclass(frozen=True)
class Header:
    """format is Pillow's name; bits counts one sample; orientation is EXIF's 1 … 8, as stored, not yet applied."""

    format: str
    width: int
    height: int
    bits: int = 8
    frames: int = 1
    orientation: int = 1
    tags: dict[int, int] = field(default_factory=dict)  # TIFF only: the numbers of the first directory


def read_header(data: bytes, limits: Limits) -> Header:
    """The header of an image file held in memory; BadImage when it is no accepted format or breaks a limit."""
    name = format_of(data)
    if name is None:
        raise BadImage(f"it is {looks_like(data)}; accepted are PNG, JPEG, WebP, BMP, GIF and TIFF")
    header = _WALKERS[name](data, limits)
    check_size(header.width, header.height, limits)
    return header


def count_frames(data: bytes, header: Header, limits: Limits) -> int:
    """Frames or pages, without decoding one; a lower bound beyond FRAME_PARTS blocks or `limits.parts` pages."""
    if header.format == "GIF":
        return sum(kind == _GIF_FRAME for kind, _, _ in _gif_blocks(data, FRAME_PARTS))
    if header.format == "TIFF":
        return sum(1 for _ in directories(data, limits))
    return header.frames


# PNG ------------------------------------------------------------------------------------------------------------------


def _png(data: bytes, limits: Limits) -> Header:
    width, height, bits = struct.unpack_from(">IIB", data, 16)
    header = Header("PNG", width, height, bits)
    compressed = 0
    for kind, start, stop in _png_chunks(data, limits):
        if kind == b"acTL":
            header = replace(header, frames=max(1, int.from_bytes(data[start : start + 4], "big")))
        elif kind == b"eXIf":
            header = replace(header, orientation=exif_orientation(data[start:stop], limits))
        compressed += kind in (b"zTXt", b"iTXt", b"iCCP")
    if compressed > COMPRESSED_TEXTS:
        raise BadImage(f"it has more than {COMPRESSED_TEXTS} compressed text or ICC chunks")
    return header


def _png_chunks(data: bytes, limits: Limits) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, stop) of each chunk's payload, up to the end of the image."""
    position, chunks, kind = 8, 0, b""
    while position + 8 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, position + 8, min(position + 8 + length, len(data))
        position, chunks = position + 12 + length, chunks + 1
        check_parts(chunks, limits, "chunks")


# JPEG -----------------------------------------------------------------------------------------------------------------

_SCAN = 0xDA
_BARE = {0x00, 0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE), 0xFF}  # padding, or markers without a length
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the frame headers SOF0 … SOF15


def _jpeg(data: bytes, limits: Limits) -> Header:
    scans = data.count(b"\xff\xda")
    check_parts(scans, limits, "scans")
    header, exif = None, b""
    for marker, start, stop in _jpeg_segments(data, limits):
        if marker in _SIZES:
            bits, height, width = struct.unpack_from(">BHH", data, start)
            check_size(width, height, limits)
            if scans * width * height > limits.scans * limits.pixels:  # each scan visits every pixel
                raise BadImage(f"it has {scans} scans of {width}x{height} pixels")
            header = Header("JPEG", width, height, bits)
        elif marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            exif += data[start + 6 : stop]
            if len(exif) > EXIF_BYTES:
                raise BadImage(f"it has more than {EXIF_BYTES} bytes of EXIF")
    if header is None:
        raise BadImage("it has no frame header before its first scan")
    return replace(header, orientation=exif_orientation(exif, limits))


def _jpeg_segments(data: bytes, limits: Limits) -> Iterator[tuple[int, int, int]]:
    """(marker, start, stop) of each segment before the first scan."""
    position, segments, junk = 0, 0, 0
    while position + 4 <= len(data):
        mark, marker = data[position], data[position + 1]
        if mark == 0xFF and marker == _SCAN:
            return
        if mark != 0xFF or marker in _BARE:
            position, junk = position + 1, junk + 1
            if junk > JUNK_BYTES:
                raise BadImage(f"it has more than {JUNK_BYTES} bytes of padding between segments")
            continue
        stop = position + 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
        yield marker, position + 4, stop
        position, segments = stop, segments + 1
        check_parts(segments, limits, "segments")


# GIF ------------------------------------------------------------------------------------------------------------------

_GIF_FRAME, _GIF_CONTROL = 0x2C, 0xF9


def _gif(data: bytes, limits: Limits) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    (start, _), _ = _gif_first_frame(data, limits)
    left, top, across, down = struct.unpack_from("<HHHH", data, start + 1)
    # a frame that is larger than the screen enlarges it
    return Header("GIF", max(width, left + across), max(height, top + down))


def first_gif_frame_only(data: bytes, limits: Limits) -> bytes:
    """The same GIF without comments, other extensions and later frames.

    Pillow joins comments in quadratic time and reads malformed chains of blocks in its own way; so it gets none.
    """
    (start, stop), control = _gif_first_frame(data, limits)
    return data[: 13 + _colour_table(data, 10)] + control + data[start:stop] + b";"


def _gif_first_frame(data: bytes, limits: Limits) -> tuple[tuple[int, int], bytes]:
    """Where the first frame starts and stops, and the last control extension before it (transparency), or nothing."""
    control = b""
    for kind, start, stop in _gif_blocks(data, limits.parts):
        if kind == _GIF_CONTROL:
            control = data[start:stop]
        elif kind == _GIF_FRAME:
            return (start, stop), control
    raise BadImage(f"it has no frame in its first {limits.parts} blocks")


def _gif_blocks(data: bytes, at_most: int) -> Iterator[tuple[int, int, int]]:
    """(kind, start, stop) of each block, where kind is 0x2C for a frame, else the label of an extension."""
    position, parts = 13 + _colour_table(data, 10), 0
    while position + 1 < len(data) and data[position] != 0x3B and parts < at_most:
        start, kind, parts = position, data[position], parts + 1
        position += 1
        if kind == _GIF_FRAME:
            body = start + 11 + _colour_table(data, start + 9)
        elif kind == 0x21:
            kind, body = data[start + 1], start + 2
        else:
            continue
        position, blocks = _after_sub_blocks(data, body, FRAME_PARTS if kind == _GIF_FRAME else at_most - parts)
        parts += blocks
        yield kind, start, position


def _colour_table(data: bytes, at: int) -> int:
    """Bytes of the colour table that the flags at `at` announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int, at_most: int) -> tuple[int, int]:
    """The position after a chain of sub-blocks, and how many there were."""
    blocks = 0
    while position < len(data) and data[position] and blocks <= at_most:
        position, blocks = position + 1 + data[position], blocks + 1
    return position + 1, blocks


# BMP ------------------------------------------------------------------------------------------------------------------


def _bmp(data: bytes, limits: Limits) -> Header:
    if data[14:18] == b"\x0c\0\0\0":
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return Header("BMP", width, height, min(bits, 8))
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in (1, 2) and (len(data) > RLE_BYTES or width * abs(height) > RLE_PIXELS):
        raise BadImage(f"its run-length data exceed {RLE_BYTES} bytes or {RLE_PIXELS} pixels")
    return Header("BMP", width, abs(height), min(bits, 8))


# WebP -----------------------------------------------------------------------------------------------------------------


def _webp(data: bytes, limits: Limits) -> Header:
    width, height = _webp_size(data)
    check_size(width, height, limits)
    header, frames = Header("WEBP", width, height), 0
    for kind, start, stop in _webp_chunks(data, limits):
        frames += kind == b"ANMF"
        if kind == b"EXIF":
            exif = data[start:stop].removeprefix(b"Exif\0\0")
            header = replace(header, orientation=exif_orientation(exif, limits))
    return replace(header, frames=max(1, frames))


def _webp_size(data: bytes) -> tuple[int, int]:
    """Of the canvas, of a lossless image (14 bits each), or of a VP8 key frame. Source: RFC 9649."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _webp_chunks(data: bytes, limits: Limits) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, stop) of each chunk's payload."""
    position, chunks = 12, 0
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, position + 8, min(position + 8 + length, len(data))
        position, chunks = position + 8 + length + length % 2, chunks + 1
        check_parts(chunks, limits, "chunks")


# TIFF -----------------------------------------------------------------------------------------------------------------


def _tiff(data: bytes, limits: Limits) -> Header:
    tags = next(directories(data, limits, strict=True), Directory()).tags
    if WIDTH not in tags or HEIGHT not in tags:
        raise BadImage("its directory states no size")
    if tags.get(TILE_WIDTH, 0) * tags.get(TILE_HEIGHT, 0) > limits.pixels:
        raise BadImage(f"its tiles exceed {limits.pixels / 1e6:g} million pixels")
    orientation = tags.get(ORIENTATION, 1)
    return Header("TIFF", tags[WIDTH], tags[HEIGHT], tags.get(BITS, 1), orientation=orientation, tags=tags)


_WALKERS: dict[str, Callable[[bytes, Limits], Header]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "BMP": _bmp,
    "WEBP": _webp,
    "TIFF": _tiff,
}
