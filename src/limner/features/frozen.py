"""A frozen network as an extractor: images are prepared and run in tiles of one size, whatever is asked for at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..engine import How, Run, compile_network
from ..errors import ModelError
from .extractor import Features
from .preparation import opaque


@dataclass(frozen=True)
class Traits:
    """What is known of a network before it runs; extractor.Extractor says what each is."""

    name: str
    sha256: str
    dimension: int
    classes: int = 0


class Prepares(Protocol):
    """Makes a network's input of images; `words` says how, for protocols."""

    @property
    def words(self) -> str: ...

    def __call__(self, images: np.ndarray) -> Tensor:
        """(B, H, W, C) uint8 -> (B, 3, h, w) float32."""


class Frozen:
    """An extractor (extractor.py has the contract) around a network that gives (B, D) or ((B, D), (B, K)).

    The network is compiled for its engine at the first call.
    """

    def __init__(self, network: nn.Module, traits: Traits, preparation: Prepares, how: How) -> None:
        self.name, self.sha256 = traits.name, traits.sha256
        self.dimension, self.classes = traits.dimension, traits.classes
        self.resize, self.precision = preparation.words, how.precision
        self.how, self.preparation = how, preparation
        self.recipe: tuple[str, str, str] | None = None  # name, precision, engine of features.load
        self._network = network.eval().requires_grad_(False)
        self._runs: dict[tuple[int, ...], Run] = {}

    def __call__(self, images: np.ndarray) -> Features:
        """(B, H, W, C) uint8, C of 1, 3 or 4 -> their features.

        Raises ConfigError for other images, ModelError for features that are not finite numbers.
        """
        pooled, logits = [np.zeros((0, self.dimension), np.float32)], [np.zeros((0, self.classes), np.float32)]
        for tile, count in self.tiles(images):
            first, *rest = self.run(tile)
            pooled.append(self._checked(first[:count], self.dimension))
            if self.classes:
                logits.append(self._checked(rest[0][:count], self.classes))
        return Features(np.concatenate(pooled), np.concatenate(logits) if self.classes else None)

    def tiles(self, images: np.ndarray) -> Iterator[tuple[Tensor, int]]:
        """(tile, 3, H, W) as the network takes them, the last filled up with copies, and how many of them count."""
        opaque(images[:0])  # says what is wrong with images of another kind, also when there are none
        for start in range(0, len(images), self.how.tile):
            rows = images[start : start + self.how.tile]
            count = len(rows)
            if count < self.how.tile:
                rows = rows[[*range(count)] + [count - 1] * (self.how.tile - count)]
            yield self.preparation(rows), count

    def run(self, tile: Tensor) -> tuple[Tensor, ...]:
        """What the network gives for one prepared tile."""
        shape = tuple(tile.shape)
        if shape not in self._runs:
            self._runs[shape] = compile_network(self._network, [tile], self.how, key=self.sha256)
        return self._runs[shape](tile)

    def _checked(self, part: Tensor, width: int) -> np.ndarray:
        if part.ndim != 2 or part.shape[1] != width:
            raise ModelError(f"{self.name} gave {tuple(part.shape)} for {len(part)} images, not (…, {width})")
        if not torch.isfinite(part).all():
            raise ModelError(f"{self.name} gave features that are not finite numbers; its weights are not right")
        return part.numpy()

    def __reduce__(self):
        """Sent to another process as the arguments that made it, not as its weights."""
        from . import load

        if self.recipe is None:
            raise ModelError(f"{self.name} was not made by features.load, so no other process can make it again")
        name, precision, engine = self.recipe
        return partial(load, name, precision=precision, engine=engine), ()
