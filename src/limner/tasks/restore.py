"""A finished picture in, a better one out: what lies between pixels as people have them and a model that restores.

A model of gray pictures restores the brightness of colour ones; colours are enlarged with bicubic. Transparency is set
aside and enlarged likewise. What a model is told beside the picture, the level of its noise or where its holes are, is
given by the caller or estimated here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from math import lcm
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..images import bicubic
from ..images.colour import luma, with_channels
from ..images.stream import encode_png_bands
from ..model import Model, Transforms
from ..nn.restoration.enlarge import Enlarge
from ..nn.restoration.fill import Fill
from ..types import Condition
from . import apply
from .apply import TILED, How
from .generate import need
from .tiles import device_of

_TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
_FROM_YCC = torch.tensor([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
_MAD = 0.6744897501960817  # the median of |x| for x of a standard normal


@dataclass(frozen=True)
class Told:
    """What a model is told beside the picture.

    level   deviation of the noise in units of uint8, 0 to 255; None to estimate it
    hole    (h, w) bool, True where the picture is not known
    Raises ConfigError for a level that is none.
    """

    level: float | None = None
    hole: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= 255:
            raise ConfigError(f"level={self.level} is no strength of noise; use a number from 0 to 255")


NOTHING = Told()


def restore(model: Model, picture: np.ndarray, told: Told = NOTHING, how: How = TILED) -> np.ndarray:
    """(h, w, 1 | 3 | 4) uint8 -> (scale h, scale w, C) uint8: gray stays gray unless the model gives colours."""
    return np.concatenate([*restore_bands(model, picture, told, how)])


def restore_bands(model: Model, picture: np.ndarray, told: Told = NOTHING, how: How = TILED) -> Iterator[np.ndarray]:
    """As `restore`, in bands of whole rows from the top: for pictures whose result should not lie in memory at once."""
    _check(picture)
    colours, alpha = _apart(model, picture)
    if alpha is not None and model.data.scale > 1:
        alpha = bicubic.resize(alpha, model.data.scale)
    row = 0
    for band in values(model, colours, told, how):
        pixels = np.floor(band + 0.5).clip(0, 255).astype(np.uint8)
        if told.hole is not None and model.data.scale == 1 and pixels.shape[2] == colours.shape[2]:
            kept = ~told.hole[row : row + len(pixels)]
            pixels[kept] = colours[row : row + len(pixels)][kept]
        if alpha is not None and pixels.shape[2] != 4:  # one that makes transparency of its own is left to it
            opaque = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
            pixels = np.concatenate([opaque, alpha[row : row + len(pixels)]], axis=2)
        row += len(pixels)
        yield pixels


def values(model: Model, colours: np.ndarray, told: Told = NOTHING, how: How = TILED) -> Iterator[np.ndarray]:
    """(h, w, 1 | 3) of any numbers in 0 … 255, noise beyond included -> bands (rows, scale w, C), neither clipped nor
    rounded: what tables of denoising are computed on.
    """
    need(model, Transforms)
    given = colours.shape[2]
    fitted, colours = _fitted(model, colours)
    maps = _maps(model, colours, told)
    source = _source(colours, maps)
    for band in apply.bands(fitted, source, Condition(), how):
        made = ((band[0].permute(1, 2, 0) + 1) * 127.5).numpy()
        gray_again = given == 1 and made.shape[2] == 3 and model.data.given_channels - len(model.data.maps) == 3
        yield made.mean(axis=2, keepdims=True) if gray_again else made


def png(
    model: Model,
    picture: np.ndarray,
    told: Told = NOTHING,
    how: How = TILED,
    *,
    consistent: bool = False,
    see: Callable[[int, np.ndarray], None] = lambda row, band: None,
) -> Iterator[bytes]:
    """The restored picture as the parts of a PNG file, made and packed band by band, so that it never lies in memory.

    consistent   move the result until shrinking it gives the picture again, which needs it in memory as a whole
    see          shown each band, (rows, width, C) uint8, with the number of its first row
    """
    _check(picture)
    height, width = (model.data.scale * side for side in picture.shape[:2])
    bands = restore_bands(model, picture, told, how)
    if consistent:
        bands = iter([consistently(np.concatenate([*bands]), picture)])
    first = next(bands)
    return encode_png_bands(_seen(chain([first], bands), see), height, width, first.shape[2])


def _seen(bands: Iterator[np.ndarray], see: Callable[[int, np.ndarray], None]) -> Iterator[np.ndarray]:
    row = 0
    for band in bands:
        see(row, band)
        row += len(band)
        yield band


def consistently(made: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """An enlarged picture moved until bicubic shrinking gives the picture that it was made of; both uint8."""
    if made.shape[0] == picture.shape[0]:
        raise ConfigError("only an enlarged picture can be made consistent with the one it was made of")
    if made.shape[2] == 4:
        picture = with_channels(picture, 4)
    if made.shape[2] != picture.shape[2]:
        raise ConfigError("what has colours now cannot be consistent with the gray picture that it was made of")
    return np.floor(back_projected(made, picture) + 0.5).clip(0, 255).astype(np.uint8)


def back_projected(made: np.ndarray, picture: np.ndarray, *, rounds: int = 10) -> np.ndarray:
    """(s h, s w, C) levels, not rounded where they need not be, and (h, w, C) -> (s h, s w, C) float64.

    What a picture loses when it is shrunk by bicubic is given back to it, enlarged by bicubic, `rounds` times.
    Source: Irani and Peleg 1991, Improving resolution by image registration, section 3.
    """
    scale = made.shape[0] // picture.shape[0]
    found, wanted = made.astype(np.float64), picture.astype(np.float64)
    for _ in range(rounds):
        found = found + bicubic.resize(wanted - bicubic.resize(found, 1 / scale), scale)
    return found


def error_png(model: Any, picture: np.ndarray, told: Told = NOTHING, how: How = TILED) -> Iterator[bytes]:
    """How far off each pixel of the restored picture is expected to be, as parts of a gray PNG: levels, ten times.

    Raises ConfigError for a model that predicts none.
    """
    if not hasattr(model, "error_scale"):
        raise ConfigError(f"{model.name} predicts no errors; train a restorer with --set uncertainty=true")
    _check(picture)
    fitted, colours = _fitted(_Errors(model), _apart(model, picture)[0])
    if isinstance(fitted, _ByBrightness):
        fitted, colours = _Errors(model), _gray(colours)
    source = _source(colours, _maps(model, colours, told))
    height, width = (model.data.scale * side for side in picture.shape[:2])
    bands = (
        (band[0].mean(0)[..., None].numpy() * 1275 + 0.5).clip(0, 255).astype(np.uint8)
        for band in apply.bands(fitted, source, Condition(), how)
    )
    return encode_png_bands(bands, height, width, 1)


def noise_level(picture: np.ndarray) -> float:
    """The deviation of white noise in (h, w, C), in its own units: the median of the finest diagonal differences.

    Source: Donoho and Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage, section 4.
    """
    gray = picture.astype(np.float32).mean(axis=2)
    gray = gray[: gray.shape[0] // 2 * 2, : gray.shape[1] // 2 * 2]
    if not gray.size:
        return 0.0
    diagonal = (gray[::2, ::2] - gray[1::2, ::2] - gray[::2, 1::2] + gray[1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal)) / _MAD * np.sqrt(picture.shape[2]))


def _apart(model: Model, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and transparency; together for a model that was trained on both."""
    if model.data.given_channels - len(model.data.maps) == 4:
        return with_channels(picture, 4), None
    return (picture[..., :3], picture[..., 3:]) if picture.shape[2] == 4 else (picture, None)


def _check(picture: np.ndarray) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or 0 in picture.shape:
        raise ConfigError(f"a picture of {picture.dtype} {picture.shape} cannot be restored; use uint8 (h, w, 1|3|4)")


def _fitted(model: Any, colours: np.ndarray) -> tuple[Any, np.ndarray]:
    """The model, and the picture in the channels that it takes."""
    taken, given = model.data.given_channels - len(model.data.maps), colours.shape[2]
    if taken == given:
        return model, colours
    if taken == 3:
        return model, colours.repeat(3, axis=2)
    if taken != 1:
        raise ConfigError(f"{model.name} takes {taken} channels; a picture has {given}")
    if model.data.channels != 1:  # it makes colours of brightness
        return model, _gray(colours)
    return _ByBrightness(model), colours


def _source(colours: np.ndarray, maps: list[np.ndarray]) -> Tensor:
    """(1, c, h, w) in the model's range; made in place, for a picture may be large."""
    stacked = np.concatenate([colours, *maps], axis=2, dtype=np.float32)
    stacked /= 127.5
    stacked -= 1
    return torch.from_numpy(stacked).permute(2, 0, 1)[None]


def _gray(colours: np.ndarray) -> np.ndarray:
    if colours.dtype == np.uint8:
        return luma(colours)
    return colours.astype(np.float32) @ _TO_YCC[0].numpy()[:, None]


def _maps(model: Any, colours: np.ndarray, told: Told) -> list[np.ndarray]:
    """What the model is told, (h, w, 1) each, in units of uint8."""
    maps, size = [], colours.shape[:2]
    for name in model.data.maps:
        if name == "noise":
            level = noise_level(colours) if told.level is None else told.level
            maps.append(np.full((*size, 1), level, np.float32))
        elif name == "hole":
            if told.hole is None:
                raise ConfigError(f"{model.name} fills holes; say where they are, with a mask")
            if told.hole.shape != size:
                raise ConfigError(
                    f"the mask is {told.hole.shape[0]}x{told.hole.shape[1]} and the picture {size[0]}x{size[1]}; "
                    "they must be of one size"
                )
            maps.append(told.hole[..., None].astype(np.float32) * 255)
        else:
            raise ConfigError(f"{model.name} wants to be told {name!r}, which nothing here can say")
    return maps


class _ByBrightness(nn.Module):
    """A model of gray pictures as one of colour: it restores the brightness, and colours are enlarged by bicubic.

    Where there is a hole, its colours are those around it.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.enlarge = Enlarge(model.data.scale).to(device_of(model))
        self.name, self.config = model.name, model.config
        self.multiple = model.multiple
        self.reach = None if model.reach is None else max(model.reach, 2)
        self.fill = Fill().to(device_of(model)) if "hole" in model.data.maps and model.data.scale == 1 else None
        if self.fill is not None:
            self.multiple = lcm(self.multiple, self.fill.multiple)
            self.reach = None if self.reach is None else max(self.reach, self.fill.reach)
        self.data = replace(model.data, channels=3, source_channels=3 + len(model.data.maps))

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        colours, maps = source[:, :3], source[:, 3:]
        ycc = torch.einsum("ij,bjhw->bihw", _TO_YCC.to(source), colours)
        bright = self.model.transform(torch.cat([ycc[:, :1], maps], 1), condition)
        hues = ycc[:, 1:]
        if self.fill is not None:
            hole = maps[:, self.model.data.maps.index("hole")][:, None]
            hues = self.fill(hues, (hole < 0).to(hues))
        made = torch.cat([bright, self.enlarge(hues)], 1)
        return torch.einsum("ij,bjhw->bihw", _FROM_YCC.to(source), made)


class _Errors(nn.Module):
    """A model's expected errors, as if they were its pictures."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.name, self.config, self.data = model.name, model.config, model.data
        self.reach, self.multiple = model.reach, model.multiple

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        return self.model.error_scale(source)
