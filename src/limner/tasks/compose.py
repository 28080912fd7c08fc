"""Several pictures in one, as a layout says: layers on a background, or panels of a storyboard.

    background = "beach.jpg"            # or a colour, with size = "480x640" (height x width)
    [[layers]]                          # from the bottom to the top
    image = "cat.png"
    mask = "cat-mask.png"               # white is shown; by default the image's own transparency
    box = [200, 340, 180, 180]          # top, left, height, width in pixels; by default the whole picture
    how = "poisson"                     # alpha, pyramid or poisson
    harmonise = 0.5                     # 0 keeps the colours, 1 takes those of what lies around
    opacity = 1.0

    columns = 3                         # a storyboard instead: [[panels]] with image and caption
Paths are relative to the layout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ..config import from_dict, load_toml
from ..data.config import parse_colour
from ..errors import BadImage, ConfigError, unknown
from ..images.colour import with_channels
from ..images.compose import blend, finished
from ..images.compose.colours import harmonised
from ..images.compose.poisson import poisson
from ..images.compose.seams import panorama, seamless
from ..images.grid import labelled_rows, shortened
from ..images.read import decode
from ..images.resize import fit

How = Literal["alpha", "pyramid", "poisson"]
MOST_SIDE = 16_384  # pixels a side of a composition, and of a layer,
MOST_PIXELS = 30_000_000  # and in all: a canvas of them takes some 3 GB while a layer is laid on it
_CELL = 256  # pixels of a panel


@dataclass(frozen=True)
class Layer:
    """One picture of a layout; see the top of this file."""

    image: str
    mask: str | None = None
    box: tuple[int, int, int, int] | None = None
    how: How = "alpha"
    harmonise: float = 0.0
    opacity: float = 1.0

    def __post_init__(self) -> None:
        if self.box is not None and any(abs(number) > 1 << 30 for number in self.box):
            raise ConfigError(f"box={list(self.box)} is beyond any picture")
        if self.how not in get_args(How):
            raise ConfigError(unknown("how", self.how, get_args(How)))
        for name in ("harmonise", "opacity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)} is not from 0 to 1")


@dataclass(frozen=True)
class Panel:
    """One picture of a storyboard."""

    image: str
    caption: str = ""


@dataclass(frozen=True)
class Layout:
    """What goes where; see the top of this file."""

    background: str = "white"
    size: str | None = None
    layers: tuple[Layer, ...] = ()
    panels: tuple[Panel, ...] = ()
    columns: int | None = None
    folder: Path = field(default=Path("."))

    @classmethod
    def read(cls, path: Path) -> Layout:
        """A TOML or JSON file. Raises ConfigError naming the file, the layer and the key."""
        if path.suffix.lower() == ".json":
            try:
                values = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ConfigError(f"{path} is not a layout: {error}") from None
        else:
            values = load_toml(path)
        if not isinstance(values, Mapping):
            raise ConfigError(f"{path} is not a layout: it must hold keys and values")
        parts: dict[str, tuple] = {}
        for key, kind in (("layers", Layer), ("panels", Panel)):
            entries = values.get(key, [])
            if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
                raise ConfigError(f"{path}: {key} must be a list of tables, [[{key}]]")
            parts[key] = tuple(
                from_dict(kind, _tupled(entry), where=f"{path}: {key} {number}")
                for number, entry in enumerate(entries, 1)
            )
        rest = {key: value for key, value in values.items() if key not in parts}
        if "folder" in rest:
            raise ConfigError(f"{path}: unknown key 'folder'")
        return from_dict(cls, {**rest, "folder": path.parent}, where=str(path)).with_parts(**parts)

    def with_parts(self, layers: tuple[Layer, ...], panels: tuple[Panel, ...]) -> Layout:
        return Layout(self.background, self.size, layers, panels, self.columns, self.folder)


def _tupled(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def compose(layout: Layout) -> np.ndarray:
    """(H, W, 3) uint8. Raises ConfigError where something does not fit, BadImage for a file that is no picture."""
    if layout.panels and layout.layers:
        raise ConfigError("a layout has layers or panels, not both")
    if layout.panels:
        pictures = [_read(layout.folder / panel.image, 3) for panel in layout.panels]
        return storyboard(pictures, [panel.caption for panel in layout.panels], columns=layout.columns)
    canvas = _background(layout).astype(np.float64)
    for number, layer in enumerate(layout.layers, 1):
        try:
            canvas = _laid(canvas, layer, layout.folder)
        except (ConfigError, BadImage) as error:
            raise type(error)(f"layer {number} ({layer.image}): {error}") from None
    return finished(canvas)


def joined(
    under: np.ndarray, over: np.ndarray, mask: np.ndarray, *, how: How = "alpha", harmonise: float = 0.0
) -> np.ndarray:
    """Two pictures (H, W, C) uint8 joined by a mask (H, W) of 0 to 1, `over` where it is 1 -> (H, W, C) uint8."""
    return finished(_joined(under.astype(np.float64), over.astype(np.float64), mask, how, harmonise))


def storyboard(
    pictures: Sequence[np.ndarray], captions: Sequence[str] = (), *, columns: int | None = None
) -> np.ndarray:
    """Pictures of any sizes, (H, W, C) uint8, side by side in cells of one size, with a line of text above each."""
    if not pictures:
        raise ConfigError("there are no pictures to show")
    if columns is not None and columns < 1:
        raise ConfigError(f"columns={columns} is not positive")
    side = min(_CELL, max(max(picture.shape[:2]) for picture in pictures))
    cells = [fit(with_channels(picture, 3), side, side, how="pad") for picture in pictures]
    words = [*captions, *[""] * (len(cells) - len(captions))]
    columns = columns or max(1, min(len(cells), round(len(cells) ** 0.5 * 1.2)))
    rows = [_panels(cells[at : at + columns], words[at : at + columns]) for at in range(0, len(cells), columns)]
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    )


def _panels(cells: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """One row of a storyboard; a row without words has no room for them."""
    if not any(captions):
        return labelled_rows({"": np.stack(cells)})[21:]
    wide = cells[0].shape[1] + 4
    words = [shortened(caption, wide) for caption in captions]
    return np.concatenate([labelled_rows({text: cell[None]}) for text, cell in zip(words, cells, strict=True)], axis=1)


def side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Overlapping pictures from left to right in one panorama, uint8."""
    _check_some(pictures)
    return finished(panorama([with_channels(picture, 3).astype(np.float64) for picture in pictures]))


def tiling(picture: np.ndarray, *, share: float = 0.25) -> np.ndarray:
    """A texture that can be laid side by side with itself, uint8; smaller by `share` of each side."""
    return finished(seamless(picture.astype(np.float64), share=share))


def _check_some(pictures: Sequence[np.ndarray]) -> None:
    if len(pictures) < 2:
        raise ConfigError("a panorama needs two pictures or more")


def _background(layout: Layout) -> np.ndarray:
    """(H, W, 3) uint8: a picture at its own size or brought to the layout's, or one colour."""
    size = None if layout.size is None else _size(layout.size)
    path = layout.folder / layout.background
    if path.is_file():
        picture = _read(path, 3)
        _check_size(f"background {layout.background}", *(size or picture.shape[:2]))
        return picture if size is None else fit(picture, *size)
    colour = parse_colour(layout.background)
    if size is None:
        raise ConfigError(f"background={layout.background!r} is a colour; say how large it is, size = '480x640'")
    return np.broadcast_to(np.array(colour, np.uint8), (*size, 3)).copy()


def _size(text: str) -> tuple[int, int]:
    """`480x640` as (height, width)."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*x\s*(\d{1,9})\s*", str(text))
    if match is None or not int(match[1]) or not int(match[2]):
        raise ConfigError(f"size={text!r} is no size; write height x width in pixels, such as '480x640'")
    _check_size(f"size={text!r}", height := int(match[1]), width := int(match[2]))
    return height, width


def _check_size(what: str, height: int, width: int) -> None:
    """Raise ConfigError for more pixels than are handled."""
    if max(height, width) > MOST_SIDE or height * width > MOST_PIXELS:
        raise ConfigError(
            f"{what} is {height}x{width}, more than {MOST_SIDE:,} pixels a side or {MOST_PIXELS / 1e6:g} million in "
            f"all; make it smaller"
        )


def _laid(canvas: np.ndarray, layer: Layer, folder: Path) -> np.ndarray:
    """The canvas with a layer on it."""
    top, left, height, width = layer.box or (0, 0, *canvas.shape[:2])
    if height < 1 or width < 1:
        raise ConfigError(f"box {height} high and {width} wide is empty")
    _check_size(f"box {list(layer.box or ())}", height, width)
    inside = (
        slice(max(0, top), min(canvas.shape[0], top + height)),
        slice(max(0, left), min(canvas.shape[1], left + width)),
    )
    if inside[0].start >= inside[0].stop or inside[1].start >= inside[1].stop:
        raise ConfigError(
            f"box {list(layer.box or ())} lies outside of the picture, {canvas.shape[0]}x{canvas.shape[1]}"
        )
    picture = fit(_read(folder / layer.image, 4), height, width, how="squash")
    mask = picture[..., 3] / 255.0
    if layer.mask is not None:
        drawn = _read(folder / layer.mask, 1)
        mask = mask * fit(drawn, height, width, how="squash")[..., 0] / 255.0
    whole, over = np.zeros(canvas.shape[:2]), canvas.copy()
    cut = (
        slice(inside[0].start - top, inside[0].stop - top),
        slice(inside[1].start - left, inside[1].stop - left),
    )
    whole[inside], over[inside] = mask[cut], picture[cut][..., :3]
    made = _joined(canvas, over, whole, layer.how, layer.harmonise)
    return canvas + layer.opacity * (made - canvas)


def _joined(under: np.ndarray, over: np.ndarray, mask: np.ndarray, how: How, harmonise: float) -> np.ndarray:
    if harmonise:
        over = harmonised(over, under, mask, strength=harmonise)
    if how == "pyramid":
        return blend.pyramid(under, over, mask)
    return poisson(under, over, mask) if how == "poisson" else blend.alpha(under, over, mask)


def _read(path: Path, channels: int) -> np.ndarray:
    if not path.is_file():
        raise ConfigError(f"{path} is not there")
    return decode(path, channels=channels, background=(0, 0, 0) if channels == 1 else (255, 255, 255))
