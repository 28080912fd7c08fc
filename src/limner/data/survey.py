"""Looks at a sample of a source to decide the size and the channels that its images are given."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from ..errors import BadImage
from ..images.degrade import parse
from ..images.read import decode, inspect
from .config import DataConfig, parse_resolution
from .sources.base import ArraySource, Source

SAMPLE = 2000  # images whose headers are read; all of them where there are no more
ALPHA_SAMPLE = 64  # images that are decoded to see whether their transparency is real
MAX_DEFAULT_SIDE = 64


@dataclass(frozen=True)
class Plan:
    """The size and channels that every image is given, and why."""

    height: int
    width: int
    channels: int
    reason: str

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, self.channels)


@dataclass(frozen=True)
class _Look:
    """What the header of one image of the sample says."""

    index: int
    height: int
    width: int
    colour: bool
    alpha: bool


def survey(source: Source, config: DataConfig) -> Plan:
    """Decide size and channels: what the config says, else what the images have.

    The size is the one that at least half of the images share when neither side exceeds 64, else a square whose side
    is the largest power of two that is at most 64 and at most the median short side. Channels are 4 when an image is
    really transparent somewhere, else 3 when one has colour, else 1.
    """
    looks = _looks(source)
    channels = config.channels or _channels(source, looks)
    if config.patch is not None:
        side = _piece(config, looks)
        return Plan(side, side, channels, f"full size, in pieces of {side}x{side} that patches are cut from")
    if size := parse_resolution(config.resolution):
        return Plan(*size, channels, f"{size[0]}x{size[1]}, as asked")
    height, width, reason = _size(looks)
    return Plan(height, width, channels, reason)


def _piece(config: DataConfig, looks: list[_Look]) -> int:
    """The side of the pieces that images are kept in: twice the patch, but no more than most images have."""
    assert config.patch is not None
    margin = parse(config.degrade).margin if config.degrade else 0
    least = config.patch + 2 * margin
    short = median_low(min(look.height, look.width) for look in looks) if looks else least
    return max(least, min(2 * config.patch + 2 * margin, short))


def _looks(source: Source) -> list[_Look]:
    if isinstance(source, ArraySource):
        return [_array_look(0, source.shape)]
    count = len(source.records)
    chosen = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(int))
    return [look for index in chosen if (look := _look(source, int(index)))]


def _look(source: Source, index: int) -> _Look | None:
    try:
        image = source.read(index)
        if isinstance(image, np.ndarray):
            return _array_look(index, image.shape)
        info = inspect(image)
    except BadImage:
        return None
    gray = info.channels == 1 or info.mode in ("LA", "La")
    return _Look(index, info.height, info.width, colour=not gray, alpha=info.has_alpha)


def _array_look(index: int, shape: tuple[int, ...]) -> _Look:
    return _Look(index, shape[0], shape[1], colour=shape[2] > 1, alpha=shape[2] == 4)


def _channels(source: Source, looks: list[_Look]) -> int:
    if isinstance(source, ArraySource):
        return source.shape[2]
    alpha = [look.index for look in looks if look.alpha]
    chosen = alpha[:: 1 + len(alpha) // ALPHA_SAMPLE]
    if any(_is_transparent(source, index) for index in chosen):
        return 4
    return 3 if any(look.colour for look in looks) else 1


def _is_transparent(source: Source, index: int) -> bool:
    try:
        image = source.read(index)
        pixels = image if isinstance(image, np.ndarray) else decode(image, channels=4)
    except BadImage:
        return False
    return bool((pixels[..., 3] < 255).any())


def _size(looks: list[_Look]) -> tuple[int, int, str]:
    if not looks:
        return MAX_DEFAULT_SIDE, MAX_DEFAULT_SIDE, "no image of the sample could be read"
    (height, width), times = Counter((look.height, look.width) for look in looks).most_common(1)[0]
    if 2 * times >= len(looks) and max(height, width) <= MAX_DEFAULT_SIDE:
        return height, width, f"{height}x{width}, the size that most images have"
    short = median_low(min(look.height, look.width) for look in looks)
    side = min(MAX_DEFAULT_SIDE, 1 << (short.bit_length() - 1))
    return side, side, f"{side}x{side}, chosen because the images' median short side is {short}"
