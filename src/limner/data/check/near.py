"""Finds near duplicates: copies that were resized, compressed again, made brighter or darker, or cropped by a little.

Every picture is reduced to a sketch: 16x16 gray levels and 4x4 of its colour. Candidates are the pairs whose low
frequencies (8x8 DCT, brightness and contrast divided out) lie within a radius; each is then verified by its full
sketch, tried under the small crops of `_CROPS`, and by its colour.

What counts as near follows the data: unrelated pictures of one digit are more alike than unrelated photos, so a copy
must be six times nearer than the median picture's nearest neighbour (and correlate at least 0.955).

Measured with 200 planted copies of twelve kinds: on 5,085 photos (CIFAR-10) all were found, and 0.2 % of the photos
were flagged besides. On look-alikes (shapes, emoji, MNIST) 77 to 84 % were found, the rest being mostly crops, which
cannot be told from other pictures there; 0.1 to 8 % were flagged, the 8 % being emoji that differ in a detail.

The search is exact and compares n² / 2 pairs in matrix products, less what sorting along one axis rules out: seconds
for 60,000 pictures, about a minute for 200,000. Banded bit hashes (dHash) promise less work, but on flat pictures such
as emoji most bits are noise, and one crowded band costs as much as comparing all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...images.colour import WHITE, Colour, with_channels
from ...images.resize import fit

SIDE = 16  # of the gray sketch
TINT = 4  # of the colour sketch
LOW = 8  # frequencies kept in each direction
ROWS, COLUMNS = 1024, 8192  # of a tile of the comparison
MOST = 16  # candidates kept per picture, so that a set of look-alikes costs no more than others
SAMPLE = 2048  # pictures that stand for the nearest-neighbour distance of all
MAX_TINT_GAP = 8.0  # gray levels, root mean square, after the contrasts are made equal
FLAT = 2.0  # gray levels of standard deviation below which a sketch is mostly rounding
_CROPS = ((0.0, 0.0), (0.025, 0.025), (0.045, 0.045), (0.04, 0.0), (0.0, 0.04))  # cut from the two ends of an axis


@dataclass(frozen=True)
class Sketch:
    """gray (16, 16) uint8 and tint (2, 4, 4) int8: red and blue minus gray, halved."""

    gray: np.ndarray
    tint: np.ndarray


def sketch(pixels: np.ndarray, background: Colour = WHITE) -> Sketch:
    """The sketch of a picture, uint8 (H, W, 1 | 3 | 4); both sides are squashed to a square."""
    small = with_channels(fit(pixels, SIDE, SIDE, how="squash"), 3, background).astype(np.float32)  # (16, 16, 3)
    gray = 0.299 * small[..., 0] + 0.587 * small[..., 1] + 0.114 * small[..., 2]
    tint = np.stack([small[..., 0] - gray, small[..., 2] - gray]) / 2
    tint = tint.reshape(2, TINT, SIDE // TINT, TINT, SIDE // TINT).mean(axis=(2, 4))
    return Sketch(np.rint(gray).astype(np.uint8), np.rint(tint).clip(-128, 127).astype(np.int8))


def near_pairs(gray: np.ndarray, tint: np.ndarray, *, margin: float = 1.0) -> np.ndarray:
    """Pairs (P, 2) of indices i < j of near duplicates, in order.

    gray     (N, 16, 16)   uint8     tint   (N, 2, 4, 4)   int8
    margin   how much farther apart than usual two pictures may be; above 1 for a split that must not leak
    """
    low = _low_frequencies(gray)
    apart = _typical_distance(low)
    radius, slack = margin * np.clip(0.4 * apart, 0.004, 0.1), margin * np.clip(apart / 6, 0.001, 0.045)
    found = [
        pairs[_same_tint(gray, tint, pairs) & (_aligned(gray[pairs[:, 0]], gray[pairs[:, 1]]) >= 1 - slack)]
        for pairs in _candidates(low, float(radius))
    ]
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *found])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def groups(pairs: np.ndarray, count: int) -> list[list[int]]:
    """Sets of indices that pairs connect, each sorted, in the order of their first member."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for first, second in pairs.tolist():
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for index in sorted(set(pairs.ravel().tolist())):
        members.setdefault(root(index), []).append(index)
    return list(members.values())


def _low_frequencies(gray: np.ndarray) -> np.ndarray:
    """(N, 63) float32 of unit length: DCT coefficients without the mean; flat pictures become shorter."""
    place, frequency = np.arange(SIDE) + 0.5, np.arange(LOW)
    waves = np.cos(np.pi * frequency[:, None] * place / SIDE) * np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    waves = waves.astype(np.float32)
    flat = np.concatenate(
        [np.zeros((0, LOW * LOW), np.float32)]
        + [
            (waves @ gray[start : start + COLUMNS].astype(np.float32) @ waves.T).reshape(-1, LOW * LOW)
            for start in range(0, len(gray), COLUMNS)
        ]
    )[:, 1:]  # (N, 63)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), FLAT * SIDE)


def _typical_distance(low: np.ndarray) -> float:
    """Median over a spread sample of the distance, 1 - correlation, to the nearest other picture."""
    if len(low) < 3:
        return 1.0
    rows = np.unique(np.linspace(0, len(low) - 1, SAMPLE).astype(int))
    nearest = np.full(len(rows), -1.0, np.float32)
    for start in range(0, len(low), COLUMNS):
        likeness = low[rows] @ low[start : start + COLUMNS].T
        here = (rows >= start) & (rows < start + COLUMNS)
        likeness[here, rows[here] - start] = -1  # itself
        nearest = np.maximum(nearest, likeness.max(axis=1))
    return float(np.median(1 - nearest))


def _candidates(low: np.ndarray, radius: float) -> Iterator[np.ndarray]:
    """Pairs (P, 2) whose correlation is at least 1 - radius, tile by tile."""
    axis = int(low.var(axis=0).argmax()) if len(low) else 0
    order = np.argsort(low[:, axis], kind="stable")
    low = low[order]
    reach = np.sqrt(2 * radius)  # unit vectors that correlate by 1 - r lie at most this far apart along any axis
    most = max(1024, MOST * ROWS * COLUMNS // max(len(low), COLUMNS))
    for top in range(0, len(low), ROWS):
        block = low[top : top + ROWS]
        stop = int(np.searchsorted(low[:, axis], block[-1, axis] + reach, side="right"))
        for left in range(top, stop, COLUMNS):
            likeness = block @ low[left : min(left + COLUMNS, stop)].T
            # flat, for np.nonzero of a matrix takes longer than the product
            i, j = divmod(np.flatnonzero(likeness >= 1 - radius), likeness.shape[1])
            later = i + top < j + left
            i, j = i[later], j[later]
            if len(i) > most:
                best = np.argpartition(-likeness[i, j], most)[:most]
                i, j = i[best], j[best]
            yield np.stack([order[i + top], order[j + left]], axis=1)


def _same_tint(gray: np.ndarray, tint: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) whether the colours agree once the second picture has the contrast of the first."""
    first, second = (gray[pairs[:, side]].reshape(-1, SIDE * SIDE).std(axis=1) for side in (0, 1))
    scale = np.clip(np.maximum(first, FLAT) / np.maximum(second, FLAT), 2 / 3, 3 / 2)[:, None, None, None]
    gap = 2 * (tint[pairs[:, 0]] - scale * tint[pairs[:, 1]])  # tints are stored halved
    return np.sqrt((gap**2).mean(axis=(1, 2, 3))) <= MAX_TINT_GAP


def _aligned(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,) the highest correlation of (P, 16, 16) sketches over small crops of the one or the other."""
    crops = [_crop(*ends) for ends in _CROPS]
    best = np.full(len(first), -1.0, np.float32)
    for moved, still in ((first, second), (second, first)):
        moved, still = moved.astype(np.float32), _unit(still.astype(np.float32))
        for rows in crops:
            cut = rows @ moved
            for columns in crops:
                best = np.maximum(best, (_unit(cut @ columns.T) * still).sum(axis=(1, 2)))
    return best


def _unit(gray: np.ndarray) -> np.ndarray:
    centred = gray - gray.mean(axis=(1, 2), keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=(1, 2), keepdims=True), FLAT * SIDE)


@lru_cache(maxsize=16)
def _crop(before: float, after: float) -> np.ndarray:
    """(16, 16): an axis read by linear interpolation after its ends were cut off."""
    place = (before + (1 - before - after) * (np.arange(SIDE) + 0.5) / SIDE) * SIDE - 0.5
    place = place.clip(0, SIDE - 1)
    lower = np.floor(place).astype(int).clip(0, SIDE - 2)
    weights = np.zeros((SIDE, SIDE), np.float32)
    weights[np.arange(SIDE), lower] = 1 - (place - lower)
    weights[np.arange(SIDE), lower + 1] = place - lower
    return weights
