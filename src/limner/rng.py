"""Keyed randomness: every draw is a function of (seed, purpose, index), so no random state is ever saved.

Philox is a counter-based generator: its 128-bit key holds the seed and the purpose, its 256-bit counter starts at the
index. Streams of different keys or indices never meet. The draws are made on the CPU and then moved, so one seed
gives one picture on every device (up to the device's own arithmetic).
Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Generator, Tensor

_MASK = (1 << 64) - 1


@lru_cache(maxsize=1024)
def _word(purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")


def generator(seed: int, purpose: str, index: int = 0, subindex: int = 0) -> np.random.Generator:
    """The random stream of (seed, purpose, index, subindex)."""
    # as uint64: a list that mixes numbers below and above 2^63 would pass through float64 and lose its low bits
    key = np.array([seed & _MASK, _word(purpose)], np.uint64)
    # the low counter words count the draws; the two high words hold the index, so streams are 2^128 draws apart
    counter = np.array([0, 0, index & _MASK, subindex & _MASK], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Rng(Protocol):
    """A random source for a batch: each draw has one row per image. `generator` is a network, so this is an `rng`."""

    rows: int

    def normal(self, *shape: int) -> Tensor:
        """(rows, *shape) standard normal, float32."""

    def uniform(self, *shape: int) -> Tensor:
        """(rows, *shape) uniform in [0, 1), float32."""

    def integers(self, high: int, *shape: int) -> Tensor:
        """(rows, *shape) uniform in 0 … high - 1, int64."""


class ImageRng:
    """One stream per image, keyed (seed, index): image k of seed s is the same alone and in any batch."""

    def __init__(self, seed: int, indices: Sequence[int], device="cpu", purpose: str = "image") -> None:
        self.rows, self.device = len(indices), device
        self._streams = [generator(seed, purpose, int(index)) for index in indices]

    def normal(self, *shape: int) -> Tensor:
        return self._stack([stream.standard_normal(shape, dtype=np.float32) for stream in self._streams])

    def uniform(self, *shape: int) -> Tensor:
        return self._stack([stream.random(shape, dtype=np.float32) for stream in self._streams])

    def integers(self, high: int, *shape: int) -> Tensor:
        return self._stack([stream.integers(high, size=shape) for stream in self._streams])

    def _stack(self, draws: list) -> Tensor:
        import torch

        return torch.from_numpy(np.stack([np.asarray(draw) for draw in draws])).to(self.device)


class StepRng:
    """The stream of one training step, cut to the rows of a micro-batch.

    Whole-batch draws are made and sliced, so a batch taken in parts sees the noise of the batch taken at once. The
    draws are torch's, a third of the cost of NumPy's, from a generator seeded by (seed, step): a step has one stream.
    """

    def __init__(self, seed: int, step: int, *, start: int, stop: int, total: int, device="cpu") -> None:
        self.rows, self.device = stop - start, device
        self._start, self._stop, self._total = start, stop, total
        self._key = (seed, step)

    @cached_property
    def _stream(self) -> Generator:
        import torch

        stream = torch.Generator()
        stream.manual_seed(mixed(*self._key, salt=1))  # torch's own generator has the unsalted seed of the step
        return stream

    def normal(self, *shape: int) -> Tensor:
        import torch

        return self._cut(torch.randn((self._total, *shape), generator=self._stream))

    def uniform(self, *shape: int) -> Tensor:
        import torch

        return self._cut(torch.rand((self._total, *shape), generator=self._stream))

    def integers(self, high: int, *shape: int) -> Tensor:
        import torch

        return self._cut(torch.randint(high, (self._total, *shape), generator=self._stream))

    def _cut(self, draw: Tensor) -> Tensor:
        return (draw if self.rows == self._total else draw[self._start : self._stop]).to(self.device)


def mixed(seed: int, step: int, *, salt: int = 0) -> int:
    """A 62-bit seed for a generator of torch's, a twentieth of the cost of drawing it from a keyed stream.

    Source: the finaliser of splitmix64 (Steele et al. 2014, Fast splittable pseudorandom number generators).
    """
    word = (seed * 0x9E3779B97F4A7C15 + (step + 1) * 0xD1B54A32D192ED03 + salt * 0x8CB92BA72F3D8DD7) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return (word ^ (word >> 31)) >> 2
