"""How the source of each image comes about: what goes into a model that turns pictures into others.

A source is made of its image by a chain of degradations, or taken from a second data set: the one of the same name, or
any, where the two are kinds of pictures that know nothing of each other. Patches are cut, turned and mirrored here, so
that an image and its source stay aligned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError
from ..images.degrade import Degradation, parse
from ..rng import generator
from ..types import DataSpec
from .config import DataConfig

if TYPE_CHECKING:
    from .dataset import Dataset


@dataclass(frozen=True)
class Pairing:
    """How images become pairs of an image and a source.

    patch         (height, width) of what is cut from each image; None takes all of it
    mirror, turn  whether pairs are mirrored left to right, and turned by quarters, at random
    degradation   makes the source of the image; None where it comes from `partner` or there is none
    partner       sources; where `aligned`, row k belongs to image k
    """

    patch: tuple[int, int] | None
    mirror: bool
    turn: bool
    degradation: Degradation | None = None
    partner: Dataset | None = None
    aligned: bool = True

    def spec(self, spec: DataSpec) -> DataSpec:
        """The description of the pairs, from that of the images."""
        if self.patch is not None:
            spec = replace(spec, height=self.patch[0], width=self.patch[1])
        if self.degradation is not None:
            chain = self.degradation
            if spec.height % chain.scale or spec.width % chain.scale:
                raise ConfigError(
                    f"images of {spec.height}x{spec.width} cannot be made {chain.scale} times as small by "
                    f"{chain.text}; choose a resolution or a patch that {chain.scale} divides"
                )
            channels = chain.channels(spec.channels)
            return replace(spec, source_channels=channels, scale=chain.scale, maps=chain.maps, degrade=chain.text)
        if self.partner is not None:
            return replace(spec, source_channels=self.partner.spec.channels)
        return spec

    def pairs(
        self, images: np.ndarray, indices: np.ndarray, draw: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(B, H, W, C) uint8 rows `indices` -> what the model sees of them: images (B, h, w, C), sources or None.

        draw   of everything random in a batch; without one, patches come from the middle and stand upright, and
               what a degradation draws for a row is a function of the row
        """
        chain = self.degradation
        margin = chain.margin if chain is not None and self.patch is not None else 0
        images = self._cut(images, margin, draw)
        other = None if self.partner is None else self.partner.batch(self._partners(indices, draw)).image
        if draw is not None:
            if self.turn and images.shape[1] == images.shape[2]:
                turns = draw.integers(4, size=len(images))
                images, other = _turned(images, turns), None if other is None else _turned(other, turns)
            if self.mirror or self.turn:
                mirrored = draw.random(len(images)) < 0.5
                images, other = _mirrored(images, mirrored), None if other is None else _mirrored(other, mirrored)
        if chain is None:
            return images, other
        if draw is not None:
            sources = chain(images, draw)
        else:
            each = zip(indices.tolist(), images, strict=True)
            sources = np.concatenate([chain(image[None], generator(0, "pairs", row)) for row, image in each])
        inner = slice(margin, images.shape[1] - margin), slice(margin, images.shape[2] - margin)
        small = margin // chain.scale
        inner_source = slice(small, sources.shape[1] - small), slice(small, sources.shape[2] - small)
        return (
            np.ascontiguousarray(images[:, inner[0], inner[1]]),
            np.ascontiguousarray(sources[:, inner_source[0], inner_source[1]]),
        )

    def middle(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, C) -> the patches of their middle, as a view where they are large enough; all of them without."""
        return self._cut(images, 0, None)

    def _partners(self, indices: np.ndarray, draw: np.random.Generator | None) -> np.ndarray:
        assert self.partner is not None
        if self.aligned:
            return indices
        if draw is None:
            return indices % len(self.partner)
        return draw.integers(len(self.partner), size=len(indices))

    def _cut(self, images: np.ndarray, margin: int, draw: np.random.Generator | None) -> np.ndarray:
        """Patches with `margin` more pixels on each side, at random places or from the middle."""
        if self.patch is None:
            return images
        height, width = (side + 2 * margin for side in self.patch)
        images = _at_least(images, height, width)
        room = images.shape[1] - height, images.shape[2] - width
        if draw is None:
            return images[:, room[0] // 2 : room[0] // 2 + height, room[1] // 2 : room[1] // 2 + width]
        tops = draw.integers(room[0] + 1, size=len(images)).tolist()
        lefts = draw.integers(room[1] + 1, size=len(images)).tolist()
        return np.stack(
            [
                image[top : top + height, left : left + width]
                for image, top, left in zip(images, tops, lefts, strict=True)
            ]
        )


def pairing_of(config: DataConfig, partner: Dataset | None) -> Pairing | None:
    """What the settings ask for; None where images stand for themselves."""
    if config.patch is None and config.degrade is None and partner is None and not config.turn:
        return None
    patch = None if config.patch is None else (config.patch, config.patch)
    chain = None if config.degrade is None else parse(config.degrade)
    return Pairing(patch, config.flip, config.turn, chain, partner, config.paired)


def matched(images: list[str], sources: list[str], where: str) -> np.ndarray:
    """For each image the row of the source of its name, endings left aside; raises DataError where one has none."""
    rows = {_stem(name): row for row, name in enumerate(sources)}
    missing = [name for name in images if _stem(name) not in rows]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(images)} images have no source of their name in {where}, the first is "
            f"{missing[0]}; give each a source, or say paired=false for two kinds of pictures"
        )
    return np.array([rows[_stem(name)] for name in images], np.int64)


def _stem(name: str) -> str:
    head, dot, ending = name.rpartition(".")
    return head if dot and "/" not in ending else name


def _at_least(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Images mirrored at their edges until they are large enough."""
    missing = max(0, height - images.shape[1]), max(0, width - images.shape[2])
    if not any(missing):
        return images
    pads = [(0, 0), *((side // 2, side - side // 2) for side in missing), (0, 0)]
    return np.pad(images, pads, mode="symmetric")


def _turned(images: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Square images, each turned by its number of quarters."""
    out = np.empty_like(images)
    for quarter in range(4):
        out[turns == quarter] = np.rot90(images[turns == quarter], quarter, axes=(1, 2))
    return out


def _mirrored(images: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    out = images.copy()
    out[mirrored] = images[mirrored, :, ::-1]
    return out
