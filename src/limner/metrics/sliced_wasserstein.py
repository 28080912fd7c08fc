"""Sliced Wasserstein distance of the patches of Laplacian pyramids: which scale of detail differs.

Every level of an image's Laplacian pyramid gives 128 patches of 7×7 pixels. Patches of a level and a set are brought to
mean 0 and deviation 1 in each channel; the distance is the mean over 4 × 128 random directions of Wasserstein's
distance of order 1 between the patches' projections, times 1,000. It needs no network, so it can be compared between
papers, at equal N and image size: even equal distributions have a distance above 0, which falls as 1 / √N. Brightness
and contrast of a whole set do not count, as its patches are normalised by themselves.
Source: Karras et al. 2018, Progressive growing of GANs, arXiv 1710.10196, section 5 and appendix C.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .halves import FIRST_HALF, LEVEL, METHOD, SPLITS, STUDENT, Measured, random_groups, smallest_half, standard_error
from .number import Interval
from .transport import coupling, transport_cost, unit_directions

PATCH = 7
PATCHES = 128  # an image and level
SMALLEST = 16  # pixels of the smaller side of the last level
REPEATS, DIRECTIONS = 4, 128
MOST_IMAGES = 16_384
SCALE = 1_000
HALF_DIRECTIONS = 32  # on which the half-samples are computed: enough for an error, not for a value
CHUNK_VALUES = 1 << 22  # of images and patches worked on at once: 16 MiB
PROJECTED_VALUES = 1 << 24  # of one side held at once: 64 MiB
_TAPS = np.array([1, 4, 6, 4, 1], np.float32) / 16


@dataclass(frozen=True)
class LevelDistance:
    """The distance at one level, which holds `height` x `width` pixels."""

    height: int
    width: int
    distance: Measured


@dataclass(frozen=True)
class SlicedWasserstein:
    """Distances × 1,000 of all levels, the finest first, and their mean, with intervals over images and directions."""

    levels: tuple[LevelDistance, ...]
    average: Measured


def sliced_wasserstein(generated: np.ndarray, real: np.ndarray, *, seed: int = 0) -> SlicedWasserstein:
    """The distance of `generated` (N, H, W, C) and `real` (M, H, W, C), uint8 or floats, with sides of 16 or more.

    Patches of an image are drawn by its content, so that sets of the same images are at distance 0 in any order. Of
    more than 16,384 images of a side that many are drawn. Raises ConfigError for unlike shapes and small images,
    DataError for values that are not finite.
    """
    sides = [_prepared(generated, "generated", seed), _prepared(real, "real", seed)]
    if sides[0].images.shape[1:] != sides[1].images.shape[1:]:
        raise ConfigError(
            f"images of {_size(generated)} and {_size(real)} cannot be compared; bring both to one size and channels"
        )
    shapes = level_shapes(*generated.shape[1:3])
    found = [_level([replace(side, level=level) for side in sides], seed) for level in range(len(shapes))]
    levels = tuple(LevelDistance(*shape, one.measured()) for shape, one in zip(shapes, found, strict=True))
    return SlicedWasserstein(levels, _Distances.average(found).measured())


def level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """(height, width) of the levels: halved, odd sides rounded up, while the smaller side is 16 or more."""
    if min(height, width) < SMALLEST:
        raise ConfigError(f"images of {height}x{width} are too small for a pyramid; the smallest side is {SMALLEST}")
    shapes = []
    while min(height, width) >= SMALLEST:
        shapes.append((height, width))
        height, width = (height + 1) // 2, (width + 1) // 2
    return shapes


def laplacian_pyramid(images: np.ndarray, levels: int) -> list[np.ndarray]:
    """(n, H, W, C) float32 -> differences between scales, the finest first, and what is left at the coarsest."""
    pyramid = [images]
    for _ in range(levels - 1):
        pyramid.append(_halved(pyramid[-1]))
        pyramid[-2] = pyramid[-2] - _doubled(pyramid[-1], pyramid[-2].shape[1:3])
    return pyramid


@dataclass(frozen=True)
class _Distances:
    """repeats (4,): one for each set of directions; halves (7, 2): of the half-samples, None for too few images."""

    repeats: np.ndarray
    halves: np.ndarray | None

    @classmethod
    def average(cls, parts: list[_Distances]) -> _Distances:
        halves = [part.halves for part in parts if part.halves is not None]
        return cls(np.mean([part.repeats for part in parts], axis=0), np.mean(halves, axis=0) if halves else None)

    def measured(self) -> Measured:
        value = float(self.repeats.mean()) * SCALE
        if self.halves is None:
            return Measured(value)
        of_directions = self.repeats.std(ddof=1) / len(self.repeats) ** 0.5
        half = STUDENT * SCALE * float(np.hypot(standard_error(self.halves), of_directions))
        return Measured(value, Interval(max(0.0, value - half), value + half, LEVEL, f"{METHOD}, and 4 repeats"))


@dataclass(frozen=True)
class _Side:
    """One set at one level of its pyramids.

    places   (N, levels, 128, 2) where patches are cut, as shares of the room there is
    """

    images: np.ndarray
    places: np.ndarray
    groups: np.ndarray
    level: int = 0

    def patches(self) -> Iterator[np.ndarray]:
        """(n 128, 7, 7, C) float32 patches of the level, image after image."""
        values = int(np.prod(self.images.shape[1:])) + PATCHES * PATCH**2 * self.images.shape[3]
        size = max(1, CHUNK_VALUES // values)
        for start in range(0, len(self.images), size):
            images = np.asarray(self.images[start : start + size], np.float32)
            level = laplacian_pyramid(images, self.level + 1 if self._is_last else self.level + 2)[self.level]
            yield _cut(level, self.places[start : start + size, self.level])

    @property
    def _is_last(self) -> bool:
        return self.level == self.places.shape[1] - 1

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """(C,) mean and (C,) deviation of the patches; a channel without contrast has deviation 1."""
        channels = self.images.shape[3]
        total, squares, count = np.zeros(channels), np.zeros(channels), 0
        for patches in self.patches():
            flat = patches.reshape(-1, patches.shape[3]).astype(np.float64)
            total, squares, count = total + flat.sum(0), squares + np.square(flat).sum(0), count + len(flat)
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
        return mean, np.where(deviation > 1e-6 * np.maximum(1, np.abs(mean)), deviation, 1)

    def projected(self, directions: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """(L, 49 C) directions -> (L, 128 N) float32 projections of the normalised patches."""
        scaled = directions.reshape(len(directions), -1, len(mean)) / deviation
        shift = (scaled @ mean).sum(axis=1)[:, None]
        flat = scaled.reshape(len(directions), -1).astype(np.float32)
        out = np.empty((len(directions), PATCHES * len(self.images)), np.float32)
        start = 0
        for patches in self.patches():
            stop = start + len(patches)
            out[:, start:stop] = flat @ patches.reshape(len(patches), -1).T - shift
            start = stop
        return out


def _prepared(images: np.ndarray, name: str, seed: int) -> _Side:
    if images.ndim != 4 or 0 in images.shape:
        raise ConfigError(f"{name} images of shape {images.shape} have no patches; use (N, H, W, C), none of them 0")
    levels = len(level_shapes(*images.shape[1:3]))
    if len(images) > MOST_IMAGES:
        rows = np.sort(generator(seed, f"swd {name}").permutation(len(images))[:MOST_IMAGES])
        images = images[rows]
    places = np.stack([_places(np.ascontiguousarray(image), levels, seed) for image in images])
    return _Side(images, places, random_groups(len(images), seed=seed, side=name))


def _places(image: np.ndarray, levels: int, seed: int) -> np.ndarray:
    """(levels, 128, 2) in [0, 1), a function of what the image shows."""
    if not np.isfinite(image).all():
        raise DataError("images hold values that are not finite numbers; look for what made them so")
    key = int.from_bytes(sha256(image.tobytes()).digest()[:8], "little")
    return generator(seed, "swd patches", key).random((levels, PATCHES, 2), dtype=np.float32)


def _level(sides: list[_Side], seed: int) -> _Distances:
    """Distances at one level, a block of directions at a time."""
    dimension = PATCH**2 * sides[0].images.shape[3]
    directions = unit_directions(REPEATS * DIRECTIONS, dimension, seed=seed, purpose=f"swd directions {sides[0].level}")
    moments = [side.moments() for side in sides]
    joined = coupling(*(PATCHES * len(side.images) for side in sides))
    largest = max(len(side.images) for side in sides) * PATCHES
    # at least those of the half-samples
    size = int(np.clip(PROJECTED_VALUES // largest, HALF_DIRECTIONS, DIRECTIONS))
    distances, halves = [], None
    for start in range(0, len(directions), size):
        block = directions[start : start + size]
        rows = [side.projected(block, *moment) for side, moment in zip(sides, moments, strict=True)]
        if start == 0 and min(smallest_half(len(side.images)) for side in sides) > 0:
            halves = _half_distances([part[:HALF_DIRECTIONS] for part in rows], [side.groups for side in sides])
        for part in rows:
            part.sort(axis=1)
        distances.append(transport_cost(rows[0], rows[1], joined, power=1))
    return _Distances(np.concatenate(distances).reshape(REPEATS, DIRECTIONS).mean(axis=1), halves)


def _half_distances(projections: list[np.ndarray], groups: list[np.ndarray]) -> np.ndarray:
    """(L, 128 N) and (L, 128 M) -> (7, 2) distances of the half-samples."""
    found = np.empty((SPLITS, 2))
    for split, first in enumerate(FIRST_HALF):
        for place, chosen in enumerate((first, ~first)):
            left, right = (
                np.sort(part[:, np.repeat(chosen[of], PATCHES)], axis=1)
                for part, of in zip(projections, groups, strict=True)
            )
            found[split, place] = transport_cost(left, right, coupling(left.shape[1], right.shape[1]), power=1).mean()
    return found


def _cut(images: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(n, H, W, C), (n, 128, 2) -> (n 128, 7, 7, C)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))  # (n, H-6, W-6, C, 7, 7)
    rows, columns = (
        np.minimum((places[..., axis] * windows.shape[1 + axis]).astype(np.int64), windows.shape[1 + axis] - 1)
        for axis in (0, 1)
    )
    cut = windows[np.arange(len(images))[:, None], rows, columns]  # (n, 128, C, 7, 7)
    return np.ascontiguousarray(cut.reshape(-1, *cut.shape[2:]).transpose(0, 2, 3, 1))


def _halved(images: np.ndarray) -> np.ndarray:
    """(n, H, W, C) blurred and every second row and column kept."""
    return _blurred(_blurred(images, 1, _TAPS)[:, ::2], 2, _TAPS)[:, :, ::2]


def _doubled(images: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(n, h, w, C) -> (n, *size, C): zeros between rows and columns, blurred."""
    wide = np.zeros((len(images), *size, images.shape[3]), images.dtype)
    wide[:, ::2, ::2] = images
    return _blurred(_blurred(wide, 1, 2 * _TAPS), 2, 2 * _TAPS)


def _blurred(images: np.ndarray, axis: int, taps: np.ndarray) -> np.ndarray:
    """The same size, mirrored beyond the edge without repeating it."""
    margin = [(2, 2) if place == axis else (0, 0) for place in range(images.ndim)]
    padded = np.moveaxis(np.pad(images, margin, mode="reflect"), axis, 0)
    size = images.shape[axis]
    out = sum(tap * padded[offset : offset + size] for offset, tap in enumerate(taps))
    return np.moveaxis(out, 0, axis)


def _size(images: np.ndarray) -> str:
    return "×".join(str(length) for length in images.shape[1:])
