"""Damaged images without end, the same ones every time: seeds of each format, and one way of damage drawn per image."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from image_cases import CASES, draw, save

FORMATS = ("png", "jpeg", "webp", "bmp", "gif", "tiff")
SEEDS_PER_FORMAT = 24
EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def seeds() -> dict[str, list[bytes]]:
    """At least 24 small images of each format, the odd ones of the golden set first."""
    found = {name: [case.data for key, case in CASES.items() if key.startswith(name)] for name in FORMATS}
    for name, images in found.items():
        while len(images) < SEEDS_PER_FORMAT:
            size = 3 + len(images), 40 - len(images)
            images.append(save(draw(len(images), *size, 3), name.upper(), mode="RGB"))
    return found


def mutants(number: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`number` damaged images as (description, bytes)."""
    stock = seeds()
    rng = np.random.default_rng(seed)
    for index in range(number):
        name = FORMATS[index % len(FORMATS)]
        family = stock[name]
        which = int(rng.integers(len(family)))
        data = bytearray(family[which])
        for _ in range(int(rng.integers(1, 4))):
            damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
            damage(data, rng, family[int(rng.integers(len(family)))])
        if name == "png" and rng.random() < 0.7:  # else most damage would stop at a checksum
            data = bytearray(with_checksums(bytes(data)))
        yield f"mutant {index} of seed {seed}: {name} {which}", bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """A position, near the start half of the time, where the headers are."""
    limit = min(len(data), 64) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(1, limit)))


def flip_bits(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    for _ in range(int(rng.integers(1, 9)) if data else 0):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def set_number(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """Overwrite 1, 2 or 4 bytes by a number at an edge, in either byte order."""
    value, size = EXTREMES[int(rng.integers(len(EXTREMES)))], int(rng.choice([1, 2, 4]))
    at = _place(data, rng)
    data[at : at + size] = (value % 256**size).to_bytes(size, "big" if rng.random() < 0.5 else "little")


def cut_short(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    del data[_place(data, rng) :]


def cut_out(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 64))]


def insert_noise(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    at = _place(data, rng)
    data[at:at] = rng.bytes(int(rng.integers(1, 64)))


def repeat_part(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + int(rng.integers(1, 200))] * int(rng.integers(1, 20))


def blank_part(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    at = _place(data, rng)
    length = len(data[at : at + int(rng.integers(1, 256))])
    data[at : at + length] = bytes([int(rng.choice([0, 255]))]) * length


def splice(data: bytearray, rng: np.random.Generator, other: bytes) -> None:
    """Continue with the rest of another image of the format."""
    at = _place(data, rng)
    data[at:] = other[at:]


DAMAGES: list[Callable[[bytearray, np.random.Generator, bytes], None]] = [
    *(flip_bits, set_number, set_number, cut_short, cut_out, insert_noise, repeat_part, blank_part, splice)
]


def with_checksums(data: bytes) -> bytes:
    """The PNG with right checksums wherever its chunks can still be followed."""
    out, position = bytearray(data), 8
    while position + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, position)
        end = position + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[position + 4 : end]))
        position = end + 4
    return bytes(out)
