"""What the built-in data sets share: pictures of one size, made on demand, and whom to thank for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from ..sources.base import ArraySource

BLOCK = 256


class BuiltIn(ArraySource):
    """A data set that comes with Limner."""

    @abstractmethod
    def read(self, index: int) -> np.ndarray:
        """The picture of record `index`, uint8 (H, W, C)."""

    def blocks(self) -> Iterator[np.ndarray]:
        """All pictures in order, as uint8 (n, H, W, C) arrays of up to 256."""
        for start in range(0, len(self.records), BLOCK):
            yield np.stack([self.read(index) for index in range(start, min(start + BLOCK, len(self.records)))])
