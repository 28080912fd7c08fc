"""Small files that ask for much memory or time."""

from __future__ import annotations

import struct
import zlib

import image_encoders as make
import numpy as np
from image_cases import after_start, draw, save, segment, smooth

DOT = np.zeros((1, 1, 3), int)


def bombs() -> dict[str, bytes]:
    return {**png_bombs(), **jpeg_bombs(), **gif_bombs(), **bmp_bombs(), **webp_bombs(), **tiff_bombs()}


def greedy_directory(size: int, entries: int, order: str = ">") -> bytes:
    """An EXIF block of `size` bytes whose entries all claim the same bytes: entries x size in memory."""
    payload = size - 14 - 12 * entries
    at = size - payload
    body = b"".join(struct.pack(order + "HHII", 1000 + index, 7, payload, at) for index in range(entries))
    return b"MM\0*\0\0\0\x08" + struct.pack(order + "H", entries) + body + bytes(4) + b"x" * payload


def png_bombs() -> dict[str, bytes]:
    def sized(width: int, height: int) -> bytes:
        header = make.chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + make.chunk(b"IDAT", zlib.compress(b"\0" * 99)) + make.chunk(b"IEND")

    zeros = zlib.compress(b"\0" * 20_000_000, 9)
    small = zlib.compress(b"\0" * 900_000, 9)
    sizes = [(50_000, 50_000), (13_000, 13_000), (16_385, 1), (1, 16_385), (2**31 - 1, 2**31 - 1), (0, 5), (5, 0)]
    found = {f"png {width}x{height}": sized(width, height) for width, height in sizes}
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        found[f"png {kind.decode()}"] = make.png(DOT, before=[make.chunk(kind, head + zeros)])
    many = [make.chunk(b"zTXt", b"a\0\0" + small)] * 60
    found["png many texts"] = make.png(DOT, before=many)
    found["png many chunks"] = make.png(DOT, before=[make.chunk(b"abCd")] * 140_000)
    found["png greedy EXIF"] = make.png(DOT, before=[make.chunk(b"eXIf", greedy_directory(900_000, 40_000))])
    return found


def jpeg_bombs() -> dict[str, bytes]:
    whole = save(smooth(3), "JPEG")
    at = whole.index(b"\xff\xc0") + 5
    scan = whole[whole.index(b"\xff\xda") : -2]

    def sized(width: int, height: int) -> bytes:
        return whole[:at] + struct.pack(">HH", height, width) + whole[at + 4 :]

    greedy = greedy_directory(900_000, 40_000)
    parts = [segment(0xE1, b"Exif\0\0" + greedy[start : start + 65_000]) for start in range(0, len(greedy), 65_000)]
    return {
        "jpeg 65535x65535": sized(65_535, 65_535),
        "jpeg 8000x8000": sized(8_000, 8_000),
        "jpeg many scans": sized(7_000, 7_000)[:-2] + scan * 60 + b"\xff\xd9",
        "jpeg padding": after_start(whole, b"\xff" * 1_000_000),
        "jpeg greedy EXIF": after_start(whole, segment(0xE1, b"Exif\0\0" + greedy_directory(60_000, 2_500))),
        "jpeg greedy EXIF in parts": after_start(whole, *parts),
        "jpeg much EXIF": after_start(whole, *[segment(0xE1, b"Exif\0\0" + bytes(65_000))] * 20),
        "jpeg many segments": after_start(whole, segment(0xFE, b"") * 140_000),
    }


def gif_bombs() -> dict[str, bytes]:
    colours, frame = draw(0, 256, 3), make.gif_frame(draw(1, 4, 4))
    return {
        "gif 65535x65535": make.gif([frame], 65_535, 65_535, colours),
        "gif frame beyond the screen": make.gif([make.gif_frame(draw(1, 4, 4), left=60_000)], 4, 4, colours),
        "gif many blocks": make.gif([b"!\xfe\1x\0"] * 140_000 + [frame], 4, 4, colours),
    }


def bmp_bombs() -> dict[str, bytes]:
    colours = draw(2, 256, 3)
    return {
        "bmp 2147483647": make.bmp(bytes(99), 2**31 - 1, 2**31 - 1, 24),
        "bmp 20000x20000": make.bmp(bytes(99), 20_000, 20_000, 24),
        "bmp negative width": make.bmp(bytes(99), -50_000, 50_000, 24),
        "bmp run-length pixels": make.bmp(b"\1\0\0\0" * 3_000, 16_384, 3_000, 8, palette=colours, compression=1),
        "bmp run-length bytes": make.bmp(b"\1\0" * 3_000_000, 2_000, 2_000, 8, palette=colours, compression=1),
    }


def webp_bombs() -> dict[str, bytes]:
    plain = save(smooth(3), "WEBP")
    lossless = save(smooth(3), "WEBP", lossless=True)
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff" * 6
    return {
        "webp canvas": plain[:12] + canvas + plain[12:],
        "webp lossy": plain[:26] + b"\xff\x3f\xff\x3f" + plain[30:],
        "webp lossless": lossless[:21] + b"\xff\xff\xff\x0f" + lossless[25:],
        "webp many chunks": plain + b"abcd\0\0\0\0" * 140_000,
    }


def tiff_bombs() -> dict[str, bytes]:
    shape = {"width": 4, "height": 4, "bits": [8], "photometric": 1}
    strips = {273: ("I", [8] * 140_000), 279: ("I", [1] * 140_000)}
    greedy = greedy_directory(900_000, 40_000)
    nested = make.tiff([greedy_directory(900_000, 40_000, "<")], tags={34665: ("I", [16])}, **shape)
    return {
        "tiff 60000x60000": make.tiff([bytes(16)], **{**shape, "width": 60_000, "height": 60_000}),
        "tiff 4294967295": make.tiff([bytes(16)], **{**shape, "width": 2**32 - 1, "height": 2**32 - 1}),
        "tiff tiles": make.tiff([bytes(16)], tile=(2**20, 2**20), **shape),
        "tiff strips": make.tiff([bytes(16)], tags=strips, **shape),
        "tiff greedy directory": greedy,
        "tiff greedy inner directory": nested,
        "tiff BigTIFF of endless entries": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60) + bytes(400_000),
    }
