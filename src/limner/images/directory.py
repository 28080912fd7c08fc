"""Directories of TIFF, which are also the form of EXIF: a few numbers out, hostile directories refused.

Pillow copies the payload of every entry before anyone asks for it. Entries may overlap, so that 1 MB of file can claim
50 GB of payload; and an entry of 4 bytes can announce a million strips. Both are counted here first. The order of
reading is Pillow's, so that what is counted is what it will read. Classic TIFF and BigTIFF.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import BadImage
from .limits import Limits, check_parts

WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 262, 274
TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT = 322, 323, 339
_SUBDIRECTORIES = (34665, 34853, 40965)  # EXIF, GPS, interoperability
_WANTED = {
    *(WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT),
    *_SUBDIRECTORIES,
}

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # by field type
_COUNTS = (3, 4, 16)  # field types that Pillow turns into Python numbers when the tag is looked at
_SLACK = 65_536  # honest writers let a few small values share their bytes


@dataclass(frozen=True)
class Directory:
    """The first value of each wanted tag, and the offset of the next directory (0 after the last)."""

    tags: dict[int, int] = field(default_factory=dict)
    following: int = 0


def directories(data: bytes, limits: Limits, *, strict: bool = False) -> Iterator[Directory]:
    """The chain of directories of a TIFF or EXIF block; only the first is checked, for no other is handed to Pillow."""
    big = data[2] == 43
    offset = number(data, 8, 8) if big else number(data, 4, 4)
    seen: set[int] = set()
    while offset not in seen and offset < len(data) and len(seen) < limits.parts:
        directory = (
            read_directory(data, offset, limits, strict=strict) if not seen else Directory({}, _following(data, offset))
        )
        yield directory
        seen |= {offset, 0}
        offset = directory.following


def read_directory(data: bytes, offset: int, limits: Limits, *, strict: bool, depth: int = 2) -> Directory:
    """The directory at `offset`; BadImage when it, or one inside it, would make a small file fill the memory.

    With `strict` a directory that is cut short is BadImage too; without, what can be read counts.
    """
    tags: dict[int, int] = {}
    payload, end = 0, _end(data, offset)
    if strict and end > len(data):
        raise BadImage("its directory is cut short")
    for index, (tag, kind, count, at) in enumerate(_entries(data, offset, min(end, len(data)))):
        check_parts(index, limits, "directory entries")
        size = _BYTES[kind]
        payload += count * size
        if at + count * size > len(data):  # Pillow reads a directory only up to here, and then guesses the rest
            if strict:
                raise BadImage(f"the values of tag {tag} are cut short")
            break
        if payload > len(data) + _SLACK:
            raise BadImage("its directory claims more data than the file holds")
        if kind in _COUNTS:
            check_parts(count, limits, f"values in tag {tag}")
        if tag in _WANTED and count:
            tags[tag] = number(data, at, size)
    for pointer in _SUBDIRECTORIES if depth else ():
        if pointer in tags:
            read_directory(data, tags[pointer], limits, strict=False, depth=depth - 1)
    return Directory(tags, _following(data, offset))


def _layout(data: bytes) -> tuple[int, int, int]:
    """Bytes of a directory's count, of one entry, and of an offset."""
    return (8, 20, 8) if data[2] == 43 else (2, 12, 4)


def _end(data: bytes, offset: int) -> int:
    """Where the entries of the directory at `offset` end."""
    head, step, _ = _layout(data)
    return offset + head + step * number(data, offset, head)


def _following(data: bytes, offset: int) -> int:
    return number(data, _end(data, offset), _layout(data)[2])


def _entries(data: bytes, offset: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(tag, field type, number of values, where they are) of each whole entry of a known type before `end`."""
    head, step, wide = _layout(data)
    for entry in range(offset + head, end - step + 1, step):
        tag, kind, count = number(data, entry, 2), number(data, entry + 2, 2), number(data, entry + 4, wide)
        if kind in _BYTES:
            at = entry + 4 + wide
            yield tag, kind, count, at if count * _BYTES[kind] <= wide else number(data, at, wide)


def exif_orientation(exif: bytes, limits: Limits) -> int:
    """Tag 274 of an EXIF block; 1 where the block is absent or unreadable, for a picture needs no metadata."""
    if exif[:2] not in (b"II", b"MM") or len(exif) < 8:
        return 1
    directory = next(directories(exif, limits), Directory())
    orientation = directory.tags.get(ORIENTATION, 1)
    return orientation if 1 <= orientation <= 8 else 1


def number(data: bytes, at: int, size: int) -> int:
    """The unsigned integer of `size` bytes at `at`, in the byte order that a block's first letters state."""
    return int.from_bytes(data[at : at + size], "little" if data[:2] == b"II" else "big")
