"""How the images of a data set are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..config import setting
from ..errors import ConfigError, unknown
from ..images.degrade import parse

MAX_SIDE = 4096
_COLOURS = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
}


@dataclass(frozen=True)
class DataConfig:
    """How the images of a data set are read. Raises ConfigError for a value that cannot be used."""

    resolution: str | int | None = setting(
        "64 or 96x64 (height x width); by default the size that most images share when no side exceeds 64, "
        "else a square power of two near the median short side, at most 64",
        None,
    )
    fit: Literal["crop", "pad", "squash"] = setting(
        "how an image of another shape is fitted: crop, pad or squash", "crop"
    )
    channels: int | None = setting("1 gray, 3 colour, 4 with transparency; by default what the data has", None)
    background: str = setting("colour that transparency is laid on: a name or #rrggbb", "white")
    flip: bool = setting("mirror half of the images left to right, anew in every epoch", False)
    max_bad: float = setting("stop when a larger share of the images cannot be decoded", 0.05)
    patch: int | None = setting(
        "side of patches that are cut from images of full size, at random places in training", None
    )
    degrade: str | None = setting(
        "what makes the source of each image, for models that restore: down:2, noise:0-55, blur:1-3,noise:5,jpeg:40 …",
        None,
    )
    sources: str | None = setting("where the sources lie instead: data as the images are, matched by name", None)
    paired: bool = setting("whether each source belongs to one image; otherwise they are two kinds of pictures", True)
    only: str | None = setting("take the images of this class alone", None)
    sources_only: str | None = setting("take the sources of this class alone", None)
    turn: bool = setting("turn images by quarters at random, and mirror them", False)
    workers: int = setting("processes that gather batches; 0 is fastest from the cache", 0)

    def __post_init__(self) -> None:
        parse_resolution(self.resolution)
        parse_colour(self.background)
        if self.fit not in ("crop", "pad", "squash"):
            raise ConfigError(unknown("fit", self.fit, ("crop", "pad", "squash")))
        if self.channels not in (None, 1, 3, 4):
            raise ConfigError(f"channels={self.channels} is not possible; use 1, 3 or 4, or leave it out")
        if not 0 <= self.max_bad <= 1:
            raise ConfigError(f"max_bad={self.max_bad} is not a share; use a number from 0 to 1")
        if self.patch is not None and not 1 <= self.patch <= MAX_SIDE:
            raise ConfigError(f"patch={self.patch} is not a side of 1 to {MAX_SIDE} pixels")
        self._check_sources()
        if self.workers < 0:
            raise ConfigError(f"workers={self.workers} is negative; use 0 or more")

    def _check_sources(self) -> None:
        if self.degrade is not None:
            chain = parse(self.degrade)
            if self.sources is not None:
                raise ConfigError("sources lie in a folder or are made by degrade; give one of the two")
            if self.patch is not None and self.patch % chain.scale:
                raise ConfigError(f"patch={self.patch} is not a multiple of {chain.scale}, which {self.degrade} needs")
        elif self.sources is None:
            if not self.paired or self.sources_only is not None:
                raise ConfigError("paired and sources_only speak of sources; say where they lie, with sources=")
        if self.patch is not None and self.sources is not None:
            raise ConfigError("patches are cut from images with degrade; with sources=, give a resolution instead")


def parse_resolution(resolution: str | int | None) -> tuple[int, int] | None:
    """(height, width) of "64", 64 or "96x64"; None stays None."""
    if resolution is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,5})\s*(?:[x×]\s*(\d{1,5})\s*)?", str(resolution))
    height = int(match[1]) if match else 0
    width = int(match[2] or match[1]) if match else 0
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ConfigError(
            f"resolution={resolution!r} is not a size; use 64 or 96x64 (height x width), each side 1 to {MAX_SIDE}"
        )
    return height, width


def parse_colour(colour: str) -> tuple[int, int, int]:
    """(red, green, blue) of a colour name or #rrggbb."""
    name = colour.strip().lower()
    if name in _COLOURS:
        return _COLOURS[name]
    if match := re.fullmatch(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", name):
        return int(match[1], 16), int(match[2], 16), int(match[3], 16)
    raise ConfigError(f"{unknown('colour', colour, _COLOURS)}; or write it as #rrggbb")
