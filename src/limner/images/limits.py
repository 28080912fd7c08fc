"""How much of a file is accepted, and the refusals."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import BadImage


@dataclass(frozen=True)
class Limits:
    """How much of a file is accepted. More than this is refused from the header, before pixels are allocated.

    pixels       width x height                           side         of the picture, in pixels
    file_bytes   of the whole file                        text_bytes   of PNG text, when it is asked for
    parts        chunks, blocks, directory entries, strips
    scans        of a progressive JPEG of the full number of pixels; smaller ones may have more
    """

    pixels: int = 50_000_000
    side: int = 16_384
    file_bytes: int = 256 << 20
    text_bytes: int = 1 << 20
    parts: int = 65_536
    scans: int = 16


DEFAULT_LIMITS = Limits()


def check_size(width: int, height: int, limits: Limits) -> None:
    """BadImage unless width x height is drawable and within the limits."""
    if width < 1 or height < 1:
        raise BadImage(f"its size is {width}x{height}")
    if max(width, height) > limits.side:
        raise BadImage(f"its size {width}x{height} exceeds {limits.side} pixels a side")
    if width * height > limits.pixels:
        raise BadImage(f"its size {width}x{height} exceeds {limits.pixels / 1e6:g} million pixels")


def check_parts(parts: int, limits: Limits, what: str) -> None:
    """BadImage when a file is in more pieces than anyone needs, each of which costs a parser time."""
    if parts > limits.parts:
        raise BadImage(f"it has more than {limits.parts} {what}")
