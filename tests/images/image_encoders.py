"""Small encoders written from the format specifications, so that the expected pixels do not come from Pillow.

They take samples as stored (any depth), and leave every unusual choice to the caller.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def pack_bits(samples: np.ndarray, bits: int, order: str = ">") -> bytes:
    """(H, W * C) samples -> rows of packed bits, each row padded to a byte."""
    if bits in (8, 16, 32):
        return samples.astype(f"{order}u{bits // 8}").tobytes()
    planes = (samples[..., None].astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1  # (H, W * C, bits)
    return np.packbits(planes.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


# PNG ------------------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: np.ndarray,
    *,
    bits: int = 8,
    colour: int | None = None,
    before: Sequence[bytes] = (),
    after: Sequence[bytes] = (),
    interlaced: bool = False,
    filter_type: int = 0,
    pieces: int = 1,
) -> bytes:
    """(H, W, C) samples of `bits` bits; `before` and `after` are chunks around the pixels."""
    height, width, channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if colour is None else colour
    passes = [samples[y::down, x::right] for y, x, down, right in ADAM7] if interlaced else [samples]
    raw = b"".join(_filtered(part, bits, filter_type) for part in passes if part.size)
    packed = zlib.compress(raw)
    cuts = np.linspace(0, len(packed), pieces + 1).astype(int)
    idat = [chunk(b"IDAT", packed[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced)))
    return b"\x89PNG\r\n\x1a\n" + b"".join([header, *before, *idat, *after, chunk(b"IEND")])


def _filtered(samples: np.ndarray, bits: int, kind: int) -> bytes:
    height, width, channels = samples.shape
    packed = pack_bits(samples.reshape(height, -1), bits)
    rows = np.frombuffer(packed, np.uint8).reshape(height, -1).astype(np.int64)
    back = max(1, bits * channels // 8)
    left, up, corner = np.zeros_like(rows), np.zeros_like(rows), np.zeros_like(rows)
    left[:, back:], up[1:] = rows[:, :-back] if rows.shape[1] > back else rows[:, :0], rows[:-1]
    corner[1:, back:] = rows[:-1, :-back] if rows.shape[1] > back else rows[:-1, :0]
    guess = [np.zeros_like(rows), left, up, (left + up) // 2, _paeth(left, up, corner)][kind]
    coded = ((rows - guess) % 256).astype(np.uint8)
    return b"".join(bytes([kind]) + row.tobytes() for row in coded)


def _paeth(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    return np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))


# TIFF and EXIF --------------------------------------------------------------------------------------------------------

_TYPES = {"H": 3, "I": 4, "B": 1, "Q": 16}


def directory(tags: dict[int, tuple[str, Sequence[int]]], order: str, start: int, *, big: bool = False) -> bytes:
    """A directory at offset `start` with its values behind it; each tag is (struct letter, values)."""
    count, entry, offset = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    step = struct.calcsize(f"={entry}") + offset
    extra_at = start + struct.calcsize(f"={count}") + step * len(tags) + offset
    body, extra = struct.pack(order + count, len(tags)), b""
    for tag, (letter, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        body += struct.pack(order + entry, tag, _TYPES[letter], len(values))
        if len(packed) <= offset:
            body += packed.ljust(offset, b"\0")
        else:
            body += struct.pack(order + count.replace("H", "I"), extra_at + len(extra))
            extra += packed
    return body + bytes(offset) + extra


def tiff(
    strips: Sequence[bytes],
    *,
    width: int,
    height: int,
    bits: Sequence[int],
    photometric: int,
    order: str = "<",
    rows_per_strip: int | None = None,
    tile: tuple[int, int] | None = None,
    big: bool = False,
    tags: dict[int, tuple[str, Sequence[int]]] | None = None,
) -> bytes:
    """An uncompressed TIFF of ready-made strips or tiles."""
    mark = b"II" if order == "<" else b"MM"
    head = 16 if big else 8
    offsets = [head + sum(map(len, strips[:index])) for index in range(len(strips))]
    lengths = [len(strip) for strip in strips]
    all_tags: dict[int, tuple[str, Sequence[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", bits),
        259: ("H", [1]),
        262: ("H", [photometric]),
        277: ("H", [len(bits)]),
    }
    if tile:
        all_tags |= {322: ("I", [tile[1]]), 323: ("I", [tile[0]]), 324: ("I", offsets), 325: ("I", lengths)}
    else:
        all_tags |= {273: ("I", offsets), 278: ("I", [rows_per_strip or height]), 279: ("I", lengths)}
    all_tags |= tags or {}
    start = head + sum(lengths)
    start += start % 2
    magic = struct.pack(order + "HHHQ", 43, 8, 0, start) if big else struct.pack(order + "HI", 42, start)
    pixels = b"".join(strips)
    return (mark + magic + pixels).ljust(start, b"\0") + directory(all_tags, order, start, big=big)


def exif(orientation: int, order: str = "<") -> bytes:
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    return head + directory({274: ("H", [orientation])}, order, 8)


# BMP ------------------------------------------------------------------------------------------------------------------


def bmp(
    rows: bytes,
    width: int,
    height: int,
    bits: int,
    *,
    palette: np.ndarray | None = None,
    compression: int = 0,
    masks: Sequence[int] = (),
    header: int = 40,
) -> bytes:
    """`rows` is the pixel data as stored; a negative height is top-down; `palette` is (K, 3) RGB."""
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(rows), 2835, 2835, 0, 0)
        info += struct.pack(f"<{len(masks)}I", *masks)
        info = info.ljust(header, b"\0") if header > 40 else info
    if palette is not None:
        colours = np.zeros((1 << bits, 3), np.uint8)
        colours[: len(palette)] = palette[:, ::-1]
        info += colours.tobytes() if header == 12 else np.pad(colours, ((0, 0), (0, 1))).tobytes()
    offset = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + rows


def bmp_rows(samples: np.ndarray, bits: int) -> bytes:
    """(H, W * C) samples -> bottom-up rows padded to 4 bytes."""
    width = -(-samples.shape[1] * bits // 8)
    packed = pack_bits(samples[::-1], bits, "<")
    return b"".join(packed[at : at + width].ljust(-(-width // 4) * 4, b"\0") for at in range(0, len(packed), width))


# GIF ------------------------------------------------------------------------------------------------------------------


def gif(
    frames: Sequence[bytes], width: int, height: int, palette: np.ndarray | None, *, version: bytes = b"GIF89a"
) -> bytes:
    """Blocks after a logical screen of width x height with a global palette (K, 3), K a power of 2."""
    flags = 0x80 | (len(palette).bit_length() - 2) if palette is not None else 0
    table = b"" if palette is None else palette.astype(np.uint8).tobytes()
    return version + struct.pack("<HHBBB", width, height, flags, 0, 0) + table + b"".join(frames) + b";"


def gif_frame(
    indices: np.ndarray, *, left: int = 0, top: int = 0, palette: np.ndarray | None = None, interlaced: bool = False
) -> bytes:
    """(H, W) uint8 indices as uncompressed LZW: 9-bit codes with a clear code before the table would grow."""
    height, width = indices.shape
    if interlaced:
        indices = np.concatenate([indices[0::8], indices[4::8], indices[2::4], indices[1::2]])
    flags = (0x40 if interlaced else 0) | (0x80 | (len(palette).bit_length() - 2) if palette is not None else 0)
    codes: list[int] = []
    for at, index in enumerate(indices.ravel()):
        codes += [256, int(index)] if at % 250 == 0 else [int(index)]
    bits = "".join(f"{code:09b}"[::-1] for code in [*codes, 257])
    data = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    table = b"" if palette is None else palette.astype(np.uint8).tobytes()
    head = b"," + struct.pack("<HHHHB", left, top, width, height, flags) + table + b"\x08"
    return head + sub_blocks(data)


def gif_control(transparent: int) -> bytes:
    return b"!\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"


def sub_blocks(data: bytes) -> bytes:
    return b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)) + b"\0"
